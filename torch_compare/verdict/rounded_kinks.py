"""Kinks whose place a format rounds: a pre-activation between the place and the rounded one has two slopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.arithmetic.noise_source import nearest
from reference.network import graph
from reference.network.gradients import place_of

_NAMED = 3
"""So many units are named."""


@np.errstate(all="ignore")
def rounded_kinks(problem: ref.Problem, fmt: Format) -> str:
    """A clause naming the units that lie between a kink and where the format rounds it; "" if none does.

    Implementations compare with the rounded place or with the exact one (pytorch#185472): both slopes are right.
    """
    found = []
    for place, row, z in _activations(problem.in_float64()):
        for kink in row.kinks:
            rounded = float(nearest(np.asarray(kink.at), fmt.bits))
            apart = abs(rounded - kink.at)
            if not apart:
                continue
            for unit in np.argwhere(np.abs(z - kink.at) <= apart):
                at = ", ".join(map(str, unit.tolist()))
                found.append(
                    f"z[{at}] of {place} is {float(z[tuple(unit)]):.9g} where {row.name} has a "
                    f"kink at {kink.at:g}, {rounded:.9g} in {fmt.name}: slope {kink.left:g} below, "
                    f"{kink.right:g} above"
                )
    if not found:
        return ""
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; rounding of a kink's place decides: " + "; ".join(found[:_NAMED]) + more


def _activations(problem: ref.Problem) -> Iterator[tuple[str, ref.Activation, Any]]:
    """Every activation of the network: the layer or step that applies it, its row, and what it is applied to."""
    if isinstance(problem.network, ref.Network):
        values = graph.forward(problem.network, problem.x).values
        for step in problem.network.steps:
            if step.operation.activation is not None:
                yield step.name, step.operation.activation, np.asarray(graph.inputs_of(step, values)[0])
        return
    trace = ref.forward(problem.mlp, problem.x)
    for index, layer in enumerate(problem.mlp.layers):
        yield place_of(index), layer.activation, np.asarray(trace.preactivations[index])
