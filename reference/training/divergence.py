"""Why a loss is not finite: the first thing on the way to it that is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.noisy import Noisy
from ..network.gradients import Gradients
from ..network.mlp import forward
from ..network.problem import Problem
from ..network.validation import first_place


def leading(value: Any) -> Any:
    """The run without noise of a noisy number, on which all runs must decide alike; any other as it is."""
    return value.data[0] if isinstance(value, Noisy) else value


def finite(loss: Array) -> bool:
    """Whether a loss is a number.

    >>> finite(np.float64(1.0)), finite(np.float64("nan"))
    (True, False)
    """
    return bool(np.isfinite(leading(loss)))


def culprit(problem: Problem, passed: Gradients | None, step: int) -> str:
    """The first thing that is not finite, in the order in which a training computes.

    Args:
        problem: whose loss is not finite.
        passed: the gradients that made its network, by the update of `step`; None if there was no update.
        step: the number of that update, from 1.

    >>> from reference import MLP, Layer
    >>> network = MLP((Layer(np.array([[1e200]]), None, "identity"), Layer(np.array([[1e200]]), None, "identity")))
    >>> with np.errstate(over="ignore"):
    ...     culprit(Problem(network, np.ones((1, 1)), np.ones((1, 1)), "mse"), None, 0)
    'first not finite is the pre-activation of layers[1], [0, 0] = inf'
    """
    for index, layer in enumerate(problem.mlp.layers):
        for key, values in (("weight", layer.weight), ("bias", layer.bias)):
            if values is not None and (bad := _bad(values)):
                return (
                    _wrong_slope(passed, step) or f"first not finite is layers[{index}].{key}{bad}, after step {step}"
                )
    if problem.reduction == "mean" and not np.any(np.asarray(leading(_divisor(problem)))):
        return f"no target of the batch counts, so {problem.loss.name} has no mean"
    trace = forward(problem.mlp, problem.x)
    for index, (z, y) in enumerate(zip(trace.preactivations, (*trace.inputs[1:], trace.output), strict=True)):
        for what, values in (("pre-activation", z), ("output", y)):
            if bad := _bad(values):
                return f"first not finite is the {what} of layers[{index}], {bad}"
    return f"every output of the network is finite, {problem.loss.name} of them is not"


def _divisor(problem: Problem) -> Any:
    """What the mean divides by: 0 where every target of a batch is ignored, or of a class of weight 0."""
    outputs = np.zeros((problem.x.shape[0], problem.mlp.layers[-1].width))
    return problem.loss.divisor(outputs, problem.target)


def _wrong_slope(passed: Gradients | None, step: int) -> str:
    """The first gradient that is not finite; the backward pass goes from the last layer to the first."""
    for index, layer in reversed(list(enumerate(passed.layers if passed is not None else ()))):
        for key, slope in (("weight", layer.weight), ("bias", layer.bias)):
            if slope is not None and (bad := _bad(slope)):
                return f"first not finite is the gradient of layers[{index}].{key}{bad} at step {step}"
    return ""


def _bad(values: Array) -> str:
    """Where an array is first not finite, and what is there; an empty string if it is nowhere."""
    plain = leading(values)
    bad = ~np.isfinite(plain)
    return f"{first_place(bad)} = {plain[tuple(np.argwhere(bad)[0])]}" if np.any(bad) else ""
