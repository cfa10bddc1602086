"""Problems through torch and torch's modules as problems; the published list of deviations, each shown to be real."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import reference as ref
from reference import activations as act
from reference import losses
from tests.helpers import DTYPES, assert_same, assert_same_gradients, exact_mlp, exact_names, gamma, integers
from torch_compare.torch_side import gradients as source
from torch_compare.torch_side import modules
from torch_compare.torch_side.deviations import DEVIATIONS, Deviation, deviation
from torch_compare.torch_side.gradients import torch_gradients, torch_loss
from torch_compare.torch_side.modules import given_cotangent, module_gradients, problem_from_module
from torch_compare.verdict.checks import check

Array = Any
WEIGHT = np.array([0.3, 1.7, 0.1, 2.0])
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


def named(row: Any) -> str:
    return f"{row.name}({', '.join(row.parameters)})"


def agrees(problem: ref.Problem, found: ref.Gradients) -> bool:
    """Within the rounding scale of the oracle, or of torch's own formula where that is on the published list."""
    row = deviation(problem)
    return check(row.as_torch(problem) if row is not None and row.as_torch else problem, found).agrees


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
    return ref.Problem(mlp, x, c, given_cotangent())


def loss_problem(loss: ref.Loss, dtype: Any, reduction: str = "mean", seed: int = 0) -> ref.Problem:
    """One layer whose output lies in every loss's domain, and a random target of the loss's kind."""
    rng = np.random.default_rng(seed)
    k = 3 if loss.name == "gaussian_nll" else 4
    targets = {
        "real": rng.normal(size=(5, k)),
        "probabilities": rng.choice([0.0, 0.25, 0.7, 1.0], size=(5, k)),
        "nonnegative": rng.choice([0.0, 0.5, 1.0, 3.0], size=(5, k)),
        "classes": np.array([0, 3, 1, 2, 3]),
        "indices": np.array([0, 3, 1, 2, 3]),
        "signs": rng.choice([-1.0, 1.0], size=(5, k)),
        "labels": np.array([rng.permutation(k) - 1 for _ in range(5)]),
    }
    t = targets[loss.target]
    bounded = loss.domain_text != "any real number"
    weight, bias = rng.normal(size=(k, 3)).astype(dtype), rng.normal(size=k).astype(dtype)
    layer = ref.Layer(weight, bias, "sigmoid" if bounded else "identity")
    x = rng.normal(size=(5, 3)).astype(dtype)
    return ref.Problem(ref.MLP((layer,)), x, t.astype(dtype) if t.dtype.kind == "f" else t, loss, reduction)


# ── problems through torch ───────────────────────────────────────────────────────────────────────────


def test_every_row_of_the_tables_has_a_torch_function():
    assert set(source.ACTIVATIONS) == set(ref.ACTIVATIONS)
    assert set(source.LOSSES) == set(ref.LOSSES) | {"given_cotangent"}


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
    assert not agrees(problem.replace(mlp=ref.MLP(tuple(layers))), torch_gradients(problem))


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
    assert not agrees(problem.replace(reduction=other), found)


@pytest.mark.parametrize("row", PARAMETRISED_LOSSES, ids=named)
def test_loss_parameters_reach_torch(row):
    problem = loss_problem(row, np.float64)
    found = torch_gradients(problem)
    assert not agrees(problem.replace(loss=ref.LOSSES[row.name]), found) or row.name == "poisson_nll"


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
        torch_gradients(problem.replace(mlp=mlp))
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


# ── modules as problems ──────────────────────────────────────────────────────────────────────────────

MODULES = (
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.RReLU(0.1, 0.5).eval(), nn.ELU(0.5), nn.CELU(2.0), nn.SELU(),
    nn.GELU(), nn.GELU("tanh"), nn.Sigmoid(), nn.LogSigmoid(), nn.Hardsigmoid(), nn.SiLU(), nn.Hardswish(), nn.Mish(),
    nn.Softplus(2.0, 5.0), nn.Softsign(), nn.Tanh(), nn.Tanhshrink(), nn.Hardtanh(-0.5, 2.0), nn.Hardshrink(0.25),
    nn.Softshrink(0.25), nn.Threshold(0.1, 3.0), nn.Softmax(-1), nn.LogSoftmax(1), nn.Softmin(dim=-1), nn.GLU(),
    nn.GLU(1), nn.ReLU(inplace=True),
)  # fmt: skip


