"""How given gradients stand by one scale: element by element, and by the statistics that judge all together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS, Format
from reference.rounding.distance import FACTOR, WorstElement, worst_of, worst_places
from reference.rounding.scale import Rounding
from reference.rounding.statistics import SIZE, Statistic, Whitened, flat, statistics, towards, worst_statistic

from ..diagnosis.known_changes import fitted_factor, known_changes
from ..mistakes.mistake import Mistake
from .error_map import ErrorMap, error_maps
from .mean_product import shared_error

ELEMENT = "element"
CLOSE = 4.0
"""Ulps within which every derivative of the calculus is right."""
DOUBT = 0.5
"""Of a limit. The limits are twice what correct gradients reached where they were measured, or more."""
TOGETHER = 2**23
"""Numbers in the changes of the mistakes that are projected on together (64 MB)."""


@dataclass(frozen=True)
class ByScale:
    """Given gradients in units of one scale.

    Attributes:
        problem: what they are gradients of.
        leaves: the given arrays by place.
        expected: the right ones.
        rounding: the rounding errors of correct ones.
        fmt: the format that they were computed in.
    """

    problem: ref.Problem
    leaves: Mapping[str, Any]
    expected: Mapping[str, Any]
    rounding: Rounding
    fmt: Format

    @cached_property
    def places(self) -> dict[str, WorstElement]:
        """The worst element of every leaf."""
        return worst_places(self.leaves, self.expected, self.rounding.sigma, self.fmt)

    @property
    def worst(self) -> WorstElement:
        """The worst element of all."""
        return worst_of(self.places)

    @property
    def _white(self) -> Whitened:
        """Errors and gradient in rounding scales; without the rounding of 1/N if that is what their statistics see."""
        return self._whitened[0]

    @cached_property
    def together(self) -> tuple[Statistic, ...]:
        """The projections on the gradient, and the sizes."""
        return self._whitened[1]

    @cached_property
    def _whitened(self) -> tuple[Whitened, tuple[Statistic, ...]]:
        white = Whitened.of(self.leaves, self.expected, self.rounding)
        found = tuple(statistics(white))
        if all(statistic.excess <= 1 for statistic in found):
            return white, found
        together = fitted_factor(white, tuple(white.gradient))[0]
        shared = shared_error(self.problem, self.fmt, together)
        less = (without := white.without(shared)), tuple(statistics(without))
        return less if shared and all(statistic.excess <= 1 for statistic in less[1]) else (white, found)

    @property
    def _coarse(self) -> bool:
        """Whether the format is coarser than float32."""
        return self.fmt.bits < FORMATS["float32"].bits

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics of all elements together, and those towards known mistakes.

        In float32 and finer those are asked for where the others leave doubt, and count if the mistake made in full
        would explain them: a formula of one's own may move a gradient there by as little as it rounds.
        """
        if any(s.excess > 1 for s in self.together) or self.worst.scales > FACTOR:
            return self.together
        if self._coarse:
            return self.together + self.towards_mistakes
        if self.worst.scales <= DOUBT * FACTOR and all(s.excess <= DOUBT for s in self.together):
            return self.together
        return self.together + tuple(s for s in self.towards_mistakes if s.in_full)

    @cached_property
    def towards_mistakes(self) -> tuple[Statistic, ...]:
        """The projections on the change that each known mistake makes, a few mistakes at a time.

        In float32 and finer without those whose rate was fitted: they would explain a small error in full.
        """
        known = ((m, change) for m, change in self._changes() if self._coarse or not m.uncertainty)
        named = ((f'"{m.what}" in {m.where}', flat(change)) for m, change in known)
        few, found = max(1, TOGETHER // max(1, flat(self._white.error).size)), []
        while part := list(islice(named, few)):
            found += towards(self._white, part)
        return tuple(found)

    def one_mistake_explains(self) -> bool:
        """Whether a factor or one known mistake leaves a 32nd of the errors at the most: then they are no rounding."""
        error, gradient = self._white.error, self._white.gradient
        if not error:
            return False
        everywhere = {place: g * fitted_factor(self._white, tuple(gradient))[0] for place, g in gradient.items()}
        by_leaf = {place: g * fitted_factor(self._white, (place,))[0] for place, g in gradient.items()}
        changes = (change for _, change in self._changes())
        largest = self.worst.scales
        for change in chain((everywhere, by_leaf), changes):
            left = max(float(np.abs(error[place] - moved).max(initial=0.0)) for place, moved in change.items())
            if left <= largest / FACTOR:
                return True
        return False

    def _changes(self) -> Iterator[tuple[Mistake, dict[str, Any]]]:
        """Known mistakes, and what each changes in rounding scales."""
        return known_changes(self.problem, self._white, self.expected, self.rounding)

    @cached_property
    def decisive(self) -> Statistic | None:
        """The statistic that is furthest beyond its limit, where no element is beyond its own."""
        worst = worst_statistic(self.statistics)
        return worst if worst is not None and worst.excess > 1 and self.worst.scales <= FACTOR else None

    def beyond(self) -> set[str]:
        """The leaves that have a statistic of their own beyond its limit, or one of a row or a column."""
        places = [s.place for s in self.together if s.excess > 1]
        return {leaf for leaf in self.leaves if any(p == leaf or p.startswith(f"{leaf}[") for p in places)}

    @property
    def within(self) -> bool:
        """Whether every element and every statistic stays within its limit."""
        return self.worst.scales <= FACTOR and all(statistic.excess <= 1 for statistic in self.statistics)

    def _is_close(self, place: str) -> bool:
        given, right = (np.asarray(side[place], dtype=float) for side in (self.leaves, self.expected))
        return bool(np.all(np.abs(given - right) <= CLOSE * self.fmt.ulp(right)))

    def in_limits(self) -> dict[str, float]:
        """The worst element and the worst statistic of every kind, each in units of its limit."""
        found = {ELEMENT: self.worst.scales / FACTOR}
        for statistic in self.statistics:
            found[statistic.kind] = max(found.get(statistic.kind, 0.0), statistic.excess)
        return found

    def maps(self) -> dict[str, ErrorMap]:
        """The errors of every leaf in rounding scales."""
        return error_maps(self.leaves, self.expected, self.rounding.sigma, self.fmt)

    def sizes(self) -> dict[str, float]:
        """The root mean square of every leaf of several elements, in rounding scales."""
        return {s.place: s.errors for s in self.together if s.kind == SIZE}

    def untold(self) -> tuple[str, ...]:
        """The leaves of which nothing is told: zeros in their place alone would pass.

        Each by itself: in a sum over others their noise would hide it the more.
        """
        small = (p for p, gradient in self._white.gradient.items() if np.abs(gradient).max(initial=0.0) <= FACTOR)
        return tuple(place for place in small if not self.tells_zeros([place]))

    def tells_zeros(self, places: Collection[str] = ()) -> bool:
        """Whether zeros in place of the expected gradients, all or those at the places, would not pass.

        Or nothing else can be meant: where every number given is the right one to a few ulps, of an exact formula or
        underflown, and where 0 is expected.
        """
        judged = places or self.leaves
        if all(self._is_close(place) for place in judged):
            return True
        zeros = {place: np.zeros(np.shape(self.leaves[place])) for place in judged if place != "loss"}
        if not any(np.any(np.asarray(self.expected[place]) != 0) for place in zeros):
            return True
        if worst_of(worst_places(zeros, self.expected, self.rounding.sigma, self.fmt)).scales > FACTOR:
            return True
        return any(s.excess > 1 for s in statistics(self._white.of_zeros(zeros)))
