"""Where a NaN or an infinity first arises, and the formula that explains it: which overflow loses just these elements.

N examples, O a layer's fan-out, K outputs; a mask is true where a gradient is not finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network.gradients import place_of

from ..mistakes.overflows import ACTIVATIONS, ALONG_ROWS, LOSSES, Overflow

TYPES = (np.float16, np.float32, np.float64)
"""Types that a formula is run in: the first whose largest number is that of the format, or larger."""


def overflow_origin(problem: ref.Problem, lost: Mapping[str, Any], fmt: Format) -> str:
    """The overflow that explains which elements are not finite, in words; "" if none of the known ones does.

    Args:
        problem: in float64.
        lost: masks by place, of all gradients that were given.
        fmt: the format that they were computed in.
    """
    kind = next(t for t in TYPES if float(np.finfo(t).max) >= fmt.largest / 2)
    trace = ref.forward(problem.mlp, problem.x)
    given = {place: np.atleast_1d(mask) for place, mask in lost.items() if place != "loss"}
    if not any(np.any(mask) for mask in given.values()):
        return ""
    with np.errstate(all="ignore"):
        for layer, overflow, mask in _candidates(problem, trace, kind):
            made = _lost_by(problem, layer, mask)
            if np.any(mask) and all(np.array_equal(mask, made[place]) for place, mask in given.items()):
                return _sentence(problem, trace, layer, overflow, mask, fmt)
    return ""


def _candidates(problem: ref.Problem, trace: ref.Trace, kind: Any) -> Iterator[tuple[int, Overflow, Any]]:
    """(layer, or the number of layers for the loss; the overflow; the mask (N, O) of what it loses there)."""
    depth, y = len(problem.mlp.layers), np.asarray(trace.output, kind)
    target = np.asarray(problem.target)
    target = target.astype(kind) if target.dtype.kind == "f" else target
    for overflow in LOSSES.get(problem.loss.name, ()):
        made = np.broadcast_to(overflow.gradient(problem.loss, y, target), y.shape)
        lost = ~np.isfinite(made)
        yield depth, overflow, np.broadcast_to(lost.any(axis=1, keepdims=True), y.shape) if _whole(overflow) else lost
    for layer in reversed(range(depth)):
        row, z = problem.mlp.layers[layer].activation, np.asarray(trace.preactivations[layer], kind)
        for overflow in ACTIVATIONS.get(row.name, ()):
            yield layer, overflow, ~np.isfinite(overflow.gradient(row, z))
        if row.name in ALONG_ROWS:
            lost = ~np.isfinite(ALONG_ROWS[row.name].gradient(row, z))
            yield layer, ALONG_ROWS[row.name], np.broadcast_to(lost.any(axis=1, keepdims=True), z.shape)


def _whole(overflow: Overflow) -> bool:
    """Whether a sum over the outputs carries what is lost to all of them."""
    return "Σ" in overflow.formula


def _lost_by(problem: ref.Problem, origin: int, mask: Any) -> dict[str, Any]:
    """The masks by place if the gradient of a layer's pre-activation, or of the output, is lost where the mask is."""
    lost: dict[str, Any] = {}
    layers = problem.mlp.layers
    mask = np.asarray(mask)
    here = mask if origin == len(layers) else np.zeros((mask.shape[0], layers[-1].width), dtype=bool)
    for l in reversed(range(len(layers))):
        row, o = layers[l].activation, layers[l].weight.shape[0]
        if l == origin:
            d_z = mask
        elif row.rowwise:
            d_z = np.broadcast_to(here.any(axis=1, keepdims=True), (here.shape[0], o))
        else:
            d_z = here
        units = d_z.any(axis=0)
        lost[place_of(l, "bias")] = units
        lost[place_of(l, "weight")] = np.broadcast_to(units[:, None], layers[l].weight.shape)
        here = np.broadcast_to(d_z.any(axis=1, keepdims=True), (d_z.shape[0], layers[l].fan_in))
    return lost | {"input": here}


def _sentence(problem: ref.Problem, trace: ref.Trace, layer: int, overflow: Overflow, mask: Any, fmt: Format) -> str:
    """The place, the formula and what becomes of it."""
    at_loss = layer == len(problem.mlp.layers)
    row = problem.loss if at_loss else problem.mlp.layers[layer].activation
    values = trace.output if at_loss else trace.preactivations[layer]
    size = np.where(mask, overflow.exponent(row, values), -np.inf)
    example, unit = (int(i) for i in np.unravel_index(np.argmax(size), size.shape))
    symbol = "y" if at_loss else "z"
    where = f"the loss, at output {unit}" if at_loss else f"{place_of(layer)}, at unit {unit}"
    text = f"; it first arises in {where} in example {example}, "
    text += f"where {symbol} = {values[example, unit]:.6g}: the derivative of {row.name}, written {overflow.formula}, "
    text += f"is {overflow.becomes} there"
    if overflow.of:
        text += f": {overflow.of} overflows in {fmt.name} from an exponent of {np.log(fmt.largest):.4g} on"
    return text + f"; write {overflow.instead}"