def linear(seed: int, fan_in: int, fan_out: int, dtype: torch.dtype = torch.float64) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out, dtype=dtype)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=parameter.shape)))
    return layer


def batch(*shape: int, seed: int = 9) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_every_row_with_a_module_is_covered():
    rows = {problem_row(module).name for module in MODULES}
    assert rows == set(ref.ACTIVATIONS) - {"identity", "square"}


def problem_row(module: nn.Module) -> ref.Activation:
    problem = problem_from_module(
        nn.Sequential(linear(0, 3, 4), module), batch(2, 3), batch(2, 2), lambda y, t: y.sum()
    )
    return problem.mlp.layers[0].activation


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_activation_modules_become_rows(module):
    net = nn.Sequential(linear(0, 3, 6), module, linear(1, 3 if isinstance(module, nn.GLU) else 6, 2))
    x, t = batch(5, 3), batch(5, 2, seed=8)
    problem, found = problem_from_module(net, x, t, nn.MSELoss()), module_gradients(net, x, t, nn.MSELoss())
    assert all(getattr(module, name) == value for name, value in problem.mlp.layers[0].activation.parameters.items())
    assert [layer.activation.name for layer in problem.mlp.layers[1:]] == ["identity"]
    assert agrees(problem, found)
    other = dataclasses.replace(problem.mlp.layers[0], activation="square" if not isinstance(module, nn.GLU) else "glu")
    wrong = ref.MLP((dataclasses.replace(other, weight=2 * other.weight), problem.mlp.layers[1]))
    assert not agrees(problem.replace(mlp=wrong), found)


LOSS_MODULES = {
    nn.MSELoss(): losses.mse(),
    nn.MSELoss(reduction="sum"): losses.mse(),
    nn.L1Loss(): losses.l1(),
    nn.SmoothL1Loss(beta=0.3): losses.smooth_l1(0.3),
    nn.HuberLoss(delta=0.7): losses.huber(0.7),
    nn.CrossEntropyLoss(torch.from_numpy(WEIGHT), ignore_index=2, label_smoothing=0.1): losses.cross_entropy(
        WEIGHT, 2, 0.1
    ),
    nn.NLLLoss(torch.from_numpy(WEIGHT), ignore_index=1): losses.nll(WEIGHT, 1),
    nn.BCELoss(torch.from_numpy(WEIGHT)): losses.bce(WEIGHT),
    nn.BCEWithLogitsLoss(pos_weight=torch.from_numpy(WEIGHT)): losses.bce_with_logits(None, WEIGHT),
    nn.KLDivLoss(log_target=True, reduction="sum"): losses.kl_div(log_target=True),
    nn.PoissonNLLLoss(log_input=False, full=True, eps=0.25): losses.poisson_nll(False, True, 0.25),
    nn.SoftMarginLoss(): losses.soft_margin(),
    nn.MultiLabelSoftMarginLoss(torch.from_numpy(WEIGHT)): losses.multilabel_soft_margin(WEIGHT),
    nn.MultiLabelMarginLoss(): losses.multilabel_margin(),
    nn.MultiMarginLoss(p=2, margin=0.3, weight=torch.from_numpy(WEIGHT)): losses.multi_margin(2, 0.3, WEIGHT),
    nn.HingeEmbeddingLoss(margin=0.3): losses.hinge_embedding(0.3),
}
FUNCTIONS = (
    F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.cross_entropy, F.nll_loss, F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits, F.poisson_nll_loss, F.soft_margin_loss, F.multilabel_soft_margin_loss,
    F.multilabel_margin_loss, F.multi_margin_loss, F.hinge_embedding_loss,
)  # fmt: skip


