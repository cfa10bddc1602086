"""Mistakes that are peculiar to a loss."""

import numpy as np
import pytest

import reference as ref
from reference import losses
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.own_loss import OWN, own_mistakes

WEIGHTS = np.array([0.5, 1.0, 2.0])
ROWS = (
    losses.bce_with_logits(pos_weight=WEIGHTS), losses.bce_with_logits(pos_weight=WEIGHTS, weight=WEIGHTS[::-1]),
    losses.gaussian_nll(var=0.5), losses.gaussian_nll(var=np.array([0.5, 1e-3, 2.0]), eps=1e-2),
    losses.huber(delta=0.5), losses.smooth_l1(beta=0.5), losses.bce(), losses.cross_entropy(weight=WEIGHTS),
    losses.nll(weight=WEIGHTS),
)  # fmt: skip


def problem_of(row):
    last = {"bce": "sigmoid", "nll": "log_softmax"}.get(row.name, "identity")
    problem = network([4, 5, 3], ["tanh", last], loss="cross_entropy" if row.ignore_index is not None else "mse")
    target = (problem.target > 0).astype(float) if row.target == "probabilities" else problem.target
    return ref.Problem(problem.mlp, problem.x, target, row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_spoils_every_gradient(row):
    problem = problem_of(row)
    right, found = leaves_of(problem), list(own_mistakes(row))
    assert found
    for mistake in found:
        made = leaves_with((mistake,), problem)
        assert mistake.where == "loss"
        assert not any(np.array_equal(made[place], right[place]) for place in right if place != "loss"), mistake.what


def output_gradient(row, y, t, name):
    other = next(m for m in own_mistakes(row) if m.name == name).problem(problem_of(row)).loss
    return other.gradient(y, t)


def test_the_formulas():
    y, t = np.array([[0.3, -1.2, 2.0]]), np.array([[0.0, 1.0, 0.25]])
    sigmoid = 1 / (1 + np.exp(-y))
    made = output_gradient(ROWS[0], y, t, "pos_weight on the negatives")
    np.testing.assert_allclose(made, (1 - t) * WEIGHTS * sigmoid - t * (1 - sigmoid))
    np.testing.assert_allclose(output_gradient(ROWS[2], y, t, "eps added"), (y - t) / (0.5 + 1e-6))
    np.testing.assert_allclose(output_gradient(ROWS[2], y, t, "deviation for variance"), (y - t) / 0.25)
    np.testing.assert_allclose(output_gradient(ROWS[4], y, t, "factor in the derivative missing")[0, 1:], [-1, 1])
    inside = np.array([[0.3, 0.9, 0.5]])
    np.testing.assert_allclose(output_gradient(ROWS[6], inside, t, "gradient of the logits"), inside - t)


def test_a_class_weight_twice_leaves_the_divisor():
    problem = problem_of(ROWS[7])
    twice = next(m for m in own_mistakes(ROWS[7]) if m.name == "class weight applied twice").problem(problem)
    y = ref.forward(problem.mlp, problem.x).output
    assert twice.loss.divisor(y, problem.target) == problem.loss.divisor(y, problem.target)
    once = problem.loss.gradient(y, problem.target)
    np.testing.assert_allclose(twice.loss.gradient(y, problem.target), once * WEIGHTS[problem.target][:, None])


def test_where_a_parameter_does_nothing_there_is_no_mistake():
    for row in (losses.huber(), losses.smooth_l1(), losses.bce_with_logits(), losses.cross_entropy()):
        assert list(own_mistakes(row)) == []
    assert {m.name for m in own_mistakes(losses.gaussian_nll())} == {"eps added"}
    assert set(OWN) <= set(ref.LOSSES)
