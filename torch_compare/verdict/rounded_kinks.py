"""Kinks whose place a format rounds: a pre-activation between the place and the rounded one has two slopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import reference as ref
from reference.activations.row import Kink
from reference.arithmetic.formats import Format, get_format
from reference.arithmetic.noise_source import nearest, rounds_onto
from reference.network import graph
from reference.network.gradients import place_of

_NAMED = 3
"""So many units are named."""


@np.errstate(all="ignore")
def rounded_kinks(problem: ref.Problem, fmt: Format) -> str:
    """A clause naming the units that lie between a kink and where the format rounds it; "" if none does.

    Implementations compare with the rounded place or with the exact one (pytorch#185472), or shift z before they
    compare, as jax.nn.hard_sigmoid does, and the sum rounds to the kink (`shift` of a row): both slopes are right.
    """
    found = []
    for place, row, z, own in _activations(problem.in_float64(), fmt):
        for kink in row.kinks:
            rounded = float(nearest(np.asarray(kink.at), own.bits))
            if rounded != kink.at:
                beside, how = np.abs(z - kink.at) <= abs(rounded - kink.at), f"{rounded:.9g} in {own.name}"
            elif row.shift:
                beside = rounds_onto(z, kink.at, row.shift, own.bits)
                how = f"and z + {row.shift:g} rounds to {kink.at + row.shift:g} in {own.name}"
            else:
                continue
            found += [_said(place, row, kink, z, unit, how) for unit in np.argwhere(beside)]
    if not found:
        return ""
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; rounding of a kink's place decides: " + "; ".join(found[:_NAMED]) + more


def _said(place: str, row: ref.Activation, kink: Kink, z: Any, unit: Any, how: str) -> str:
    at, number = ", ".join(map(str, unit.tolist())), float(z[tuple(unit)])
    digits = 9 if float(f"{number:.9g}") != kink.at else 17
    return (
        f"z[{at}] of {place} is {number:.{digits}g} where {row.name} has a kink at {kink.at:g}, {how}: "
        f"slope {kink.left:g} below, {kink.right:g} above"
    )


def _activations(problem: ref.Problem, fmt: Format) -> Iterator[tuple[str, ref.Activation, Any, Format]]:
    """Every activation: the layer or step that applies it, its row, what it is applied to, and in which format."""
    if isinstance(problem.network, ref.Network):
        values = graph.forward(problem.network, problem.x).values
        for step in problem.network.steps:
            if step.operation.activation is not None:
                own = get_format(step.compute) if step.compute else fmt
                yield step.name, step.operation.activation, np.asarray(graph.inputs_of(step, values)[0]), own
        return
    trace = ref.forward(problem.mlp, problem.x)
    for index, layer in enumerate(problem.mlp.layers):
        yield place_of(index), layer.activation, np.asarray(trace.preactivations[index]), fmt
