"""Conventions at exact kinks and ties of a network's steps: slopes that other libraries take there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference as ref
from reference.activations.row import Kink
from reference.arithmetic.formats import Format
from reference.network import graph
from reference.network.dependence import depending
from reference.network.unchecked import changed
from reference.operations.of_activation import sided_pullback
from reference.rounding.distance import FACTOR, worst_place
from reference.rounding.measured import measured_errors

_TRIED = 64
"""So many choices are tried in all."""
FEW = 8
"""So many steps, or layers, that are met exactly may each have a convention of its own."""
_SIDES = {"left": "the slope from the left", "right": "the slope from the right", "mean": "the mean of both slopes"}


@dataclass(frozen=True)
class _Site:
    """A kink, or all ties of an operation, where some steps sit exactly; they take one convention there.

    Attributes:
        title: for the reader.
        steps: their indices.
        at: the kink; None of an operation that is no activation.
        names: the conventions that are not the oracle's own.
    """

    title: str
    steps: tuple[int, ...]
    at: float | None
    names: tuple[str, ...]


Chosen = tuple[str, ...]
"""A convention for each of the first sites; "" is the oracle's own."""


def convention_of_steps(
    problem: ref.Problem, leaves: Mapping[str, Any], fmt: Format, printing: Mapping[str, Any] | None = None
) -> str | None:
    """Which slopes at exact kinks and ties explain the gradients, if any do.

    First one choice is made for all steps of an operation, kink by kink: torch.clamp as a hardtanh takes the slope from
    the right at −1 and that from the left at 1. Then one for each step, if they are few.

    Args:
        problem: of a network, in float64.
        leaves: the gradients by place.
        fmt: the format that they were computed in.
        printing: what their printing adds to the rounding scale.
    """
    met = list(_met(problem))
    if not met or not all(np.all(np.isfinite(values)) for values in leaves.values()):
        return None
    together, apart = _sites(problem, met, each=False), _sites(problem, met, each=True)
    several = len(together) < len(apart) and len({index for index, _ in met}) <= FEW
    for sites in (together, apart) if several else (together,):
        chosen = _search(problem, sites, leaves, fmt, printing or {})
        if chosen and any(chosen):
            return f"at exact kinks it takes {_said(sites, chosen)}, where the oracle follows torch"
    return None


def _met(problem: ref.Problem) -> Iterator[tuple[int, Kink | None]]:
    """The steps, by index, that sit exactly on a kink or a tie, with each kink of those that are activations."""
    values = graph.forward(problem.graph, problem.x).values
    for index, step in enumerate(problem.graph.steps):
        row, inputs = step.operation, graph.inputs_of(step, values)
        if not row.conventions:
            continue
        if row.activation is not None:
            yield from ((index, kink) for kink in row.activation.kinks if np.any(np.asarray(inputs[0]) == kink.at))
        elif any(np.any(np.asarray(switch) == 0) for switch in row.switches(*inputs)):
            yield index, None


def _sites(problem: ref.Problem, met: Sequence[tuple[int, Kink | None]], each: bool) -> list[_Site]:
    """What is chosen for, from the output down: all steps of an operation together, or each of them."""
    found: dict[Any, _Site] = {}
    for index, kink in reversed(met):
        step = problem.graph.steps[index]
        row, at = step.operation, None if kink is None else kink.at
        title = row.name if row.activation is None or len(row.activation.kinks) == 1 else f"{row.name} at {at:g}"
        names = tuple(row.conventions)
        if kink is not None:
            names = tuple(_SIDES[side] for side, slope in kink.slopes.items() if slope != kink.derivative)
        own = _Site(f"{title} in {step.name}" if each else title, (index,), at, names)
        key = (own.title, at, names)
        found[key] = replace(found[key], steps=(*found[key].steps, index)) if key in found else own
    return [site for site in found.values() if site.names]


def _search(
    problem: ref.Problem, sites: Sequence[_Site], leaves: Mapping[str, Any], fmt: Format, printing: Mapping[str, Any]
) -> Chosen | None:
    """A convention for each site, with which every gradient is within rounding; None if none is found.

    A gradient depends on the steps between its leaf and the output alone. So each choice is made by the gradients that
    no further site has a part in, in the rounding scale of those that it makes.
    """
    left, last = _TRIED, {place: _last(problem, place, sites) for place in leaves}

    def fits(chosen: Chosen) -> bool:
        nonlocal left
        held = {place: values for place, values in leaves.items() if last[place] == len(chosen)}
        if not held:
            return True
        left -= 1
        if left < 0:
            return False
        return away(_with(problem, sites, chosen), held, fmt, printing) <= FACTOR

    def search(chosen: Chosen) -> Chosen | None:
        if len(chosen) == len(sites):
            return chosen
        names = sites[len(chosen)].names
        for name in dict.fromkeys(("", *(n for n in chosen[::-1] if n in names), *names)):
            found = search((*chosen, name)) if fits((*chosen, name)) else None
            if found:
                return found
        return None

    return search(()) if fits(()) else None


def away(problem: ref.Problem, held: Mapping[str, Any], fmt: Format, printing: Mapping[str, Any]) -> float:
    """How far gradients are from those of a problem, in its own rounding scale: the largest element."""
    made, sigma = ref.gradients(problem).leaves(), measured_errors(problem, fmt, textbook=True).sigma
    scale = {**sigma, **{place: sigma[place] + added for place, added in printing.items()}}
    return float(worst_place(held, made, scale, fmt).scales)


def _last(problem: ref.Problem, place: str, sites: Sequence[_Site]) -> int:
    """How many of the sites have to be decided before the gradient of a leaf is."""
    behind = depending(problem.graph.steps, [place])
    steps = problem.graph.steps
    through = [any(behind.intersection(steps[k].outputs) for k in site.steps) for site in sites]
    return max((count for count, passed in enumerate(through, start=1) if passed), default=0)


def _said(sites: Sequence[_Site], chosen: Chosen) -> str:
    """Which conventions are taken where, but for the oracle's own."""
    taken: dict[str, list[str]] = {}
    for site, name in zip(sites, chosen, strict=True):
        if name:
            taken.setdefault(name, []).append(site.title)
    return " and ".join(f"{name} ({', '.join(sorted(titles))})" for name, titles in taken.items())


def _with(problem: ref.Problem, sites: Sequence[_Site], chosen: Chosen) -> ref.Problem:
    """The problem whose steps take these conventions."""
    steps, sides = list(problem.graph.steps), {name: side for side, name in _SIDES.items()}
    of_kinks: dict[int, dict[float, str]] = {}
    for site, name in zip(sites, chosen, strict=False):
        for index in site.steps if name else ():
            row = steps[index].operation
            if site.at is None:
                steps[index] = changed(steps[index], operation=changed(row, pullback=row.conventions[name]))
            else:
                of_kinks.setdefault(index, {})[site.at] = sides[name]
    for index, taken in of_kinks.items():
        steps[index] = changed(steps[index], operation=_sided(steps[index].operation, taken))
    return problem.replace(network=changed(problem.graph, steps=tuple(steps)))


def _sided(row: ref.Operation, sides: Mapping[float, str]) -> ref.Operation:
    """The operation of an activation with these slopes at its kinks."""
    activation = row.activation
    assert activation is not None
    return changed(row, pullback=lambda inputs, y, d_y: (sided_pullback(activation, sides, inputs[0], d_y),))
