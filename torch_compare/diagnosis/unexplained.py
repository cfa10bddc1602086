"""Where wrong gradients part from the right ones, if no known mistake explains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network.gradients import is_parameter, layer_of, place_of
from reference.rounding.distance import FACTOR, in_scales

from .evidence import Evidence
from .first_step import first_step
from .implied import implied_derivative, product_alone
from .overflow_origin import overflow_origin
from .pattern import pattern
from .recovered_data import below, exchanged, loss_alone, other_inputs, other_targets
from .wording import Implied, listed


def not_finite(problem: ref.Problem, given: Mapping[str, Any], fmt: Format) -> str:
    """Which elements are not finite, and which unit of the network is the likeliest origin; "" if all are finite."""
    bad = {place: ~np.isfinite(np.asarray(values, dtype=float)) for place, values in given.items()}
    spoilt = [place for place in _from_output(problem, given) if np.any(bad[place])]
    if not spoilt:
        return ""
    place = spoilt[0]
    count, size = int(np.sum(bad[place])), bad[place].size
    at = [int(i) for i in np.argwhere(np.atleast_1d(bad[place]))[0]]
    text = f"{place}: {count} of {size} elements {'is' if count == 1 else 'are'} not finite, the first at {at}"
    if len(spoilt) > 1:
        text += f"; so are elements of {listed(spoilt[1:], 4)}"
    told = overflow_origin(problem, bad, fmt)
    if told:
        return text + told
    if is_parameter(place):
        layer = layer_of(place)
        assert layer is not None
        text += _origin(problem, layer, np.atleast_1d(bad[place]), fmt)
    return text


def _from_output(problem: ref.Problem, given: Mapping[str, Any]) -> list[str]:
    """The places that were given, in the order in which a backward pass makes them."""
    order = ["loss"]
    for layer in reversed(range(len(problem.mlp.layers))):
        order += [place_of(layer, "bias"), place_of(layer, "weight")]
    return [place for place in (*order, "input") if place in given]


def _origin(problem: ref.Problem, layer: int, bad: Any, fmt: Format) -> str:
    """The units whose gradients are not finite, and the largest pre-activation of each, which exp may overflow on."""
    units = np.unique(np.argwhere(bad)[:, 0])
    if len(units) > bad.shape[0] // 2 and bad.shape[0] > 1:
        return f"; most units of {place_of(layer)} have it: look at what comes down from above, and at the loss"
    z = np.abs(ref.forward(problem.mlp, problem.x).preactivations[layer][:, units])
    example, column = np.unravel_index(np.argmax(z), z.shape)
    text = f"; it is unit {int(units[column])} of {place_of(layer)}: its pre-activation is {z[example, column]:.4g} "
    text += f"in size in example {int(example)}"
    if z[example, column] > np.log(fmt.largest):
        text += f", whose exponential overflows in {fmt.name}"
    return text


def agrees(place: str, given: Mapping[str, Any], expected: Any, scale: Any, fmt: Format) -> bool:
    """Whether every element of a leaf is within rounding."""
    ratio = in_scales(given[place], expected[place], scale[place], fmt)
    return bool(np.all(np.isnan(ratio) | (ratio <= FACTOR)))


def unexplained(
    evidence: Evidence, given: Mapping[str, Any], expected: Mapping[str, Any], scale: Any, fmt: Format
) -> tuple[tuple[str, ...], str, Implied | None]:
    """Where the gradients part, if no known mistake explains them.

    Returns:
        The kind of mistake, if that tells it; the text; and the derivative that they imply, if they do.
    """
    problem = evidence.problem
    order = _from_output(problem, given)
    right = [p for p in order if agrees(p, given, expected, scale, fmt)]
    wrong = [p for p in order if p not in right]
    if wrong == ["loss"]:
        return *loss_alone(evidence, expected), None
    told = exchanged(evidence, expected, wrong)
    if told:
        return ("gradients exchanged",), told, None
    names, inputs = other_inputs(evidence, wrong)
    step = first_step(problem, wrong, right, evidence.noise.get("loss", 0.0))
    follows = below(evidence, step.layer, expected) if step is not None and step.layer >= 0 else None
    if not names and follows is not None:
        names, targets = other_targets(evidence, follows)
        if names:
            return names, targets, None
    if names:
        return names, inputs, None
    text = "no known mistake, and no two of them, give these numbers; wrong: "
    text += listed([p + pattern(p, given, expected, scale, fmt) for p in wrong])
    if right:
        text += f"; right: {listed(right)}"
    if step is not None:
        text += f"; from the output down they first differ in {step.text}"
        if step.d_z and follows is not None:
            text += "; all that lies below follows from the gradient of its pre-activation, which is wrong: one error"
    layer = step.layer if step is not None else -1
    if step is not None and not step.d_z and layer >= 0:
        return (), text + product_alone(evidence, wrong, layer) + inputs, None
    implied = implied_derivative(evidence, expected, max(layer, 0))
    return (), text + inputs + ("" if implied is None else f"; {implied}"), implied
