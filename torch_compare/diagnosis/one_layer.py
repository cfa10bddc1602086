"""The search in one layer: what was done on the way down to it, in its slope, and in the gradients of its parameters.

N examples, O the layer's fan-out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import place_of

from ..mistakes.backward import (
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
from ..mistakes.other_activation import KINKED
from ..mistakes.rules import RIGHT
from ..mistakes.two_terms import TWO_TERMS, term_mistake
from .candidate import ELEMENT, Way
from .evidence import PLAIN
from .leaf_fits import Fit, leaf_fits
from .walk import Walk

OVERHEAD = 1e6
"""Multiply-adds in the time that a small product takes with all that goes with it."""
BANKS: dict[str, Callable[[ref.Problem, int], Iterator[Mistake]]] = {"bias": bias_mistakes, "weight": weight_mistakes}
"""The mistakes in the making of a parameter's gradient, by its kind."""


@dataclass(frozen=True)
class _Explained:
    """How one parameter's gradient came to be what was given.

    Attributes:
        making: mistakes in the product or sum that it is.
        fit: what was done to it afterwards.
    """

    making: tuple[Mistake, ...]
    fit: Fit

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        return *self.making, *self.fit.mistakes


@dataclass(frozen=True)
class LayerSearch:
    """A search for what was done wrong in one layer of a walk.

    Attributes:
        walk: that has come down to the layer.
        layer: its index; −1 for the input, which lies below all layers.
        limit: how many mistakes there may be down to here.
    """

    walk: Walk
    layer: int
    limit: int

    def ways(self, way: Way) -> Iterator[Way]:
        """Every way on from here that makes the gradients given for the layer."""
        for source in self.sources(way):
            for mistakes, d_leaf, d_z in self._slopes(source):
                for found, factor in self._leaves(replace(source, mistakes=mistakes), d_leaf):
                    yield self.walk.down(self.layer, found, factor * d_z if factor != 1 else d_z)

    def room(self, mistakes: tuple[Mistake, ...]) -> bool:
        """Whether there may be so many."""
        return habits(mistakes) <= self.limit

    @property
    def _observed(self) -> bool:
        """Whether a gradient was given that tells what is done here: of this layer or below."""
        return self.walk.lowest <= self.layer

    # ── on the way down to the layer ─────────────────────────────────────────────────────────────────

    def sources(self, way: Way) -> Iterator[Way]:
        """The ways by which a gradient may have come down to this layer."""
        yield way
        if way.d_z is None or not self._observed or not np.any(way.d_z):
            return
        for mistake in downward_mistakes(self.walk.problem, self.layer + 1):
            if self.room(way.with_(mistake)):
                rules = mistake.rules(RIGHT)
                d_h = rules.downward(self.walk.problem, self.walk.trace, self.layer + 1, way.d_z)
                yield Way(way.with_(mistake), d_h, away=way.away)
        yield from self._through_updated_weight(way)

    def _through_updated_weight(self, way: Way) -> Iterator[Way]:
        """The same way through a weight of the layer above that was updated already, at the rate that fits."""
        step = way.d_z.T @ self.walk.trace.inputs[self.layer + 1]
        for along, shape in UPDATES.items():
            known = any(m.form == along for m in way.mistakes)
            if not known and not self.room(way.with_(update_mistake(self.layer + 1, 0.0, along))):
                continue
            moved = -(way.d_z @ shape(step))
            pulled = [d if self.layer < 0 else self.walk.slope(self.layer, d) for d in (way.d_h, moved)]
            fitted = self._fitted(way, along, *pulled)
            if fitted is None:
                continue
            rate, uncertainty = fitted
            mistake = update_mistake(self.layer + 1, rate, along, uncertainty)
            if self.room(way.with_(mistake)):
                yield Way(way.with_(mistake), way.d_h + rate * moved, away=way.away)

    # ── in the slope ─────────────────────────────────────────────────────────────────────────────────

    def _slopes(self, way: Way) -> Iterator[tuple[tuple[Mistake, ...], Any, Any]]:
        """Mistakes in the slope, with the gradient that the leaves are made of and the one that goes down."""
        problem, trace, layer = self.walk.problem, self.walk.trace, self.layer
        right = self.walk.slope(layer, way.d_h)
        yield way.mistakes, right, right
        if not self._observed or not np.any(way.d_h):
            return
        early = early_mistake(problem, layer)
        if early is not None and self.room(way.with_(early)):
            yield way.with_(early), way.d_h, right
        for mistake in (
            *slope_mistakes(problem, layer),
            *self._leaky(way),
            *self._term(way),
            *other_slopes(problem, layer),
        ):
            if self.room(way.with_(mistake)):
                self.walk.effort.spent += OVERHEAD
                d_z = mistake.rules(RIGHT).slope(problem, trace, layer, way.d_h)
                yield way.with_(mistake), d_z, d_z

    def _leaky(self, way: Way) -> Iterator[Mistake]:
        """The slope below 0 that fits."""
        if self.walk.problem.mlp.layers[self.layer].activation.name not in KINKED:
            return
        above = self.walk.trace.preactivations[self.layer] > 0
        fitted = self._fitted(way, "leaky", way.d_h * above, way.d_h * ~above)
        if fitted is not None:
            row = self.walk.problem.mlp.layers[self.layer].activation
            right = 0.0 if row.derivative is None else float(np.asarray(row.derivative(np.array([-1.0])))[0])
            yield leaky_mistake(self.layer, *fitted, right)

    def _term(self, way: Way) -> Iterator[Mistake]:
        """The weight that fits of the second term of the derivative."""
        row = self.walk.problem.mlp.layers[self.layer].activation
        if row.name not in TWO_TERMS:
            return
        z, terms = self.walk.trace.preactivations[self.layer], TWO_TERMS[row.name]
        fitted = self._fitted(way, "term", terms.first(z, way.d_h), terms.second(z, way.d_h))
        if fitted is not None:
            yield term_mistake(self.layer, row, *fitted)

    def _fitted(self, way: Way, form: str, fixed: Any, along: Any) -> tuple[float, float] | None:
        """The constant c, and its uncertainty, with which fixed + c·along as d_z makes a gradient given here."""
        for mistake in way.mistakes:
            if mistake.form == form:
                return mistake.constant, mistake.uncertainty
        place = self._place_to_fit()
        if place is None:
            return None
        evidence = self.walk.evidence
        a, b = (self.walk.leaf(self.layer, place, d_z) for d_z in (fixed, along))
        c = evidence.ratio(place, self.walk.given[place] - a, b)
        if not np.isfinite(c) or evidence.same(place, a, share=PLAIN):
            return None
        # What the constant multiplies may be a small part of the leaf, whose rounding it then carries.
        return c, evidence.noise[place]

    def _place_to_fit(self) -> str | None:
        """The gradient that a constant is fitted to: the layer's weight if it was given, else its bias."""
        if self.layer < 0:
            return "input"
        weight, bias = place_of(self.layer, "weight"), place_of(self.layer, "bias")
        return next((place for place in (weight, bias) if place in self.walk.given), None)

    # ── in the gradients of its parameters ───────────────────────────────────────────────────────────

    def _leaves(self, way: Way, d_z: Any) -> Iterator[tuple[Way, float]]:
        """The ways that make the layer's gradients of d_z, and the factor that d_z has if all show the same one."""
        for chosen in self._chosen(way, d_z):
            away = max([way.away, *(one.fit.away for one in chosen)])
            here = way.with_(*(m for one in chosen for m in one.mistakes))
            if self.room(here):
                yield replace(way, mistakes=here, away=away), 1.0
            shared = _shared_factors(chosen)
            if shared:
                flow = [flow_factor(self.layer, self.walk.depth, like) for like in shared.values()]
                rest = [m for one in chosen for m in one.mistakes if m.habit not in shared]
                above = way.with_(*rest, *flow)
                if self.room(above):
                    yield replace(way, mistakes=above, away=away), float(np.prod([m.constant for m in flow]))

    def _chosen(self, way: Way, d_z: Any) -> Iterator[tuple[_Explained, ...]]:
        """How the layer's gradients came about: one explanation for each that was given.

        That which rounding blurs least goes first, since a factor that is fitted to it is then tried on the other: two
        fits of one factor differ by their rounding, and would count as two factors.
        """
        noise, given = self.walk.evidence.noise, self.walk.given
        kinds = sorted(
            (kind for kind in BANKS if place_of(self.layer, kind) in given),
            key=lambda kind: noise[place_of(self.layer, kind)] / np.sqrt(given[place_of(self.layer, kind)].size),
        )
        if not kinds:
            yield ()
            return
        others: dict[tuple[Mistake, ...], list[_Explained]] = {}
        for first in list(self._leaf(way, kinds[0], d_z)):
            if len(kinds) == 1:
                yield (first,)
                continue
            told = tuple(m for m in first.mistakes if m.form)
            if told not in others:
                others[told] = list(self._leaf(replace(way, mistakes=way.with_(*told)), kinds[1], d_z))
            for second in others[told]:
                yield first, second

    def _leaf(self, way: Way, kind: str, d_z: Any) -> Iterator[_Explained]:
        """Mistakes in the gradient of a weight or bias, which d_z makes."""
        walk, layer, place = self.walk, self.layer, place_of(self.layer, kind)
        bank: Iterable[Mistake] = BANKS[kind](walk.problem, layer)
        walk.effort.spent += OVERHEAD + d_z.size * walk.trace.inputs[layer].shape[1] * (kind == "weight")
        floor, right = walk.floor(layer, place, d_z), walk.leaf(layer, place, d_z)
        yield from self._finished(way, place, right, floor)
        if walk.evidence.same(place, right, floor, PLAIN):
            return
        for mistake in bank:
            if self.room(way.with_(mistake)):
                walk.effort.spent += OVERHEAD
                rules = mistake.rules(RIGHT)
                if kind == "weight":
                    made = rules.weight(walk.problem, walk.trace, layer, d_z)
                else:
                    made = rules.bias(walk.problem, layer, d_z)
                yield from self._finished(way, place, made, floor, mistake)

    def _finished(self, way: Way, place: str, made: Any, floor: float, *making: Mistake) -> Iterator[_Explained]:
        """Mistakes made with a gradient that is finished."""
        self.walk.effort.spent += 4 * ELEMENT * np.size(made)
        for fit in leaf_fits(self.walk.evidence, place, made, floor, way.mistakes):
            if self.room(way.with_(*making, *fit.mistakes)):
                yield _Explained(making, fit)


def _shared_factors(chosen: tuple[_Explained, ...]) -> dict[tuple[str, str], Mistake]:
    """The factors, by habit, that every gradient of a layer has; none if they have different ones."""
    found = [{m.habit: m for m in one.fit.factors} for one in chosen]
    return found[0] if found and all(one.keys() == found[0].keys() for one in found) else {}
