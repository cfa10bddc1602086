"""Errors that are those of a coarser format, and those that only look large."""

import ml_dtypes
import numpy as np
import pytest
import torch

import reference as ref
import torch_compare as tc
from tests.torch_compare.verdict.helpers import tanh_problem, with_rounded_products
from torch_compare.torch_side.gradients import ACTIVATIONS

TORCH = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
NUMPY = {"tf32 (or float16) products": np.float16, "bfloat16 products": ml_dtypes.bfloat16}


def network(seed=0, batch=16, activation="tanh"):
    """8-16-16-4 of numbers that bfloat16 holds, in float64."""
    rng = np.random.default_rng(seed)
    hold = lambda a: np.asarray(a).astype(np.float32).astype(ml_dtypes.bfloat16).astype(float)  # noqa: E731
    mlp = ref.initialize([8, 16, 16, 4], [activation, activation, "identity"], seed=seed)
    problem = ref.Problem(mlp, rng.normal(size=(batch, 8)), rng.normal(size=(batch, 4)), "mse").map(hold)
    return problem.replace(target=hold(problem.target))


def by_torch(problem, name):
    """torch's gradients in a format, and the loss, as numbers of float64."""
    leaf = lambda a: torch.tensor(np.array(a)).to(TORCH[name]).requires_grad_()  # noqa: E731
    pairs = [(leaf(layer.weight), leaf(layer.bias)) for layer in problem.mlp.layers]
    x = h = leaf(problem.x)
    for (weight, bias), layer in zip(pairs, problem.mlp.layers, strict=True):
        h = ACTIVATIONS[layer.activation.name](torch.nn.functional.linear(h, weight, bias))
    loss = torch.nn.functional.mse_loss(h, torch.tensor(np.array(problem.target)).to(TORCH[name]))
    loss.backward()
    named = {"input": x.grad, "loss": loss.detach()}
    for l, (weight, bias) in enumerate(pairs):
        named |= {f"layers[{l}].weight": weight.grad, f"layers[{l}].bias": bias.grad}
    return {place: leaf.double().numpy() for place, leaf in named.items()}


def rounding_to(number):
    """(a) ↦ its numbers rounded to a type."""
    return lambda a: np.asarray(a).astype(np.float32).astype(number).astype(float)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("lower", "asked"), [
    ("float32", "float64"), ("float16", "float64"), ("bfloat16", "float64"), ("float16", "float32"),
    ("bfloat16", "float32"), ("bfloat16", "float16"),
])  # fmt: skip
def test_a_lower_precision_is_imprecise_and_named(lower, asked, seed):
    problem = network(seed)
    given = by_torch(problem, lower)
    verdict = tc.check(problem, given, asked)
    assert verdict.status == "imprecise", str(verdict)
    assert verdict.diagnosis.startswith(f"the errors are those of {lower}, not of {asked}")
    assert tc.check(problem, given, lower).agrees


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize("asked", ["float64", "float32"])
def test_products_of_rounded_operands_are_imprecise_and_named(name, seed, asked):
    problem = network(seed).map(lambda a: a * (1 + 1e-3))
    given = with_rounded_products(problem, rounding_to(NUMPY[name]))
    if asked == "float32":
        given = {place: np.asarray(leaf, np.float32) for place, leaf in given.items()}
        problem = problem.map(lambda a: a.astype(np.float32).astype(float))
        given = with_rounded_products(problem, rounding_to(NUMPY[name]))
        given = {place: np.asarray(leaf, np.float32).astype(float) for place, leaf in given.items()}
    verdict = tc.check(problem, given, asked)
    assert verdict.status == "imprecise", str(verdict)
    assert verdict.diagnosis == f"the errors are those of {name}, not of {asked}"


def stepped(problem, rate):
    """The problem after a step of gradient descent."""
    found = ref.gradients(problem)
    layers = tuple(
        ref.Layer(layer.weight - rate * g.weight, layer.bias - rate * g.bias, layer.activation)
        for layer, g in zip(problem.mlp.layers, found.layers, strict=True)
    )
    return problem.replace(network=ref.MLP(layers))


def smoothed(problem, smoothing):
    rng = np.random.default_rng(1)
    target = rng.integers(0, 4, problem.x.shape[0])
    row = ref.losses.cross_entropy(label_smoothing=smoothing)
    return ref.Problem(problem.mlp, problem.x, target, row)


def nudged(problem, size):
    rng = np.random.default_rng(2)
    return problem.map(lambda a: a * (1 + size * rng.normal(size=a.shape)))


def averaged(problem):
    other = stepped(problem, 0.05)
    layers = tuple(
        ref.Layer((a.weight + b.weight) / 2, (a.bias + b.bias) / 2, a.activation)
        for a, b in zip(problem.mlp.layers, other.mlp.layers, strict=True)
    )
    return problem.replace(network=ref.MLP(layers))


MISTAKES = {
    "after a step": lambda p: (p, stepped(p, 0.1)),
    "after a small step": lambda p: (p, stepped(p, 0.003)),
    "label smoothing of 0.01": lambda p: (smoothed(p, 0.0), smoothed(p, 0.01)),
    "weights 1% off": lambda p: (p, nudged(p, 0.01)),
    "averaged weights": lambda p: (p, averaged(p)),
    "the tanh formula of GELU": lambda p: (
        p.replace(network=ref.MLP(tuple(ref.Layer(l.weight, l.bias, "gelu") for l in p.mlp.layers))),
        p.replace(network=ref.MLP(tuple(ref.Layer(l.weight, l.bias, "gelu_tanh") for l in p.mlp.layers))),
    ),
}


