"""What is done to right gradients: each change on numbers that one can check by hand."""

import numpy as np
import pytest

import reference as ref
from benchmarks.implementations.naive import naive_gradients
from benchmarks.wrong_gradients.after_backward import (
    accumulated,
    clipped,
    decayed,
    of_other_batch,
    other_batch,
    slightly_off,
    summed_weights,
    times,
)
from benchmarks.wrong_gradients.problems import network

WEIGHT, BIAS = "layers[0].weight", "layers[0].bias"


@pytest.fixture
def problem():
    """One layer of two inputs, two examples."""
    mlp = ref.MLP((ref.Layer(np.array([[2.0, -4.0]]), np.array([8.0]), "identity"),))
    return ref.Problem(mlp, np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0], [1.0]]), "mse")


@pytest.fixture
def right():
    return {
        WEIGHT: np.array([[3.0, -4.0]]), BIAS: np.array([12.0]),
        "input": np.array([[1.0, 1.0], [2.0, 2.0]]), "loss": np.array(5.0),
    }  # fmt: skip


def same_but(right, **changes):
    """The leaves with changes in weight, bias or input."""
    names = {"weight": WEIGHT, "bias": BIAS, "input": "input"}
    return right | {names[name]: np.array(values) for name, values in changes.items()}


def assert_leaves(found, expected):
    assert found.keys() == expected.keys()
    for place, leaf in expected.items():
        np.testing.assert_array_equal(found[place], leaf)


def test_a_factor(problem, right):
    doubled = same_but(right, weight=[[6.0, -8.0]], bias=[24.0], input=[[2.0, 2.0], [4.0, 4.0]])
    assert_leaves(times(2.0)(problem, right), doubled)
    assert_leaves(times(-1.0, ("bias",))(problem, right), same_but(right, bias=[-12.0]))
    assert_leaves(summed_weights(problem, right), same_but(right, weight=[[6.0, -8.0]]))  # two examples


def test_a_decay_is_added_to_weights_and_only_if_told_to_biases(problem, right):
    assert_leaves(decayed(0.5, ("weight",), np.asarray)(problem, right), same_but(right, weight=[[4.0, -6.0]]))
    assert_leaves(
        decayed(0.5, ("weight", "bias"), np.sign)(problem, right), same_but(right, weight=[[3.5, -4.5]], bias=[12.5])
    )


def test_clipping(problem, right):
    """‖(3, −4)‖ = 5, ‖12‖ = 12, together 13."""
    assert_leaves(clipped("value", 0.25)(problem, right), same_but(right, weight=[[3.0, -3.0]], bias=[3.0]))
    assert_leaves(clipped("norm", 26.0)(problem, right), same_but(right, weight=[[6.0, -8.0]], bias=[24.0]))
    apart = clipped("norm of each", 60.0)(problem, right)
    assert_leaves(apart, same_but(right, weight=[[36.0, -48.0]], bias=[60.0]))


def test_an_array_of_zeros_has_no_norm_to_be_clipped_by(problem, right):
    still = same_but(right, bias=[0.0])
    assert_leaves(clipped("norm of each", 5.0)(problem, still), still)


@pytest.mark.parametrize("what", ["inputs", "targets", "both"])
def test_another_batch_differs_in_what_is_said_and_in_nothing_else(what):
    here = network(1)
    other = other_batch(here, what)
    assert np.any(other.x != here.x) == (what != "targets")
    assert np.any(other.target != here.target) == (what != "inputs")
    assert other.mlp is here.mlp
    assert other.x.dtype == here.x.dtype
    for place, leaf in naive_gradients(other).items():
        np.testing.assert_array_equal(of_other_batch(what)(here, {})[place], leaf)


def test_an_earlier_batch_is_added_to_the_parameters_gradients():
    here = network(1)
    right, earlier = naive_gradients(here), naive_gradients(other_batch(here, "both"))
    for place, leaf in accumulated(here, right).items():
        added = earlier[place] if place.startswith("layers") else 0.0
        np.testing.assert_array_equal(leaf, right[place] + added)


@pytest.mark.parametrize(("where", "weight"), [("column", [[3.0, -8.0]]), ("element", [[3.0, -8.0]])])
def test_a_relative_error_of_1_doubles_a_column_or_the_largest_element(where, weight, problem, right):
    assert_leaves(slightly_off(1.0, where)(problem, right), same_but(right, weight=weight))
    assert right[WEIGHT].tolist() == [[3.0, -4.0]]


def test_the_element_is_the_largest_and_the_column_is_whole():
    here = network(0, widths=(4, 4))
    leaves = naive_gradients(here)
    before = leaves[WEIGHT]
    column, element = (slightly_off(0.5, where)(here, leaves)[WEIGHT] != before for where in ("column", "element"))
    assert np.argwhere(column)[:, 1].tolist() == [2] * 4
    assert np.argwhere(element).tolist() == [list(np.unravel_index(np.argmax(np.abs(before)), before.shape))]
