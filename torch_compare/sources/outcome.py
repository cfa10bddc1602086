"""The outcome of comparing two sources of gradients on one problem."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from reference.rounding.distance import FACTOR

from ..verdict.status import Word

PAIRS = MappingProxyType(
    {
        "reference ~ torch": "σ",
        "reference ~ central_difference": "bar",
        "torch ~ central_difference": "bar",
        "reference ~ complex_step": "σ",
        "float32 ~ float64 reference": "σ",
        "reference ~ certified": "σ",
        "torch ~ certified": "σ",
        "certified ~ multiprecision_difference": "rel",
    }
)
"""Which sources are compared, and in what: rounding scales σ, the error bars that differences bring, or the error
relative to the leaf's largest gradient."""


class PairVerdict(Word):
    """How the gradients of two sources stand to each other; the first four agree."""

    ACCURATE = "accurate"
    """Within the accurate rounding scale."""
    TEXTBOOK = "textbook"
    """Within the rounding scale of the customary formulas."""
    BAR = "bar"
    """Within the error bar of a difference."""
    DIGITS = "digits"
    """To the digits that a multiprecision difference has."""
    NOT_JUDGED = "not judged"
    """Nothing in the problem can be compared: all overflows, or lies on a kink."""
    UNRESOLVED = "unresolved"
    """No precision certifies the gradients."""
    DEVIATION = "deviation"
    """As the published list of torch's deviations says."""
    DISAGREES = "disagrees"


@dataclass(frozen=True)
class PairOutcome:
    """One pair of sources on one problem.

    Attributes:
        pair: a key of `PAIRS`.
        verdict: whether they agree, and within what.
        scales: the largest error in the pair's unit.
        ulps: the largest error in ulps of the expected number, among the elements judged.
        text: what disagrees or is unresolved, if anything.
        deviations: the names of torch's published deviations that explain the difference.
    """

    pair: str
    verdict: PairVerdict
    scales: float = 0.0
    ulps: float = 0.0
    text: str = ""
    deviations: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The verdict with the deviations that it rests on.

        >>> PairOutcome("reference ~ torch", PairVerdict.DEVIATION, deviations=("bce_epsilon", "celu")).title
        'deviation: bce_epsilon + celu'
        """
        return f"{self.verdict}: {' + '.join(self.deviations)}" if self.deviations else str(self.verdict)

    def as_data(self) -> dict[str, Any]:
        """The outcome as plain data, for JSON; the verdict is the title."""
        return {
            "pair": self.pair,
            "verdict": self.title,
            "scales": self.scales,
            "ulps": self.ulps,
            "text": self.text,
        }


def measured(
    pair: str, scales: float, ulps: float, text: str, within: PairVerdict = PairVerdict.ACCURATE, limit: float = FACTOR
) -> PairOutcome:
    """The outcome of an error in the pair's unit.

    Args:
        pair: a key of `PAIRS`.
        scales: the error; NaN is not judged.
        ulps: the same in ulps.
        text: where the error is, kept if it is too large.
        within: the verdict on an error that is not.
        limit: the largest error that is not.
    """
    if np.isnan(scales):
        return PairOutcome(pair, PairVerdict.NOT_JUDGED)
    if scales <= limit:
        return PairOutcome(pair, within, scales, ulps)
    return PairOutcome(pair, PairVerdict.DISAGREES, scales, ulps, text)
