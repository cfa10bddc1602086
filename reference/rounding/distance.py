"""How far gradients are apart, in units of the rounding scale, and where most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.formats import Format

FACTOR = 32.0
"""An error counts when it exceeds this many σ. Measured, not chosen: three times the worst, 10.9 σ, of torch's correct
gradients on the textbook scale over 20,000 random problems (``verify --cases 20000 --seed 7``), under the first noise
model. Under the present one the worst element of 1,431 correct gradients in float64 and float32 that agree lies at
6.7 σ of the wider of the two scales (HIPS autograd); where the textbook scale is needed, torch's come to 4.4 σ and sums
in other orders to 5.2 (survey of false alarms, seeds 8812345 and 8812346, cases 0–2184 and 0–1266, no JAX).
So 32 is nearly five times the worst. A relative error of 1e-12 in one layer stands at 3800 σ."""

Leaves: TypeAlias = Mapping[str, Array]
"""Arrays of gradients, or of their scales, by place."""


@dataclass(frozen=True)
class WorstElement:
    """One element of the gradients, with its error.

    Attributes:
        leaf: "layers[1].weight", "input" or "loss".
        index: of the element within the leaf.
        given: the number that was given.
        expected: the oracle's.
        scales: |given − expected| in units of the rounding scale σ.
        ulps: the same in units in the last place of the expected number.
    """

    leaf: str
    index: tuple[int, ...]
    given: float
    expected: float
    scales: float
    ulps: float

    def in_ulps_of(self, fmt: Format) -> WorstElement:
        """The same with its error in units in the last place of a format."""
        with np.errstate(all="ignore"):
            apart = abs(self.given - self.expected)
            return replace(self, ulps=float(apart / fmt.ulp(self.expected)) if self.given != self.expected else 0.0)

    def __str__(self) -> str:
        at = f"{self.leaf}{list(self.index)}" if self.index else self.leaf
        return (
            f"{at}: given {self.given!r}, expected {self.expected!r}: "
            f"off by {self.scales:.3g} rounding scales, {self.ulps:.3g} ulps"
        )


def in_scales(given: ArrayLike, expected: NumPyArray, scale: NumPyArray, fmt: Format) -> NumPyArray:
    """|given − expected|/σ, element by element: 0 where they are equal, ∞ where σ is 0 and they are not.

    A number that rounds beyond the format's range may be given as infinite. NaN where the scale is NaN.
    """
    with np.errstate(all="ignore"):
        given = np.asarray(given, dtype=float)
        difference = np.abs(given - expected)
        ratio = np.where(difference == 0, 0.0, difference / np.where(scale > 0, scale, 0.0))
        overflown = np.isinf(given) & (np.abs(expected) + FACTOR * scale > fmt.largest)
        ratio = np.where((given == expected) | overflown, 0.0, ratio)
        ratio = np.where(np.isnan(given) & np.isfinite(expected), np.inf, ratio)
        return np.where(np.isnan(scale) | np.isinf(scale), np.where(given == expected, 0.0, np.nan), ratio)


def worst_places(leaves: Leaves, expected: Leaves, scale: Leaves, fmt: Format) -> dict[str, WorstElement]:
    """The element of every leaf that is furthest off in units of the scale; NaN scales where nothing decides."""
    found = {}
    for leaf, given in leaves.items():
        numbers, exact = np.asarray(given), np.asarray(expected[leaf])
        ratio = in_scales(numbers, exact, np.asarray(scale[leaf]), fmt)
        judged = np.where(np.isnan(ratio), -1.0, ratio)
        index = tuple(int(i) for i in np.unravel_index(np.argmax(judged), judged.shape))
        value, truth = float(numbers[index]), float(exact[index])
        scales = float("nan") if judged[index] < 0 else float(judged[index])
        found[leaf] = WorstElement(leaf, index, value, truth, scales, 0.0).in_ulps_of(fmt)
    return found


def worst_of(places: Mapping[str, WorstElement]) -> WorstElement:
    """The first of the places that are furthest off; one that nothing decides (NaN) counts least."""
    return max(places.values(), key=lambda place: -1.0 if np.isnan(place.scales) else place.scales)


def worst_place(leaves: Leaves, expected: Leaves, scale: Leaves, fmt: Format) -> WorstElement:
    """The element furthest off in units of the scale; an undecidable one (NaN) if nothing decides."""
    return worst_of(worst_places(leaves, expected, scale, fmt))


def digits(given: ArrayLike, expected: ArrayLike) -> float:
    """The decimal digits that agree in the worst element: min −log₁₀(|q − c|/|c|), or −log₁₀|q| where c = 0.

    McCullough 1998, the log relative error by which NIST's Statistical Reference Datasets are scored. Infinite where
    every element is equal; not below 0.

    >>> round(digits([1.001, 2.0], [1.0, 2.0]), 6)
    3.0
    """
    q, c = np.asarray(given, dtype=float), np.asarray(expected, dtype=float)
    with np.errstate(all="ignore"):
        error = np.abs(q - c) / np.where(c == 0, 1.0, np.abs(c))
        error = np.where(q == c, 0.0, np.where(np.isnan(error), np.inf, error))
        return float(np.maximum(0.0, -np.log10(np.max(error, initial=0.0)))) + 0.0  # no −0.0
