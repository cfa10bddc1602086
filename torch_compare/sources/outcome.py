"""What comes of comparing two sources of gradients on one problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference.rounding.distance import FACTOR

PAIRS = {
    "reference ~ torch": "σ",
    "reference ~ central_difference": "bar",
    "torch ~ central_difference": "bar",
    "reference ~ complex_step": "σ",
    "float32 ~ float64 reference": "σ",
    "reference ~ certified": "σ",
    "torch ~ certified": "σ",
    "certified ~ multiprecision_difference": "rel",
}
"""Which sources are compared, and in what: rounding scales σ, the error bars that differences bring, or the error
relative to the leaf's largest gradient."""


@dataclass(frozen=True)
class Outcome:
    """One pair of sources on one problem.

    Attributes:
        pair: a key of `PAIRS`.
        verdict: "accurate", "textbook", "bar", "digits", "not judged", "unresolved", "deviation: NAME" or
            "disagrees".
        scales: the largest error in the pair's unit.
        ulps: the largest error in ulps of the expected number, among the elements judged.
        text: what disagrees or is unresolved, if anything.
    """

    pair: str
    verdict: str
    scales: float = 0.0
    ulps: float = 0.0
    text: str = ""


def measured(pair: str, scales: float, ulps: float, text: str, unit: str = "accurate") -> Outcome:
    """The outcome of an error in rounding scales: it counts from `FACTOR`."""
    if np.isnan(scales):
        return Outcome(pair, "not judged")
    good = scales <= FACTOR
    return Outcome(pair, unit if good else "disagrees", scales, ulps, "" if good else text)
