"""The search for mistakes: from the output down, which known step makes the next gradient that was given.

Backpropagation goes layer by layer, so that the gradients given for a layer tell what was done there and above it.
The walk keeps every way of going wrong that explains all gradients so far, and drops the others at the first gradient
that contradicts them: any number of layers and any combination of mistakes cost little more than one backward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from reference.network.gradients import place_of

from ..mistakes.mistake import Mistake, habits
from .candidate import Effort, Way
from .evidence import BY_NORM, PLAIN, Evidence
from .leaf_fits import leaf_fits
from .one_layer import OVERHEAD, LayerSearch
from .walk import Walk

WIDTH = 48
"""Ways of going wrong that are kept from one layer to the next, those with the fewest mistakes first."""
CLOSER = 4.0
"""σ by which a way has to come closer for a mistake more."""


def explanations(
    evidence: Evidence, first: tuple[Mistake, ...], budget: int, effort: Effort
) -> list[tuple[Mistake, ...]]:
    """Every set of mistakes that explains all gradients by norm.

    Args:
        evidence: what was given.
        first: those of the mistakes that change the problem or the gradient of the loss.
        budget: how many there may be.
        effort: what the search may cost, together with others.
    """
    walk = Walk.after(first, evidence, effort)
    if not walk.given:
        return []
    ways = [Way(first, walk.d_output)]
    for layer in reversed(range(walk.depth)):
        ways = _kept(new for way in ways for new in _through(walk, layer, way, budget))
        if not ways:
            return []
    if "input" in walk.given:
        ways = _kept(new for way in ways for new in _to_input(walk, way, budget))
    return [way.mistakes for way in ways if way.mistakes]


def _kept(ways: Iterable[Way]) -> list[Way]:
    """The ways that are gone on with, each set of mistakes once."""
    found: dict[frozenset[Any], Way] = {}
    for way in ways:
        found.setdefault(frozenset(m.key for m in way.mistakes), way)
    return sorted(found.values(), key=lambda w: (habits(w.mistakes) + w.away / CLOSER, len(w.mistakes)))[:WIDTH]


def _through(walk: Walk, layer: int, way: Way, budget: int) -> Iterator[Way]:
    """The ways through one layer; if the right step makes what was given, no further mistake is looked for."""
    right = walk.slope(layer, way.d_h)
    walk.effort.spent += OVERHEAD
    away = walk.away(layer, right)
    plain = away <= BY_NORM * PLAIN
    full = habits(way.mistakes) >= budget and len(way.mistakes) == len(walk.first)
    if plain or (full and away <= BY_NORM):
        yield walk.down(layer, replace(way, away=max(way.away, away)), right)
    if full and any(place in walk.given for place in (place_of(layer, "weight"), place_of(layer, "bias"))):
        return  # whoever made mistakes before the pass alone, and no others, made this step right or not at all
    limit = habits(way.mistakes) if plain else budget
    if limit > 0 and not walk.effort.exhausted:
        yield from LayerSearch(walk, layer, limit).ways(way)


def _to_input(walk: Walk, way: Way, budget: int) -> Iterator[Way]:
    """The ways that make the gradient given for the input."""
    search = LayerSearch(walk, -1, budget)
    for source in search.sources(way):
        made: dict[str, Any] = {"input": source.d_h}
        for mistake in walk.first:
            made = mistake.leaves(walk.problem, made)
        for fit in leaf_fits(walk.evidence, "input", made["input"], 0.0, source.mistakes):
            if search.room(source.with_(*fit.mistakes)):
                yield replace(source, mistakes=source.with_(*fit.mistakes), away=max(source.away, fit.away))
            if not fit.mistakes and fit.away <= BY_NORM * PLAIN and source is way:
                return
