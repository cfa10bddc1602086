"""Mistakes at the loss."""

import numpy as np
import pytest

import reference as ref
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.mistakes.loss import loss_mistakes
from torch_compare.mistakes.mistake import leaves_with

OF_A_LOSS = {
    "mse": {"target not subtracted", "another loss"},
    "half_squared_error": {"target not subtracted", "another loss"},
    "cross_entropy": {"softmax applied twice", "target not subtracted", "softmax Jacobian diagonal", "softmax missing",
                      "softmax derivative applied again"},
    "l1": {"another loss"},
}  # fmt: skip


@pytest.mark.parametrize("loss", OF_A_LOSS)
def test_each_mistake_at_the_loss_spoils_every_gradient_or_the_loss(loss):
    problem = network([4, 5, 3], ["tanh", "identity"], loss=loss)
    right, found = leaves_of(problem), list(loss_mistakes(problem))
    assert {m.name for m in found} >= OF_A_LOSS[loss]
    for mistake in found:
        assert mistake.where == "loss"
        made = leaves_with((mistake,), problem)
        assert any(not np.array_equal(made[place], right[place]) for place in right), mistake.key


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("loss", "factor"), [("mse", 2), ("half_squared_error", 1)])
def test_a_target_that_is_not_subtracted_leaves_the_output(loss, factor, reduction):
    problem = network([4, 3], ["identity"], loss=loss).replace(reduction=reduction)
    mistake = next(m for m in loss_mistakes(problem) if m.name == "target not subtracted")
    y = ref.forward(problem.mlp, problem.x).output
    divisor = 1 if reduction == "sum" else y.size if loss == "mse" else len(y)
    made = leaves_with((mistake,), problem)["layers[0].weight"]
    np.testing.assert_array_equal(made, (factor * y / divisor).T @ problem.x)


def test_ignored_examples_are_mistaken_only_where_there_are_any():
    problem = network([4, 3], ["identity"], loss="cross_entropy")
    name = "ignored examples not zeroed"
    assert name not in {m.name for m in loss_mistakes(problem)}
    target = np.where(np.arange(9) < 7, problem.target, -100)
    ignoring = ref.Problem(problem.mlp, problem.x, target, "cross_entropy")
    mistake = next(m for m in loss_mistakes(ignoring) if m.name == name)
    made, right = leaves_with((mistake,), ignoring)["input"], ref.gradients(ignoring).input
    np.testing.assert_array_equal(made[:7], right[:7])
    assert np.all(np.any(made[7:] != 0, axis=1))
    assert not np.any(right[7:])
