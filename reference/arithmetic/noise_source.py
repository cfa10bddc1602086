"""The source that draws the rounding errors of `Noisy`, and which numbers a format holds exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .array import NumPyArray
from .formats import Format

FRACTION = np.uint64(2**52 - 1)
"""The bits of a float64's significand, the hidden one apart (IEEE 754-2019, table 3.5)."""
_ONE, _UNUSED, _TWO = np.uint64(1), np.uint64(12), np.nextafter(2.0, 3.0).view(np.uint64)
_SIGN = np.uint64(2**63)

_HALF, _FACTOR = np.uint64(32), np.uint64(0xBF58476D1CE4E5B9)

ONE_IN_THREE = 2 - 2 / np.sqrt(3)
"""What the sum of two ξ exceeds in one run of three: a number that underflows may be multiplied by a large one, so that
few sets of runs may be without any error of it."""


class Split(ArithmeticError):  # noqa: N818 (nothing went wrong: rounding may lead either way)
    """A computation branches on a comparison that rounding decides."""


@dataclass(frozen=True, eq=False)
class NoiseSource:
    """Where the errors come from: one generator, format and number of runs for a whole computation.

    Attributes:
        format: what the errors are those of.
        runs: how many there are beside the one without errors.
        rng: the generator.
        family: the sources of other formats that share it, this one among them.
    """

    format: Format
    runs: int
    rng: np.random.Generator
    family: dict[Format, NoiseSource] = field(default_factory=dict, repr=False, kw_only=True)

    def in_format(self, form: Format | None) -> NoiseSource:
        """The source of another format that draws from the same stream; equal formats give the same source.

        None stands for the format of the source that the others come from.
        """
        self.family.setdefault(self.format, self)
        if form is None:
            return next(iter(self.family.values()))
        if form not in self.family:
            self.family[form] = replace(self, format=form)
        return self.family[form]

    def errors(self, values: NumPyArray, common: float = 0.0) -> NumPyArray:
        """ξ for every run and element; the first run is free of noise.

        In every other run ξ is a function of the number that is rounded: equal numbers are rounded alike, also those
        that differ by their sign or by a power of two, so that the errors of equal examples add up instead of
        averaging out, and those of different ones average out.

        Numbers that differ by less than the format can tell (a saturated sigmoid's, for z = 17 and 18 in float32) are
        equal ones to it: it rounds them all up, or all down. So every other one of those runs takes the number as the
        format holds it; its exponent counts there, for a coarse format has few significands.

        Args:
            values: the numbers that are rounded, as without noise.
            common: the part of the error that all elements of such a run share: library functions err to one side
                more than to the other.
        """
        xi = np.empty((self.runs + 1, *values.shape))
        xi[0] = 0
        noise = xi[1:]
        bits = noise.view(np.uint64)
        apart, alike = bits[::2], bits[1::2]
        half = (len(apart) + 1) // 2
        drawn = self.rng.bit_generator.random_raw(len(alike) + half * values.size)
        odd, fresh = drawn[: len(alike)] | _ONE, drawn[len(alike) :].reshape(half, *values.shape)
        apart[:half] = fresh
        np.left_shift(fresh[: len(apart) - half], _HALF, out=apart[half:])  # 64 bits make two errors of 32 each
        given = np.array(values, dtype=float).view(np.uint64)
        negative = (given.view(np.int64) >> 63).view(np.uint64)  # all bits of it, where the number is negative
        odd = odd.reshape(-1, *(1,) * values.ndim)
        by_format = slice(1, None, 2) if self.format.bits < 53 else slice(0)
        if len(alike[by_format]):
            held = _mixed(_to_bits(given.copy(), self.format.bits), _SIGN)
            np.multiply(held, odd[by_format], out=alike[by_format])
        exactly = slice(None, None, 2 if self.format.bits < 53 else 1)
        np.multiply(_mixed(given, ~FRACTION), odd[exactly], out=alike[exactly])
        alike ^= negative
        bits >>= _UNUSED
        bits |= _TWO  # the bits of odd multiples of 2^−51 from 2 to 4: turned over, they are the negative of ξ
        noise -= 3
        if common:
            noise[1::2] *= 1 - common
            noise[1::2] += (common * (2 * self.rng.random(len(alike)) - 1)).reshape(-1, *(1,) * values.ndim)
        return xi

    def underflows(self, errors: NumPyArray) -> NumPyArray:
        """½η·errors, η the smallest number, in steps of ¼η; in whole ones where float64 holds no part of η."""
        smallest = self.format.smallest
        if smallest / 4 > 0:
            return smallest * np.rint(errors * 2.0) / 4
        return smallest * np.rint(errors / (2 * ONE_IN_THREE))

    def decide(self) -> bool:
        """Whether to go on as if a comparison held that holds in some of the runs only.

        Raises:
            Split: always; a source that knows which way to go decides in its place.
        """
        raise Split("the runs are on both sides of a comparison, and the computation branches on it")

    def representable(self, values: NumPyArray) -> NumPyArray:
        """Whether each float64 value is a number of the format (its range apart)."""
        return representable(values, self.format.bits)

    def stores(self, values: NumPyArray) -> NumPyArray:
        """Whether the format holds each value as it is, subnormal numbers as whole steps (its upper end apart)."""
        return self.representable(values) & ~between_steps(values, self.format)


