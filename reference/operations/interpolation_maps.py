"""Which elements each new one of a longer or shorter axis is made of, and how much of each: one linear map an axis.

Letters: n the length of an axis, O its new length, s the step in the old axis from one new element to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import added_at, parameter
from .lines import stretches, summed

_A = Fraction(-3, 4)
"""Of the cubic polynomials; torch's, where Keys has −1/2."""


@dataclass(frozen=True, eq=False)
class Taps:
    """From which elements every new one along an axis is made.

    Attributes:
        places: of the first element at or before it, not limited to the axis (O,).
        after: the numerators of how far the new element lies behind that, t, each as a sum of two floats (O,).
        before: those of 1 − t.
        below: their denominators.
        reach: the size of the position that a float formula subtracts the place from, where s is no dyadic number that
            it computes exactly; 0 elsewhere.
    """

    places: NumPyArray
    after: tuple[NumPyArray, NumPyArray]
    before: tuple[NumPyArray, NumPyArray]
    below: tuple[NumPyArray, NumPyArray]
    reach: NumPyArray


def _two_numbers(values: Sequence[int]) -> tuple[NumPyArray, NumPyArray]:
    """Integers of up to 106 bits, each as a sum of two floats."""
    high = [float(v) for v in values]
    return np.array(high), np.array([float(v - int(h)) for v, h in zip(values, high, strict=True)])


@dataclass(frozen=True)
class Along:
    """How one axis is interpolated."""

    length: int
    count: int
    step: Fraction
    mode: str
    align_corners: bool

    @property
    def cubic(self) -> bool:
        """Whether four elements make one; two otherwise."""
        return self.mode == "bicubic"

    def position(self, o: int) -> Fraction:
        """Where the new element lies in the old axis."""
        if self.align_corners:
            return o * self.step
        x = self.step * (2 * o + 1) / 2 - Fraction(1, 2)
        return x if self.cubic else max(x, Fraction(0))


@lru_cache(maxsize=256)
def _taps(along: Along) -> Taps:
    positions = [along.position(o) for o in range(along.count)]
    if not along.cubic:  # behind the last element it is the last one
        positions = [min(x, Fraction(along.length - 1)) for x in positions]
    places = [floor(x) for x in positions]
    t = [x - place for x, place in zip(positions, places, strict=True)]
    exact = along.step.denominator & (along.step.denominator - 1) == 0 and along.step.denominator < 2**10
    return Taps(
        np.array(places),
        _two_numbers([x.numerator for x in t]),
        _two_numbers([x.denominator - x.numerator for x in t]),
        _two_numbers([x.denominator for x in t]),
        np.array([0.0 if exact else float(abs(x)) for x in positions]),
    )


def _number(parts: tuple[NumPyArray, NumPyArray], z: Array) -> Array:
    high = parameter(parts[0], z)
    return high + parameter(parts[1], z) if parts[1].any() else high


def matrix(along: Along, z: Array) -> Array:
    """M (O, n) in the arithmetic of z: y = M x along the axis. Its rows add up to 1.

    >>> matrix(Along(2, 3, Fraction(2, 3), "linear", False), np.zeros(1)).round(3)
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]])
    """
    taps = _taps(along)
    below = _number(taps.below, z)
    t, r = _number(taps.after, z) / below, _number(taps.before, z) / below
    if not along.cubic:
        return _scattered(along, (r, t))
    a = float(_A)
    return _scattered(
        along, (a * t * (r * r), r * (1 + t - (a + 2) * (t * t)), t * (1 + r - (a + 2) * (r * r)), a * r * (t * t))
    )


def _scattered(along: Along, weights: Sequence[Array]) -> Array:
    """Weights of neighbouring elements, those behind an end added to those of the end."""
    first = _taps(along).places - (len(weights) // 2 - 1)
    columns = np.clip(first + np.arange(len(weights))[:, None], 0, along.length - 1)
    rows = np.broadcast_to(np.arange(along.count), columns.shape)
    return added_at((along.count, along.length), (rows, columns), np.stack(list(weights)))


def sizes(along: Along, z: Array) -> Array:
    """What each element is multiplied with on the way, in a formula that rounds the position (O, n)."""
    reach = parameter(_taps(along).reach, z)
    return _scattered(along, (reach,) * (4 if along.cubic else 2))


def applied(x: Array, matrices: Sequence[Array]) -> Array:
    """One matrix for each of the last axes."""
    for k, m in enumerate(matrices):
        axis = x.ndim - len(matrices) + k
        x = (x.swapaxes(axis, -1) @ m.swapaxes(0, 1)).swapaxes(axis, -1)
    return x


def transposed(matrices: Sequence[Array]) -> list[Array]:
    """The adjoints."""
    return [m.swapaxes(0, 1) for m in matrices]


# ── the nearest element: nothing is computed ─────────────────────────────────────────────────────────


def nearest(along: Along) -> NumPyArray:
    """The place of the element that each new one copies (O,)."""
    middle = Fraction(1, 2) if along.mode == "nearest-exact" else Fraction(0)
    return np.array([min(floor((o + middle) * along.step), along.length - 1) for o in range(along.count)])


def copied(x: Array, alongs: Sequence[Along]) -> Array:
    """The nearest element of the last axes at every new place."""
    return x[(..., *np.ix_(*(nearest(along) for along in alongs)))]


def added_up(d: Array, alongs: Sequence[Along]) -> Array:
    """The adjoint of `copied`: the copies of an element lie side by side, and its gradient is the sum of a stretch."""
    lines = []
    for along in alongs:
        ends = [np.searchsorted(nearest(along), np.arange(along.length), side) for side in ("left", "right")]
        lines.append(stretches(along.count, *ends))
    return summed(d, tuple(lines))
