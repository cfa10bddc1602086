"""What was done to the finished gradients of a network is named, whatever shape its parameters have."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reference as ref
import torch_compare as tc

RATE = 0.0371
Change = Callable[[str, Any, Any, float], Any]
"""(place, right gradient, parameter, norm of all parameters' gradients) ↦ wrong gradient."""


def problem_of(dtype: str) -> ref.Problem:
    """A convolution, a norm and a linear layer; the input has a gradient, too."""
    rng = np.random.default_rng(5)

    def drawn(*shape: int) -> Any:
        return rng.normal(size=shape).astype(dtype)

    parameters = {
        "conv.weight": drawn(4, 2, 3, 3), "norm.weight": drawn(36), "norm.bias": drawn(36), "fc.weight": drawn(5, 36),
        "fc.bias": drawn(5),
    }  # fmt: skip
    steps = [
        ref.Step("c", "conv2d", "x", "conv.weight"),
        ref.Step("a", "gelu", "c"),
        ref.Step("f", ref.operations.flatten(1), "a"),
        ref.Step("n", "layer_norm", "f", "norm.weight", "norm.bias"),
        ref.Step("y", "linear", "n", "fc.weight", "fc.bias"),
    ]
    x = {"x": drawn(6, 2, 5, 5)}
    return ref.Problem(ref.Network(parameters, steps), x, rng.integers(0, 5, 6), "cross_entropy")


DONE: dict[str, tuple[Change, str, str]] = {
    "the norm of all clipped": (lambda k, g, w, n: g * (0.1 / n), "gradient clipped",
        "every parameter: .* the norm of all parameters' gradients is clipped, or normalised, to 0.1"),
    "torch's ε in the norm": (lambda k, g, w, n: g * (0.1 / (n + 1e-6)), "gradient clipped", "to 0.1"),
    "each norm": (lambda k, g, w, n: g / np.linalg.norm(g), "gradient clipped",
        "every parameter: the norm of this gradient by itself is clipped, or normalised, to 1"),
    "each element": (lambda k, g, w, n: np.clip(g, -0.01, 0.01), "gradient clipped", "clipped to ±0.01"),
    "decay of all": (lambda k, g, w, n: g + RATE * w, "weight decay mixed in", "every parameter: 0.0371 × the weights"),
    "decay of matrices": (lambda k, g, w, n: g + RATE * w if w.ndim > 1 else g, "weight decay mixed in",
        "every parameter of two axes or more: 0.0371 × the weights is added"),
    "decay of one": (lambda k, g, w, n: g + RATE * w if k == "conv.weight" else g, "weight decay mixed in",
        "^conv.weight: 0.0371 × the weights is added"),
    "decay by sign": (lambda k, g, w, n: g + RATE * np.sign(w), "weight decay mixed in", "weights' signs is added"),
    "rows lost": (lambda k, g, w, n: g * (np.arange(5) < 3)[:, None] if k == "fc.weight" else g, "rows left at 0",
        "^fc.weight: rows from 3 on are 0"),
}  # fmt: skip


@pytest.mark.parametrize("matrices", [False, True])
def test_a_weight_decay_in_half_precision_is_named(matrices: bool) -> None:
    """No element need show it: a known change at the rate that fits best."""
    problem = problem_of("float32")
    given = {k: g for k, g in ref.gradients(problem).leaves().items() if k != "loss"}
    for place, weight in problem.network.named_parameters().items():
        given[place] = given[place] + (0.01 * weight if weight.ndim > 1 or not matrices else 0)
    held = {place: g.astype(np.float16).astype(np.float32) for place, g in given.items()}
    found = tc.check(problem, held, dtype="float16").diagnosis
    where = "every parameter of two axes or more" if matrices else "every parameter"
    assert found.names == ("weight decay mixed in",)
    assert found.startswith(f"{where}: 0.00999"), found


@pytest.mark.parametrize(("done", "dtype"), [(done, f"float{64 >> k % 2}") for k, done in enumerate(DONE)])
def test_what_was_done_to_finished_gradients_of_a_network_is_named(done: str, dtype: str) -> None:
    problem = problem_of(dtype)
    right, (change, name, text) = ref.gradients(problem).leaves(), DONE[done]
    parameters = problem.network.named_parameters()
    norm = float(np.sqrt(sum(np.sum(np.square(right[k], dtype=float)) for k in parameters)))
    given = {k: g for k, g in right.items() if k != "loss"}
    for place, weight in parameters.items():
        given[place] = change(place, right[place].astype(float), weight.astype(float), norm).astype(dtype)
    found = tc.check(problem, given).diagnosis
    assert found.names == (name,), found
    assert re.search(text, found), found
    assert found.runner_up == ""
