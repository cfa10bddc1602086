"""Other shapes and other orders of the axes: every number keeps its value, and its gradient comes back to its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .arguments import axes_of, axis_of, expect, whole, wholes
from .moving import Back, moving
from .probe import probe
from .row import Operation


def _same_order(shape: tuple[int, ...], d: Array) -> Array:
    """The adjoint of every reshape: the same numbers in C order."""
    return d.reshape(shape)


def _column_order(shape: tuple[int, ...], d: Array) -> Array:
    return d.T.reshape(shape[::-1]).T


_READ_BY_COLUMNS: dict[str, Back] = {"read_in_column_order": _column_order}


@recorded
def reshape(shape: Sequence[int]) -> Operation:
    """The same numbers in another shape; one length may be −1."""
    shape = wholes("reshape", "shape", shape)
    free = shape.count(-1)
    expect("reshape", free < 2 and all(n >= -1 for n in shape), "shape", "lengths, and −1 at most once", shape)
    known = tuple(2 if n == -1 else n for n in shape)
    size, fixed = prod(known), prod(n for n in shape if n != -1)

    def value(x: Array) -> Array:
        fits = fixed > 0 and x.size % fixed == 0 if free else x.size == fixed
        expect("reshape", fits, "input", f"as many elements as shape {shape} takes", f"shape {x.shape}")
        return x.reshape(shape)

    wide = sum(n > 1 for n in known) > 1
    halves = (probe(2, size // 2),) if size % 2 == 0 and size > 2 else ()
    return moving(
        "reshape",
        "the same numbers in C order",
        value,
        _same_order,
        (probe(size), *halves),
        {"shape": shape},
        _READ_BY_COLUMNS if wide or halves else {},
    )


@recorded
def flatten(start_dim: int = 0, end_dim: int = -1) -> Operation:
    """The axes from one to another as one."""

    def value(x: Array) -> Array:
        first = axis_of("flatten", start_dim, max(x.ndim, 1), "start_dim")
        last = axis_of("flatten", end_dim, max(x.ndim, 1), "end_dim")
        expect("flatten", first <= last, "end_dim", f"no axis before start_dim {start_dim}", end_dim)
        return x.reshape((*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))

    ndim = 1 + max(d if d >= 0 else -1 - d for d in (start_dim, end_dim, 2))
    return moving(
        "flatten",
        "the same numbers in C order",
        value,
        _same_order,
        (probe(*(2, 3, 2, *(1,) * ndim)[:ndim]),),
        {"start_dim": start_dim, "end_dim": end_dim},
        _READ_BY_COLUMNS if start_dim % ndim < end_dim % ndim else {},
    )


@recorded
def unflatten(dim: int, sizes: Sequence[int]) -> Operation:
    """One axis as several; one length may be −1."""
    sizes = wholes("unflatten", "sizes", sizes)
    free, fixed = sizes.count(-1), prod(n for n in sizes if n != -1)
    expect("unflatten", bool(sizes) and free < 2 and fixed > 0, "sizes", "lengths, and −1 at most once", sizes)

    def value(x: Array) -> Array:
        axis = axis_of("unflatten", dim, x.ndim)
        n = x.shape[axis]
        fits = n % fixed == 0 if free else n == fixed
        expect("unflatten", fits, "input", f"a length along axis {dim} that {sizes} multiply to", f"shape {x.shape}")
        lengths = tuple(n // fixed if m == -1 else m for m in sizes)
        return x.reshape((*x.shape[:axis], *lengths, *x.shape[axis + 1 :]))

    n, ndim = fixed * (2 if free else 1), dim + 2 if dim >= 0 else 1 - dim
    lengths = [2] * ndim
    lengths[dim] = n
    return moving(
        "unflatten",
        "the same numbers in C order",
        value,
        _same_order,
        (probe(*lengths),),
        {"dim": dim, "sizes": sizes},
        _READ_BY_COLUMNS if sum(m != 1 for m in sizes) > 1 else {},
    )


# ── the order of the axes ────────────────────────────────────────────────────────────────────────────


def _layout(back: Back) -> dict[str, Back]:
    """The numbers of the gradient read in the order in which they lie, and not brought back to their places."""

    def as_they_lie(shape: tuple[int, ...], d: Array) -> Array:
        return back(shape, d) if d.size == max(d.shape, default=1) else d.reshape(shape)

    return {"transposed_layout": as_they_lie}


@recorded
def transpose(dim0: int, dim1: int) -> Operation:
    """Two axes exchanged."""

    def value(x: Array) -> Array:
        a, b = axis_of("transpose", dim0, x.ndim, "dim0"), axis_of("transpose", dim1, x.ndim, "dim1")
        return x.swapaxes(a, b)

    def back(shape: tuple[int, ...], d: Array) -> Array:
        return value(d)

    ndim = max(2, *(d + 1 if d >= 0 else -d for d in (dim0, dim1)))
    shapes = {tuple(2 + (k + s) % 2 for k in range(ndim)) for s in (0, 1)} | {(2,) * ndim}
    return moving(
        "transpose",
        "Aᵀ, of two axes",
        value,
        back,
        tuple(probe(*shape) for shape in sorted(shapes)),
        {"dim0": dim0, "dim1": dim1},
        _layout(back) if len({dim0 % ndim, dim1 % ndim}) > 1 else {},
    )


@recorded
def permute(dims: Sequence[int]) -> Operation:
    """The axes in another order: axis dims[k] becomes axis k."""
    dims = wholes("permute", "dims", dims)
    order = axes_of("permute", dims, len(dims))

    def value(x: Array) -> Array:
        expect("permute", x.ndim == len(order), "input", f"an array of {len(order)} dimensions", f"shape {x.shape}")
        return x.transpose(order) if order else x

    def back(shape: tuple[int, ...], d: Array) -> Array:
        return d.transpose(tuple(np.argsort(order).tolist())) if order else d

    def again(shape: tuple[int, ...], d: Array) -> Array:
        wrong = d.transpose(order)
        return wrong if wrong.shape == shape else back(shape, d)

    involution = tuple(np.argsort(order).tolist()) == order
    return moving(
        "permute",
        "y[i_p(0), i_p(1), …] = x[i_0, i_1, …]",
        value,
        back,
        (probe(*(2 + k % 2 for k in range(len(order)))), probe(*(2,) * len(order))),
        {"dims": dims},
        (_layout(back) if order != tuple(sorted(order)) else {})
        | ({} if involution else {"permuted_again_instead_of_back": again}),
    )


@recorded
def movedim(source: int | Sequence[int], destination: int | Sequence[int]) -> Operation:
    """Some axes moved to other places; the others keep their order."""
    froms, tos = wholes("movedim", "source", source), wholes("movedim", "destination", destination)
    expect("movedim", len(froms) == len(tos), "destination", f"as many axes as source {froms}", tos)

    def value(x: Array) -> Array:
        a, b = axes_of("movedim", froms, x.ndim, "source"), axes_of("movedim", tos, x.ndim, "destination")
        return cast(Array, np.moveaxis(cast(Any, x), a, b))

    def back(shape: tuple[int, ...], d: Array) -> Array:
        return cast(Array, np.moveaxis(cast(Any, d), tos, froms))

    ndim = max(2, *(d + 1 if d >= 0 else -d for d in (*froms, *tos)), len(froms))
    x = probe(*(2 + k % 2 for k in range(ndim)))
    places = np.arange(x.size).reshape(x.shape)
    still = np.array_equal(np.moveaxis(places, froms, tos).ravel(), places.ravel())
    return moving(
        "movedim",
        "axes source of A as axes destination",
        value,
        back,
        (x,),
        {"source": source, "destination": destination},
        {} if still else _layout(back),
    )


# ── axes of length 1, and the array as it is ─────────────────────────────────────────────────────────


@recorded
def squeeze(dim: int | Sequence[int] | None = None) -> Operation:
    """Without the axes of length 1: all of them, or those of some given ones that have it."""
    dims = None if dim is None else wholes("squeeze", "dim", dim)

    def value(x: Array) -> Array:
        chosen = range(x.ndim) if dims is None else axes_of("squeeze", dims, max(x.ndim, 1), "dim")
        return x.reshape(tuple(n for k, n in enumerate(x.shape) if n != 1 or k not in chosen))

    ndim = max(3, *(d + 1 if d >= 0 else -d for d in dims or (0,)))
    shapes = [(2, 1, 3, *(1,) * (ndim - 3)), (1, 2) * ndim]
    return moving(
        "squeeze", "the same numbers", value, _same_order, tuple(probe(*s) for s in shapes), {"dim": dim}
    )  # fmt: skip


@recorded
def unsqueeze(dim: int) -> Operation:
    """With a further axis of length 1."""
    dim = whole("unsqueeze", "dim", dim)

    def value(x: Array) -> Array:
        axis = axis_of("unsqueeze", dim, x.ndim + 1)
        return x.reshape((*x.shape[:axis], 1, *x.shape[axis:]))

    ndim = dim if dim >= 0 else -1 - dim
    return moving("unsqueeze", "the same numbers", value, _same_order, (probe(*(2,) * ndim),), {"dim": dim})


def _as_it_is(name: str) -> Operation:
    return moving(name, "x", lambda x: x, lambda shape, d: d, (probe(2, 3),))


@recorded
def clone() -> Operation:
    """The array itself."""
    return _as_it_is("clone")


@recorded
def contiguous() -> Operation:
    """The array itself: where its numbers lie changes none of them."""
    return _as_it_is("contiguous")


MAKERS: tuple[Callable[..., Operation], ...] = (
    reshape, flatten, unflatten, transpose, permute, movedim, squeeze, unsqueeze, clone, contiguous,
)  # fmt: skip