def as_module(problem: ref.Problem) -> nn.Sequential:
    """The Sequential of a problem of identity and sigmoid layers."""
    parts: list[nn.Module] = []
    for layer in problem.mlp.layers:
        part = nn.Linear(layer.fan_in, layer.weight.shape[0], bias=layer.bias is not None, dtype=torch.float64)
        part.weight.data = torch.from_numpy(layer.weight.copy())
        if layer.bias is not None:
            part.bias.data = torch.from_numpy(layer.bias.copy())
        parts += [part, nn.Sigmoid() if layer.activation.name == "sigmoid" else nn.Identity()]
    return nn.Sequential(*parts)


@pytest.mark.parametrize("loss_fn", LOSS_MODULES, ids=repr)
def test_loss_modules_become_rows_and_the_problem_survives_the_round_trip(loss_fn):
    problem = loss_problem(LOSS_MODULES[loss_fn], np.float64, loss_fn.reduction)
    module, x, t = as_module(problem), torch.from_numpy(problem.x), torch.from_numpy(problem.target)
    again = problem_from_module(module, x, t, loss_fn)
    assert again.loss.name == problem.loss.name
    assert again.reduction == problem.reduction
    expected, found = ref.gradients(problem), ref.gradients(again)
    assert_same_gradients(found, expected)
    assert_same(found.loss, expected.loss)
    assert agrees(problem, module_gradients(module, x, t, loss_fn))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_loss_functions_have_their_defaults(function):
    name = modules._LOSS_FUNCTIONS[function]
    problem = loss_problem(ref.LOSSES[name], np.float64)
    module = as_module(problem)
    again = problem_from_module(module, problem.x, problem.target, function)
    assert_same_gradients(ref.gradients(again), ref.gradients(problem))
    assert agrees(problem, module_gradients(module, problem.x, problem.target, function))


def test_nested_and_transparent_modules():
    inner = nn.Sequential(nn.Flatten(), linear(0, 3, 4), nn.Sequential(nn.Dropout(0.5).eval(), nn.Tanh()))
    net = nn.Sequential(nn.Identity(), inner, nn.Dropout(0.0), linear(1, 4, 2))
    x, t = batch(5, 3), batch(5, 2)
    problem = problem_from_module(net, x, t, F.mse_loss)
    assert [layer.activation.name for layer in problem.mlp.layers] == ["tanh", "identity"]
    assert agrees(problem, module_gradients(net, x, t, F.mse_loss))


def test_a_bare_linear_in_float32():
    net, x, t = linear(0, 3, 2, torch.float32), batch(5, 3).float(), batch(5, 2).float()
    problem = problem_from_module(net, x, t, F.mse_loss)
    assert problem.dtype == np.float32
    assert agrees(problem, module_gradients(net, x, t, F.mse_loss))


def test_nothing_of_the_module_is_shared_or_changed():
    net, x, t = nn.Sequential(linear(0, 3, 4), nn.Tanh(), linear(1, 4, 2)), batch(5, 3), batch(5, 2)
    marker = torch.full_like(net[0].weight, 7.0)
    net[0].weight.grad = marker
    problem = problem_from_module(net, x, t, F.mse_loss)
    module_gradients(net, x, t, F.mse_loss)
    assert net[0].weight.grad is marker
    assert bool((marker == 7.0).all())
    assert net[2].weight.grad is None
    assert not x.requires_grad
    with torch.no_grad():
        net[0].weight.add_(1.0)
        x.add_(1.0)
    assert not np.any(problem.mlp.layers[0].weight == net[0].weight.detach().numpy())
    assert not np.any(problem.x == x.numpy())


def test_frozen_parameters_have_no_gradient():
    net = nn.Sequential(linear(0, 3, 4), nn.Tanh(), linear(1, 4, 2))
    net[0].weight.requires_grad_(False)
    net[2].bias.requires_grad_(False)
    x, t = batch(5, 3), batch(5, 2)
    found = module_gradients(net, x, t, F.mse_loss)
    assert found.layers[0].weight is None
    assert found.layers[1].bias is None
    assert set(found.leaves()) == {"layers[0].bias", "layers[1].weight", "input", "loss"}
    assert agrees(problem_from_module(net, x, t, F.mse_loss), found)