def _mixed(bits: NumPyArray, left_out: np.uint64) -> NumPyArray:
    """64 bits made of each float64's by a mixing function, in its place; numbers apart give bits apart.

    The bits that are left out count as ones: the sign's, which no number has then 0 for all; the exponent's, where
    numbers that differ by a power of two are to be equal.

    Multiplied by a random odd number, their upper bits are pairwise independent and uniform (Dietzfelbinger et al.
    1997, multiply-shift hashing). The mixing keeps apart simple multiples of one number.
    """
    bits |= left_out  # not 0 of a power of two, which every factor would leave 0
    bits ^= bits >> _HALF
    bits *= _FACTOR
    bits ^= bits >> _HALF
    return bits


def repeated(values: NumPyArray, axis: int, bits: int) -> NumPyArray | None:
    """The `multiplicities`, or None where every number occurs once."""
    flat = _rows(values, axis, bits)
    flat.sort(axis=1)
    return multiplicities(values, axis, bits) if (flat[:, 1:] == flat[:, :-1]).any() else None


def multiplicities(values: NumPyArray, axis: int, bits: int) -> NumPyArray:
    """How often each number occurs along the axis, as a significand of so many bits tells them apart; 0s count too.

    >>> multiplicities(np.array([[0.5, 0.25, 0.5, 3.0]]), axis=1, bits=53)
    array([[2., 1., 2., 1.]])
    """
    moved = np.moveaxis(values, axis, -1)
    flat = _rows(values, axis, bits)
    order = np.argsort(flat, axis=1)
    sorted_ = np.take_along_axis(flat, order, axis=1)
    starts = np.ones(flat.shape, dtype=bool)
    starts[:, 1:] = sorted_[:, 1:] != sorted_[:, :-1]
    group = np.cumsum(starts) - 1
    counts = np.bincount(group)[group].astype(float).reshape(flat.shape)
    found = np.empty(flat.shape)
    np.put_along_axis(found, order, counts, axis=1)
    return np.moveaxis(found.reshape(moved.shape), -1, axis)


def _rows(values: NumPyArray, axis: int, bits: int) -> NumPyArray:
    """A copy of the numbers along the axis, each a row, with a significand of so many bits."""
    last = values if axis in (-1, values.ndim - 1) else np.moveaxis(values, axis, -1)
    rows = np.array(last, dtype=float, order="C").reshape(-1, values.shape[axis])
    _to_bits(rows.view(np.uint64), bits)
    return rows


def _to_bits(whole: NumPyArray, bits: int) -> NumPyArray:
    """Float64 numbers, given as integers of their bits, rounded in their place to a significand of so many bits."""
    lost = 53 - bits
    if lost > 0:
        whole += np.uint64(2 ** (lost - 1))
        whole &= np.uint64(2**64 - 2**lost)
    return whole


def nearest(values: NumPyArray, bits: int) -> NumPyArray:
    """The nearest numbers with a significand of so many bits, of any range.

    >>> nearest(np.array([0.7, 1.0]), 8)
    array([0.69921875, 1.        ])
    """
    if bits >= np.finfo(float).nmant + 1:
        return values
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits))


def rounds_onto(values: NumPyArray, at: float, shift: float, bits: int) -> NumPyArray:
    """Where value + shift rounds to at + shift though the value is another: within half an ulp of that sum.

    >>> rounds_onto(np.array([2.96875, 2.984375, 3.0, 3.015625, -2.984375]), 3.0, 3.0, 8)
    array([False,  True, False,  True, False])
    """
    return np.asarray((values != at) & (nearest(values + shift, bits) == at + shift))


def representable(values: NumPyArray, bits: int) -> NumPyArray:
    """Whether a significand of so many bits holds each float64 value, of any range but that of subnormal numbers."""
    if bits == 53:
        return np.ones(np.shape(values), dtype=bool)
    whole = np.asarray(values, dtype=float).view(np.uint64)
    return np.asarray((whole & np.uint64(2 ** (53 - bits) - 1)) == 0)


def between_steps(values: NumPyArray, fmt: Format) -> NumPyArray:
    """Which values are no whole steps of a format below its smallest normal number."""
    return np.fmod(np.where(np.abs(values) < fmt.smallest_normal, values, 0.0), fmt.smallest) != 0


def granularity(values: NumPyArray) -> float:
    """A power of two that every value is a multiple of: 0 if every value is 0."""
    nonzero = values[values != 0]
    if not nonzero.size:
        return 0.0
    mantissa, exponent = np.frexp(nonzero)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    return float(np.min(np.ldexp((whole & -whole).astype(float), exponent - 53)))
