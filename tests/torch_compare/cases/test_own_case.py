"""A case of a network by its widths: every activation, every loss, and what is refused."""

import numpy as np
import pytest

import reference as ref
from torch_compare.cases.own_case import own_case
from torch_compare.verdict.checks import check


@pytest.mark.parametrize("loss", ref.LOSSES)
def test_every_loss_with_its_default_parameters(loss):
    case = own_case([3, 4, 2], "tanh", loss, batch=3, seed=5, reduction="sum")
    found = case.problem.loss.parameters
    assert all(np.array_equal(found[key], value) for key, value in ref.LOSSES[loss].parameters.items())
    assert case.problem.reduction == "sum"
    if case.problem.loss.ignore_index is not None:
        assert case.problem.target.shape == (3,)
        assert set(case.problem.target.tolist()) <= {0, 1}
    assert check(case.problem, ref.gradients(case.problem), certified=case.certified).agrees


@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
def test_every_activation(activation):
    case = own_case([3, 4, 2], activation, "mse", dtype="float32", batch=2)
    rows = [layer.activation for layer in case.problem.mlp.layers]
    assert [row.name for row in rows] == [activation, "identity"]
    assert rows[0].parameters == ref.ACTIVATIONS[activation].parameters
    assert case.problem.dtype == np.float32
    assert case.problem.x.shape == (2, 3)


def test_a_seed_is_a_problem():
    first, again, other = (own_case([2, 3, 2], "relu", "cross_entropy", seed=seed) for seed in (0, 0, 1))
    assert first.name == again.name != other.name
    np.testing.assert_array_equal(first.problem.x, again.problem.x)
    assert np.any(first.problem.x != other.problem.x)


@pytest.mark.parametrize(("changes", "message"), [
    ({"widths": [3]}, "widths: expected two numbers or more, each at least 1, got 3"),
    ({"widths": [3, 0, 1]}, "widths: expected two numbers or more"),
    ({"widths": [4096, 4096]}, "widths and batch: 134217728 multiply-adds in a forward pass, more than"),
    ({"batch": 0}, "batch: expected at least 1, got 0"),
    ({"dtype": "float16"}, "dtype: expected one of float64, float32"),
    ({"activation": "swoosh"}, "activation: no row is named 'swoosh'"),
    ({"loss": "mes"}, "loss: no row is named 'mes', is mse meant"),
    ({"reduction": "none"}, "reduction: expected one of mean, sum, got none"),
])  # fmt: skip
def test_what_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        own_case(**({"widths": [3, 2], "activation": "relu", "loss": "mse"} | changes))
