"""Modules of one's own: judged as the row that they are said to compute, or refused with what to do instead."""

import numpy as np
import pytest
import torch
from torch import nn

import reference as ref
import torch_compare as tc
from torch_compare.torch_side.modules import problem_from_module

X = torch.tensor(np.random.default_rng(0).normal(size=(5, 3)))
TARGET = torch.tensor([0, 1, 1, 0, 1])


class _HalfGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return nn.functional.gelu(z)

    @staticmethod
    def backward(ctx, d_h):
        (z,) = ctx.saved_tensors
        return d_h * torch.special.ndtr(z)


class MyGELU(nn.Module):
    def __init__(self, right=True):
        super().__init__()
        self.right = right

    def forward(self, z):
        return z * torch.special.ndtr(z) if self.right else _HalfGelu.apply(z)


class MyLinear(nn.Module):
    def __init__(self, fan_in, fan_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, dtype=torch.float64))
        self.bias = None

    def forward(self, x):
        return x @ self.weight.T


def network(*middle):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), *middle, nn.Linear(4, 2)).double()


def check(module, **options):
    return tc.check_module(module, X, TARGET, nn.CrossEntropyLoss(), **options)


@pytest.mark.parametrize("key", [MyGELU, "1"])
@pytest.mark.parametrize("row", ["gelu", ref.activations.gelu()])
def test_a_module_is_taken_for_the_row_that_it_is_said_to_compute(key, row):
    assert check(network(MyGELU()), as_={key: row}).agrees


def test_the_gradients_judged_are_the_modules_own():
    verdict = check(network(MyGELU(right=False)), as_={MyGELU: "gelu"})
    assert verdict.status == "wrong"
    assert {place for place, worst in verdict.places.items() if worst.scales > 32} == {
        "layers[0].weight", "layers[0].bias", "input",
    }  # fmt: skip


def test_a_linear_layer_of_ones_own_and_a_row_with_parameters():
    assert check(nn.Sequential(MyLinear(3, 4), nn.Tanh(), MyLinear(4, 2)), as_={MyLinear: "linear"}).agrees
    assert check(network(nn.PReLU()), as_={nn.PReLU: ref.activations.leaky_relu(0.25)}).agrees
    assert check(network(nn.PReLU()), as_={nn.PReLU: "tanh"}, diagnose=False).status == "wrong", "taken at its word"


class _Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return self.fc(x)


@pytest.mark.parametrize(("module", "error", "message"), [
    (network(MyGELU()), TypeError, r'module\[1\] \(MyGELU\): not a layer .* as_=\{MyGELU: "gelu"\}.*tc\.check'),
    (network(nn.PReLU()), TypeError, r"as_=\{PReLU: ref\.activations\.leaky_relu"),
    (network(nn.LayerNorm(4)), TypeError, r"\(LayerNorm\): .*it has parameters.*check the layers behind it.*tc\.check"),
    (network(MyLinear(4, 4)), TypeError, r'as_=\{MyLinear: "linear"\}'),
    (_Net(), TypeError, r"not a Sequential.*give torch\.nn\.Sequential.*tc\.check"),
    (network(nn.Dropout(0.5)), ValueError, r"random in training mode; call module\.eval\(\) first, or leave it out"),
    (network(nn.RReLU()), ValueError, r"random in training mode; call module\.eval\(\) first, or leave it out"),
    (network(nn.ReLU(), nn.Tanh()), ValueError, r"after another \(relu\).*weight I and no bias.*|tc\.check"),
    (network(nn.Flatten(0)), TypeError, r"Flatten x before, and leave it out"),
])  # fmt: skip
def test_what_cannot_be_taken_is_refused_with_what_to_do_instead(module, error, message):
    with pytest.raises(error, match=message):
        problem_from_module(module, X, TARGET, nn.CrossEntropyLoss())


@pytest.mark.parametrize("middle", [nn.PReLU(), nn.LayerNorm(4), MyLinear(4, 4), _Net(4)])
def test_what_is_no_mlp_is_taken_as_a_network_of_operations(middle):
    assert check(network(middle), diagnose=False).agrees


@pytest.mark.parametrize(("as_", "error", "message"), [
    ({MyGELU: "gleu"}, ValueError, r'as_: expected "linear" or one of identity, relu.*got \'gleu\''),
    ({MyGELU: 3}, TypeError, "as_: expected a ref.Activation or the name of one, got int"),
    ({"act": "gelu"}, ValueError, "as_: no module is named 'act'; there are 0, 1, 2"),
    ({MyLinear: "linear"}, ValueError, "as_: there is no MyLinear in the module"),
    ({MyGELU: "linear"}, TypeError, "as_: a linear layer has weight"),
])  # fmt: skip
def test_what_as_cannot_say(as_, error, message):
    with pytest.raises(error, match=message):
        check(network(MyGELU()), as_=as_)
