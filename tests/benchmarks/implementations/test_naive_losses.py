"""The naive losses: right in every variant, and each mistake is another gradient."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.implementations.naive import naive_gradients
from benchmarks.implementations.naive_losses import loss_and_gradient, softmax
from benchmarks.wrong_gradients.problems import class_weights, network

LOSSES = {
    "mse": "mse",
    "half squared error": "half_squared_error",
    "cross-entropy": "cross_entropy",
    "cross-entropy, weights": ref.losses.cross_entropy(weight=class_weights()),
    "cross-entropy, smoothed": ref.losses.cross_entropy(label_smoothing=0.2),
    "cross-entropy, ignoring": ref.losses.cross_entropy(ignore_index=2),
    "cross-entropy, all of it": ref.losses.cross_entropy(class_weights(), label_smoothing=0.1, ignore_index=1),
    "bce with logits": "bce_with_logits",
    "bce with logits, weights": ref.losses.bce_with_logits(weight=class_weights(), pos_weight=class_weights()),
}


def none(name):
    return False


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_without_a_mistake_loss_and_gradients_are_right(name, reduction):
    problem = network(4, loss=LOSSES[name], reduction=reduction)
    leaves = naive_gradients(problem)
    assert "loss" in leaves
    verdict = tc.check(problem, leaves)
    assert verdict.agrees, str(verdict)


@pytest.mark.parametrize(
    ("name", "mistake", "factor"),
    [
        ("mse", "sum over examples and elements", 6 * 8),
        ("mse", "sum over examples", 6),
        ("mse", "sum over elements", 8),
        ("mse", "mean over examples", 1 / 6),
        ("half squared error", "mean over elements", 1 / 8),
        ("half squared error", "mean over examples and elements", 1 / 48),
    ],
)
def test_a_wrong_divisor_is_a_factor_of_the_gradient_and_leaves_the_loss(name, mistake, factor):
    problem = network(0, loss=LOSSES[name])
    y = ref.forward(problem.mlp, problem.x).output
    loss, right = loss_and_gradient(problem, problem.target, y, none)
    same, wrong = loss_and_gradient(problem, problem.target, y, lambda given: given == mistake)
    assert same == loss
    # Two quotients by other divisors, each rounded once.
    np.testing.assert_allclose(wrong, factor * right, rtol=2 * np.finfo(float).eps)


def test_softmax_is_that_of_the_definition_also_far_out():
    y = np.array([[0.0, np.log(3.0)], [1000.0, -1000.0]])
    np.testing.assert_allclose(softmax(y), [[0.25, 0.75], [1.0, 0.0]], rtol=2 * np.finfo(float).eps)
