"""Small networks of operations, and what holds of each."""

from __future__ import annotations

from typing import Any

import numpy as np

import reference as ref
from reference import operations as ops
from reference.network import graph
from reference.operations.row import STEP
from reference.rounding.distance import FACTOR


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_sum(network: ref.Network, x: Any) -> ref.Problem:
    """⟨d, output⟩ with a random d."""
    output = graph.forward(network, x if isinstance(x, dict) else {network.inputs[0]: x}).output
    d = rng_of(7).normal(size=output.shape).astype(network.dtype or float)
    return ref.Problem(network, x, d, "inner_product", "sum")


def nearest(problem: ref.Problem) -> ref.Gradients:
    """The correctly rounded gradients."""
    certified = ref.certified_gradients(problem)
    assert certified.status == "certified"
    return certified.map(lambda leaf: leaf.nearest)


def check_against_the_complex_step(problem: ref.Problem) -> None:
    """Every leaf, element by element; what the two differ by is rounding in both, as the scale measures it."""
    found, scale = ref.gradients(problem), ref.rounding_scale(problem, "float64", seed=0)
    for place, values in problem.leaves().items():
        assert found[place].shape == values.shape
        for at in np.ndindex(values.shape):
            shifted = problem.map(lambda v, mine=values, at=at: _stepped(v, at) if v is mine else v.astype(complex))
            exact = ref.loss_value(shifted).imag / STEP
            # Two errors of rounding, each within the factor at which a verdict calls a gradient wrong.
            assert abs(found[place][at] - exact) <= 2 * FACTOR * scale[place][at], (place, at)


def _stepped(v: Any, at: tuple[int, ...]) -> Any:
    z = v.astype(complex)
    z[at] += 1j * STEP
    return z


def small_network() -> ref.Problem:
    rng = rng_of(18)
    parameters = {"e": rng.normal(size=(5, 4)), "qk": rng.normal(size=(8, 4)), "o": rng.normal(size=(3, 4))}
    network = ref.Network(parameters, [
        ref.Step("x", "embedding", "tokens", "e"),
        ref.Step("h", "linear", "x", "qk"),
        ref.Step(("q", "k"), ops.chunk(2, dim=-1), "h"),
        ref.Step("scores", ops.einsum("bqd,bkd->bqk"), "q", "k"),
        ref.Step("p", "softmax", "scores"),
        ref.Step("mixed", "matmul", "p", "x"),
        ref.Step("r", "add", "mixed", "x"),
        ref.Step("y", "linear", "r", "o"),
    ], inputs=("tokens",))  # fmt: skip
    return ref.Problem(network, rng.integers(0, 5, size=(2, 3)), rng.integers(0, 3, size=(2, 3)), "cross_entropy")
