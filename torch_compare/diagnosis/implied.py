"""What wrong gradients imply, if no known mistake explains them: a derivative, or a product that alone is wrong.

N examples, I a layer's fan-in, O its fan-out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import is_parameter, layer_of, place_of

from ..mistakes.rules import RIGHT
from .evidence import Evidence, distance
from .recovered_data import below
from .wording import Implied

SHOWN = 3
"""Pre-activations at which an implied derivative is shown."""
LARGE = 0.1
"""Only where the gradient of the output is this large, relative to the largest, is a derivative taken from it."""
SAME = 1e-6
"""An implied derivative that is so near to the right one, by norm, is right: rounding on the way back makes more."""
WORST = 1e6
"""The largest condition number of a matrix through which a gradient is recovered."""


def product_alone(evidence: Evidence, wrong: Sequence[str], layer: int) -> str:
    """The clause that says that d_z is right and only what is made of it wrong; "" unless the gradients show it.

    Args:
        evidence: what was given.
        wrong: the places that are wrong.
        layer: the layer in which they part.
    """
    bias, weight = place_of(layer, "bias"), place_of(layer, "weight")
    lower = [p for p in evidence.given if p == "input" or (is_parameter(p) and (layer_of(p) or 0) < layer)]
    if any(p in wrong for p in lower) or (bias in wrong) == (weight in wrong):
        return ""
    if not lower and (weight if bias in wrong else bias) not in evidence.given:
        return ""
    text = "; look at the "
    if bias in wrong:
        return text + "sum of it over the examples that its bias's gradient is"
    return text + (
        "product d_zᵀ·h that its weight's gradient is, at its layout in memory, at the order of its factors, and "
        "whether h is this layer's input"
    )


def implied_derivative(evidence: Evidence, expected: Mapping[str, Any], layer: int) -> Implied | None:
    """The derivative of an activation that the gradients imply, at a few z; None if nothing tells it or it is right.

    Args:
        evidence: what was given.
        expected: the right gradients by place.
        layer: the layer in which they part: what comes down to it is right.
    """
    problem, trace = evidence.problem, evidence.trace
    row = problem.mlp.layers[layer].activation if layer >= 0 else None
    if row is None or row.derivative is None or row.name == "identity":
        return None
    d_h = ref.loss_gradient(problem, trace.output)
    for l in reversed(range(layer + 1, len(problem.mlp.layers))):
        d_h = RIGHT.downward(problem, trace, l, RIGHT.slope(problem, trace, l, d_h))
    z = np.asarray(trace.preactivations[layer])
    right = np.asarray(row.derivative(trace.preactivations[layer]))
    for place, d_z in _recovered(evidence, expected, layer):
        told = (np.abs(d_h) >= LARGE * np.max(np.abs(d_h))) & np.isfinite(d_z) & np.isfinite(right) & (d_h != 0)
        if not np.any(told):
            continue
        at, implied, true = z[told], d_z[told] / np.asarray(d_h)[told], right[told]
        if distance(implied, true) <= max(SAME, evidence.slack(place)):
            return None
        order = np.argsort(at)
        chosen = dict.fromkeys(order[np.linspace(0, len(order) - 1, SHOWN).round().astype(int)].tolist())
        points = tuple((float(at[i]), float(implied[i]), float(true[i])) for i in chosen)
        return Implied(place_of(layer), row.name, place, points)
    return None


def _recovered(evidence: Evidence, expected: Mapping[str, Any], layer: int) -> Iterator[tuple[str, Any]]:
    """The d_z (N, O) of a layer by each way that tells it, with the place that it is told by."""
    problem, given = evidence.problem, evidence.given
    weight, bias = place_of(layer, "weight"), place_of(layer, "bias")
    if problem.x.shape[0] == 1 and bias in given:
        yield bias, given[bias][None]
    found = below(evidence, layer, expected)
    if found is not None:
        yield weight, found
    if weight in given:
        yield from _solved(weight, np.asarray(evidence.trace.inputs[layer]).T, given[weight].T, evidence)
    if layer == 0 and "input" in given:
        made = [
            d.T for _, d in _solved("input", np.asarray(problem.mlp.layers[0].weight).T, given["input"].T, evidence)
        ]
        yield from (("input", d_z) for d_z in made)


def _solved(place: str, matrix: Any, right: Any, evidence: Evidence) -> Iterator[tuple[str, Any]]:
    """The solution of matrix·d = right by least squares, if there is one, it is one only, and it is well determined."""
    if matrix.shape[0] < matrix.shape[1]:
        return
    singular = np.linalg.svd(matrix, compute_uv=False)
    if not singular[-1] * WORST > singular[0]:
        return
    found = np.linalg.lstsq(matrix, right, rcond=None)[0]
    if distance(right, matrix @ found) <= evidence.slack(place):
        yield place, found
