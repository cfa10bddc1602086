"""Problems through torch: every row of the tables, with its parameters, in its type."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import reference as ref
from reference import activations as act
from reference import losses
from tests.helpers import DTYPES, assert_same, assert_same_gradients, exact_mlp, exact_names, integers
from tests.torch_compare.torch_side.helpers import WEIGHT, agrees, loss_problem, named
from torch_compare.torch_side import functions as source
from torch_compare.torch_side.gradients import torch_gradients, torch_loss

PARAMETRISED = (
    act.leaky_relu(-0.3), act.rrelu(-0.5, 0.75), act.elu(0.3), act.elu(-1.5), act.celu(2.0), act.celu(0.3),
    act.softplus(2.0), act.softplus(1.0, 0.5), act.hardtanh(-0.1, 3.0), act.hardshrink(0.1), act.softshrink(0.1),
    act.threshold(-0.4, 5.0),
)  # fmt: skip

PARAMETRISED_LOSSES = (
    losses.smooth_l1(0.3), losses.smooth_l1(0.0), losses.huber(0.7), losses.cross_entropy(WEIGHT),
    losses.cross_entropy(ignore_index=2), losses.cross_entropy(WEIGHT, 2, 0.3), losses.nll(WEIGHT, 1),
    losses.bce(WEIGHT), losses.bce_with_logits(WEIGHT, 3 * WEIGHT), losses.kl_div(log_target=True),
    losses.poisson_nll(log_input=False), losses.poisson_nll(full=True), losses.gaussian_nll(0.3, full=True),
    losses.gaussian_nll(WEIGHT[:3]),
    losses.multilabel_soft_margin(WEIGHT), losses.multi_margin(2, 0.3, WEIGHT), losses.hinge_embedding(0.3),
)  # fmt: skip


def random_problem(row: ref.Activation, dtype: Any, seed: int = 0) -> ref.Problem:
    """Two layers with the activation, pre-activations on all sides of its kinks, a random cotangent."""
    rng = np.random.default_rng(seed)
    mlp = ref.MLP(
        (
            ref.Layer(rng.normal(size=(6, 3)).astype(dtype), rng.normal(size=6).astype(dtype), row),
            ref.Layer(rng.normal(size=(4, 6 // row.shrink)).astype(dtype), None, row),
        )
    )
    x, c = rng.normal(size=(5, 3)).astype(dtype), rng.normal(size=(5, 4 // row.shrink)).astype(dtype)
    return ref.Problem(mlp, x, c, "inner_product")


def test_every_row_of_the_tables_has_a_torch_function():
    assert set(source.ACTIVATIONS) == set(ref.ACTIVATIONS)
    assert set(source.LOSSES) == set(ref.LOSSES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", [*ref.ACTIVATIONS.values(), *PARAMETRISED], ids=named)
def test_activations_agree_and_keep_their_type(row, dtype):
    problem = random_problem(row, dtype)
    found = torch_gradients(problem)
    for place, leaf in ref.gradients(problem).leaves().items():
        assert found.leaves()[place].dtype == dtype
        assert found.leaves()[place].shape == leaf.shape
    assert found.loss.dtype == dtype
    assert agrees(problem, found)


@pytest.mark.parametrize("row", PARAMETRISED, ids=named)
def test_activation_parameters_reach_torch(row):
    """Torch with the row's parameters does not agree with the row's defaults."""
    problem = random_problem(row, np.float64)
    layers = (dataclasses.replace(layer, activation=ref.ACTIVATIONS[row.name]) for layer in problem.mlp.layers)
    assert not agrees(problem.replace(network=ref.MLP(tuple(layers))), torch_gradients(problem))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("row", [*ref.LOSSES.values(), *PARAMETRISED_LOSSES], ids=named)
def test_losses_agree_and_keep_their_type(row, reduction, dtype):
    problem = loss_problem(row, dtype, reduction)
    found = torch_gradients(problem)
    assert found.input.dtype == found.loss.dtype == dtype
    assert agrees(problem, found)
    assert_same(torch_loss(problem), found.loss)
    other = "sum" if reduction == "mean" else "mean"
    whole = row.name == "inner_product"  # of which nothing is divided: an upstream gradient is one already
    assert agrees(problem.replace(reduction=other), found) == whole


@pytest.mark.parametrize("row", PARAMETRISED_LOSSES, ids=named)
def test_loss_parameters_reach_torch(row):
    problem = loss_problem(row, np.float64)
    found = torch_gradients(problem)
    assert not agrees(problem.replace(loss=ref.LOSSES[row.name]), found)


def test_cross_entropy_takes_probabilities_beside_any_ignore_index():
    problem = loss_problem(losses.cross_entropy(WEIGHT, ignore_index=1, label_smoothing=0.2), np.float64)
    probabilities = np.random.default_rng(1).dirichlet(np.ones(4), size=5)
    problem = dataclasses.replace(problem, target=probabilities)
    assert agrees(problem, torch_gradients(problem))


@pytest.mark.parametrize("row", ref.LOSSES.values(), ids=named)
def test_unreduced_loss_has_the_shape_of_the_reference(row):
    problem = loss_problem(row, np.float32, "none")
    assert torch_loss(problem).shape == ref.loss_value(problem).shape
    assert torch_loss(problem).dtype == np.float32
    with pytest.raises(ValueError, match="no single gradient"):
        torch_gradients(problem)


@pytest.mark.parametrize("seed", range(10))
def test_integers_give_the_very_same_numbers(seed):
    """No operation on these rounds, so torch and the reference must agree in every bit."""
    rng = np.random.default_rng(seed)
    mlp = exact_mlp(rng, [3, 4, 5, 2], exact_names(rng, 3), bias=bool(seed % 2))
    problem = ref.Problem(mlp, integers(rng, 4, 3), integers(rng, 4, 2), "half_squared_error", "sum")
    expected, found = ref.gradients(problem), torch_gradients(problem)
    assert_same_gradients(found, expected)
    assert_same(found.loss, expected.loss)


def test_strange_memory_is_copied():
    """Read-only, reversed and transposed arrays; the problem's own stay as they are."""
    rng = np.random.default_rng(0)
    mlp = ref.MLP((ref.Layer(integers(rng, 3, 2).T[:, ::-1], None, "relu"),))
    problem = ref.Problem(mlp, integers(rng, 4, 3), integers(rng, 4, 2), "mse", "sum")
    problem.x.setflags(write=False)
    assert_same_gradients(torch_gradients(problem), ref.gradients(problem))


