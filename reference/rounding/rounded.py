"""Balls as float64 numbers: bounds, and the nearest one wherever all of a ball rounds to it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, nextafter

import numpy as np
from flint import arb, arb_mat, fmpq

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.ball import Ball
from ..arithmetic.ball_decisions import precision
from ..arithmetic.ball_elements import as_arb, outward

__all__ = ["CertifiedLeaf", "round_leaf"]

_NARROW = 2.0**-900
_WIDE = 2.0**1000
SIGNIFICAND = 53
"""Bits of a float64."""
_LEAST = 2.0**-1000
"""An offset from here on is far from where float64 loses digits."""
_SLACK = 2.0**-50
"""Several times what rounding to float64 takes from a length."""


@dataclass(frozen=True, eq=False, slots=True)
class CertifiedLeaf:
    """Gradients of one array, each between two float64 numbers.

    Attributes:
        lower: at most the exact gradient.
        upper: at least the exact gradient.
        nearest: the float64 nearest to the exact gradient where resolved; else the interval's middle, and NaN
            where nothing is known.
        resolved: where `nearest` is proved (or the relative width asked for is reached).
    """

    lower: Array
    upper: Array
    nearest: Array
    resolved: Array

    @property
    def final(self) -> bool:
        """Whether more bits would add nothing: all is resolved, and no bounds have a number between them."""
        tight = np.asarray(self.upper) <= np.nextafter(np.asarray(self.lower), inf)
        return bool(np.all(np.asarray(self.resolved) & tight))


def round_leaf(ball: Ball, target_bits: int = 53) -> CertifiedLeaf:
    """The bounds and nearest float64 of every element.

    >>> with precision(100):
    ...     leaf = round_leaf(Ball.exact(np.array([1.0, 0.0])) / 3)
    >>> leaf.nearest.tolist(), leaf.resolved.tolist(), bool(leaf.lower[0] < leaf.upper[0])
    ([0.3333333333333333, 0.0], [True, True], True)
    """
    rational = {i: b for i, b in enumerate(ball.flat) if isinstance(b, fmpq)} if ball.decisions.rational else {}
    lower, near, upper, resolved = _settled(ball.rows)
    open_ = np.flatnonzero(~resolved).tolist()
    flat = list(map(as_arb, ball.flat)) if open_ or target_bits != SIGNIFICAND else []
    for i in open_:
        lower[i], near[i], upper[i], resolved[i] = _one(flat[i])
    for i, exact in rational.items():
        lower[i], near[i], upper[i] = _around(Fraction(int(exact.p), int(exact.q)))
        resolved[i] = True
    if target_bits != SIGNIFICAND:
        wide = np.array([b.rel_accuracy_bits() >= target_bits for b in flat])
        resolved = wide | (near == 0) & resolved if target_bits < SIGNIFICAND else resolved & (wide | (near == 0))
    return CertifiedLeaf(*(a.reshape(ball.shape) for a in (lower, upper, near, resolved)))


def _settled(balls: arb_mat) -> tuple[NumPyArray, ...]:
    """Lower bound, nearest, upper bound, and where they are proved: of all elements at once, flat.

    With t the midpoint cut to 53 bits and d = b − t, still a ball, m = t + d as float64 adds them is the nearest to the
    midpoint, and to all of b if |d − (m − t)| and the radius stay below half the distance from m to its nearer
    neighbour. The sum of the radii of a row stands for each of them: it takes one product of matrices. What is near
    the ends of float64's range or comes too close to a bound is left open.
    """
    columns = balls.ncols()
    with precision(SIGNIFICAND):
        short = (balls * arb(1)).mid()
    with precision(2 * SIGNIFICAND):  # all further bits of d are in its radius
        rest = balls - short
        sums = (rest - rest.mid()) * arb_mat(columns, 1, [1] * columns)
    cut, offset, radius = _floats(short), _floats(rest), np.array([float(r.abs_upper()) for r in sums.entries()])
    with np.errstate(invalid="ignore", over="ignore"):
        middles = cut + offset
        radius = (radius[:, None] + np.zeros(columns)).ravel() * (1 + _SLACK) + np.abs(offset) * _SLACK
        offset = offset - (middles - cut)
        gap = np.spacing(np.abs(middles)) * np.where(np.abs(np.frexp(middles)[0]) == 0.5, 0.5, 1.0)
        usual = (np.abs(cut) >= _NARROW) & (np.abs(cut) <= _WIDE)
        away = np.abs(offset)
        proved = usual & (away >= _LEAST) & (away > radius) & ((away + radius) * (1 + _SLACK) < gap / 2)
        lower = np.where(offset > 0, middles, np.nextafter(middles, -inf))
        upper = np.where(offset < 0, middles, np.nextafter(middles, inf))
    return lower, middles, upper, proved


def _floats(exact: arb_mat) -> NumPyArray:
    """The float64 nearest to every midpoint, in C order."""
    return np.fromiter(map(float, exact.entries()), float, exact.nrows() * exact.ncols())


def _one(b: arb) -> tuple[float, float, float, bool]:
    """The same of one ball, whatever it is."""
    if b.is_zero():
        return 0.0, 0.0, 0.0, True
    low, high = outward(b)
    return low, float(b), high, not b.is_nan() and float(b.lower()) == float(b.upper())


def _around(exact: Fraction) -> tuple[float, float, float]:
    """The float64 numbers below, nearest to and above a rational number."""
    try:
        near = float(exact)
    except OverflowError:
        near = inf if exact > 0 else -inf
    lower = near if near <= exact else nextafter(near, -inf)
    upper = near if near >= exact else nextafter(near, inf)
    return lower, near, upper
