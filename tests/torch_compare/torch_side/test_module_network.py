"""Any module as a network of operations: the same function, with torch's names, in the formats that it computes in."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import nn

import reference as ref
import torch_compare as tc
from reference.network import passes
from tests.helpers.comparing import assert_output_within_rounding, assert_within_rounding
from tests.torch_compare.torch_side.modules import Block, Calls, Doubled
from torch_compare.torch_side.module_network import read_module
from torch_compare.torch_side.translation import UnknownOperationError

X = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
IDS = torch.tensor([[1, 2, 3], [4, 5, 1]])


def assert_gives(read, expected):
    """The oracle's forward pass gives what torch's gave, within its rounding."""
    output = passes.forward(read.network, read.x).output
    assert_output_within_rounding(ref.Problem(read.network, read.x, np.ones(output.shape), "inner_product"), expected)


def same_function(module, *inputs):
    """The oracle's forward pass gives what torch's gives."""
    read = read_module(module.double(), inputs)
    assert_gives(read, module(*inputs).detach().numpy())
    return read


def test_a_transformer_has_its_names_and_its_layers_whole():
    read = same_function(Block().eval(), IDS)
    net = read.network
    assert list(net.parameters) == [
        "embed.weight", "norm.weight", "norm.bias", "qkv.weight", "qkv.bias", "out.weight", "out.bias",
    ], "head.weight is embed.weight"  # fmt: skip
    steps = {step.name: step.operation.name for step in net.steps}
    assert steps["norm.layer_norm"] == "layer_norm"
    assert steps["scaled_dot_product_attention"] == "scaled_dot_product_attention"
    assert net.inputs == ()
    assert not any(step.compute for step in net.steps)
    assert read.places["qkv.linear"].submodule == "qkv"
    assert "modules.py" in read.places["scaled_dot_product_attention"].line


@pytest.mark.parametrize("f", [
    lambda m, x: (1 - m.l(x)) / 3 + 2 ** m.l(x) + m.l(x) ** 3 + torch.where(x > 0, m.l(x), 0.0) * 0.1,
    lambda m, x: torch.topk(m.l(x), 2)[0] + m.l(x).max(1, keepdim=True)[0] + x[:, [0, 1]],
    lambda m, x: torch.cat([*m.l(x).split([1, 3], dim=1), m.l(x).unbind(1)[0][:, None]], 1).cumsum(1),
    lambda m, x: m.l(x).unflatten(1, (2, 2)).transpose(1, 2).flatten(1).roll(1, 0)[::2].expand(2, 2, 4),
    lambda m, x: m.l(x).masked_fill(x > 0, -1.0) + x.tril() + m.l(x).argmax(1, keepdim=True) * x,
    lambda m, x: torch.zeros_like(x).index_add(0, torch.tensor([0, 2]), m.l(x)[torch.tensor([0, 1])]),
    lambda m, x: torch.einsum("ij,kj->ik", m.l(x), m.l.weight).unfold(1, 2, 1),
    lambda m, x: m.l(x).scatter(1, torch.tensor([[0], [1], [2]]), m.l(x)[:, :1].clone()).std(1),
    lambda m, x: F.prelu(m.l(x), torch.tensor([0.3], dtype=x.dtype)) + F.elu(x, 0.5) + F.gelu(x, approximate="tanh"),
    lambda m, x: (torch.arange(12.0, dtype=x.dtype).view(3, 4) * m.l(x)).view(12) * m.l(x).view(12),
    lambda m, x: F.softmax(m.l(x), 0) + F.normalize(m.l(x), dim=1) + m.l(x).logsumexp(1, keepdim=True),
    lambda m, x: torch.baddbmm(x[None], m.l(x)[None], m.l.weight[None], beta=0.5, alpha=2) + torch.lerp(x, m.l(x), 0.2),
])  # fmt: skip
def test_the_network_is_the_same_function(f):
    same_function(Calls(f), X)


@pytest.mark.parametrize("module", [
    nn.MultiheadAttention(4, 2), nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), nn.Bilinear(4, 4, 2),
], ids=lambda m: type(m).__name__)  # fmt: skip
def test_modules_of_torch(module):
    count = {nn.MultiheadAttention: 3, nn.Bilinear: 2}.get(type(module), 1)
    module = module.double()
    inputs = tuple(X + k for k in range(count))
    made = module(*inputs)
    expected = (made[0] if isinstance(made, tuple) else made).detach().numpy()
    assert_gives(read_module(module, inputs), expected)


def test_what_is_written_in_place_is_made_functional():
    def f(m, x):
        y = m.l(x).clone()
        y[:, 0] = y[:, 1] * 2
        y[:, ::2] *= 3
        return y.relu_()

    same_function(Calls(f), X)


def test_a_batch_norm_in_training_mode():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).double().train()
    before = module[1].running_mean.clone()
    read = read_module(module, X)
    assert read.network.steps[-1].operation.parameters["training"] is True
    assert torch.equal(module[1].running_mean, before)
    evaluated = read_module(module.eval(), X).network.steps[-1]
    assert evaluated.operation.parameters["training"] is False
    assert evaluated.inputs[1:3] == ("b_module_1_running_mean", "b_module_1_running_var")


def test_islands_and_casts_are_formats_of_steps():
    read = read_module(Calls(lambda m, x: (m.l(x).float() ** 2).to(x.dtype) + x).double(), X)
    assert [(s.operation.name, s.compute) for s in read.network.steps] == [
        ("linear", None), ("clone", "float32"), ("pow", "float32"), ("clone", None), ("add", None),
    ]  # fmt: skip

    def autocast(m, x):
        with torch.autocast("cpu", torch.bfloat16):
            return F.layer_norm(m.l(x).float(), (4,))

    computed = {s.operation.name: s.compute for s in read_module(Calls(autocast), X.float()).network.steps}
    assert computed == {"clone": None, "linear": "bfloat16", "layer_norm": None}


def test_a_bfloat16_module_states_no_format():
    read = read_module(Block().bfloat16().eval(), IDS)
    assert read.base == torch.bfloat16
    assert {step.compute for step in read.network.steps} == {None}
    assert read.network.dtype == np.float32


def test_no_gradient_goes_through_what_is_detached_or_made_without_one():
    def f(m, x):
        y = m.l(x)
        with torch.no_grad():
            z = y * 3
        return y * z + y.detach() * y

    problem_net = same_function(Calls(f), X)
    problem = ref.Problem(problem_net.network, problem_net.x, np.ones((3, 4)), "inner_product")
    module, x = Calls(f).double(), X.clone().requires_grad_()
    module(x).sum().backward()
    assert_within_rounding(problem, {"x": x.grad.numpy()}, ref.gradients(problem).leaves())
    # inside the forward pass of a Function gradients are always off, and its backward pass stands for it
    same_function(Calls(lambda m, x: Doubled.apply(m.l(x))), X)
    steps = read_module(Calls(lambda m, x: Doubled.apply(m.l(x))), X.float()).network.steps
    assert [step.name for step in steps] == ["l.linear", "Doubled.mul"]


def test_inputs_by_name_and_what_is_a_constant():
    module = Calls(lambda m, x, mask=None, scales=(), flag=True: m.l(x) * mask + scales[1]).double()
    read = read_module(module, {"x": X, "mask": torch.ones(4, dtype=torch.bool), "scales": [X, X[0]], "flag": False})
    assert read.network.inputs == ("x", "scales[1]")
    module.l.bias.requires_grad_(False)
    assert list(read_module(module, {"x": X, "mask": X, "scales": [X, X]}).network.parameters) == ["l.weight"]
    named = read_module(Calls(lambda m, x, loss: m.l(x) * loss).double(), {"x": X, "loss": X + 1})
    assert named.network.inputs == ("x", "loss_"), "leaves have the name of loss anyway"
    infinite = torch.tensor([[0.0, -torch.inf]], dtype=torch.float64)
    net = tc.network_from_module(Calls(lambda m, x, bias: (m.l(x)[:, :2] + bias).softmax(-1)).double(), (X, infinite))
    assert net.inputs == ("x",)


class Strange(nn.Module):
    def forward(self, x):
        return torch.special.i0(x) + torch.special.i0(x)


def test_what_the_table_lacks_is_named_with_its_place_and_how_to_add_it():
    module = nn.Sequential(nn.Linear(4, 4), Strange()).double()
    with pytest.raises(UnknownOperationError, match=r"aten\.special_i0\.default in 1 \(Strange\), at .*:\d+") as caught:
        tc.network_from_module(module, X)
    assert caught.value.operations == ("aten.special_i0.default",)
    assert 'operations={"aten.special_i0.default": row}' in str(caught.value)
    row = ref.operations.get("exp")
    for entry in (row, lambda self: (row, self)):
        net = tc.network_from_module(module, X, operations={"aten.special_i0.default": entry})
        assert [step.operation.name for step in net.steps] == ["linear", "exp", "exp", "add"]


@pytest.mark.parametrize(("module", "message"), [
    (nn.Sequential(nn.Linear(4, 4), nn.Dropout()).train(), r"in 1 \(Dropout\).*random in training mode.*module\.eval"),
    (nn.TransformerEncoderLayer(4, 2, 8).train(), r"self_attn .*module\.eval"),
    (Calls(lambda m, x: m.l(x) + torch.randn_like(x)), "it draws random numbers.*give them as an input"),
    (Calls(lambda m, x: torch.zeros(3)), "depends on no parameter"),
    (Calls(lambda m, x: m.l(x).div(2, rounding_mode="floor") + m.l(x)), "rounding_mode"),
])  # fmt: skip
def test_what_is_no_differentiable_function_is_refused(module, message):
    with pytest.raises(ValueError, match=message):
        tc.network_from_module(module, X.float())


def test_what_cannot_be_traced_is_refused_with_torchs_message():
    with pytest.raises(TypeError, match=r"torch\.export cannot trace Calls"):
        tc.network_from_module(Calls(lambda m, x: m.l(x) if x.sum() > 0 else x), X.float())
