"""The mistakes that `verify` plants, in four formats."""

import pytest

from benchmarks.detection import planted
from torch_compare.mistakes.planted import PLANTED


def index_of(name):
    return next(i for i, one in enumerate(PLANTED) if one.name == name)


def test_what_lies_below_rounding_is_left_out():
    small = PLANTED[index_of("relative error 1e-12 in one derivative")]
    assert [name for name in planted.GOALS if not planted.smaller_than_rounding(small, name)] == ["float64"]
    single = PLANTED[index_of("computed in float32")]
    assert [name for name in planted.GOALS if not planted.smaller_than_rounding(single, name)] == ["float64"]
    assert not planted.smaller_than_rounding(PLANTED[index_of("sign")], "bfloat16")


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
