"""Changes to gradients after, or in place of, a right backward pass: factors, decay, clipping, another batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import is_parameter, place_of

from ..implementations.naive import Leaves, naive_gradients

Change = Callable[[ref.Problem, Leaves], Leaves]
"""(problem, right leaves) ↦ wrong ones."""


def _norm(leaves: Leaves) -> float:
    return float(np.sqrt(sum(np.sum(np.square(v, dtype=float)) for k, v in leaves.items() if is_parameter(k))))


def times(factor: float, ends: tuple[str, ...] = ("weight", "bias", "input")) -> Change:
    """Leaves whose places end like that, by a factor."""
    return lambda problem, leaves: {k: (v * v.dtype.type(factor) if k.endswith(ends) else v) for k, v in leaves.items()}


def summed_weights(problem: ref.Problem, leaves: Leaves) -> Leaves:
    """Every weight by the batch size, as if it had been averaged already, and the biases right."""
    return times(float(problem.x.shape[0]), ("weight",))(problem, leaves)


def other_batch(problem: ref.Problem, what: str) -> ref.Problem:
    """The problem with inputs, targets or both of another batch."""
    rng = np.random.default_rng(12345)
    x, target = problem.x, problem.target
    if what in ("inputs", "both"):
        x = rng.normal(size=x.shape).astype(x.dtype)
    if what in ("targets", "both"):
        target = rng.permutation(target)
    return problem.replace(x=x, target=np.asarray(target).astype(problem.target.dtype))


def accumulated(problem: ref.Problem, leaves: Leaves) -> Leaves:
    """The gradients of an earlier batch, which were not set to 0, added."""
    earlier = naive_gradients(other_batch(problem, "both"))
    return {k: v + earlier[k] if is_parameter(k) else v for k, v in leaves.items()}


def of_other_batch(what: str) -> Change:
    """Gradients of a problem whose inputs, targets or both are another batch's."""
    return lambda problem, leaves: naive_gradients(other_batch(problem, what))


def decayed(rate: float, ends: tuple[str, ...], shape: Callable[[Any], Any]) -> Change:
    """A weight decay added to the gradients of weights, or of biases too: rate × shape(parameter)."""

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        found = dict(leaves)
        for l, layer in enumerate(problem.mlp.layers):
            for end, parameter in (("weight", layer.weight), ("bias", layer.bias)):
                if end in ends and parameter is not None:
                    place = place_of(l, end)
                    found[place] = found[place] + found[place].dtype.type(rate) * shape(parameter)
        return found

    return change


def clipped(how: str, size: float) -> Change:
    """By value, by the norm over all parameters, or by each array's norm, to a size relative to the largest there."""

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        parameters = {k: v for k, v in leaves.items() if is_parameter(k)}
        norm = _norm(parameters)
        if how == "value":
            bound = size * max(float(np.abs(v).max()) for v in parameters.values())
            return leaves | {k: np.clip(v, -v.dtype.type(bound), v.dtype.type(bound)) for k, v in parameters.items()}
        if how == "norm":
            return leaves | {k: v * v.dtype.type(size / norm) for k, v in parameters.items()}
        norms = {k: np.linalg.norm(v) for k, v in parameters.items()}
        return leaves | {k: v * v.dtype.type(size / norms[k]) for k, v in parameters.items() if norms[k] > 0}

    return change


def slightly_off(size: float, where: str) -> Change:
    """A relative error in one column, or in the largest element, of the middle layer's weight."""

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        place = f"layers[{len(problem.mlp.layers) // 2}].weight"
        wrong = leaves[place].copy()
        if where == "column":
            at: Any = (slice(None), wrong.shape[1] // 2)
        else:
            at = np.unravel_index(np.argmax(np.abs(wrong)), wrong.shape)
        wrong[at] *= wrong.dtype.type(1 + size)
        return leaves | {place: wrong}

    return change
