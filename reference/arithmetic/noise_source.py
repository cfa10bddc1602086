"""The source that draws the rounding errors of `Noisy`, and which numbers a format holds exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .array import NumPyArray
from .formats import Format


class Split(ArithmeticError):  # noqa: N818 (nothing went wrong: rounding may lead either way)
    """A computation branches on a comparison that rounding decides."""


@dataclass(frozen=True, eq=False)
class NoiseSource:
    """Where the errors come from: one generator, format and number of runs for a whole computation."""

    format: Format
    runs: int
    rng: np.random.Generator

    def errors(self, shape: tuple[int, ...]) -> NumPyArray:
        """ξ for every run and element; the first run is free of noise.

        In every other run all elements of an operation share one ξ: equal numbers are rounded alike, so that
        the errors of equal examples add up instead of averaging out.
        """
        xi = np.empty((self.runs + 1, *shape), dtype=np.float32)
        apart, alike = xi[1::2], xi[2::2]
        xi[0] = 0
        apart[...] = self.rng.random(apart.shape, dtype=np.float32) * 2 - 1
        alike[...] = self.rng.random((len(alike), *(1,) * len(shape)), dtype=np.float32) * 2 - 1
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


def representable(values: NumPyArray, bits: int) -> NumPyArray:
    """Whether a significand of so many bits holds each float64 value, by Veltkamp's splitting (Dekker 1971)."""
    if bits == 53:
        return np.ones(np.shape(values), dtype=bool)
    c = values * (2.0 ** (53 - bits) + 1)
    return (c - (c - values)) == values


def granularity(values: NumPyArray) -> float:
    """A power of two that every value is a multiple of: 0 if every value is 0."""
    nonzero = values[values != 0]
    if not nonzero.size:
        return 0.0
    mantissa, exponent = np.frexp(nonzero)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    return float(np.min(np.ldexp((whole & -whole).astype(float), exponent - 53)))
