"""What is given beside what is expected: whether a scale holds the difference, in whatever customary order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reference.arithmetic.formats import Format
from reference.rounding.distance import WorstElement, worst_of

from .distance import LEANING, LIMIT, leaning, places
from .orders import halfway
from .scales import Scales
from .step import Leaves, Step


@dataclass(frozen=True)
class Judged:
    """What is given beside what is expected, in some scales."""

    given: Leaves
    expected: Leaves
    step: Step
    scales: Scales
    fmt: Format
    places: Mapping[str, WorstElement]
    lean: tuple[str, float, float]

    @property
    def worst(self) -> WorstElement:
        """The element that is furthest off."""
        return worst_of(self.places)

    @property
    def within(self) -> bool:
        """Whether no element is off, and nothing leans."""
        return all(one.scales <= LIMIT for one in self.places.values()) and abs(self.lean[2]) <= LEANING

    @property
    def undecided(self) -> bool:
        """Whether a place has no scale, and no other place is wrong."""
        decided = [one for one in self.places.values() if not np.isnan(one.scales)]
        return len(decided) < len(self.places) and all(one.scales <= LIMIT for one in decided)


def judged(given: Leaves, expected: Leaves, step: Step, scales: Scales, fmt: Format) -> Judged:
    """Against the single subtraction; if that does not hold what is given, against the order that does."""
    found = _against(given, expected, step, scales, fmt)
    if found.within or found.undecided:
        return found
    others = (_against(given, other, step, wider, fmt) for other, wider in halfway(step, expected, scales, fmt))
    return next((other for other in others if other.within), found)


def _against(given: Leaves, expected: Leaves, step: Step, scales: Scales, fmt: Format) -> Judged:
    found = places(given, expected, scales, step.formats, fmt)
    return Judged(given, expected, step, scales, fmt, found, leaning(given, expected, step.start, scales, fmt))