@pytest.mark.parametrize("diagnose", [False, True])
@pytest.mark.parametrize("asked", ["float64", "float32"])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_the_size_of_a_lower_precision_is_wrong(name, asked, diagnose):
    """Whether or not a diagnosis is asked for: the status does not depend on it."""
    for seed in range(1 if diagnose else 2):
        right, theirs = MISTAKES[name](network(seed))
        given = {place: np.asarray(leaf, asked).astype(float) for place, leaf in ref.gradients(theirs).leaves().items()}
        verdict = tc.check(right, given, asked, diagnose=diagnose)
        assert verdict.status == "wrong", f"{name}, seed {seed}: {verdict}"


def test_a_dead_layer_in_float32_does_not_hide_that_it_was_float32():
    """Its gradients are 0 in any precision, and σ of them, too."""
    problem = tanh_problem()
    first, *rest = problem.mlp.layers
    dead = ref.Layer(first.weight, np.full(16, -1e3), "relu")
    low = problem.replace(network=ref.MLP((dead, *rest))).map(lambda a: a.astype(np.float32))
    low = low.replace(target=low.target.astype(np.float32))
    found = ref.gradients(low).map(lambda leaf: np.asarray(leaf, dtype=float))
    assert not np.any(found.layers[0].weight)
    verdict = tc.check(low.in_float64(), found)
    assert (verdict.status, verdict.diagnosis) == ("imprecise", "the errors are those of float32, not of float64")


def test_numbers_that_are_not_finite_are_of_no_precision():
    problem = network()
    given = ref.gradients(problem).leaves() | {"input": np.full((16, 8), np.inf)}
    assert tc.check(problem, given, diagnose=False).status == "wrong"


@pytest.mark.parametrize("factor", [1.01, 1.003, 1.001])
def test_one_wrong_number_among_right_ones_is_no_rounding_of_a_coarser_format(factor):
    mlp, rng = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0), np.random.default_rng(0)
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    found = {place: np.array(leaf) for place, leaf in ref.gradients(problem).leaves().items()}
    found["layers[0].weight"][2, 1] *= factor
    verdict = tc.check(problem, found, diagnose=False)
    assert (verdict.status, verdict.coarser) == ("wrong", "")


def test_float32_in_one_step_of_float64_is_imprecise():
    """softmax in float32 inside float64 attention, as jax.nn.dot_product_attention has it."""
    torch.manual_seed(0)
    names = ("query", "key", "value")
    leaves = [torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True) for _ in names]
    q, k, v = leaves
    d = torch.randn(1, 2, 5, 4, dtype=torch.float64)
    y = torch.softmax(q @ k.transpose(-1, -2) / 2, -1, dtype=torch.float32).double() @ v
    given = dict(zip(names, torch.autograd.grad(y, leaves, d), strict=True))
    inputs = dict(zip(names, (leaf.detach() for leaf in leaves), strict=True))
    found = tc.check_operation("scaled_dot_product_attention", inputs, d, given)
    assert (found.status, found.coarser) == ("imprecise", "float32 in some step")


def test_products_of_operands_split_in_two_are_imprecise():
    """Three bfloat16 products for one of float32: torch's "high", XLA's HIGH."""
    split = lambda a: a.bfloat16().float()  # noqa: E731

    def product(a, b):
        high = split(a), split(b)
        low = split(a - high[0]), split(b - high[1])
        return low[0] @ high[1] + high[0] @ low[1] + high[0] @ high[1]

    torch.manual_seed(0)
    x, w, d = torch.randn(30, 64), torch.randn(16, 64), torch.randn(30, 16)
    given = {"x": product(d, w), "weight": product(d.T, x)}
    found = tc.check_operation("linear", {"x": x, "weight": w}, d, given)
    assert (found.status, found.coarser) == ("imprecise", "products of operands split in two bfloat16 numbers")


def test_large_errors_below_leaves_that_are_right_are_no_coarser_format():
    """A row of the gradient lost between two layers: what is above it is right to the last digits of float64."""
    problem = network(3, batch=6)
    lower, upper = problem.mlp.layers[:2]
    trace = ref.forward(problem.mlp, problem.x)
    right = ref.gradients(problem).leaves()
    d_y = ref.loss_gradient(problem, trace.output)
    d_h = d_y @ problem.mlp.layers[2].weight
    d_z = d_h * (1 - np.tanh(trace.preactivations[1]) ** 2)
    d_below = (d_z @ upper.weight) * (1 - np.tanh(trace.preactivations[0]) ** 2)
    d_below[-1] *= 1 + 2.0**-6
    given = {k: v for k, v in right.items() if k != "loss"}
    given |= {"layers[0].weight": d_below.T @ problem.x, "layers[0].bias": d_below.sum(axis=0)}
    given["input"] = d_below @ lower.weight
    assert tc.check(problem, given).status == "wrong"


def test_screening_runs_are_not_mixed_with_all_runs():
    """GELU by tanh for GELU by erf, in bfloat16: the search for a coarser format needs the errors of all runs."""
    for seed in range(6):
        rng = torch.Generator().manual_seed(seed)
        x, d = (torch.randn(6, 8, generator=rng).bfloat16() for _ in range(2))
        z = x.float().requires_grad_()
        (given,) = torch.autograd.grad(torch.nn.functional.gelu(z, approximate="tanh"), z, d.float())
        found = tc.check_operation("gelu", {"input": x}, d, {"input": given.bfloat16()}, dtype="float32")
        assert found.status in ("imprecise", "wrong", "agrees")
