"""What value and gradient of a loss share is computed once, and only where both are the row's own."""

from functools import wraps

import numpy as np

import reference as ref
from reference.losses.common import sharing, together
from reference.losses.reduced import value_and_gradient
from reference.network.unchecked import changed


def counted():
    """A value and a gradient of the same parts, and how often these were computed."""
    calls = []

    def parts(y, t):
        calls.append(1)
        return (y - t,)

    value = sharing(parts)(lambda y, t, error: error * error)
    return value, sharing(parts)(lambda y, t, error: 2 * error), calls


def test_parts_are_computed_once():
    value, gradient, calls = counted()
    assert together(value, gradient, 3.0, 1.0) == (4.0, 4.0)
    assert len(calls) == 1


def test_formulas_of_other_parts_share_nothing():
    value, _, calls = counted()
    _, gradient, others = counted()
    assert together(value, gradient, 3.0, 1.0) == (4.0, 4.0)
    assert (len(calls), len(others)) == (1, 1)


def test_a_row_with_another_value_or_gradient_is_taken_at_its_word():
    row = ref.LOSSES["cross_entropy"]
    mlp = ref.initialize([3, 4], ["identity"], seed=0)
    problem = ref.Problem(mlp, np.ones((2, 3)), np.array([1, 2]), row, "sum")
    right = ref.gradients(problem)
    half = changed(row, gradient=lambda y, t: row.gradient(y, t) / 2)
    found = ref.gradients(problem.replace(loss=half))
    np.testing.assert_array_equal(found.layers[0].weight, right.layers[0].weight / 2)
    assert found.loss == right.loss
    wrapped = changed(row, gradient=wraps(row.gradient)(lambda y, t: row.gradient(y, t) / 2))
    np.testing.assert_array_equal(ref.gradients(problem.replace(loss=wrapped)).layers[0].weight, found.layers[0].weight)
    double = changed(row, value=lambda y, t: 2 * row.value(y, t))
    assert ref.gradients(problem.replace(loss=double)).loss == 2 * right.loss


def test_a_mean_of_more_elements_than_float16_counts():
    """70,000: as an integer of NumPy's it would be ∞ in float16, and the gradient 0."""
    y, target = np.full((700, 100), 3, np.float16), np.zeros((700, 100), np.float16)
    loss, d_y = value_and_gradient(ref.LOSSES["mse"], y, target, "mean")
    assert loss.dtype == d_y.dtype == np.float16
    assert loss == 9
    assert np.all(d_y == np.float16(6 / 70000))
