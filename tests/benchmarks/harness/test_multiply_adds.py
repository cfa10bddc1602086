"""The count of multiply-adds: every matrix product, and nothing else."""

from itertools import pairwise

import numpy as np
import pytest

import reference as ref
from benchmarks.harness.multiply_adds import counting, multiply_adds


def problem_of(widths, batch=3):
    mlp = ref.initialize(widths, ["tanh"] * (len(widths) - 1), seed=0)
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(batch, widths[0])), rng.normal(size=(batch, widths[-1]))
    return ref.Problem(mlp, x, target, "half_squared_error")


def test_a_product_costs_the_product_of_its_three_sizes_and_sums_cost_nothing():
    tally = []
    a = counting(np.ones((2, 3)), tally)
    product = (a + 1) @ np.ones((3, 5))
    assert tally == [2 * 3 * 5]
    np.testing.assert_array_equal(product, np.full((2, 5), 6.0))
    np.testing.assert_array_equal(np.ones((4, 2)) @ np.tanh(product), np.tanh(6.0) * 2 * np.ones((4, 5)))
    assert tally == [30, 4 * 2 * 5]  # also on the right, and behind other functions


@pytest.mark.parametrize("widths", [(2, 3), (4, 1, 5), (3, 3, 3, 3)])
def test_a_pass_forward_and_a_pass_back(widths):
    one_pass = 3 * sum(i * o for i, o in pairwise(widths))
    problem = problem_of(widths)
    assert multiply_adds(ref.loss_value, problem) == one_pass
    assert multiply_adds(ref.gradients, problem) == 3 * one_pass


def test_counting_changes_no_value():
    problem = problem_of((3, 4, 2))
    counted = ref.gradients(problem.map(lambda values: counting(values, [])))
    for place, leaf in ref.gradients(problem).leaves().items():
        np.testing.assert_array_equal(counted[place], leaf)
