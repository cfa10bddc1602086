"""The bank before the checkers: which part of it is taken, how large a mistake is, what counts as caught."""

import math

import ml_dtypes
import numpy as np
import pytest

import torch_compare as tc
from benchmarks.detection import caught
from benchmarks.wrong_gradients.bank import BANK
from tests.benchmarks.detection.helpers import bank_row, wrong_named


def test_the_quick_bank_has_every_kind_and_place_and_size():
    quick = [BANK[i] for i in caught.selected(quick=True)]
    assert len(caught.selected(quick=False)) == len(BANK) >= 60
    assert {(m.kind, m.place) for m in quick} == {(m.kind, m.place) for m in BANK}
    assert {m.size for m in quick if m.kind == "relative error"} == {m.size for m in BANK if m.kind == "relative error"}


@pytest.mark.parametrize("size", [1e-3, 1e-9, 1e-13])
def test_what_is_planted_is_measured(size):
    wrong = BANK[wrong_named(f"relative error in a layer's derivative, {size:g}, float64")]
    assert caught.planted(wrong, 0) == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize(("dtype", "number"), [("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)])
def test_in_half_precision_wrong_gradients_are_numbers_of_the_format(dtype, number):
    for name in ("derivative missing, middle", "factor 1/2", "weight decay on weight, 0.0001"):
        problem, wrong, right = caught.made(BANK[wrong_named(name)], 0, dtype)
        assert any(np.any(wrong[place] != right[place]) for place in wrong)
        for place, leaf in wrong.items():
            if place != "loss":
                np.testing.assert_array_equal(leaf.astype(number).astype(np.float32), leaf)
        assert tc.check(problem, right, dtype).agrees


def test_mistakes_with_a_name_are_made_in_every_format():
    sign, size = wrong_named("sign of every gradient"), wrong_named("relative error in a weight's column, float32, 0.1")
    assert caught.formats_of("named", sign) == ("float64", "float32", "float16", "bfloat16")
    assert caught.formats_of("checked", sign) == ("float64", "float16", "bfloat16")
    assert caught.formats_of("checked", size) == ("float32",)
    rows = caught.run("named", [sign], [0], 1)
    assert [row["format"] for row in rows] == list(caught.FORMATS)


def test_the_smallest_error_caught_is_that_below_which_one_passes():
    rows = [bank_row(size=10.0**-e, caught=e != 5) for e in range(1, 8)]
    assert caught.smallest_caught(rows, "float64") == pytest.approx(1e-4)
    assert math.isnan(caught.smallest_caught(rows, "float32"))
    assert caught.share_caught([*rows, bank_row(caught=False)], "float64")[1e-3] == 0.5
