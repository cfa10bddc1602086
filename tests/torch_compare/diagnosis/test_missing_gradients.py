"""Gradients of a network that are 0 everywhere, and the cut that they lie behind."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.of_network import network_mistakes

RNG = np.random.default_rng(8)


def gated() -> ref.Problem:
    """A gate, softmax(r·x), of a branch gelu(e·x); a linear layer follows."""
    parameters = {
        "r": RNG.normal(size=(4, 5)), "rb": RNG.normal(size=4), "e": RNG.normal(size=(4, 5)),
        "o": RNG.normal(size=(3, 4)),
    }  # fmt: skip
    steps = [
        ref.Step("s", "linear", "x", "r", "rb"), ref.Step("g", "softmax", "s"), ref.Step("u", "linear", "x", "e"),
        ref.Step("h", "gelu", "u"), ref.Step("m", "mul", "g", "h"), ref.Step("y", "linear", "m", "o"),
    ]  # fmt: skip
    return ref.Problem(ref.Network(parameters, steps), RNG.normal(size=(6, 5)), RNG.integers(0, 3, 6), "cross_entropy")


PROBLEM = gated()
RIGHT = {place: leaf for place, leaf in ref.gradients(PROBLEM).leaves().items() if place != "loss"}
BETWEEN = "cut between the step g (softmax) and the step s (linear)"


def detached() -> dict[str, np.ndarray]:
    """The gradients where the gate counts as a constant."""
    p, x = PROBLEM.network.parameters, PROBLEM.x["x"]
    z = x @ p["r"].T + p["rb"]
    gate = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    steps = [ref.Step("u", "linear", "x", "e"), ref.Step("h", "gelu", "u"), ref.Step("m", "mul", "gate", "h"),
             ref.Step("y", "linear", "m", "o")]  # fmt: skip
    net = ref.Network({"e": p["e"], "o": p["o"]}, steps, constants={"gate": gate})
    found = ref.gradients(ref.Problem(net, x, PROBLEM.target, "cross_entropy")).leaves()
    return {place: found.get(place, np.zeros_like(leaf)) for place, leaf in RIGHT.items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_branch_that_is_detached_is_cut_between_two_steps(dtype: str) -> None:
    found = tc.check(PROBLEM, {k: g.astype(dtype) for k, g in detached().items()}, dtype=dtype).diagnosis
    assert found.names == ("gradient missing",)
    assert found == f"r and rb: 0 everywhere, {BETWEEN}"
    assert found.steps(["g", "s", "h"]) == ("g", "s")
    assert found.scales < 8


def test_without_the_input_it_may_never_have_been_set() -> None:
    given = {place: leaf * (place not in ("r", "rb")) for place, leaf in RIGHT.items() if place != "x"}
    assert tc.check(PROBLEM, given).diagnosis == f"r and rb: 0 everywhere, never set, or {BETWEEN}"


def test_one_of_two_leaves_of_a_step_is_behind_no_step_alone() -> None:
    found = tc.check(PROBLEM, RIGHT | {"rb": np.zeros(4)}).diagnosis
    assert found == "rb: 0 everywhere, never set, or detached"


def test_every_gradient_may_be_missing() -> None:
    found = tc.check(PROBLEM, {place: 0 * leaf for place, leaf in RIGHT.items()}).diagnosis
    assert found == "every gradient: 0 everywhere, never set, or cut at the step y (linear)"


def test_the_rest_is_explained_as_it_would_be_without_them() -> None:
    mistake = next(m for m in network_mistakes(PROBLEM) if (m.name, m.where) == ("activation derivative missing", "h"))
    found = tc.check(PROBLEM, leaves_with((mistake,), PROBLEM) | {"rb": np.zeros(4)}).diagnosis
    assert found.names == ("gradient missing", "activation derivative missing")
    assert found.startswith("rb: 0 everywhere, never set, or detached; of the rest: h: the activation's derivative is")


def test_the_rest_that_nothing_explains_is_told_of_besides() -> None:
    odd = RIGHT["e"] + np.sin(1.0 + np.arange(20)).reshape(4, 5)
    found = tc.check(PROBLEM, RIGHT | {"rb": np.zeros(4), "e": odd}).diagnosis
    assert found.names == ("gradient missing",)
    assert "of the rest: no known mistake explains it; going back from the loss, e of the step u" in found


def test_a_forward_pass_that_leaves_a_bias_out_explains_its_0_too() -> None:
    net = PROBLEM.network
    steps = [ref.Step("s", "linear", "x", "r"), *net.steps[1:]]
    parameters = {name: w for name, w in net.parameters.items() if name != "rb"}
    other = ref.gradients(PROBLEM.replace(network=ref.Network(parameters, steps))).leaves()
    assert tc.check(PROBLEM, {**other, "rb": np.zeros(4)}).diagnosis.names == ("bias in the forward pass",)
