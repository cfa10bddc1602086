"""Arrays joined along an axis, and parted along one: each is the other's adjoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import zeros
from ..functions.recipe import recorded
from .arguments import along, axis_of, expect, whole, wholes
from .moving import moving
from .probe import probe
from .row import Inputs, Operation


def _parts(x: Array, lengths: Sequence[int], axis: int) -> tuple[Array, ...]:
    """The parts of these lengths along an axis, one after the other."""
    return tuple(x[along(axis, slice(a, b))] for a, b in pairwise(accumulate(lengths, initial=0)))


def all_changes(inputs: Inputs, changes: Inputs) -> list[Array]:
    """The changes, 0 for what stays as it is."""
    return [zeros(x.shape, x) if dx is None else dx for x, dx in zip(inputs, changes, strict=True)]


def _exchanged(parts: Sequence[Array]) -> tuple[Array, ...]:
    """The first two parts of one shape in each other's place, if there are two such."""
    found = list(parts)
    pairs = ((i, j) for i in range(len(found)) for j in range(i))
    alike = next(((i, j) for i, j in pairs if found[i].shape == found[j].shape), None)
    if alike:
        i, j = alike
        found[i], found[j] = found[j], found[i]
    return tuple(found)


@recorded
def cat(dim: int = 0) -> Operation:
    """Arrays joined along an axis."""
    dim = whole("cat", "dim", dim)

    def value(*tensors: Array) -> Array:
        axis = axis_of("cat", dim, tensors[0].ndim)
        for k, x in enumerate(tensors):
            others = (*tensors[0].shape[:axis], x.shape[axis] if x.ndim > axis else 0, *tensors[0].shape[axis + 1 :])
            expect("cat", x.shape == others, f"tensors[{k}]", f"{tensors[0].shape} but along axis {dim}", x.shape)
        return np.concatenate(tensors, axis=axis)

    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, ...]:
        return _parts(d_y, [x.shape[dim] for x in inputs], dim % d_y.ndim)

    ndim = max(2, dim + 1 if dim >= 0 else -dim)
    return Operation(
        "cat",
        "[a; b; …]",
        "torch.cat",
        ("tensors",),
        value,
        pullback,
        lambda inputs, y, changes: np.concatenate(all_changes(inputs, changes), axis=dim),
        probes=(
            (probe(*(2,) * ndim), probe(*(2,) * ndim, start=4), probe(*(2,) * ndim, start=9)),
            (probe(*(2,) * ndim),),
        ),
        variadic=True,
        parameters={"dim": dim},
        mistakes={"parts_exchanged": lambda inputs, y, d_y: _exchanged(pullback(inputs, y, d_y))},
    )


@recorded
def stack(dim: int = 0) -> Operation:
    """Arrays of one shape joined along a new axis."""
    dim = whole("stack", "dim", dim)

    def value(*tensors: Array) -> Array:
        for k, x in enumerate(tensors):
            expect("stack", x.shape == tensors[0].shape, f"tensors[{k}]", f"shape {tensors[0].shape}", x.shape)
        return np.stack(tensors, axis=axis_of("stack", dim, tensors[0].ndim + 1))

    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, ...]:
        return tuple(d_y[along(dim % d_y.ndim, k)] for k in range(len(inputs)))

    shape = (2, 3, *(1,) * (dim if dim >= 0 else -1 - dim))[: max(1, dim if dim >= 0 else -1 - dim)]
    return Operation(
        "stack",
        "[a, b, …]",
        "torch.stack",
        ("tensors",),
        value,
        pullback,
        lambda inputs, y, changes: np.stack(all_changes(inputs, changes), axis=dim),
        probes=((probe(*shape), probe(*shape, start=4)), (probe(*shape),)),
        variadic=True,
        parameters={"dim": dim},
        mistakes={"parts_exchanged": lambda inputs, y, d_y: _exchanged(pullback(inputs, y, d_y))},
    )


# ── several outputs ──────────────────────────────────────────────────────────────────────────────────


def _parting(
    name: str, lengths_of: Callable[[int], Sequence[int]], dim: int, length: int, parameters: dict[str, object]
) -> Operation:
    """The row that parts an array along an axis into the lengths that follow from the axis's own."""

    def value(x: Array) -> tuple[Array, ...]:
        axis = axis_of(name, dim, x.ndim)
        lengths = lengths_of(x.shape[axis])
        return _parts(x, lengths, axis)

    ndim = max(2, dim + 1 if dim >= 0 else -dim)
    shape = [2] * ndim
    shape[dim] = length
    several = len(set(lengths_of(length))) < len(lengths_of(length))
    return moving(
        name,
        "x = [a; b; …]",
        value,
        lambda shape, d: np.concatenate(list(d), axis=dim),
        (probe(*shape),),
        parameters,
        {"parts_exchanged": lambda shape, d: np.concatenate(list(_exchanged(d)), axis=dim)} if several else {},
    )


@recorded
def split(split_size_or_sections: int | Sequence[int], dim: int = 0) -> Operation:
    """Parts of one length, the last one shorter if need be, or of given lengths, along an axis."""
    given = split_size_or_sections
    sizes = wholes("split", "split_size_or_sections", given)
    expect("split", all(n > 0 for n in sizes), "split_size_or_sections", "lengths of 1 at least", given)

    def lengths(n: int) -> tuple[int, ...]:
        if isinstance(given, Sequence):
            expect("split", sum(sizes) == n, "input", f"length {sum(sizes)} along axis {dim}", n)
            return sizes
        size = sizes[0]
        return (*(size,) * (n // size), *((n % size,) if n % size else ()))

    length = sum(sizes) if isinstance(given, Sequence) else 3 * sizes[0] - (sizes[0] > 1)
    return _parting("split", lengths, dim, length, {"split_size_or_sections": given, "dim": dim})


@recorded
def chunk(chunks: int, dim: int = 0) -> Operation:
    """So many parts along an axis, all as long as the first but the last; fewer if the axis is too short."""
    chunks = whole("chunk", "chunks", chunks, least=1)

    def lengths(n: int) -> tuple[int, ...]:
        size = -(-n // chunks)
        return (*(size,) * (n // size), *((n % size,) if n % size else ()))

    return _parting("chunk", lengths, dim, 2 * chunks, {"chunks": chunks, "dim": dim})


@recorded
def unbind(dim: int = 0) -> Operation:
    """Every element along an axis by itself, without that axis."""
    dim = whole("unbind", "dim", dim)

    def value(x: Array) -> tuple[Array, ...]:
        axis = axis_of("unbind", dim, x.ndim)
        return tuple(x[along(axis, k)] for k in range(x.shape[axis]))

    ndim = max(2, dim + 1 if dim >= 0 else -dim)
    return moving(
        "unbind",
        "x = [a, b, …]",
        value,
        lambda shape, d: np.stack(list(d), axis=dim % len(shape)),
        (probe(*(2,) * ndim), probe(*(1,) * ndim)),
        {"dim": dim},
        {"parts_exchanged": lambda shape, d: np.stack(list(_exchanged(d)), axis=dim % len(shape))},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (cat, stack, split, chunk, unbind)
