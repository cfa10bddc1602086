"""The naive network: right without a mistake, in every format and order of sums, and wrong with each of them."""

import ml_dtypes
import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.implementations.correct_gradients import representable
from benchmarks.implementations.naive import Naive, NaiveMistake, naive_gradients
from benchmarks.wrong_gradients.problems import network

ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu", "leaky_relu", "gelu", "softmax")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_without_a_mistake_the_gradients_are_right(name, dtype):
    problem = network(1, dtype, activation=name)
    leaves = naive_gradients(problem)
    assert {leaf.dtype.name for leaf in leaves.values()} == {dtype}
    verdict = tc.check(problem.in_float64(), leaves, dtype)
    assert verdict.agrees, str(verdict)


def test_a_layer_without_a_bias_has_no_gradient_of_one():
    assert set(naive_gradients(network(0, widths=(2, 3, 2), bias=False))) == {
        "layers[0].weight", "layers[1].weight", "input", "loss",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "number"), [("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)])
def test_in_a_narrow_format_every_gradient_is_one_of_its_numbers(name, number):
    problem = representable(network(2), name)
    for place, leaf in naive_gradients(problem, dtype=name).items():
        assert leaf.dtype == np.float32
        if place != "loss":  # the loss is left in float32, in which it is summed
            np.testing.assert_array_equal(leaf.astype(number).astype(np.float32), leaf)


def test_sums_in_another_order_round_otherwise_and_are_as_right():
    problem = network(0, activation="gelu")
    straight = naive_gradients(problem)
    shuffled = Naive(problem, order=np.random.default_rng(0)).run()
    assert any(np.any(straight[place] != shuffled[place]) for place in straight)
    assert tc.check(problem, shuffled).agrees


def test_a_mistake_is_made_in_its_layer_only():
    problem = network(0, last="tanh")
    right = naive_gradients(problem)
    for place, layer in (("first", 0), ("middle", 2), ("last", 3)):
        wrong = naive_gradients(problem, NaiveMistake("bias averaged", place))
        off = [name for name in right if np.any(right[name] != wrong[name])]
        assert off == [f"layers[{layer}].bias"]


def test_two_mistakes_are_made_at_once():
    problem = network(0)
    both = naive_gradients(problem, NaiveMistake("bias averaged", "first"), NaiveMistake("bias averaged", "last"))
    right = naive_gradients(problem)
    assert sorted(name for name in right if np.any(right[name] != both[name])) == ["layers[0].bias", "layers[3].bias"]


def test_what_it_does_not_know_is_named():
    with pytest.raises(ValueError, match=r"layers\[0\]: the naive network has no activation mish"):
        naive_gradients(network(0, activation="mish"))
    with pytest.raises(ValueError, match="loss: the naive network has no huber"):
        naive_gradients(network(0, loss="huber"))


@pytest.mark.parametrize("name", ["derivative of the layer above", "input of the layer above"])
def test_an_array_of_another_shape_cannot_be_mistaken(name):
    uneven = network(0, widths=(3, 4, 5, 2), last="tanh")
    with pytest.raises(ValueError, match=r"layers\[1\]: the .* of another layer has another shape"):
        naive_gradients(uneven, NaiveMistake(name, "middle"))


def test_it_shares_no_formula_with_the_oracle(monkeypatch):
    """Whatever the rows of our tables compute, its gradients stay as they are."""
    problem = network(0)
    expected = naive_gradients(problem)

    def spoiled(*_, **__):
        raise AssertionError("the oracle was asked")

    for name in ("gradients", "forward", "backward", "loss_value", "loss_gradient"):
        monkeypatch.setattr(ref, name, spoiled)
    for place, leaf in naive_gradients(problem).items():
        np.testing.assert_array_equal(leaf, expected[place])
