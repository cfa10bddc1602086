"""Other slopes at exact kinks: each kink may have a convention of its own."""

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from torch_compare.mistakes import rules
from torch_compare.verdict import conventions


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_another_slope_at_an_exact_kink_is_another_convention(slope):
    mlp = ref.MLP((ref.Layer(np.array([[1.0, 2.0]]), None, "relu"), ref.Layer(np.array([[3.0]]), None, "identity")))
    problem = ref.Problem(mlp, np.array([[2.0, -1.0], [0.25, 0.5]]), np.array([[1.0], [2.0]]), "mse")
    trace = ref.forward(mlp, problem.x)
    assert trace.preactivations[0][0, 0] == 0
    d_y = ref.loss_gradient(problem, trace.output)
    d_z = d_y @ mlp.layers[1].weight * np.array([[slope], [1.0]])
    given = {"layers[0].weight": d_z.T @ problem.x, "input": d_z @ mlp.layers[0].weight}
    verdict = tc.check(problem, given)
    assert verdict.status == "another convention", str(verdict)
    assert "relu" in verdict.diagnosis
    assert tc.check(problem, {k: -v for k, v in given.items()}).status == "wrong"


def test_a_loss_at_its_kink_is_another_convention():
    mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, "identity"),))
    problem = ref.Problem(mlp, np.array([[2.0], [5.0]]), np.array([[2.0], [1.0]]), "l1")
    given = {"input": np.array([[0.5], [0.5]])}
    assert tc.check(problem, given).status == "another convention"


def kinked(first, second, sides):
    """Two layers with a unit exactly on a kink of each, and the gradients with these slopes there."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in ((3, 2), (4, 3), (2, 4))]
    rows = [ref.ACTIVATIONS[first], ref.ACTIVATIONS[second], ref.ACTIVATIONS["identity"]]
    layers = []
    for weight, row in zip(weights, rows, strict=True):
        bias = 0.1 * rng.normal(size=len(weight))
        if row.kinks:
            weight[0], bias[0] = 0.0, row.kinks[-1].at
        layers.append(ref.Layer(weight, bias, row))
    problem = ref.Problem(ref.MLP(tuple(layers)), rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), "mse")

    def slope(problem, trace, l, d_h):
        row, z = problem.mlp.layers[l].activation, trace.preactivations[l]
        if not row.kinks:
            return d_h
        kink = row.kinks[-1]
        taken = {"left": kink.left, "right": kink.right, "mean": (kink.left + kink.right) / 2, "neither": 7.5}
        return d_h * np.where(z == kink.at, taken[sides[l]], row.derivative(z))

    return problem, rules.backward_with(replace(rules.RIGHT, slope=slope), problem)


@pytest.mark.parametrize("sides", [("mean", "mean"), ("mean", "left"), ("right", "mean"), ("left", "right")])
def test_each_kink_may_have_a_convention_of_its_own(sides):
    """Only those kinks are named whose slope is not the oracle's: from above for relu6 at 6, below for leaky_relu."""
    verdict = tc.check(*kinked("relu6", "leaky_relu", sides))
    assert verdict.status == "another convention", str(verdict)
    assert ("relu6 at 6" in verdict.diagnosis) == (sides[0] != "right")
    assert ("leaky_relu at 0" in verdict.diagnosis) == (sides[1] != "left")


@pytest.mark.parametrize("sides", [("neither", "left"), ("mean", "neither")])
def test_a_slope_that_no_side_has_is_wrong(sides):
    assert tc.check(*kinked("relu6", "leaky_relu", sides)).status == "wrong"


@pytest.mark.parametrize(("p", "share"), [(1, 0.5), (1, 1.0)])
def test_a_margin_that_is_met_exactly_may_count_in_half_or_whole(p, share):
    """Raising every output by as much leaves the margin where it is: one has to rise, the other to fall."""
    mlp = ref.MLP((ref.Layer(np.eye(3), np.zeros(3), "identity"),))
    problem = ref.Problem(mlp, np.array([[2.0, 1.0, 1.0]]), np.array([0]), ref.losses.multi_margin(p), "sum")
    d_y = np.array([[-2.0, 1.0, 1.0]]) * share / 3
    given = {"input": d_y, "layers[0].bias": d_y[0], "layers[0].weight": d_y.T @ problem.x}
    assert np.all(ref.gradients(problem).input == 0)
    verdict = tc.check(problem, given)
    assert verdict.status == "another convention", str(verdict)
    assert tc.check(problem, {"input": np.array([[-2.0, 1.5, 0.5]]) / 3}).status == "wrong"


