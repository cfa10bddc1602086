"""What a difference may be besides a wrong formula: another slope at a kink, or a lower precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.noise import FORMATS, Format

from .measure import FACTOR, in_scales, worst_place

TYPICAL = 0.05
"""Errors of a precision have a root mean square of 0.1 to 1 σ of that precision in every array; one of less than
this many σ is something else, which a wide enough precision merely hides."""
LOWER_PRECISIONS = ("float32", "tf32", "float16", "bfloat16")


def another_convention(
    problem: ref.Problem, leaves: Mapping[str, Any], scale: Mapping[str, Any], fmt: Format
) -> str | None:
    """Which one-sided slopes at exact kinks explain the gradients, if any do."""
    problem = problem.in_float64()
    trace = ref.forward(problem.mlp, problem.x)
    rows = {
        layer.activation.name
        for layer, z in zip(problem.mlp.layers, trace.preactivations, strict=True)
        if any(np.any(z == kink.at) for kink in layer.activation.kinks)
    }
    if any(np.any(s == 0) for s in problem.loss.switches(trace.output, problem.target)):
        rows.add(problem.loss.name)
    if not rows:
        return None
    for side, text in ((-1.0, "the slope from below"), (1.0, "the slope from above"), (0.0, "the mean of both slopes")):
        other = _with_slopes(problem, trace, side)
        if worst_place(leaves, other, scale, fmt).scales <= FACTOR:
            return f"at exact kinks of {', '.join(sorted(rows))} it takes {text} where the oracle follows torch"
    return None


def _with_slopes(problem: ref.Problem, trace: ref.Trace, side: float) -> dict[str, Any]:
    """The gradients with every exact kink given its slope from one side (−1, 1) or their mean (0)."""
    if side == 0:
        left, right = (_with_slopes(problem, trace, s) for s in (-1.0, 1.0))
        return {place: (left[place] + right[place]) / 2 for place in left}
    towards = np.inf * side
    moved = []
    for layer, z in zip(problem.mlp.layers, trace.preactivations, strict=True):
        at_kink = np.isin(z, [kink.at for kink in layer.activation.kinks])
        moved.append(np.where(at_kink, np.nextafter(z, towards), z))
    output = trace.output
    if problem.loss.switches(output, problem.target):
        output = np.nextafter(output, towards)
    beside = ref.Trace(trace.inputs, tuple(moved), output)
    with np.errstate(all="ignore"):  # a nudge may leave the loss's domain: NaN, which explains nothing
        found = ref.backward(problem.mlp, beside, ref.loss_gradient(problem, output))
    return found.leaves() | {"loss": np.asarray(ref.loss_value(problem, trace.output))}


def lower_precision(
    leaves: Mapping[str, Any], expected: Mapping[str, Any], scale: Mapping[str, Any], fmt: Format
) -> str | None:
    """The coarser format whose rounding the errors look like: in every leaf, neither too large nor too small.

    What was computed in float32 or below is handed over as numbers that float32 holds.
    """
    with np.errstate(over="ignore"):
        narrow = all(np.array_equal(np.asarray(v, np.float32), v, equal_nan=True) for v in leaves.values())
    if fmt.bits > FORMATS["float32"].bits and not narrow:
        return None
    for name in LOWER_PRECISIONS:
        coarser = FORMATS[name]
        if coarser.coarsest_bits >= fmt.coarsest_bits:
            continue
        factor = 2.0 ** (fmt.coarsest_bits - coarser.coarsest_bits)
        ratios = [in_scales(values, expected[k], scale[k] * factor, fmt).ravel() for k, values in leaves.items()]
        judged = [r for k, r in zip(leaves, ratios, strict=True) if k != "loss" and np.any(scale[k] > 0)]
        if judged and all(r.max() <= FACTOR and np.sqrt(np.mean(r**2)) >= TYPICAL for r in judged):
            return name
    return None
