"""torch's modules and losses as problems, and those that are refused by name."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import reference as ref
import torch_compare as tc
from reference import losses
from tests.helpers import assert_same, assert_same_gradients
from tests.torch_compare.torch_side.helpers import WEIGHT, agrees, loss_problem
from torch_compare.torch_side import modules
from torch_compare.torch_side.modules import module_gradients, problem_from_module

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
    assert not agrees(problem.replace(network=wrong), found)


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
    module, x, t = as_module(problem), torch.tensor(problem.x), torch.tensor(problem.target)
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
    assert (problem.loss.name, problem.reduction) == ("inner_product", "mean")
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
    (linear(0, 3, 3).to(torch.float8_e5m2), TypeError, r"module\.weight: NumPy has no torch\.float8_e5m2"),
    (linear(0, 3, 3).float(), TypeError, "x: expected float32 like the network, got float64"),
    ("Linear", TypeError, r"expected a torch\.nn\.Module, got str"),
)


@pytest.mark.parametrize(("module", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_modules_that_the_oracle_cannot_take_are_named(module, error, message):
    with pytest.raises(error, match=message):
        problem_from_module(module, batch(5, 3), batch(5, 3), nn.MSELoss())


def test_the_default_dimension_of_softmax_is_that_of_rows():
    assert problem_from_module(nn.Sequential(linear(0, 3, 3), nn.Softmax()), batch(2, 3), batch(2, 3), F.mse_loss)


def bfloat16_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).bfloat16()


@pytest.mark.parametrize(("loss_fn", "target"), [
    (nn.CrossEntropyLoss(), torch.tensor([0, 1, 1, 0, 1])),
    (lambda y, t: ((y - t) ** 2).sum(), torch.zeros(5, 2, dtype=torch.bfloat16)),
], ids=["cross_entropy", "own"])  # fmt: skip
def test_a_bfloat16_module_is_judged_as_one(loss_fn, target):
    module, x = bfloat16_net(), torch.randn(5, 3).bfloat16()
    verdict = tc.check_module(module, x, target, loss_fn)
    assert verdict.agrees
    assert verdict.dtype.startswith("bfloat16")
    assert not tc.check_module(module, x, target, loss_fn, "float32", diagnose=False).agrees
    problem = problem_from_module(module, x, target, loss_fn)
    assert problem.dtype == np.float32
    np.testing.assert_array_equal(problem.x, x.double().numpy())
    np.testing.assert_array_equal(problem.mlp.layers[0].weight, module[0].weight.detach().double().numpy())


def test_arrays_of_bfloat16_reach_a_bfloat16_module():
    bfloat16 = pytest.importorskip("ml_dtypes", reason="an optional extra").bfloat16
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(bfloat16)
    assert tc.check_module(bfloat16_net(), x, torch.tensor([0, 1, 1, 0, 1]), nn.CrossEntropyLoss()).agrees


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_batch_of_another_type_than_the_module_is_named(kind):
    with pytest.raises(TypeError, match=r"x: expected (bfloat16|float32) like the (module|network), got float"):
        tc.check_module(bfloat16_net(), torch.zeros(5, 3, dtype=kind), torch.zeros(5, 2), nn.MSELoss())


def test_a_loss_of_a_given_cotangent_is_pickled():
    module, x = linear(0, 3, 3), torch.zeros(2, 3, dtype=torch.float64)
    problem = problem_from_module(module, x, torch.zeros(2, 3, dtype=torch.float64), lambda y, t: (y * y).sum())
    assert pickle.loads(pickle.dumps(problem)).loss == problem.loss
