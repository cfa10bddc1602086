"""Rows of a gradient that are left at 0, or stand in each other's place."""

import numpy as np
import pytest

import torch_compare as tc
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.row_fits import row_mistakes

PROBLEM = network([5, 6, 4], ["tanh", "identity"])
LEAVES = leaves_of(PROBLEM)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("place", "axis", "lines", "said"), [
    ("input", 0, [4, 5, 6, 7, 8], "rows from 4 on are 0"), ("input", 0, [0, 1], "rows up to 1 are 0"),
    ("layers[0].weight", 0, [2, 3], "rows 2 to 3 are 0"), ("layers[0].weight", 1, [4], "column 4 is 0"),
    ("layers[1].weight", 0, [0, 2], "rows 0, 2 are 0"),
])  # fmt: skip
def test_lines_left_at_0_are_said(place, axis, lines, said, dtype):
    wrong = LEAVES[place].copy()
    wrong[(slice(None), lines) if axis else lines] = 0
    given = {k: np.asarray(v, dtype) for k, v in (LEAVES | {place: wrong}).items()}
    found = tc.check(PROBLEM.in_dtype(dtype).in_float64(), given).diagnosis
    assert found.names == ("rows left at 0",)
    assert found.startswith(f"{place}: {said}; ")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("place", ["input", "layers[0].weight"])
def test_rows_of_others_are_said(place, dtype):
    order = np.arange(len(LEAVES[place]))
    order[[1, 4]] = 4, 1
    given = {k: np.asarray(v, dtype) for k, v in (LEAVES | {place: LEAVES[place][order]}).items()}
    found = tc.check(PROBLEM.in_dtype(dtype).in_float64(), given).diagnosis
    assert found.names == ("rows of others",)
    assert found.startswith(f"{place}: row 1 holds that of row 4; row 4 holds that of row 1; ")


def test_a_gradient_that_is_0_or_of_another_size_has_no_such_rows():
    made = LEAVES["input"]
    for given in (np.zeros_like(made), made, made * 1.5, made[:, :2], made + np.eye(*made.shape)):
        assert list(row_mistakes(given, made, "input")) == []
    assert list(row_mistakes(np.zeros(3), np.ones(3), "layers[0].bias")) == []


def test_a_row_that_is_0_by_right_is_not_counted():
    made = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [3.0, -1.0, 2.0]])
    (found,) = row_mistakes(made * [[1.0], [1.0], [0.0]], made, "input")
    assert found.what == "row 2 is 0"
