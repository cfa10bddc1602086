"""The search for mistakes: from the output down, which known step makes the next gradient that was given.

Backpropagation goes layer by layer, so that the gradients given for a layer tell what was done there and above it.
The walk keeps every way of going wrong that explains all gradients so far, and drops the others at the first gradient
that contradicts them: any number of layers and any combination of mistakes cost little more than one backward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product as combinations
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import place_of

from ..mistakes.backward import (
    KINKED,
    UPDATES,
    bias_mistakes,
    downward_mistakes,
    early_mistake,
    flow_factor,
    leaky_mistake,
    other_slopes,
    slope_mistakes,
    update_mistake,
    weight_mistakes,
)
from ..mistakes.mistake import Mistake, habits
from ..mistakes.rules import RIGHT
from .candidate import Effort, Way
from .evidence import BY_NORM, PLAIN, Evidence, norm
from .leaf_fits import Fit, leaf_fits

WIDTH = 48
"""Ways of going wrong that are kept from one layer to the next, those with the fewest mistakes first."""
CLOSER = 4.0
"""σ by which a way has to come closer for a mistake more."""


OVERHEAD = 1e6
"""Multiply-adds in the time that a small product takes with all that goes with it."""


@dataclass
class Walk:
    """A walk down one problem, right or mistaken.

    Attributes:
        evidence: what was given.
        first: mistakes that change the problem or the gradient of the loss.
        budget: how many mistakes there may be.
        effort: what it may cost, together with other walks.
        lowest: the layer that the walk came down to; the number of layers if not even the uppermost is explained.
        limit: how many mistakes there may be down to the layer that is being looked at: where the right step makes
            what was given, no further one is looked for.
    """

    evidence: Evidence
    first: tuple[Mistake, ...]
    budget: int
    effort: Effort
    lowest: int = 0
    limit: int = 0
    problem: ref.Problem = field(init=False)
    trace: ref.Trace = field(init=False)

    def __post_init__(self) -> None:
        self.problem, self.rules = self.evidence.problem, RIGHT
        for mistake in self.first:
            self.problem, self.rules = mistake.problem(self.problem), mistake.rules(self.rules)
        right = self.evidence
        same = self.problem.mlp is right.problem.mlp and self.problem.x is right.problem.x
        self.trace = right.trace if same else ref.forward(self.problem.mlp, self.problem.x)
        self.given = {k: v for k, v in self.evidence.given.items() if k != "loss"}
        if any(m.leaves(self.problem, {"input": self.problem.x}).keys() != {"input"} for m in self.first):
            self.given.pop("input", None)
        layers = range(len(self.problem.mlp.layers))
        observed = ["input" in self.given or any(f"layers[{k}]." in p for p in self.given for k in range(l + 1))
                    for l in layers]  # fmt: skip
        self.observed = dict(zip(layers, observed, strict=True)) | {-1: "input" in self.given}

    def run(self) -> list[tuple[Mistake, ...]]:
        """Every set of mistakes, no larger than the budget, that explains all gradients by norm."""
        ways = [Way(self.first, self.rules.d_output(self.problem, self.trace.output))]
        self.lowest = len(self.problem.mlp.layers)
        if not self.given:
            return []
        for layer in reversed(range(len(self.problem.mlp.layers))):
            ways = self._kept(new for way in ways for new in self._layer(layer, way))
            if not ways:
                return []
            self.lowest = layer
        self.limit = self.budget
        if "input" in self.given:
            ways = self._kept(new for way in ways for new in self._input(way))
        return [way.mistakes for way in ways if way.mistakes]

    def _kept(self, ways: Iterable[Way]) -> list[Way]:
        found: dict[frozenset[Any], Way] = {}
        for way in ways:
            found.setdefault(frozenset(m.key for m in way.mistakes), way)
        return sorted(found.values(), key=lambda w: (habits(w.mistakes) + w.away / CLOSER, len(w.mistakes)))[:WIDTH]

    def _room(self, mistakes: tuple[Mistake, ...]) -> bool:
        return habits(mistakes) <= self.limit

    # ── one layer ────────────────────────────────────────────────────────────────────────────────────

    def _layer(self, layer: int, way: Way) -> Iterator[Way]:
        right = RIGHT.slope(self.problem, self.trace, layer, way.d_h)
        self.effort.spent += OVERHEAD
        away = self._away(layer, right)
        plain = away <= BY_NORM * PLAIN
        self.limit = habits(way.mistakes) if plain else self.budget
        if plain:
            yield self._down(layer, replace(way, away=max(way.away, away)), right)
        if self.limit == 0 or self.effort.exhausted:
            return
        for source in self._sources(layer, way):
            for mistakes, d_leaf, d_z in self._slopes(layer, source):
                for found, factor in self._leaves(layer, replace(source, mistakes=mistakes), d_leaf):
                    yield self._down(layer, found, factor * d_z if factor != 1 else d_z)

    def _down(self, layer: int, way: Way, d_z: Any) -> Way:
        return replace(way, d_h=RIGHT.downward(self.problem, self.trace, layer, d_z), d_z=d_z)

    def _away(self, layer: int, d_z: Any) -> float:
        """How far the gradients that this d_z makes for the layer are from those given; ∞ where none was given."""
        places = [p for p in (place_of(layer, "bias"), place_of(layer, "weight")) if p in self.given]
        away = 0.0 if places else float("inf")
        for place in places:
            if away <= BY_NORM:
                made = self._made(layer, place, d_z)
                away = max(away, self.evidence.away(place, made, self._floor(layer, place, d_z)))
        return away

    def _sources(self, layer: int, way: Way) -> Iterator[Way]:
        """The ways by which a gradient may have come down to this layer."""
        yield way
        if way.d_z is None or not self.observed[layer] or not np.any(way.d_z):
            return
        for mistake in downward_mistakes(self.problem, layer + 1):
            if self._room(way.with_(mistake)):
                d_h = mistake.rules(RIGHT).downward(self.problem, self.trace, layer + 1, way.d_z)
                yield Way(way.with_(mistake), d_h, away=way.away)
        yield from self._updated(layer, way)

    def _slopes(self, layer: int, way: Way) -> Iterator[tuple[tuple[Mistake, ...], Any, Any]]:
        """Mistakes in the slope, with the gradient that the leaves are made of and the one that goes down."""
        right = RIGHT.slope(self.problem, self.trace, layer, way.d_h)
        yield way.mistakes, right, right
        if not self.observed[layer] or not np.any(way.d_h):
            return
        early = early_mistake(self.problem, layer)
        if early is not None and self._room(way.with_(early)):
            yield way.with_(early), way.d_h, right
        for mistake in (*slope_mistakes(self.problem, layer), *self._leaky(layer, way),
                        *other_slopes(self.problem, layer)):  # fmt: skip
            if self._room(way.with_(mistake)):
                self.effort.spent += OVERHEAD
                d_z = mistake.rules(RIGHT).slope(self.problem, self.trace, layer, way.d_h)
                yield way.with_(mistake), d_z, d_z

    def _leaky(self, layer: int, way: Way) -> Iterator[Mistake]:
        """The slope below 0 that fits."""
        if self.problem.mlp.layers[layer].activation.name not in KINKED:
            return
        above = self.trace.preactivations[layer] > 0
        fitted = self._fitted(layer, way, "leaky", way.d_h * above, way.d_h * ~above)
        if fitted is not None:
            yield leaky_mistake(layer, *fitted)

    def _fitted(self, layer: int, way: Way, form: str, fixed: Any, along: Any) -> tuple[float, float] | None:
        """The constant c, and its uncertainty, with which fixed + c·along as d_z makes a leaf of the layer."""
        for mistake in way.mistakes:
            if mistake.form == form:
                return mistake.constant, mistake.uncertainty
        place = next((p for p in (place_of(layer, "weight"), place_of(layer, "bias")) if p in self.given), None)
        if layer >= 0 and place is None:
            return None
        place = place or "input"
        a, b = (self._made(layer, place, d_z) for d_z in (fixed, along))
        given = self.given[place]
        c = self.evidence.ratio(place, given - a, b)
        if not np.isfinite(c) or self.evidence.same(place, a, share=PLAIN):
            return None
        # What the constant multiplies may be a small part of the leaf, whose rounding it then carries.
        return c, self.evidence.noise[place]

    def _made(self, layer: int, place: str, d_z: Any) -> Any:
        if place == "input":
            return d_z
        return d_z.T @ self.trace.inputs[layer] if place.endswith("weight") else d_z.sum(axis=0)

    def _floor(self, layer: int, place: str, d_z: Any) -> float:
        """The norm of the rounding errors that a sum of these d_z has, though it may cancel: u‖d_z‖, u‖d_z‖‖x‖/√N."""
        inputs = norm(self.trace.inputs[layer]) / np.sqrt(len(d_z)) if place.endswith("weight") else 1.0
        return self.evidence.unit * norm(d_z) * inputs

    # ── the leaves of one layer ──────────────────────────────────────────────────────────────────────

    def _leaves(self, layer: int, way: Way, d_z: Any) -> Iterator[tuple[Way, float]]:
        """Mistakes that make the leaves of the layer, and the factor that d_z has if they show the same one."""
        options = []
        for end, bank in (("bias", bias_mistakes), ("weight", weight_mistakes)):
            if place_of(layer, end) in self.given:
                found = list(self._leaf(layer, way, end, bank(self.problem, layer), d_z))
                if not found:
                    return
                options.append(found)
        for chosen in combinations(*options):
            fits = [fit for _, fit in chosen]
            away = max([way.away, *(fit.away for fit in fits)])
            more = [m for variant, fit in chosen for m in (*variant, *fit.mistakes)]
            if self._room(way.with_(*more)):
                yield replace(way, mistakes=way.with_(*more), away=away), 1.0
            shared = {m.habit: m for m in fits[0].factors} if fits else {}
            if shared and all({m.habit for m in fit.factors} == shared.keys() for fit in fits):
                flow = [flow_factor(layer, len(self.problem.mlp.layers), m) for m in shared.values()]
                rest = [m for m in more if m.habit not in shared]
                if self._room(way.with_(*rest, *flow)):
                    factor = float(np.prod([m.constant for m in shared.values()]))
                    yield replace(way, mistakes=way.with_(*rest, *flow), away=away), factor

    def _leaf(
        self, layer: int, way: Way, end: str, bank: Iterable[Mistake], d_z: Any
    ) -> Iterator[tuple[tuple[Mistake, ...], Fit]]:
        place = place_of(layer, end)
        self.effort.spent += OVERHEAD + d_z.size * self.trace.inputs[layer].shape[1] * (end == "weight")
        floor, right = self._floor(layer, place, d_z), self._made(layer, place, d_z)
        for fit in leaf_fits(self.evidence, place, right, floor, way.mistakes):
            if self._room(way.with_(*fit.mistakes)):
                yield (), fit
        if self.evidence.same(place, right, floor, PLAIN):
            return
        for variant in bank:
            if self._room(way.with_(variant)):
                self.effort.spent += OVERHEAD
                rules = variant.rules(RIGHT)
                made = (rules.weight(self.problem, self.trace, layer, d_z) if end == "weight"
                        else rules.bias(self.problem, layer, d_z))  # fmt: skip
                for fit in leaf_fits(self.evidence, place, made, floor, way.mistakes):
                    if self._room(way.with_(variant, *fit.mistakes)):
                        yield (variant,), fit

    # ── through weights that were updated already, and at the input ──────────────────────────────────

    def _updated(self, layer: int, way: Way) -> Iterator[Way]:
        """The same way through a weight of the layer above that was updated already, at the rate that fits."""
        step = way.d_z.T @ self.trace.inputs[layer + 1]
        for along, shape in UPDATES.items():
            if not self._room(way.with_(update_mistake(layer + 1, 0.0, along))) and all(
                m.form != along for m in way.mistakes
            ):
                continue
            moved = -(way.d_z @ shape(step))
            pulled = [d if layer < 0 else RIGHT.slope(self.problem, self.trace, layer, d) for d in (way.d_h, moved)]
            fitted = self._fitted(layer, way, along, *pulled)
            if fitted is None:
                continue
            mistake = update_mistake(layer + 1, fitted[0], along, fitted[1])
            if self._room(way.with_(mistake)):
                yield Way(way.with_(mistake), way.d_h + fitted[0] * moved, away=way.away)

    def _input(self, way: Way) -> Iterator[Way]:
        for source in self._sources(-1, way):
            made: dict[str, Any] = {"input": source.d_h}
            for mistake in self.first:
                made = mistake.leaves(self.problem, made)
            for fit in leaf_fits(self.evidence, "input", made["input"], 0.0, source.mistakes):
                if self._room(source.with_(*fit.mistakes)):
                    yield replace(source, mistakes=source.with_(*fit.mistakes), away=max(source.away, fit.away))
                if not fit.mistakes and fit.away <= BY_NORM * PLAIN and source is way:
                    return