def test_half_precision_runs():
    rng = np.random.default_rng(0)
    mlp = ref.MLP((ref.Layer(integers(rng, 2, 3).astype(np.float16), None, "relu"),))
    x, t = integers(rng, 4, 3).astype(np.float16), integers(rng, 4, 2).astype(np.float16)
    problem = ref.Problem(mlp, x, t, "half_squared_error", "sum")
    assert_same_gradients(torch_gradients(problem), ref.gradients(problem))


def test_a_row_of_the_users_own_is_named():
    row = act.get("tanh")
    own = dataclasses.replace(row, name="my_tanh")
    problem = random_problem(row, np.float64)
    first, second = problem.mlp.layers
    mlp = ref.MLP((first, dataclasses.replace(second, activation=own)))
    with pytest.raises(ValueError, match=r"layers\[1\].activation: torch has no counterpart of the row 'my_tanh'"):
        torch_gradients(problem.replace(network=mlp))
    with pytest.raises(ValueError, match="loss: torch has no counterpart of the row 'my_loss'"):
        torch_loss(problem.replace(loss=dataclasses.replace(problem.loss, name="my_loss")))


def test_a_number_type_that_torch_lacks_is_named():
    mlp = ref.MLP((ref.Layer(np.ones((1, 1), np.longdouble), None, "relu"),))
    problem = ref.Problem(mlp, np.ones((1, 1), np.longdouble), np.ones((1, 1), np.longdouble), "mse")
    with pytest.raises(TypeError, match=f"got {np.dtype(np.longdouble)}"):
        torch_gradients(problem)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_modes_neither_matter_nor_change(mode):
    problem = random_problem(act.get("tanh"), np.float64)
    before = torch.get_default_dtype(), torch.get_num_threads()
    expected = torch_gradients(problem)
    with mode():
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert_same_gradients(torch_gradients(problem), expected)
        torch_loss(problem)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == modes
    assert (torch.get_default_dtype(), torch.get_num_threads()) == before
