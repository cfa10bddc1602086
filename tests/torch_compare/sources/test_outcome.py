"""Errors in rounding scales as outcomes."""

import numpy as np
import pytest

from reference.rounding.distance import FACTOR
from torch_compare.sources.outcome import PAIRS, measured


@pytest.mark.parametrize("unit", ["accurate", "textbook"])
def test_an_error_counts_when_it_exceeds_the_factor(unit):
    good = measured("reference ~ torch", FACTOR, 3.0, "where", unit)
    assert (good.pair, good.verdict, good.scales, good.ulps, good.text) == ("reference ~ torch", unit, FACTOR, 3.0, "")
    bad = measured("reference ~ torch", np.nextafter(FACTOR, np.inf), 3.0, "where", unit)
    assert (bad.verdict, bad.scales, bad.ulps, bad.text) == ("disagrees", np.nextafter(FACTOR, np.inf), 3.0, "where")
    assert measured("reference ~ torch", np.inf, 3.0, "where").verdict == "disagrees"


def test_what_nothing_decides_is_not_judged():
    found = measured("reference ~ torch", float("nan"), 3.0, "where")
    assert (found.verdict, found.text) == ("not judged", "")


def test_each_pair_has_its_unit():
    assert set(PAIRS.values()) == {"σ", "bar", "rel"}
    assert {pair for pair, unit in PAIRS.items() if unit == "bar"} == {
        "reference ~ central_difference", "torch ~ central_difference",
    }  # fmt: skip
