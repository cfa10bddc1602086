"""Another forward pass of a network of operations, written in torch, and the name that the diagnosis gives it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import reference as ref
import torch_compare as tc

RNG = np.random.default_rng(3)
TABLE = RNG.normal(size=(7, 4))
PARAMETERS = {
    "g": 1 + 0.3 * RNG.normal(size=4), "b": 0.3 * RNG.normal(size=4), "wq": RNG.normal(size=(4, 4)) / 2,
    "w1": RNG.normal(size=(8, 4)) / 2, "b1": 0.3 * RNG.normal(size=8), "w2": RNG.normal(size=(4, 8)) / 3,
}  # fmt: skip
STEPS = [
    ref.Step("n", "layer_norm", "x", "g", "b"), ref.Step("q", "linear", "n", "wq"),
    ref.Step("at", ref.operations.scaled_dot_product_attention(is_causal=True), "q", "n", "n"),
    ref.Step("m", "add", "x", "at"), ref.Step("a", "linear", "m", "w1", "b1"), ref.Step("u", "gelu", "a"),
    ref.Step("y", "linear", "u", "w2"),
]  # fmt: skip
PROBLEM = ref.Problem(
    ref.Network(PARAMETERS, STEPS), RNG.normal(size=(2, 3, 4)), RNG.integers(0, 4, (2, 3)), loss="cross_entropy"
)


def norm_with(x, g, b, *, correction=0, outside=False):
    d, var = x - x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=correction)
    return d / (var.sqrt() + 1e-5 if outside else (var + 1e-5).sqrt()) * g + b


def other_gradients(what: str, dtype: torch.dtype) -> dict:
    """torch's gradients of the network with one thing done otherwise in its forward pass."""
    p = {k: torch.tensor(v, dtype=dtype, requires_grad=True) for k, v in (PARAMETERS | PROBLEM.x).items()}
    x, g, b, w1 = p["x"], p["g"], p["b"], p["w1"]
    norms = {
        "n minus 1 for n": lambda: norm_with(x, g, b, correction=1),
        "epsilon outside the root": lambda: norm_with(x, g, b, outside=True),
        "bias in the forward pass": lambda: F.layer_norm(x, (4,), g, None),
    }
    n = norms.get(what, lambda: F.layer_norm(x, (4,), g, b))()
    q, scale = n @ p["wq"].T, 0.25 if what == "scale without the root" else None
    at = F.scaled_dot_product_attention(q, n, n, is_causal=what != "causal left out", scale=scale)
    if what == "quantised weights":
        w1 = w1 + (w1.detach().half().to(dtype) - w1.detach())
    a = F.linear(at if what == "branch left out" else x + at, w1, p["b1"])
    y = F.linear(F.gelu(a, approximate="tanh" if what == "tanh formula for GELU" else "none"), p["w2"])
    loss = F.cross_entropy(y.reshape(-1, 4), torch.tensor(PROBLEM.target).reshape(-1))
    found = torch.autograd.grad(loss, list(p.values()), allow_unused=True)
    leaves = {k: torch.zeros_like(v) if d is None else d for (k, v), d in zip(p.items(), found, strict=True)}
    return {k: v.numpy() for k, v in leaves.items()} | {"loss": loss.detach().numpy()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_right_forward_pass_agrees(dtype):
    assert tc.check(PROBLEM, other_gradients("", dtype)).status == "agrees"


@pytest.mark.parametrize(("what", "where"), [
    ("tanh formula for GELU", "u"), ("n minus 1 for n", "n"), ("epsilon outside the root", "n"),
    ("bias in the forward pass", "n"), ("scale without the root", "at"), ("causal left out", "at"),
    ("branch left out", "m"), ("quantised weights", "w1"),
])  # fmt: skip
def test_another_forward_pass_is_wrong_and_named(what, where):
    verdict = tc.check(PROBLEM, other_gradients(what, torch.float64))
    assert verdict.status == "wrong"
    assert verdict.diagnosis.names == (what,)
    assert verdict.diagnosis.startswith(f"{where}: the forward pass differs, and the backward pass too: ")


def test_it_is_named_without_the_loss_and_in_float32():
    given = other_gradients("n minus 1 for n", torch.float32)
    del given["loss"]
    assert tc.check(PROBLEM, given).diagnosis.names == ("n minus 1 for n",)


def test_a_loss_that_nothing_explains_points_to_the_forward_pass():
    right = ref.gradients(PROBLEM).leaves()
    given = {place: leaf + np.sin(1.0 + np.arange(leaf.size)).reshape(leaf.shape) for place, leaf in right.items()}
    verdict = tc.check(PROBLEM, given)
    assert verdict.diagnosis.names == ()
    assert "the loss is wrong, too, so the forward pass differs" in verdict.diagnosis
