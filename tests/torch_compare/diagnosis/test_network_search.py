"""Mistakes in networks that were found and not named: written here by hand, one alone or two in two steps."""

import numpy as np
import pytest
from scipy.special import expit

import reference as ref
import torch_compare as tc
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.of_network import network_mistakes

RNG = np.random.default_rng(5)
X, D, W = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4))


def named(operation, inputs, given, **parameters):
    return tc.check_operation(operation, inputs, D, given, **parameters).diagnosis.names


def test_a_square_weights_gradient_that_is_transposed():
    given = {"x": D @ W, "weight": X.T @ D}
    assert named("linear", {"x": X, "weight": W}, given) == ("weight gradient transposed",)


def test_a_norm_whose_weight_is_left_out_of_the_backward_pass():
    weight = RNG.normal(size=4)
    normal = (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 1e-5)
    inner = D - D.mean(-1, keepdims=True) - normal * (D * normal).mean(-1, keepdims=True)
    given = {"x": inner / np.sqrt(X.var(-1, keepdims=True) + 1e-5), "weight": (D * normal).sum(0)}
    assert named("layer_norm", {"x": X, "weight": weight}, given) == ("weight left out",)


def test_a_gate_with_the_derivative_of_its_sigmoid():
    up, s = RNG.normal(size=(3, 4)), expit(X)
    given = {"gate": D * up * s * (1 - s), "up": D * X * s}
    assert named("swiglu", {"gate": X, "up": up}, given) == ("derivative of the sigmoid",)


def test_an_embedding_times_the_root_of_its_width():
    table, ids = RNG.normal(size=(5, 4)), np.array([3, 0, 3])
    given = {"weight": 2 * ref.gradients(ref.Problem(
        ref.Network({"weight": table}, [ref.Step("y", "embedding", "ids", "weight")], inputs=("ids",)), ids, D,
        "inner_product",
    ))["weight"]}  # fmt: skip
    verdict = tc.check_operation("embedding", {"input": ids, "weight": table}, D, given)
    assert "times the root of the width" in (
        *verdict.diagnosis.names,
        *(n for o in verdict.diagnosis.others for n in o),
    )


def two_layers() -> ref.Problem:
    parameters = {"w": RNG.normal(size=(4, 4)), "b": RNG.normal(size=4), "g": 1 + RNG.normal(size=4) / 3}
    steps = [ref.Step("n", "layer_norm", "x", "g"), ref.Step("z", "linear", "n", "w", "b"), ref.Step("y", "silu", "z")]
    return ref.Problem(ref.Network(parameters, steps), X, D, "mse")


@pytest.mark.parametrize("pair", [
    (("projection left out", "n"), ("activation derivative missing", "y")),
    (("mean for sum in the bias", "z"), ("factor in the derivative missing", "y")),
])  # fmt: skip
def test_two_mistakes_in_two_steps(pair):
    problem = two_layers()
    both = tuple(m for m in network_mistakes(problem) if (m.name, m.where) in pair)
    assert len(both) == 2
    verdict = tc.check(problem, leaves_with(both, problem))
    assert verdict.status == "wrong"
    assert set(verdict.diagnosis.names) == {name for name, _ in pair}
    assert all(f"{where}: " in verdict.diagnosis for _, where in pair)