# ── a loss of the user's own ─────────────────────────────────────────────────────────────────────────


def cubic(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return (t * y**3).sum()


def test_an_own_loss_is_known_by_its_cotangent():
    net = nn.Sequential(nn.Linear(2, 2, dtype=torch.float64))
    net[0].weight.data = torch.tensor([[1.0, -2.0], [3.0, 1.0]]).double()
    net[0].bias.data = torch.tensor([1.0, -1.0]).double()
    x, t = torch.tensor([[2.0, 1.0], [1.0, -1.0]]).double(), torch.tensor([[1.0, -1.0], [2.0, 3.0]]).double()
    problem, found = problem_from_module(net, x, t, cubic), module_gradients(net, x, t, cubic)
    y = np.array([[1.0, 6.0], [4.0, 1.0]])
    assert (problem.loss.name, problem.reduction) == ("given_cotangent", "sum")
    assert_same(problem.target, 3 * t.numpy() * y**2)
    assert found.loss is None
    assert_same_gradients(found, ref.gradients(problem))


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda y, t: (t * y.abs() ** 3).mean(),
        lambda y, t: F.kl_div(F.log_softmax(y, 1), t.softmax(1), reduction="batchmean"),
        type("Own", (nn.MSELoss,), {"forward": lambda self, y, t: ((y - t) ** 4).sum()})(),
    ],
)
def test_an_own_loss_checks_the_network(loss_fn):
    net, x, t = nn.Sequential(linear(0, 3, 4), nn.GELU(), linear(1, 4, 2)), batch(5, 3), batch(5, 2)
    problem, found = problem_from_module(net, x, t, loss_fn), module_gradients(net, x, t, loss_fn)
    assert agrees(problem, found)
    assert not agrees(problem.replace(target=problem.target[::-1]), found)


@pytest.mark.parametrize(
    ("loss_fn", "error", "message"),
    [
        (lambda y, t: (y - t) ** 2, ValueError, r"expected a scalar tensor, got shape \(5, 2\)"),
        (lambda y, t: 1.0, ValueError, "expected a scalar tensor, got float"),
        (lambda y, t: t.sum(), ValueError, "does not depend on the output"),
        ("mse", TypeError, "expected a torch.nn loss.*got 'mse'"),
        (nn.MSELoss(reduction="none"), ValueError, r"loss_fn \(MSELoss\): reduction must be .* got 'none'"),
        (nn.KLDivLoss(reduction="batchmean"), ValueError, r"loss_fn \(KLDivLoss\): .* got 'batchmean'"),
        (nn.GaussianNLLLoss(), ValueError, r"loss_fn \(GaussianNLLLoss\): takes a variance"),
        (F.gaussian_nll_loss, ValueError, r"loss_fn \(gaussian_nll_loss\): takes a variance"),
    ],
)
def test_losses_that_are_no_problems_are_named(loss_fn, error, message):
    with pytest.raises(error, match=message):
        problem_from_module(linear(0, 3, 2), batch(5, 3), batch(5, 2), loss_fn)


def test_a_loss_that_uses_the_parameters_is_refused():
    net = linear(0, 3, 2)
    with pytest.raises(ValueError, match="it uses the module's parameters"):
        problem_from_module(net, batch(5, 3), batch(5, 2), lambda y, t: (y - t).sum() + (net.weight**2).sum())


# ── modules that are refused ─────────────────────────────────────────────────────────────────────────


class Residual(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


def hooked() -> nn.Module:
    module = linear(0, 3, 3)
    module.register_forward_hook(lambda module, inputs, output: 2 * output)
    return module


def shared() -> nn.Module:
    first, second = linear(0, 3, 3), linear(1, 3, 3)
    second.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), second)


