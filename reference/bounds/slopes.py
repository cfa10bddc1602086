"""The largest slope of an activation: what one layer can multiply a gradient by, besides its weights.

Elementwise: the supremum of |a′|, certified. Every float64 z is covered by intervals; ball arithmetic encloses a′
on each, by itself and by the mean value form a′(m) + a″(Z)(Z − m) (Moore, Kearfott & Cloud 2009, Introduction to
Interval Analysis, §6.1); intervals that cannot hold the supremum are dropped and the others are halved, until
what was found and what is still possible round to the same float64.

Row-wise: the largest norm ‖J‖₂ of the Jacobian, from mathematics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import inf, isnan
from typing import cast

import numpy as np
from flint import arb

from .. import activations
from ..activations.row import Activation, Elementwise, Kink
from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.ball import Ball
from ..arithmetic.ball_decisions import Decisions, precision
from ..arithmetic.ball_elements import as_arb

__all__ = ["largest_slope", "visited_slope"]

_BITS = 128
_HULL = Decisions(hull=True)
_OCTAVES = 2200
"""Doublings from the smallest float64 to the largest, and some to spare."""
_HALVINGS = 200
_MOST = float(np.finfo(float).max)


def _log_softmax_slope(width: int) -> float:
    """J = I − 1yᵀ projects along 1, so ‖J‖ = ‖I − J‖ = √K·‖y‖ < √K unless it is 0 (Szyld 2006, theorem 2.1)."""
    return float(np.sqrt(width)) if width > 1 else 0.0


def _softmax_slope(width: int) -> float:
    """J = diag(y) − y yᵀ: the row sums of |J| are 2yᵢ(1 − yᵢ) ≤ ½ (Gershgorin), reached at y = (½, ½, 0, …)."""
    return 0.5 if width > 1 else 0.0


_ROWWISE: Mapping[str, Callable[[int], float]] = {
    "softmax": _softmax_slope,
    "softmin": _softmax_slope,
    "log_softmax": _log_softmax_slope,
    "glu": lambda width: inf,
}
"""The largest ‖J‖₂ on rows of `width` features; a gate multiplies its slope by the other half, of any size."""


def largest_slope(row: Activation | str, width: int = 1) -> float:
    """The float64 nearest to sup |a′(z)| over all float64 z, one-sided slopes at kinks included; inf where unbounded.

    Args:
        row: a row or its name.
        width: the features of a row of z; counts for row-wise activations only, whose slope is ‖J‖₂.

    Raises:
        ValueError: no bound is known of that row-wise activation, or no row has that name.
        ArithmeticError: the intervals cannot be narrowed enough.

    >>> largest_slope("sigmoid"), largest_slope("tanh"), round(largest_slope("gelu"), 6)
    (0.25, 1.0, 1.128904)
    >>> largest_slope("softmax", width=10), largest_slope("square")
    (0.5, inf)
    """
    row = activations.get(row)
    if not row.rowwise:
        assert row.derivative is not None
        assert row.second_derivative is not None
        return _supremum(row.derivative, row.second_derivative, row.all_breaks, row.kinks)
    if row.name not in _ROWWISE:
        raise ValueError(f"largest_slope: no bound is known of the row-wise activation {row.name!r}")
    return _ROWWISE[row.name](width)


def visited_slope(row: Activation | str, z: Array) -> float:
    """The largest slope at these pre-activations z (N, O): of |a′|, or of ‖J‖₂ over the examples.

    It takes the place of `largest_slope` where that is infinite.

    >>> visited_slope("square", np.array([[1.0, -3.0]]))
    6.0
    """
    row, z = activations.get(row), np.asarray(z)
    if row.derivative is not None:
        return float(np.max(np.abs(row.derivative(z))))
    width = z.shape[1] // row.shrink
    jacobians = np.stack([row.pullback(z, np.tile(e, (len(z), 1))) for e in np.eye(width, dtype=z.dtype)], axis=1)
    return float(np.max(np.linalg.norm(jacobians, ord=2, axis=(1, 2))))


@lru_cache(maxsize=256)
def _supremum(slope: Elementwise, bend: Elementwise, breaks: tuple[float, ...], kinks: tuple[Kink, ...]) -> float:
    """The supremum for a′ and a″; cached by these, for a network has the same row in many layers."""
    ends = sorted({0.0, *breaks})
    with precision(_BITS):
        found = max(_at(slope, np.array(ends)), *(abs(side) for kink in kinks for side in (kink.left, kink.right)), 0.0)
        low, high = (np.concatenate(e) for e in zip(*map(_cover, [-inf, *ends], [*ends, inf]), strict=True))
        found = max(found, _at(slope, low), _at(slope, high))
        for _ in range(_HALVINGS):
            left = np.array([not above <= found for above in _upper(slope, bend, low, high)])
            if not left.any() or found == inf:
                return found
            low, high = low[left], high[left]
            middle = low + (high - low) / 2
            found = max(found, _at(slope, middle))
            low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    raise ArithmeticError(f"largest_slope: not decided after {_HALVINGS} halvings, near z = {low[:3]}")


def _cover(left: float, right: float) -> tuple[NumPyArray, NumPyArray]:
    """Intervals that hold every float64 strictly between two breaks and touch neither: they double away from each."""
    middle = _MOST if right == inf else -_MOST if left == -inf else left + (right - left) / 2
    doublings = np.arange(_OCTAVES)
    edges: list[Array] = [np.array([middle])]
    with np.errstate(over="ignore"):
        if left > -inf:
            step = np.nextafter(left, inf) - left
            edges.append(np.minimum(left + np.ldexp(step, doublings), middle))
        if right < inf:
            step = right - np.nextafter(right, -inf)
            edges.append(np.maximum(right - np.ldexp(step, doublings), middle))
    ends = np.unique(np.concatenate(edges))
    return ends[:-1], ends[1:]


def _at(slope: Elementwise, z: NumPyArray) -> float:
    """The largest |a′| at points, rounded to nearest."""
    return max(float(size.lower()) for size in _sizes(slope(Ball.exact(z, _HULL))))


def _upper(slope: Elementwise, bend: Elementwise, low: NumPyArray, high: NumPyArray) -> list[float]:
    """An upper bound of |a′| on each interval, rounded to nearest; inf or NaN where nothing is known."""
    middle = [(arb(l) + arb(h)) / 2 for l, h in zip(low.tolist(), high.tolist(), strict=True)]
    reach = [(arb(h) - arb(l)) / 2 for l, h in zip(low.tolist(), high.tolist(), strict=True)]
    z = Ball([m + arb(0, r.upper()) for m, r in zip(middle, reach, strict=True)], low.shape, _HULL)
    naive = _sizes(slope(z))
    centre = _sizes(slope(Ball(middle, low.shape, _HULL)))
    mean = [c + b * r for c, b, r in zip(centre, _sizes(bend(z)), reach, strict=True)]
    return [_least(float(n.upper()), float(m.upper())) for n, m in zip(naive, mean, strict=True)]


def _sizes(balls: Array) -> list[arb]:
    return [abs(as_arb(b)) for b in cast(Ball, balls).flat]


def _least(x: float, y: float) -> float:
    """The smaller number; the other where one is NaN."""
    return y if isnan(x) else x if isnan(y) else min(x, y)
