"""Parts of an array, its mirror image, and zeros around it or in it: what did not come through has no gradient."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import added_at
from ..functions.recipe import recorded
from .arguments import along, axes_of, axis_of, expect, whole, wholes
from .moving import Back, moving, placed
from .probe import probe
from .row import Operation


def _lengths(dim: int, length: int) -> tuple[int, ...]:
    """A shape of two axes at least, of this length along an axis."""
    shape = [2] * max(2, dim + 1 if dim >= 0 else -dim)
    shape[dim] = length
    return tuple(shape)


@recorded
def slice(dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Operation:
    """The elements from start to before end along an axis, every step-th; negative places count from the end."""
    step = whole("slice", "step", step, least=1)
    part = builtins.slice(start, end, step)

    def value(x: Array) -> Array:
        axis = axis_of("slice", dim, x.ndim)
        left = len(range(*part.indices(x.shape[axis])))
        expect("slice", left > 0, "input", f"an element along axis {dim} from {start} to {end}", f"shape {x.shape}")
        return x[along(axis, part)]

    def back(shape: tuple[int, ...], d: Array) -> Array:
        axis = dim % len(shape)
        if step == 1:
            return placed(d, shape, axis, part.indices(shape[axis])[0])
        return added_at(shape, along(axis, part), d)

    def from_the_start(shape: tuple[int, ...], d: Array) -> Array:
        return placed(d, shape, dim % len(shape), 0)

    reach = [abs(n) for n in (start, end) if n is not None and abs(n) < 1 << 20]
    length = max(2, step, *reach, 0) + 2
    first = part.indices(length)[0]
    return moving(
        "slice",
        "y[i] = x[start + i·step]",
        value,
        back,
        (probe(*_lengths(dim, length)),),
        {"dim": dim, "start": start, "end": end, "step": step},
        {"put_at_the_start_of_the_axis": from_the_start} if first or step > 1 else {},
    )


@recorded
def narrow(dim: int, start: int, length: int) -> Operation:
    """So many elements along an axis from one on; a negative start counts from the end."""
    start, length = whole("narrow", "start", start), whole("narrow", "length", length, least=1)

    def first(n: int) -> int:
        return start if start >= 0 else start + n

    def value(x: Array) -> Array:
        axis = axis_of("narrow", dim, x.ndim)
        n = x.shape[axis]
        fits = 0 <= first(n) <= n - length
        expect("narrow", fits, "input", f"{length} elements from {start} on along axis {dim}", f"shape {x.shape}")
        return x[along(axis, builtins.slice(first(n), first(n) + length))]

    def back(shape: tuple[int, ...], d: Array) -> Array:
        axis = dim % len(shape)
        return placed(d, shape, axis, first(shape[axis]))

    n = start + length + 1 if start >= 0 else 1 - start
    return moving(
        "narrow",
        "y[i] = x[start + i]",
        value,
        back,
        (probe(*_lengths(dim, n)),),
        {"dim": dim, "start": start, "length": length},
        {"put_at_the_start_of_the_axis": lambda shape, d: placed(d, shape, dim % len(shape), 0)} if first(n) else {},
    )


@recorded
def select(dim: int, index: int) -> Operation:
    """One element along an axis, without that axis; a negative index counts from the end."""
    index = whole("select", "index", index)

    def value(x: Array) -> Array:
        axis = axis_of("select", dim, x.ndim)
        n = x.shape[axis]
        expect("select", -n <= index < n, "index", f"a place of {n} along axis {dim}", index)
        return x[along(axis, index)]

    def put(shape: tuple[int, ...], d: Array, at: int) -> Array:
        axis = dim % len(shape)
        return placed(d.reshape((*shape[:axis], 1, *shape[axis + 1 :])), shape, axis, at)

    def back(shape: tuple[int, ...], d: Array) -> Array:
        return put(shape, d, index % shape[dim])

    return moving(
        "select",
        "y = x[…, index, …]",
        value,
        back,
        (probe(*_lengths(dim, (index if index >= 0 else -index) + 2)),),
        {"dim": dim, "index": index},
        {"put_at_the_start_of_the_axis": lambda shape, d: put(shape, d, 0)} if index else {},
    )


# ── other places ─────────────────────────────────────────────────────────────────────────────────────


@recorded
def flip(dims: int | Sequence[int]) -> Operation:
    """Axes in reverse order."""
    given = wholes("flip", "dims", dims)

    def value(x: Array) -> Array:
        return np.flip(x, axes_of("flip", given, x.ndim)) if given else x

    ndim = max(2, *(d + 1 if d >= 0 else -d for d in given), 0)
    return moving(
        "flip",
        "y[i] = x[n − 1 − i]",
        value,
        lambda shape, d: value(d),
        (probe(*(2 + k % 2 for k in range(ndim))),),
        {"dims": given},
        {"flip_forgotten": lambda shape, d: d} if given else {},
    )


@recorded
def roll(shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Operation:
    """Elements moved on along axes, those that leave at the end coming in at the start; without axes, in C order."""
    by = wholes("roll", "shifts", shifts)
    axes = None if dims is None else wholes("roll", "dims", dims)
    expect("roll", len(by) == (1 if axes is None else len(axes)), "shifts", "one for each of dims", by)

    def rolled(x: Array, sign: int) -> Array:
        if axes is None:
            return np.roll(x, sign * by[0])
        own = tuple(axis_of("roll", axis, x.ndim, "dims") for axis in axes)
        return np.roll(x, tuple(sign * n for n in by), own)

    ndim = max(2, *(d + 1 if d >= 0 else -d for d in axes or ()), 0)
    x = probe(*(3 + k % 2 for k in range(ndim)))
    plain = np.arange(x.size).reshape(x.shape)
    return moving(
        "roll",
        "y[i + s mod n] = x[i]",
        lambda x: rolled(x, 1),
        lambda shape, d: rolled(d, -1),
        (x,),
        {"shifts": shifts, "dims": dims},
        {"wrong_direction": lambda shape, d: rolled(d, 1)}
        if not np.array_equal(rolled(plain, 1), rolled(plain, -1))
        else {},
    )  # fmt: skip


def _triangle(name: str, cut: Callable[..., Any], diagonal: int) -> Operation:
    def value(x: Array) -> Array:
        expect(name, x.ndim >= 2, "input", "an array of 2 dimensions at least", f"shape {x.shape}")
        return cut(x, diagonal)

    mistake: dict[str, Back] = {"triangle_not_cut_in_backward": lambda shape, d: d}
    x = probe(2, 3, 3)
    return moving(
        name,
        "x where i ≥ j − k, else 0" if name == "tril" else "x where i ≤ j − k, else 0",
        value,
        lambda shape, d: cut(d, diagonal),
        (x, probe(2, 3)),
        {"diagonal": diagonal},
        mistake if not np.array_equal(cut(x, diagonal), x) else {},
    )


@recorded
def tril(diagonal: int = 0) -> Operation:
    """The lower triangle of the last two axes, with so many diagonals above the main one; 0 elsewhere."""
    return _triangle("tril", np.tril, whole("tril", "diagonal", diagonal))


@recorded
def triu(diagonal: int = 0) -> Operation:
    """The upper triangle of the last two axes, without so many diagonals from the main one on; 0 elsewhere."""
    return _triangle("triu", np.triu, whole("triu", "diagonal", diagonal))


MAKERS: tuple[Callable[..., Operation], ...] = (slice, narrow, select, flip, roll, tril, triu)