TWICE = linear(0, 3, 3)
REFUSED: tuple[tuple[nn.Module | str, type[Exception], str], ...] = (
    (
        nn.Sequential(linear(0, 3, 3), nn.BatchNorm1d(3)),
        TypeError,
        r"module\[1\] \(BatchNorm1d\): not a layer that the oracle",
    ),
    (nn.Sequential(nn.Sequential(linear(0, 3, 3), nn.PReLU())), TypeError, r"module\[0\]\[1\] \(PReLU\)"),
    (nn.Sequential(Residual(3, 3)), TypeError, r"module\[0\] \(Residual\)"),
    (hooked(), TypeError, r"module \(Linear\): has hooks"),
    (nn.utils.parametrizations.weight_norm(linear(0, 3, 3)), TypeError, "has hooks or parametrizations"),
    (shared(), ValueError, r"module\[2\] \(Linear\): shares its weights with module\[0\]"),
    (nn.Sequential(TWICE, TWICE), ValueError, r"module\[1\] \(Linear\): shares its weights with module\[0\]"),
    (
        nn.Sequential(nn.ReLU(), linear(0, 3, 3)),
        ValueError,
        r"module\[0\] \(ReLU\): an activation before the first Linear",
    ),
    (
        nn.Sequential(linear(0, 3, 3), nn.Tanh(), nn.ReLU()),
        ValueError,
        r"module\[2\] \(ReLU\): .* after another \(tanh\)",
    ),
    (nn.Sequential(linear(0, 3, 3), nn.Dropout(0.5)), ValueError, r"module\[1\] \(Dropout\): random in training mode"),
    (nn.Sequential(linear(0, 3, 3), nn.RReLU()), ValueError, r"module\[1\] \(RReLU\): random in training mode"),
    (nn.Sequential(linear(0, 3, 3), nn.Softmax(0)), TypeError, r"module\[1\] \(Softmax\): acts along dim=0"),
    (nn.Sequential(nn.Flatten(0), linear(0, 3, 3)), TypeError, r"module\[0\] \(Flatten\): changes the shape"),
    (nn.Sequential(nn.Identity()), ValueError, "holds no Linear"),
    (linear(0, 3, 3).bfloat16(), TypeError, r"module\.weight: NumPy has no torch\.bfloat16"),
    (linear(0, 3, 3).float(), TypeError, "x: expected float32 like the network, got float64"),
    ("Linear", TypeError, r"expected a torch\.nn\.Module, got str"),
)


