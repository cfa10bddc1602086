"""The gradients of any module, judged: custom backward passes, several inputs, formats; the module left as it was."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import nn
from torch.utils.checkpoint import checkpoint

import torch_compare as tc
from tests.torch_compare.torch_side.modules import Block, Calls, WrongSiLU
from torch_compare.torch_side.module_problem import judgement

X = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
IDS, NEXT = torch.tensor([[1, 2, 3], [4, 5, 1]]), torch.tensor([[2, 3, 0], [5, 1, 6]])
UP = torch.tensor(np.random.default_rng(1).normal(size=(3, 4)))


def tokens(y, t):
    return F.cross_entropy(y.flatten(0, 1).float(), t.flatten())


def product(y, t):
    return (y * t).sum()


def check(f, loss_fn=product, target=UP, inputs=X, **options):
    return tc.check_module(Calls(f).double(), inputs, target, loss_fn, **options)


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16, torch.float16])
def test_a_transformer_in_each_number_type(number):
    verdict = tc.check_module(Block().to(number).eval(), IDS, NEXT, tokens)
    assert verdict.agrees, str(verdict)
    assert verdict.dtype.startswith(str(number).removeprefix("torch."))


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
def test_a_wrong_backward_pass_in_it_is_caught_and_its_step_named(number):
    verdict = tc.check_module(Block(WrongSiLU.apply).to(number).eval(), IDS, NEXT, tokens)
    assert verdict.status == "wrong"
    assert "WrongSiLU.sigmoid" in verdict.diagnosis
    assert "forward of WrongSiLU), at " in verdict.calls["WrongSiLU.sigmoid"]
    assert "return x * torch.sigmoid(x)" in str(verdict)


def test_an_island_is_judged_in_its_format_and_named():
    verdict = check(lambda m, x: m.l(x).float().exp().double() * x)
    assert verdict.agrees
    assert verdict.formats == {"float32": ("_to_copy", "exp")}
    assert "in float32, as the module computes them: _to_copy and exp" in str(verdict)


def test_compiled_and_checkpointed_modules_are_judged_by_their_own_gradients():
    def nested(reentrant):
        return lambda m, x: checkpoint(lambda v: WrongSiLU.apply(m.l(v)), x.clone(), use_reentrant=reentrant)

    for reentrant in (False, True):
        assert check(nested(reentrant), diagnose=False).status == "wrong"
        assert check(lambda m, x: checkpoint(m.l, x, use_reentrant=reentrant)).agrees  # noqa: B023
    compiled = torch.compile(Calls(lambda m, x: F.gelu(m.l(x))).double(), backend="aot_eager")
    found = judgement(compiled, X, UP, product)
    assert set(found.given) == {"l.weight", "l.bias", "x", "loss"}
    assert tc.check_module(compiled, X, UP, product).agrees


@dataclasses.dataclass
class Output:
    hidden: torch.Tensor
    y: torch.Tensor
    steps: int = 3


def test_several_inputs_and_outputs():
    out = lambda m, x, other: Output(m.l(x), m.l(other) * x)  # noqa: E731
    loss = lambda o, t: (o.y * t).sum() + (o.hidden**2).sum() / o.steps  # noqa: E731
    verdict = check(out, loss, inputs=(X, X + 1))
    assert verdict.agrees
    assert set(verdict.places) == {"l.weight", "l.bias", "x", "rest[0]", "loss"}
    assert check(lambda m, x, *, mask: {"y": [m.l(x) * mask, x]}, lambda o, t: product(o["y"][0], t),
                 inputs={"x": X, "mask": X > 0}).agrees  # fmt: skip
    twice = tc.check_module(nn.MultiheadAttention(4, 2).double(), (X, X, X), UP, lambda o, t: product(o[0], t))
    assert twice.agrees
    assert "query" in twice.places
    assert "key" not in twice.places, "one tensor is one leaf"


@pytest.mark.parametrize(("f", "loss_fn", "target", "loss"), [
    (lambda m, x: m.l(x)[None].transpose(1, 2), nn.CrossEntropyLoss(label_smoothing=0.1), torch.tensor([[0, 3, 1]]),
     "cross_entropy"),
    (lambda m, x: m.l(x) * x, nn.CrossEntropyLoss(), torch.tensor([0, 3, 1]), "cross_entropy"),
    (lambda m, x: m.l(x)[None] * x, nn.MSELoss(), UP[None], "mse"),
    (lambda m, x: m.l(x)[None] * x, nn.KLDivLoss(reduction="batchmean"), UP[None].abs(), "inner_product"),
    (lambda m, x: (m.l(x), x), lambda o, t: F.mse_loss(o[0], t), UP, "inner_product"),
])  # fmt: skip
def test_the_loss_is_the_problems_where_the_oracle_has_it(f, loss_fn, target, loss):
    found = judgement(Calls(f).double(), X, target, loss_fn)
    assert found.problem.loss.name == loss
    assert tc.check(found.problem, found.given).agrees
    assert "loss" in found.given


class HuberLike(torch.autograd.Function):
    """Σ log cosh(y − t), whose backward pass forgets the tanh."""

    @staticmethod
    def forward(ctx, y, t):
        ctx.save_for_backward(y, t)
        return torch.log(torch.cosh(y - t)).sum()

    @staticmethod
    def backward(ctx, d_loss):
        y, t = ctx.saved_tensors
        return d_loss * (y - t), None


def test_a_loss_of_ones_own_is_judged_like_the_module():
    assert check(lambda m, x: m.l(x), lambda y, t: torch.log(torch.cosh(y - t)).sum()).agrees
    wrong = check(lambda m, x: m.l(x), HuberLike.apply)
    assert wrong.status == "wrong"
    assert "loss" in wrong.places


def test_a_loss_of_ones_own_behind_a_chain_of_layers_is_judged_too():
    chain = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).double()
    wrong = tc.check_module(chain, X, UP, HuberLike.apply)
    assert (wrong.status, wrong.untraced) == ("wrong", "")
    taken = tc.check_module(chain, X, UP, HuberLike.apply, as_={"1": "tanh"})
    assert taken.agrees
    assert "not judged: the loss's own derivative" in str(taken)


def test_a_loss_that_cannot_be_traced_is_taken_at_its_derivative():
    def loss(y, t):
        return (y * t).sum() * (2.0 if float(y.detach().sum()) > -1e9 else 1.0)

    found = judgement(Calls(lambda m, x: m.l(x)).double(), X, UP, loss)
    assert "loss" not in found.given
    assert tc.check(found.problem, found.given).agrees
    verdict = check(lambda m, x: m.l(x), loss)
    assert verdict.agrees
    assert f"taken as torch.autograd gives it: {found.untraced}" in str(verdict)
    assert check(lambda m, x: m.l(x)).untraced == ""


def test_why_a_loss_was_not_traced_is_said_in_short_and_nothing_is_printed(capfd):
    def loss(y, t):
        return (y * t).sum() * (2.0 if y.detach().sum() > -1e9 else 1.0)

    why = check(lambda m, x: m.l(x), loss).untraced
    assert "if y.detach().sum() > -1e9" in why
    assert len(why.splitlines()) == 1
    assert "def forward" not in "".join(capfd.readouterr())


def test_a_loss_that_draws_random_numbers_is_taken_at_its_derivative_for_these():
    verdict = check(lambda m, x: m.l(x), lambda y, t: ((y - t + torch.rand_like(y)) ** 2).sum())
    assert verdict.agrees
    assert "draws random numbers" in verdict.untraced


def test_the_module_stays_as_it_was():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).double().train()
    module[0].weight.grad = torch.full((4, 4), 7.0, dtype=torch.float64)
    x = X.clone().requires_grad_()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    assert tc.check_module(module, x, UP, product).agrees
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training
    assert x.grad is None
    assert bool((module[0].weight.grad == 7).all())
    assert module[0].bias.grad is None


def test_a_parameter_whose_gradient_is_not_handed_on():
    class Stops(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.stops = True
            return x * 2

        @staticmethod
        def backward(ctx, d_y):
            return None if ctx.stops else d_y

    verdict = check(lambda m, x: Stops.apply(m.l(x)) + x)
    assert verdict.status == "wrong"
    assert not np.any(verdict.places["l.weight"].given)


@pytest.mark.parametrize(("loss_fn", "message"), [
    (lambda y, t: y, "expected a scalar tensor"),
    (lambda y, t: (t * t).sum(), "depends on no parameter"),
    (nn.MSELoss(reduction="none"), "reduction must be"),
])  # fmt: skip
def test_losses_that_are_none(loss_fn, message):
    with pytest.raises(ValueError, match=message):
        check(lambda m, x: m.l(x) * x, loss_fn)


def test_a_loss_that_uses_the_parameters():
    module = Calls(lambda m, x: m.l(x) * x).double()
    with pytest.raises(ValueError, match="it uses the module's parameters"):
        tc.check_module(module, X, UP, lambda y, t: product(y, t) + (module.l.weight**2).sum())
