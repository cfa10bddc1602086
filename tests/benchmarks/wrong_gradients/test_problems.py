"""The problems of the bank: functions of their seed, of numbers that the precision holds."""

import numpy as np
import pytest

import reference as ref
from benchmarks.wrong_gradients.problems import class_weights, network


def arrays(problem):
    return [problem.x, problem.target, *(a for layer in problem.mlp.layers for a in (layer.weight, layer.bias))]


def test_the_seed_decides_every_number():
    for again, other in zip(arrays(network(7)), arrays(network(8)), strict=True):
        assert np.any(again != other)
    for one, same in zip(arrays(network(7)), arrays(network(7)), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_array_has_the_precision(dtype):
    assert {a.dtype.name for a in arrays(network(0, dtype))} == {dtype}


def test_sizes_rows_and_biases_are_those_that_are_asked_for():
    problem = network(0, widths=(5, 7, 3), activation="relu", last="tanh", examples=4, bias=False)
    assert [layer.weight.shape for layer in problem.mlp.layers] == [(7, 5), (3, 7)]
    assert [layer.activation.name for layer in problem.mlp.layers] == ["relu", "tanh"]
    assert [layer.bias for layer in problem.mlp.layers] == [None, None]
    assert (problem.x.shape, problem.target.shape) == ((4, 5), (4, 3))


@pytest.mark.parametrize("index", [0, 2])
def test_some_examples_are_ignored_and_some_are_not(index):
    """Without both, a mistake with ignored examples would be none."""
    target = network(0, loss=ref.losses.cross_entropy(ignore_index=index), examples=8).target
    assert 3 <= np.sum(target == index) < 8


def test_probabilities_are_probabilities():
    target = network(0, loss="bce_with_logits").target
    assert np.all((target > 0) & (target < 1))


def test_no_two_class_weights_are_alike():
    assert class_weights(4) == (0.25, 0.5, 0.75, 1.0)