@pytest.mark.parametrize(("module", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_modules_that_the_oracle_cannot_take_are_named(module, error, message):
    with pytest.raises(error, match=message):
        problem_from_module(module, batch(5, 3), batch(5, 3), nn.MSELoss())


def test_the_default_dimension_of_softmax_is_that_of_rows():
    assert problem_from_module(nn.Sequential(linear(0, 3, 3), nn.Softmax()), batch(2, 3), batch(2, 3), F.mse_loss)


# ── deviations ───────────────────────────────────────────────────────────────────────────────────────


def single(row: ref.Activation | str, z: Array, dtype: Any, behind: float | None = None) -> ref.Problem:
    """One example whose pre-activation is z, and a random cotangent or, with a layer ×behind, ½y²."""
    z = np.atleast_2d(np.asarray(z, dtype))
    layers = [ref.Layer(np.eye(z.shape[1], dtype=dtype), None, row)]
    if behind is not None:
        layers.append(ref.Layer(np.array([[behind]], dtype), None, "identity"))
        return ref.Problem(ref.MLP(tuple(layers)), z, np.zeros((1, 1), dtype), "half_squared_error")
    c = np.random.default_rng(3).uniform(1, 2, size=(1, layers[0].width)).astype(dtype)
    return ref.Problem(ref.MLP(tuple(layers)), z, c, given_cotangent())


def output(loss: ref.Loss | str, y: float, t: float, dtype: Any) -> ref.Problem:
    mlp = ref.MLP((ref.Layer(np.ones((1, 1), dtype), None, "identity"),))
    return ref.Problem(mlp, np.array([[y]], dtype), np.array([[t]], dtype), loss)


def last(inside: Callable[[Array], bool], bad: float, good: float, dtype: Any) -> float:
    """The number next to the region, found by bisection between one inside it and one outside."""
    low, high = dtype(bad), dtype(good)
    with np.errstate(all="ignore"):
        assert inside(low)
        assert not inside(high)
        while True:
            middle = dtype(low + (high - low) / 2)
            if middle in (low, high):
                return float(high)
            low, high = (middle, high) if inside(middle) else (low, middle)


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem in the region of a deviation and one just outside it; how its loss may be differenced.

    third: a bound of |∂³L/∂x³| on [x − step, x + step], for the central difference's error step²/6·third.
    forward: torch's own forward pass, or the reference's where torch's is not the function (it overflows).
    """

    name: str
    inside: ref.Problem
    outside: ref.Problem
    step: float
    third: float = 0.0
    forward: Callable[[ref.Problem], Array] = torch_loss


def cases(dtype: Any) -> list[Case]:
    info = np.finfo(dtype)
    double = dtype is np.float64
    overflow = last(lambda z: np.isinf(np.exp(z)), 800.0, 80.0, dtype)
    beyond = float(np.nextafter(dtype(overflow), dtype(np.inf)))
    root = last(lambda z: np.isinf(z * z), float(info.max), 1.0, dtype)
    sixth = last(lambda z: np.isinf(z * 6), float(info.max), 1.0, dtype)
    epsilon = last(lambda y: (1 - y) * y < np.float32(1e-12), 1e-13, 1e-11, dtype)
    soft = act.softplus(threshold=1e4)
    cotangent = single(soft, 0.0, dtype).target
    times_c = last(lambda z: np.isinf(cotangent * np.exp(z)), 800.0, 80.0, dtype)
    huge, small = float(info.max) / 2, 2.0 / float(info.max)
    found = [
        Case("soft_margin_overflow", output("soft_margin", -900.0, 1.0, dtype),
             output("soft_margin", -overflow, 1.0, dtype), 1.0, forward=ref.loss_value),
        Case("soft_margin_overflow", output("soft_margin", beyond, -1.0, dtype),
             output("soft_margin", overflow, -1.0, dtype), 1.0, forward=ref.loss_value),
        Case("softplus_overflow", single(soft, 900.0, dtype), single(soft, times_c, dtype), 1.0,
             forward=ref.loss_value),
        Case("softplus_overflow", single(soft, overflow, dtype), single(act.softplus(), overflow, dtype), 1.0,
             forward=ref.loss_value),
        Case("gelu_tanh_overflow", single("gelu_tanh", 4 * root, dtype), single("gelu_tanh", root, dtype), root),
        Case("gelu_tanh_overflow", single("gelu_tanh", -4 * root, dtype), single("gelu_tanh", -root, dtype), root),
        Case("hardswish_overflow", single("hardswish", huge, dtype, small), single("hardswish", sixth, dtype, small),
             huge / 4, forward=ref.loss_value),
        Case("bce_epsilon", output("bce", 1e-13, 0.5, dtype), output("bce", epsilon, 0.5, dtype),
             1e-13 / 1024, 1.01e39),
    ]  # fmt: skip
    if double:
        tiny = float(np.nextafter(0.0, 1.0))
        found += [
            Case("hardsigmoid_float32_sixth", single("hardsigmoid", 1.0, dtype), single("hardsigmoid", 3.0, dtype),
                 1.0),
            Case("celu_float32_alpha", single(act.celu(0.3), -0.03, dtype), single(act.celu(0.3), tiny, dtype),
                 2.0**-18, 2.0 / 0.3**2),
            Case("celu_float32_alpha", single(act.celu(0.3), -0.03, dtype), single(act.celu(0.5), -0.03, dtype),
                 2.0**-18, 2.0 / 0.3**2),
        ]  # fmt: skip
    return found


CASES = [pytest.param(case, dtype, id=f"{case.name}-{dtype.__name__}") for dtype in DTYPES for case in cases(dtype)]


def row_of(case: Case) -> Deviation:
    return next(row for row in DEVIATIONS if row.name == case.name)


def test_every_deviation_has_a_case():
    assert {case.name for case in cases(np.float64)} == {row.name for row in DEVIATIONS}
    assert len({row.name for row in DEVIATIONS}) == len(DEVIATIONS)


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_the_reference_has_the_derivative_and_torch_has_not(case, dtype):
    """A central difference of the forward pass, within its own error bar: truncation and 16 roundings a value."""
    problem, h = case.inside, case.step
    shift = np.zeros_like(problem.x)
    shift[0, 0] = h
    values = [float(case.forward(problem.replace(x=problem.x + side * shift))) for side in (1, -1)]
    info = np.finfo(dtype)
    width = float((problem.x + shift)[0, 0]) - float((problem.x - shift)[0, 0])
    found = (values[0] - values[1]) / width
    rounding = 2 * (gamma(16, dtype) * max(map(abs, values)) + 16 * float(info.smallest_subnormal)) / width
    bar = case.third * h * h / 6 + rounding
    with np.errstate(all="ignore"):
        mine, torchs = (float(g.input[0, 0]) for g in (ref.gradients(problem), torch_gradients(problem)))
    own = gamma(16, dtype) * abs(mine) + 16 * float(info.smallest_subnormal)
    assert abs(mine - found) <= bar + own
    assert not abs(torchs - found) <= bar + own


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_a_deviation_applies_inside_its_region_only(case, dtype):
    row = deviation(case.inside)
    assert row is not None
    assert row.name == case.name
    assert not check(case.inside, torch_gradients(case.inside)).agrees
    assert deviation(case.outside) is None
    assert check(case.outside, torch_gradients(case.outside)).agrees


@pytest.mark.parametrize(("case", "dtype"), [p for p in CASES if row_of(p.values[0]).as_torch is not None])
def test_torchs_own_formula_is_what_torch_computes(case, dtype):
    """So a deviation excuses this error and no other: one more in 2²⁰ is caught, in float32 2¹² ulps."""
    as_torch = row_of(case).as_torch
    assert as_torch is not None
    found = torch_gradients(case.inside)
    assert check(as_torch(case.inside), {"input": found.input}).agrees
    assert not check(as_torch(case.inside), {"input": found.input * dtype(1 + 2.0**-12)}).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sigmoid", "silu", "mish", "glu"])
def test_underflow_is_rounding_and_no_deviation(name, dtype):
    """Torch has 0 for σ(z) where e^−z overflows, though the type has smaller numbers."""
    z = -1 - np.log(np.finfo(dtype).max)
    problem = single(name, [1e9, z] if name == "glu" else z, dtype)
    assert not np.array_equal(torch_gradients(problem).input, ref.gradients(problem).input)
    assert deviation(problem) is None
    assert check(problem, torch_gradients(problem)).scale == "textbook"
    assert check(problem, torch_gradients(problem)).agrees


def test_bce_at_the_very_ends():
    """At y = t = 0 the loss is −log(1 − y): slope 1, torch 0; at y = 0, t = 1 it is the constant 100, torch −1e12."""
    for y, t, slope, torchs in (
        (0.0, 0.0, 1.0, 0.0),
        (0.0, 1.0, 0.0, -1e12),
        (1.0, 1.0, -1.0, 0.0),
        (1.0, 0.0, 0.0, 1e12),
    ):
        problem = output("bce", y, t, np.float64)
        assert ref.gradients(problem).input == slope
        assert torch_gradients(problem).input == pytest.approx(torchs, rel=2.0**-24)
        row = deviation(problem)
        assert row is not None
        assert row.name == "bce_epsilon"


def test_a_deviation_inside_a_network_is_found():
    rng = np.random.default_rng(0)
    mlp = ref.initialize([3, 4, 4, 2], ["tanh", act.softplus(threshold=1e4), "identity"], seed=0)
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    assert deviation(problem) is None
    first, second, third = mlp.layers
    steep = ref.MLP((first, dataclasses.replace(second, weight=second.weight * 1e5), third))
    found = deviation(problem.replace(mlp=steep))
    assert found is not None
    assert found.name == "softplus_overflow"
    assert np.isnan(torch_gradients(problem.replace(mlp=steep)).input).any()
