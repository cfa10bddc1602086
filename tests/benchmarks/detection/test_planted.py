"""The mistakes that `verify` plants, in four formats."""

import pytest

from benchmarks.detection import detection, planted
from torch_compare.mistakes.planted import PLANTED


def index_of(name):
    return next(i for i, one in enumerate(PLANTED) if one.name == name)


def test_what_is_smaller_than_a_format_tells_is_no_mistake_to_be_caught_there():
    small = [planted.judged(index_of("relative error 1e-6 in one derivative"), dtype, 0) for dtype in planted.GOALS]
    assert [row["format"] for row in small if detection.telling([row], row["format"])] == ["float64", "float32"]
    assert [row["caught"] for row in small[:2]] == [True, True]


@pytest.mark.parametrize("dtype", planted.GOALS)
def test_a_sign_is_caught_in_every_format(dtype):
    row = planted.judged(index_of("sign"), dtype, 0)
    assert (row["format"], row["caught"]) == (dtype, True)


def test_a_mistake_is_called_by_its_name_or_is_not():
    row = planted.judged(index_of("target not subtracted"), "float64", 0)
    assert row["expected"] == row["names"] == ["target not subtracted"]
    assert row["caught"]
    assert row["right"]


def test_one_that_has_no_name_only_has_to_be_caught():
    row = planted.judged(index_of("relative error 1e-6 in one derivative"), "float64", 0)
    assert row["expected"] == []
    assert row["caught"]
    assert row["right"]
