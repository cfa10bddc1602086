"""Conventions at exact kinks: slopes that other libraries take there, which are not wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import layer_of, place_of
from reference.network.unchecked import changed
from reference.rounding.distance import FACTOR
from reference.rounding.scale import Format

from .step_conventions import FEW, away, convention_of_steps

Key = tuple[str, float, int | None]


@dataclass(frozen=True)
class _Kink:
    """A kink that some pre-activation lies on exactly; or a switch of the loss that is met exactly.

    Attributes:
        key: the activation's name, the kink's place, and the layer where each has a side of its own; `_LOSS` for the
            loss.
        title: for the reader.
        layer: the uppermost layer that has it; the number of layers for the loss.
    """

    key: Key
    title: str
    layer: int


@np.errstate(all="ignore")  # beside a kink a loss may leave its domain: NaN, which explains nothing
def another_convention(
    problem: ref.Problem, leaves: Mapping[str, Any], fmt: Format, printing: Mapping[str, Any] | None = None
) -> str | None:
    """Which slopes at exact kinks explain the gradients, if any do: for every kink that of either side, or the mean.

    Libraries choose kink by kink: JAX's relu6 takes the mean of both slopes where its leaky_relu takes that from above.
    A layer's gradients depend on the kinks in it and behind it alone. So sides are chosen from the output down, each by
    the layers that it decides, in the rounding scale of the gradients that it makes; the oracle's own slope first.
    Where several sides fit there, the layers below tell. Where none fit, layers of one activation, if they are few, may
    each have a side of their own.

    Args:
        problem: the problem.
        leaves: the gradients by place.
        fmt: the format that they were computed in.
        printing: what their printing adds to the rounding scale (`printed.printing`).
    """
    problem = problem.in_float64()
    if isinstance(problem.network, ref.Network):
        return convention_of_steps(problem, leaves, fmt, printing)
    together, apart = _exact_kinks(problem, each=False), _exact_kinks(problem, each=True)
    if not together or not all(np.all(np.isfinite(values)) for values in leaves.values()):
        return None
    several = len(together) < len(apart) and len({kink.layer for kink in apart}) <= FEW
    for kinks in (together, apart) if several else (together,):
        said = _said(kinks, _search(problem, kinks, leaves, fmt, printing or {}))
        if said:
            return f"at exact kinks it takes {said}, where the oracle follows torch"
    return None


def _search(
    problem: ref.Problem, kinks: list[_Kink], leaves: Mapping[str, Any], fmt: Format, printing: Mapping[str, Any]
) -> Sides:
    """A side for each kink, with which every gradient is within rounding; () if none is found.

    Where that is so of the oracle's own slopes, and statistics alone tell that they are not taken, other sides have to
    leave a 32nd of the errors at the most: a small mistake is no convention.
    """
    output = ref.forward(problem.mlp, problem.x).output
    left = _TRIED - 1  # the first are the oracle's own

    def off(sides: Sides) -> float:
        taken = {kink.key: side for kink, side in zip(kinks, sides, strict=False) if side is not None}
        other = _with_sides(problem, output, taken)
        undecided = kinks[len(sides)].layer if len(sides) < len(kinks) else -1
        held = {place: values for place, values in leaves.items() if _layer_of(place) > undecided}
        if not held:
            return 0.0
        worst = away(other, held, fmt, printing)
        return 0.0 if np.isnan(worst) and undecided >= 0 else worst

    own = off((None,) * len(kinks))
    at_last = own / FACTOR if own <= FACTOR else FACTOR

    def search(sides: Sides) -> Sides | None:
        nonlocal left
        if len(sides) == len(kinks):
            return sides
        for side in dict.fromkeys((None, *sides[::-1], *_SIDES)):
            left -= 1
            if left < 0:
                return None
            tried = (*sides, side)
            found = search(tried) if off(tried) <= (at_last if len(tried) == len(kinks) else FACTOR) else None
            if found:
                return found
        return None

    return search(()) or ()


Sides = tuple[float | None, ...]
"""A side for each of the first kinks; None if the oracle's own slope is taken."""
_LOSS: Key = ("", 0.0, None)
_SIDES = {-1.0: "the slope from below", 1.0: "the slope from above", 0.0: "the mean of both slopes"}
_TRIED = 100
"""So many sides are tried in all: kinks whose sides no gradient tells apart must not be tried in every combination."""


def _exact_kinks(problem: ref.Problem, each: bool) -> list[_Kink]:
    """The kinks that are met exactly, from the output down, each where it occurs first, or in each layer."""
    trace = ref.forward(problem.mlp, problem.x)
    found: dict[Key, _Kink] = {}
    if any(np.any(s == 0) for s in problem.loss.switches(trace.output, problem.target)):
        found[_LOSS] = _Kink(_LOSS, problem.loss.name, len(problem.mlp.layers))
    for l in reversed(range(len(problem.mlp.layers))):
        row = problem.mlp.layers[l].activation
        for kink in row.kinks:
            if np.any(trace.preactivations[l] == kink.at):
                key = (row.name, kink.at, l if each else None)
                title = f"{row.name} at {kink.at:g}" + (f" in {place_of(l)}" if each else "")
                found.setdefault(key, _Kink(key, title, l))
    return list(found.values())


def _layer_of(place: str) -> float:
    """The layer whose slope a gradient depends on last: the first layer for the input, all for the loss's value."""
    if place == "loss":
        return np.inf
    return layer_of(place) or 0


def _said(kinks: Iterable[_Kink], sides: Sides) -> str:
    """Which side is taken where, if it is not the oracle's own slope; "" if it is so everywhere."""
    taken: dict[float, list[str]] = {}
    for kink, side in zip(kinks, sides, strict=False):
        if side is not None:
            taken.setdefault(side, []).append(kink.title)
    return " and ".join(f"{_SIDES[side]} ({', '.join(sorted(at))})" for side, at in taken.items())


def _with_sides(problem: ref.Problem, output: Any, sides: Mapping[Key, float]) -> ref.Problem:
    """The problem whose exact kinks take the slope from one side (−1, 1) or the mean (0)."""
    layers = tuple(
        ref.Layer(layer.weight, layer.bias, _one_sided(layer.activation, sides, l))
        for l, layer in enumerate(problem.mlp.layers)
    )
    loss = problem.loss
    if _LOSS in sides:
        below, above = (loss.gradient(y, problem.target) for y in _beside(problem, output))
        chosen = {-1.0: below, 1.0: above, 0.0: (below + above) / 2}[sides[_LOSS]]
        jump = np.where(below == above, 0.0, chosen - loss.gradient(output, problem.target))
        loss = changed(loss, gradient=lambda y, t: problem.loss.gradient(y, t) + jump)
    return problem.replace(network=ref.MLP(layers), loss=loss)


def _one_sided(row: ref.Activation, sides: Mapping[Key, float], layer: int) -> ref.Activation:
    keys = [(kink, (row.name, kink.at, where)) for kink in row.kinks for where in (None, layer)]
    kinks = [(kink, sides[key]) for kink, key in keys if key in sides]
    if not kinks:
        return row

    def derivative(z: Any) -> Any:
        assert row.derivative is not None
        slope = row.derivative(z)
        for kink, side in kinks:
            taken = {-1.0: kink.left, 1.0: kink.right, 0.0: kink.slopes["mean"]}[side]
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
