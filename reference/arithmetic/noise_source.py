"""The source that draws the rounding errors of `Noisy`, and which numbers a format holds exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .array import NumPyArray
from .formats import Format


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

    def in_format(self, form: Format) -> NoiseSource:
        """The source of another format that draws from the same stream; equal formats give the same source."""
        self.family.setdefault(self.format, self)
        if form not in self.family:
            self.family[form] = replace(self, format=form)
        return self.family[form]

    def errors(self, values: NumPyArray, common: float = 0.0) -> NumPyArray:
        """ξ for every run and element; the first run is free of noise.

        In every other run ξ is a function of the number that is rounded: equal numbers are rounded alike, also those
        that differ by their sign or by a power of two, so that the errors of equal examples add up instead of
        averaging out, and those of different ones average out.

        Args:
            values: the numbers that are rounded, as without noise.
            common: the part of the error that all elements of such a run share: library functions err to one side
                more than to the other.
        """
        xi = np.empty((self.runs + 1, *values.shape), dtype=np.float32)
        apart, alike = xi[1::2], xi[2::2]
        xi[0] = 0
        apart[...] = self.rng.random(apart.shape, dtype=np.float32) * 2 - 1
        runs = (len(alike), *(1,) * values.ndim)
        odd = self.rng.integers(2**63, size=runs, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        np.multiply((_hash(values) * odd) >> np.uint64(40), np.float32(2.0**-23), out=alike, casting="same_kind")
        alike -= 1
        np.negative(alike, out=alike, where=np.signbit(values))
        if common:
            alike *= np.float32(1 - common)
            alike += np.float32(common) * (self.rng.random(runs, dtype=np.float32) * 2 - 1)
        return xi

    def decide(self) -> bool:
        """Whether to go on as if a comparison held that holds in some of the runs only.

        Raises:
            Split: always; a source that knows which way to go decides in its place.
        """
        raise Split("the runs are on both sides of a comparison, and the computation branches on it")

    def representable(self, values: NumPyArray) -> NumPyArray:
        """Whether each float64 value is a number of the format (its range apart)."""
        return representable(values, self.format.bits)


def _hash(values: NumPyArray) -> NumPyArray:
    """64 bits made of each number's significand by two rounds of a mixing function; numbers apart give bits apart.

    Multiplied by a random odd number, their upper bits are pairwise independent and uniform (Dietzfelbinger et al.
    1997, multiply-shift hashing). The mixing keeps apart simple multiples of one number.
    """
    bits = np.ascontiguousarray(values, dtype=float).view(np.uint64) & np.uint64(2**52 - 1)
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(factor)
    return np.asarray(bits ^ (bits >> np.uint64(31)))


def multiplicities(values: NumPyArray, axis: int, bits: int) -> NumPyArray:
    """How often each number occurs along the axis, as a significand of so many bits tells them apart; 0s count too.

    >>> multiplicities(np.array([[0.5, 0.25, 0.5, 3.0]]), axis=1, bits=53)
    array([[2., 1., 2., 1.]])
    """
    moved = np.moveaxis(values, axis, -1)
    flat = moved.reshape(-1, moved.shape[-1])
    flat = nearest(flat, bits)
    order = np.argsort(flat, axis=1)
    sorted_ = np.take_along_axis(flat, order, axis=1)
    starts = np.ones(flat.shape, dtype=bool)
    starts[:, 1:] = sorted_[:, 1:] != sorted_[:, :-1]
    group = np.cumsum(starts) - 1
    counts = np.bincount(group)[group].astype(float).reshape(flat.shape)
    found = np.empty(flat.shape)
    np.put_along_axis(found, order, counts, axis=1)
    return np.moveaxis(found.reshape(moved.shape), -1, axis)


def nearest(values: NumPyArray, bits: int) -> NumPyArray:
    """The nearest numbers with a significand of so many bits, of any range.

    >>> nearest(np.array([0.7, 1.0]), 8)
    array([0.69921875, 1.        ])
    """
    if bits >= np.finfo(float).nmant + 1:
        return values
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits))


def representable(values: NumPyArray, bits: int) -> NumPyArray:
    """Whether a significand of so many bits holds each float64 value, by Veltkamp's splitting (Dekker 1971)."""
    if bits == 53:
        return np.ones(np.shape(values), dtype=bool)
    with np.errstate(invalid="ignore"):  # of infinities, which every format holds
        c = values * (2.0 ** (53 - bits) + 1)
        return ((c - (c - values)) == values) | np.isinf(values)


def granularity(values: NumPyArray) -> float:
    """A power of two that every value is a multiple of: 0 if every value is 0."""
    nonzero = values[values != 0]
    if not nonzero.size:
        return 0.0
    mantissa, exponent = np.frexp(nonzero)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    return float(np.min(np.ldexp((whole & -whole).astype(float), exponent - 53)))