def test_many_kinks_are_each_given_their_side():
    """More of them than could be tried in every combination: one after the other, from the output down."""
    names = ["relu6", "hardtanh", "hardsigmoid", "leaky_relu", "relu"]
    rng = np.random.default_rng(0)
    layers = []
    for name in (*names, "identity"):
        row = ref.ACTIVATIONS[name]
        weight, bias = rng.normal(size=(6, 6)) / 2, rng.normal(size=6) / 2
        for unit, kink in enumerate(row.kinks):
            weight[unit], bias[unit] = 0.0, kink.at
        layers.append(ref.Layer(weight, bias, row))
    problem = ref.Problem(ref.MLP(tuple(layers)), rng.normal(size=(8, 6)), rng.normal(size=(8, 6)), "mse")
    halves = {"relu6": 0.5, "hardtanh": 1.0, "hardsigmoid": 1 / 12, "relu": 1.0}

    def slope(problem, trace, l, d_h):
        row, z = problem.mlp.layers[l].activation, trace.preactivations[l]
        at_kink = np.isin(z, [kink.at for kink in row.kinks]) & (row.name in halves)
        return d_h * np.where(at_kink, halves.get(row.name, 0.0), row.derivative(z))

    found = rules.backward_with(replace(rules.RIGHT, slope=slope), problem)
    verdict = tc.check(problem, found)
    assert verdict.status == "another convention", str(verdict)
    assert "the mean of both slopes (hardsigmoid at -3, hardsigmoid at 3, relu6 at 0, relu6 at 6)" in verdict.diagnosis
    assert tc.check(problem, found.map(lambda leaf: leaf * 1.0001)).status == "wrong"


def test_a_convention_is_found_beside_an_overflow_and_beside_large_numbers():
    """leaky_relu's slope from above at 0, as JAX takes it, next to gradients that are 10^30 times larger."""
    weight = np.array([[1.0], [0.0]])
    layers = (ref.Layer(weight, None, "leaky_relu"),)
    target = np.array([[-1e30, 1.0]])
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), target, "half_squared_error", "sum")
    right = ref.gradients(problem).layers[0].weight
    given = {"layers[0].weight": right * np.array([[1.0], [100.0]])}
    assert tc.check(problem, given).status == "another convention"
    in_half = problem.replace(target=np.array([[-300.0, 1.0]]), x=np.array([[100.0]]))
    right = ref.gradients(in_half).layers[0].weight
    given = {"layers[0].weight": right * np.array([[1.0], [100.0]]), "loss": np.array(np.inf)}
    assert tc.check(in_half, given, "float16").status == "another convention"


def test_a_deep_network_with_many_kinks_and_a_convention_at_one_costs_few_passes(monkeypatch):
    """Sides that no gradient tells apart are not tried in every combination: 8 kinks would have 3⁸ of them."""
    names = ["relu6", "hardtanh", "hardsigmoid", "relu", "leaky_relu", "identity"]
    layers = []
    for name in names:
        row = ref.ACTIVATIONS[name]
        weight, bias = np.zeros((3, 3)), np.array([k.at for k in (*row.kinks, *row.kinks, *row.kinks)] or [0.0] * 3)[:3]
        layers.append(ref.Layer(weight, bias.astype(float), row))
    problem = ref.Problem(ref.MLP(tuple(layers)), np.ones((2, 3)), np.ones((2, 3)), "mse")
    calls = []
    plain = conventions.away
    monkeypatch.setattr(conventions, "away", lambda *a, **k: calls.append(1) or plain(*a, **k))
    given = ref.gradients(problem).leaves()
    assert tc.check(problem, given | {"layers[0].bias": np.ones(3)}).status == "wrong"
    assert len(calls) <= 100


def test_a_convention_is_found_in_numbers_that_underflow():
    """relu's slope from above at 0 leaves the smallest float32 where the oracle has 0; leaky_relu's and elu's sides
    change nothing that float32 shows."""
    names = ("relu", "elu", "leaky_relu", "identity")
    scales = (1.0, 1.0, 1.0, 1e-20)
    layers = [ref.Layer(np.array([[w]]), None, name) for name, w in zip(names, scales, strict=True)]
    target = np.full((4, 1), -1e-24)
    problem = ref.Problem(ref.MLP(tuple(layers)), np.zeros((4, 1)), target, "half_squared_error", "sum")
    given = ref.gradients(problem).leaves() | {"input": np.array([[1.4012984643e-45], [0.0], [0.0], [0.0]])}
    verdict = tc.check(problem, given, "float32")
    assert verdict.status == "another convention"
    assert "relu at 0" in verdict.diagnosis
    assert tc.check(problem, given | {"input": np.full((4, 1), 1e-40)}, "float32").status == "wrong"


@pytest.mark.parametrize(("activation", "slope", "said"), [
    ("relu", 1.0, "the slope from above (relu at 0)"),
    ("relu", 0.5, "the mean of both slopes (relu at 0)"),
    ("leaky_relu", 1.0, "the slope from above (leaky_relu at 0)"),
    ("relu6", 1.0, "the slope from above (relu6 at 0)"),
    ("softshrink", 1.0, "the slope from above (softshrink at 0.5)"),
])  # fmt: skip
def test_the_sentence_names_the_side_and_the_kink(activation, slope, said):
    row = ref.ACTIVATIONS[activation]
    at = row.kinks[-1].at if activation == "softshrink" else 0.0
    mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, row),))
    problem = ref.Problem(mlp, np.array([[at], [3.0]]), np.array([[1.0], [1.0]]), "half_squared_error", "sum")
    right = ref.gradients(problem).input
    d_y = ref.loss_gradient(problem, ref.forward(mlp, problem.x).output)
    given = np.array([[slope * d_y[0, 0]], [right[1, 0]]])
    verdict = tc.check(problem, {"input": given})
    assert verdict.status == "another convention"
    assert verdict.diagnosis == f"at exact kinks it takes {said}, where the oracle follows torch"
