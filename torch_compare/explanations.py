"""What a difference may be besides a wrong formula: another slope at a kink, or a lower precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import product
from typing import Any

import numpy as np

import reference as ref
from reference.noise import FORMATS, Format, rounding_scale
from reference.records import changed

from .measure import FACTOR, in_scales, worst_place

TYPICAL = 0.05
"""Errors of a precision have a root mean square of 0.1 to 1 σ of that precision in every array; one of less than
this many σ is something else, which a wide enough precision merely hides."""
LOWER_PRECISIONS = ("float32", "tf32", "float16", "bfloat16")


@np.errstate(all="ignore")  # beside a kink a loss may leave its domain: NaN, which explains nothing
def another_convention(
    problem: ref.Problem, leaves: Mapping[str, Any], scale: Mapping[str, Any], fmt: Format
) -> str | None:
    """Which slopes at exact kinks explain the gradients, if any do: for every kink that of either side, or the mean.

    Libraries choose kink by kink: JAX's relu6 takes the mean of both slopes where its leaky_relu takes that from above.
    The choices that come nearest are judged by the rounding scale of the gradients that they make.

    Args:
        problem: the problem.
        leaves: the gradients by place.
        scale: the rounding scale of the oracle's by place.
        fmt: the format that they were computed in.
    """
    problem = problem.in_float64()
    trace = ref.forward(problem.mlp, problem.x)
    names = {}
    if any(np.any(s == 0) for s in problem.loss.switches(trace.output, problem.target)):
        names[_LOSS] = problem.loss.name
    for layer, z in zip(reversed(problem.mlp.layers), reversed(trace.preactivations), strict=True):
        at_kink = [kink.at for kink in layer.activation.kinks if np.any(z == kink.at)]
        names |= {(layer.activation.name, at): f"{layer.activation.name} at {at:g}" for at in at_kink}
    if not names or not all(np.all(np.isfinite(values)) for values in leaves.values()):
        return None

    def with_sides(choice: Choice) -> ref.Problem:
        return _with_sides(problem, trace.output, dict(zip(names, choice, strict=True)))

    def scale_of(choice: Choice) -> dict[str, Any]:
        return _leaves(rounding_scale(with_sides(choice), fmt, textbook=True))

    # The mean of both slopes lets the noise of every unit through, which a slope of 0 does not.
    open_ = scale_of((0.0,) * len(names))
    noise = {k: np.nan_to_num(np.maximum(scale[k], open_[k]), nan=0.0, posinf=0.0) for k in leaves}

    @cache
    def distances(choice: Choice) -> tuple[float, float]:
        return _distances(leaves, _leaves(ref.gradients(with_sides(choice))), noise, fmt)

    for choice in _nearest(len(names), distances):
        made = _leaves(ref.gradients(with_sides(choice)))
        if worst_place(leaves, made, scale_of(choice), fmt).scales <= FACTOR:
            return f"at exact kinks it takes {_said(names, choice)}, where the oracle follows torch"
    return None


Choice = tuple[float, ...]
"""A side for every kink."""
_LOSS = ("", 0.0)
_SIDES = {-1.0: "the slope from below", 1.0: "the slope from above", 0.0: "the mean of both slopes"}
_MOST = 5
"""So many kinks are tried with every choice of sides, 3⁵ passes; more of them one after the other."""
_CONFIRMED = 3


def _nearest(kinks: int, distances: Callable[[Choice], tuple[float, float]]) -> list[Choice]:
    """The choices that come nearest, by either distance; of equally near ones those that treat all kinks alike."""

    def whole(choice: Choice) -> float:
        return distances(choice)[0]

    tried = [(side,) * kinks for side in _SIDES]
    if kinks <= _MOST:
        tried += [sides for sides in product(_SIDES, repeat=kinks) if sides not in tried]
    else:
        tried.append(_descended(min(tried, key=whole), whole))
    beyond = sorted(tried, key=lambda choice: distances(choice)[1])
    return list(dict.fromkeys([*beyond[:_CONFIRMED], *sorted(tried, key=whole)[:_CONFIRMED]]))


def _descended(choice: Choice, distance: Callable[[Choice], float]) -> Choice:
    """Each kink's side in turn as it is best, from the output down, until none changes.

    A layer's gradients depend on the kinks behind it alone, so that one turn settles nearly all.
    """
    while True:
        before = choice
        for at in range(len(choice)):
            choice = min(((*choice[:at], side, *choice[at + 1 :]) for side in _SIDES), key=distance)
        if distance(choice) >= distance(before):
            return before


def _said(names: Mapping[tuple[str, float], str], choice: Iterable[float]) -> str:
    taken: dict[float, list[str]] = {}
    for name, side in zip(names.values(), choice, strict=True):
        taken.setdefault(side, []).append(name)
    return " and ".join(f"{_SIDES[side]} ({', '.join(sorted(at))})" for side, at in taken.items())


def _leaves(found: ref.Gradients) -> dict[str, Any]:
    return found.leaves() | {"loss": np.asarray(found.loss)}


def _distances(
    given: Mapping[str, Any], made: Mapping[str, Any], scale: Mapping[str, Any], fmt: Format
) -> tuple[float, float]:
    """The elements' distances relative to size and rounding: all, and those that exceed it; leaves count alike.

    Not by norm: one large element would hide which side all others take. Those beyond rounding apart: near underflow
    all the others are noise.
    """
    whole = beyond = 0.0
    for place, values in given.items():
        distance, size = np.abs(values - made[place]), np.maximum(np.abs(values), np.abs(made[place]))
        allowed = FACTOR * scale[place]
        share = np.where(distance == 0, 0.0, distance / (size + allowed))
        rounding = allowed + FACTOR * fmt.unit_roundoff * size + fmt.smallest * 2.0**fmt.bits
        whole += float(np.mean(share))
        beyond += float(np.mean(np.where(distance <= rounding, 0.0, share)))
    return (whole, beyond) if np.isfinite(whole) else (float("inf"), float("inf"))


def _with_sides(problem: ref.Problem, output: Any, sides: Mapping[tuple[str, float], float]) -> ref.Problem:
    """The problem whose exact kinks take the slope from one side (−1, 1) or the mean (0)."""
    layers = tuple(
        ref.Layer(layer.weight, layer.bias, _one_sided(layer.activation, sides)) for layer in problem.mlp.layers
    )
    loss = problem.loss
    if _LOSS in sides:
        below, above = (loss.gradient(y, problem.target) for y in _beside(problem, output))
        chosen = {-1.0: below, 1.0: above, 0.0: (below + above) / 2}[sides[_LOSS]]
        jump = np.where(below == above, 0.0, chosen - loss.gradient(output, problem.target))
        loss = changed(loss, gradient=lambda y, t: problem.loss.gradient(y, t) + jump)
    return problem.replace(mlp=ref.MLP(layers), loss=loss)


def _one_sided(row: ref.Activation, sides: Mapping[tuple[str, float], float]) -> ref.Activation:
    kinks = [(kink, sides[row.name, kink.at]) for kink in row.kinks if (row.name, kink.at) in sides]
    if not kinks:
        return row

    def derivative(z: Any) -> Any:
        assert row.derivative is not None
        slope = row.derivative(z)
        for kink, side in kinks:
            taken = {-1.0: kink.left, 1.0: kink.right, 0.0: (kink.left + kink.right) / 2}[side]
            slope = np.where(z == kink.at, taken, slope)
        return slope

    return changed(row, derivative=derivative)


def _beside(problem: ref.Problem, y: Any) -> tuple[Any, Any]:
    """Outputs that take every switch of the loss at 0 below it, and above it, by a few ulps.

    A margin loss switches on a difference of outputs: one has to rise where the other falls.
    """
    step = 4 * np.spacing(np.maximum(np.abs(y).max(axis=1, keepdims=True), 1))
    before = [np.asarray(s) for s in problem.loss.switches(y, problem.target)]
    rises = np.zeros_like(y)
    for k in range(y.shape[1]):
        raised = y.copy()
        raised[:, k : k + 1] += step
        for old, new in zip(before, problem.loss.switches(raised, problem.target), strict=True):
            rises[:, k] += np.where(old == 0, np.sign(new - old), 0).reshape(len(y), -1).sum(axis=1)
    return y - step * np.sign(rises), y + step * np.sign(rises)


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
