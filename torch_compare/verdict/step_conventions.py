"""Conventions at exact kinks and ties of a network's steps: slopes that other libraries take there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network import graph
from reference.network.unchecked import changed
from reference.rounding.distance import FACTOR, worst_place
from reference.rounding.scale import rounding_scale

_TRIED = 64
"""So many combinations are tried."""


def convention_of_steps(
    problem: ref.Problem, leaves: Mapping[str, Any], fmt: Format, printing: Mapping[str, Any] | None = None
) -> str | None:
    """Which slopes at exact kinks and ties explain the gradients, if any do: one choice for all steps of an operation.

    Args:
        problem: of a network, in float64.
        leaves: the gradients by place.
        fmt: the format that they were computed in.
        printing: what their printing adds to the rounding scale.
    """
    met = _met(problem)
    if not met or not all(np.all(np.isfinite(values)) for values in leaves.values()):
        return None
    for chosen in islice(_choices(met), _TRIED):
        other = _with(problem, chosen)
        made, scale = ref.gradients(other).leaves(), rounding_scale(other, fmt, textbook=True).leaves()
        scale |= {place: scale[place] + added for place, added in (printing or {}).items()}
        if worst_place(leaves, made, scale, fmt).scales <= FACTOR:
            said = " and ".join(f"{name} ({operation})" for operation, name in chosen.items() if name)
            return f"at exact kinks it takes {said}, where the oracle follows torch"
    return None


def _met(problem: ref.Problem) -> dict[str, ref.Operation]:
    """The operations that sit exactly on a kink or a tie in some step, by name."""
    values = graph.forward(problem.graph, problem.x).values
    found = {}
    for step in problem.graph.steps:
        row = step.operation
        if row.conventions and any(np.any(np.asarray(s) == 0) for s in row.switches(*graph.inputs_of(step, values))):
            found[row.name] = row
    return found


def _choices(met: Mapping[str, ref.Operation]) -> Iterator[dict[str, str]]:
    """A convention for each operation; "" is the oracle's own, which not all of them take."""
    for names in product(*(("", *row.conventions) for row in met.values())):
        if any(names):
            yield dict(zip(met, names, strict=True))


def _with(problem: ref.Problem, chosen: Mapping[str, str]) -> ref.Problem:
    """The problem whose steps take these conventions."""
    steps = []
    for step in problem.graph.steps:
        row, name = step.operation, chosen.get(step.operation.name, "")
        other = changed(row, pullback=row.conventions[name]) if name in row.conventions else row
        steps.append(changed(step, operation=other))
    return problem.replace(network=changed(problem.graph, steps=tuple(steps)))
