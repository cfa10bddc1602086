"""Reductions along any axes: written once, for the last axis, and moved to the axes that are asked for.

Letters: … the axes that stay, M the axis that is reduced, all reduced axes as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..arithmetic.dispatch import largest, magnitude
from ..arithmetic.places import axes_of
from ..arithmetic.variants import Variants
from .probe import probe
from .row import Inputs, Operation, Pullback

Dim: TypeAlias = "int | tuple[int, ...] | None"
"""One axis, several, or None for all."""

PROBES = ((probe(2, 2, 3, start=2),), (probe(2),))
SQUARE = ((probe(3, 3),),)
"""Of a square array, where the wrong axis has the right length."""


def axes(dim: Dim, x: Array, name: str) -> tuple[int, ...]:
    """The axes that are reduced, counted from 0; all for None and for (). A single number has 0 and −1 (torch's).

    Raises:
        ValueError: x has no such axis, or one is named twice.
    """
    try:
        found = axes_of(None if dim == () else dim, x.ndim or 1)
        return found if x.ndim else ()
    except ValueError as error:
        raise ValueError(
            f"{name}: dim: expected axes of an array of shape {tuple(x.shape)}, got {dim} ({error})"
        ) from None


def to_last(x: Array, over: tuple[int, ...]) -> Array:
    """(…, M): the reduced axes as one at the end."""
    kept = [a for a in range(x.ndim) if a not in over]
    if over == (x.ndim - 1,):
        return x
    return x.transpose(*kept, *over).reshape(*(x.shape[a] for a in kept), prod(x.shape[a] for a in over))


def from_last(rows: Array, over: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """(…, M) to the shape: the inverse of `to_last`."""
    if over == (len(shape) - 1,):
        return rows
    order = [a for a in range(len(shape)) if a not in over] + list(over)
    return rows.reshape(tuple(shape[a] for a in order)).transpose(*np.argsort(order).tolist())


def kept_shape(over: tuple[int, ...], shape: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """The shape of the result."""
    return tuple(1 if a in over else n for a, n in enumerate(shape) if keepdim or a not in over)


RowPullback: TypeAlias = "Callable[[Array, Array, Array], Array]"
"""(z, y, d) ↦ (…, M): z (…, M), y and d (…, 1)."""


def reduction(
    name: str,
    formula: str,
    source: str,
    value: Callable[[Array], Array],
    pullback: RowPullback,
    pushforward: RowPullback,
    dim: Dim,
    keepdim: bool,
    parameters: Mapping[str, Any],
    *,
    switches: Callable[[Array], tuple[Array, ...]] | None = None,
    conventions: Mapping[str, RowPullback] | None = None,
    mistakes: Mapping[str, RowPullback] | None = None,
    textbook_value: Callable[[Array, Array], Array] | None = None,
    textbook_pullback: Callable[[Array, Array], Array] | None = None,
    probes: tuple[Inputs, ...] = PROBES,
) -> Operation:
    """The row of a reduction.

    Args:
        name: torch's name.
        formula: in plain mathematics.
        source: where it is defined.
        value: z (…, M) ↦ y (…, 1).
        pullback: (z, y, d_y) ↦ d_z (…, M), d_y (…, 1).
        pushforward: (z, y, dz) ↦ dy (…, 1).
        dim: the axes to reduce.
        keepdim: whether they stay, with length 1.
        parameters: of the row.
        switches: z ↦ arrays that pass 0 where the formula changes.
        conventions: pullbacks with other slopes there.
        mistakes: wrong pullbacks.
        textbook_value: (z, y) ↦ (…, 1), as `Operation.textbook_value`.
        textbook_pullback: (z, y) ↦ (…, M), in units of |d_y|.
        probes: what the row is checked with.
    """

    def of(f: RowPullback) -> Pullback:
        def pulled(inputs: Inputs, y: Array, d: Array) -> tuple[Array]:
            (x,) = inputs
            over = axes(dim, x, name)
            z = to_last(x, over)
            rows = (*z.shape[:-1], 1)
            return (from_last(f(z, y.reshape(rows), d.reshape(rows)), over, tuple(x.shape)),)

        return pulled

    def reduced(x: Array, f: Callable[..., Array], *rest: Array) -> Array:
        """F of rows (…, M) and of what has their shape or (…, 1)."""
        over = axes(dim, x, name)
        z = to_last(x, over)
        more = (to_last(r, over) if tuple(r.shape) == tuple(x.shape) else r.reshape(*z.shape[:-1], 1) for r in rest)
        return f(z, *more).reshape(kept_shape(over, tuple(x.shape), keepdim))

    def pushed(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        (x,), (dx,) = inputs, changes
        over = axes(dim, x, name)
        z = to_last(x, over)
        moved = pushforward(z, y.reshape(*z.shape[:-1], 1), to_last(dx, over))
        return moved.reshape(kept_shape(over, tuple(x.shape), keepdim))

    def wrong_axis(inputs: Inputs, y: Array, d: Array) -> tuple[Array | None, ...]:
        """The gradients of a square array handed back along the axis that stayed."""
        (x,) = inputs
        over = axes(dim, x, name)
        right = of(pullback)(inputs, y, d)
        if len(over) != 1 or x.ndim < 2 or d.size == 1:
            return right
        other = over[0] - 1 if over[0] else 1
        if x.shape[over[0]] != x.shape[other]:
            return right
        (found,) = of(pullback)((x.swapaxes(over[0], other),), y, d)
        return (None if found is None else found.swapaxes(over[0], other),)

    rest: dict[str, Any] = {}
    if textbook_value is not None:
        rest["textbook_value"] = lambda inputs, y: reduced(inputs[0], textbook_value, y)
    if textbook_pullback is not None:

        def sizes(z: Array, y: Array, d: Array) -> Array:
            return magnitude(d) * textbook_pullback(z, y)

        rest["textbook_pullback"] = of(sizes)
    if switches is not None:
        rest["switches"] = lambda x: switches(to_last(x, axes(dim, x, name)))
    one_axis = isinstance(dim, int) or (isinstance(dim, tuple) and len(dim) == 1)
    return Operation(
        name,
        formula,
        source,
        ("input",),
        lambda x: reduced(x, value),
        of(pullback),
        pushed,
        _fitting(probes, dim),
        conventions={what: of(f) for what, f in (conventions or {}).items()},
        mistakes={what: of(f) for what, f in (mistakes or {}).items()}
        | ({"the gradient handed back along the wrong axis": wrong_axis} if one_axis else {}),
        parameters=parameters,
        **rest,
    )


def _fitting(probes: tuple[Inputs, ...], dim: Dim) -> tuple[Inputs, ...]:
    """The probes that have the axes that are asked for, or one that has."""
    if dim is None or dim == ():
        return probes[-1:]
    wanted = dim if isinstance(dim, tuple) else (dim,)
    needed = max(d + 1 if d >= 0 else -d for d in wanted)

    def differ(ndim: int) -> bool:
        return len({d % ndim for d in wanted}) == len(wanted)  # −2 and 1 do of two axes, and not of three

    square = SQUARE if len(wanted) == 1 and needed <= 2 else ()
    found = (*(p for p in probes if p[0].ndim >= max(needed, 2) and differ(p[0].ndim)), *square)
    most = needed + len(wanted) ** 2
    return found or ((probe(*(2,) * next(filter(differ, range(needed, most)), needed)),),)


def power_of_two_near(z: Array) -> Array:
    """A positive number (…, 1) about as large as the largest of z (…, M), to divide by before squares are taken.

    On floats it is a power of two, so that dividing by it rounds nothing. Where z is 0 it is 1.
    """
    peak = largest(magnitude(z))[1]
    if isinstance(peak, Variants):
        return peak.each(_power_of_two)
    return _power_of_two(peak) if is_numpy(peak) else np.where(peak == 0, 1, peak)


def _power_of_two(peak: NumPyArray) -> NumPyArray:
    exponent = np.frexp(np.where(np.isfinite(peak) & (peak > 0), peak, 1))[1]
    limits = np.finfo(peak.dtype)
    return np.ldexp(np.ones_like(peak), np.clip(exponent - 1, limits.minexp - limits.nmant, limits.maxexp - 1))
