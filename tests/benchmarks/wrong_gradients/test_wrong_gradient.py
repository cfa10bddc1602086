"""The three ways to make a wrong gradient: named after the mistake, wrong by it, and by nothing else."""

import numpy as np
import pytest

from benchmarks.implementations.naive import NaiveMistake, naive_gradients
from benchmarks.wrong_gradients.after_backward import times
from benchmarks.wrong_gradients.problems import network
from benchmarks.wrong_gradients.wrong_gradient import after_pass, in_lower_precision, in_pass


def test_one_in_a_pass_is_the_naive_networks_with_that_mistake():
    wrong = in_pass("updated", "updated by gradient", "last", "a name | another", network, 0.5, dtype="float32")
    assert (wrong.name, wrong.kind, wrong.place) == ("updated by gradient, last, 0.5", "updated", "last")
    assert (wrong.size, wrong.status, wrong.dtype) == (0.5, "wrong", "float32")
    assert wrong.expected_names == {"a name", "another"}
    problem = wrong.problem(3, wrong.dtype)
    expected = naive_gradients(problem, NaiveMistake("updated by gradient", "last", 0.5))
    for place, leaf in wrong.gradients(problem).items():
        np.testing.assert_array_equal(leaf, expected[place])


def test_one_after_a_pass_is_a_change_of_right_gradients():
    wrong = after_pass("factor", "factor 2", "factor 2", times(2.0, ("bias",)))
    assert (wrong.name, wrong.place, wrong.size) == ("factor 2", "leaves", None)
    problem = network(0)
    right = naive_gradients(problem)
    for place, leaf in wrong.gradients(problem).items():
        np.testing.assert_array_equal(leaf, right[place] * (2 if place.endswith("bias") else 1))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_one_in_lower_precision_is_no_mistake_and_comes_in_the_problems_type(dtype):
    wrong = in_lower_precision(dtype)
    assert (wrong.status, wrong.expected_names) == ("imprecise", frozenset())
    problem = network(0)
    lower = naive_gradients(problem, dtype=dtype)
    for place, leaf in wrong.gradients(problem).items():
        assert leaf.dtype == np.float64
        np.testing.assert_array_equal(leaf, lower[place])


def test_a_mistake_without_a_name_has_none():
    assert in_pass("kind", "bias averaged", "first", "", network).expected_names == frozenset()
