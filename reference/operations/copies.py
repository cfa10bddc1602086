"""Operations that copy numbers: the gradient of a number is the sum of the gradients of its copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .arguments import axis_of, expect, whole, wholes
from .broadcasting import unbroadcast
from .moving import Back, moving
from .probe import probe
from .row import Operation


def _mistakes(back: Back, one: Back) -> dict[str, Back]:
    """What is written for the sum over the copies: one of them, or their mean."""
    return {
        "gradient_of_one_copy_only": one,
        "mean_for_sum": lambda shape, d: back(shape, d) / (d.size // prod(shape)),
    }


@recorded
def expand(size: Sequence[int]) -> Operation:
    """Axes of length 1, and further ones before the first, copied to a size; −1 leaves an axis as it is."""
    size = wholes("expand", "size", size)
    expect("expand", all(n > 0 or n == -1 for n in size), "size", "lengths, or −1", size)

    def value(x: Array) -> Array:
        added = len(size) - x.ndim
        expect("expand", added >= 0, "input", f"{len(size)} dimensions at most", f"shape {x.shape}")
        expect("expand", -1 not in size[:added], "size", "no −1 for an axis that the input lacks", size)
        target = (*size[:added], *(m if n == -1 else n for n, m in zip(size[added:], x.shape, strict=True)))
        fits = all(m in (1, n) for n, m in zip(target[added:], x.shape, strict=True))
        expect("expand", fits, "input", f"lengths of 1, or those of size {size}", f"shape {x.shape}")
        return np.broadcast_to(x, target)

    def back(shape: tuple[int, ...], d: Array) -> Array:
        return unbroadcast(d, shape)

    def one(shape: tuple[int, ...], d: Array) -> Array:
        added = d.ndim - len(shape)
        first = d[(0,) * added]
        return first[tuple(slice(n) for n in shape)]

    lone = tuple(2 if n == -1 else 1 for n in size)
    free = next((k for k, n in enumerate(size) if n == -1), len(size))
    probes = (probe(*lone), probe(*lone[free:]))
    copied = any(n > 1 for n in size)
    return moving(
        "expand", "y[…, i, …] = x[…, 0, …]", value, back, probes, {"size": size},
        _mistakes(back, one) if copied else {},
    )  # fmt: skip


@recorded
def repeat(repeats: Sequence[int]) -> Operation:
    """The whole array again and again along each axis; further axes come before the first."""
    repeats = wholes("repeat", "repeats", repeats)
    expect("repeat", all(n > 0 for n in repeats), "repeats", "numbers of 1 at least", repeats)

    def value(x: Array) -> Array:
        expect("repeat", x.ndim <= len(repeats), "input", f"{len(repeats)} dimensions at most", f"shape {x.shape}")
        return np.tile(x, repeats)

    def parted(shape: tuple[int, ...], d: Array) -> Array:
        """Every axis as two: the copies, and the places in each."""
        lengths = (*(1,) * (len(repeats) - len(shape)), *shape)
        return d.reshape(tuple(n for pair in zip(repeats, lengths, strict=True) for n in pair))

    def back(shape: tuple[int, ...], d: Array) -> Array:
        return parted(shape, d).sum(axis=tuple(range(0, 2 * len(repeats), 2))).reshape(shape)

    def one(shape: tuple[int, ...], d: Array) -> Array:
        return parted(shape, d)[(0, slice(None)) * len(repeats)].reshape(shape)

    def interleaved(shape: tuple[int, ...], d: Array) -> Array:
        lengths = (*(1,) * (len(repeats) - len(shape)), *shape)
        pairs = d.reshape(tuple(n for pair in zip(lengths, repeats, strict=True) for n in pair))
        return pairs.sum(axis=tuple(range(1, 2 * len(repeats), 2))).reshape(shape)

    wrong = _mistakes(back, one) | {"copies_taken_as_neighbours": interleaved}
    probes = (probe(*(2 + k % 2 for k in range(len(repeats)))), probe(*(2,) * (len(repeats) - 1)))
    return moving(
        "repeat", "y[i] = x[i mod n]", value, back, probes[: 1 if len(repeats) < 2 else 2], {"repeats": repeats},
        wrong if prod(repeats) > 1 else {},
    )  # fmt: skip


@recorded
def repeat_interleave(repeats: int, dim: int | None = None) -> Operation:
    """Every element again and again, one copy after the other, along an axis; along all in C order without one."""
    repeats = whole("repeat_interleave", "repeats", repeats, least=1)

    def value(x: Array) -> Array:
        axis = None if dim is None else axis_of("repeat_interleave", dim, x.ndim)
        return np.repeat(x, repeats, axis=axis)

    def parted(shape: tuple[int, ...], d: Array, *pair: int) -> tuple[Array, int]:
        flat = (prod(shape),) if dim is None else shape
        axis = 0 if dim is None else dim % len(shape)
        order = pair or (flat[axis], repeats)
        return d.reshape((*flat[:axis], *order, *flat[axis + 1 :])), axis

    def back(shape: tuple[int, ...], d: Array) -> Array:
        copies, axis = parted(shape, d)
        return copies.sum(axis=axis + 1).reshape(shape)

    def one(shape: tuple[int, ...], d: Array) -> Array:
        copies, axis = parted(shape, d)
        return copies[(*(slice(None),) * (axis + 1), 0)].reshape(shape)

    def in_turn(shape: tuple[int, ...], d: Array) -> Array:
        n = prod(shape) if dim is None else shape[dim]
        copies, axis = parted(shape, d, repeats, n)
        return copies.sum(axis=axis).reshape(shape)

    ndim = 2 if dim is None else max(2, dim + 1 if dim >= 0 else -dim)
    wrong = _mistakes(back, one) | {"copies_taken_in_turn": in_turn}
    return moving(
        "repeat_interleave", "y[i] = x[⌊i/r⌋]", value, back, (probe(*(2,) * (ndim - 1), 3),),
        {"repeats": repeats, "dim": dim}, wrong if repeats > 1 else {},
    )  # fmt: skip


MAKERS: tuple[Callable[..., Operation], ...] = (expand, repeat, repeat_interleave)
