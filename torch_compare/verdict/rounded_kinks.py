"""Kinks whose place a format rounds: a pre-activation between the place and the rounded one has two slopes."""

from __future__ import annotations

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.arithmetic.noise_source import nearest

_NAMED = 3
"""So many units are named."""


def rounded_kinks(problem: ref.Problem, fmt: Format) -> str:
    """A clause naming the units that lie between a kink and where the format rounds it; "" if none does.

    Implementations compare with the rounded place or with the exact one (pytorch#185472): both slopes are right.
    """
    with np.errstate(all="ignore"):
        trace = ref.forward(problem.in_float64().mlp, problem.in_float64().x)
    found = []
    for index, layer in enumerate(problem.mlp.layers):
        z = np.asarray(trace.preactivations[index])
        for kink in layer.activation.kinks:
            rounded = float(nearest(np.asarray(kink.at), fmt.bits))
            apart = abs(rounded - kink.at)
            if not apart:
                continue
            for unit in np.argwhere(np.abs(z - kink.at) <= apart):
                at = ", ".join(map(str, unit.tolist()))
                found.append(
                    f"z[{at}] of layers[{index}] is {float(z[tuple(unit)]):.9g} where {layer.activation.name} has a "
                    f"kink at {kink.at:g}, {rounded:.9g} in {fmt.name}: slope {kink.left:g} below, "
                    f"{kink.right:g} above"
                )
    if not found:
        return ""
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; rounding of a kink's place decides: " + "; ".join(found[:_NAMED]) + more
