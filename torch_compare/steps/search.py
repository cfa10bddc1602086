"""Which known mistake makes a step: each is made on the numbers at hand; the one that fits within rounding is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

from reference.arithmetic.array import NumPyArray
from reference.arithmetic.formats import STORED, Format
from reference.optimizers.state import State
from reference.rounding.distance import WorstElement, in_scales, worst_of

from ..diagnosis.wording import number
from .candidates import Candidate, decoupled
from .distance import LEANING, LIMIT, beyond_rounding, leaning, places, share_of_the_way
from .mistakes import candidates, decaying, faster, scaled
from .scales import Scales
from .step import Flat, Leaves, Step, leaves

BUFFERS = ("exp_avg", "momentum_buffer", "grad_avg", "prev")
"""Slots that are linear in the gradient, from which a factor of it is read."""

Kind = tuple[str, str, Callable[[Step, float], tuple[Flat, State]]]
"""Of a factor: its name, its text, and the step with it."""

FEW = 3
"""A factor fits one element whatever it is; it explains something from so many on."""


@dataclass(frozen=True)
class Fit:
    """A candidate that gives the numbers at hand.

    Attributes:
        candidate: what was done.
        scales: how far off the worst element is then.
    """

    candidate: Candidate
    scales: float


@dataclass(frozen=True)
class Search:
    """What a search needs to know of a step and of what is made of it."""

    step: Step
    given: Leaves
    expected: Leaves
    scales: Scales
    fmt: Format

    @cached_property
    def start(self) -> Leaves:
        """Parameters and state before the step, by place."""
        return self.step.start

    def named(self) -> list[Fit]:
        """Every known mistake within rounding of what is given, the closest first; conventions before mistakes."""
        return self._fitting(candidates(self.step))

    def factors(self) -> list[Fit]:
        """A factor of the step, or of the gradients, that explains what is given."""
        return self._fitting(self._factors())

    def _fitting(self, tried: Iterator[Candidate]) -> list[Fit]:
        found = [fit for candidate in tried if (fit := self.fit(candidate))]
        return sorted(found, key=lambda fit: (not fit.candidate.convention, max(fit.scales, 1.0)))

    def fit(self, candidate: Candidate) -> Fit | None:
        """The candidate's distance, if that is within rounding and nearer than the right step's."""
        made = {place: candidate.made[place] for place in self.given if place in candidate.made}
        if made.keys() != self.given.keys():
            return None
        scales = Scales({}, {}, {})
        found: dict[str, WorstElement] = {}
        for place, value in made.items():
            self._note(scales, place, value)
            with np.errstate(all="ignore"):
                found |= places({place: self.given[place]}, made, scales, self.step.formats, self.fmt)
            if place in found and found[place].scales > LIMIT:
                return None  # nearly every candidate ends at its first place
        worst = worst_of(found)
        if self._changes_nothing(made):
            return None
        if not worst.scales <= LIMIT or abs(leaning(self.given, made, self.start, scales, self.fmt)[2]) > LEANING:
            return None
        return Fit(candidate, worst.scales)

    def off(self, place: str) -> NumPyArray:
        """Which elements of an array are beyond rounding."""
        stored = STORED.get(self.step.formats.get(place, self.fmt.name), self.fmt)
        left = beyond_rounding(self.given[place], self.expected[place], self.scales.slack[place], stored)
        ratio = in_scales(left, np.zeros(left.shape), self.scales.sigma[place], self.fmt)
        return np.asarray(ratio > LIMIT)

    def _changes_nothing(self, made: Leaves) -> bool:
        """Whether a verdict on the candidate itself would be that it agrees: then it explains no difference."""
        off = places(made, self.expected, self.scales, self.step.formats, self.fmt)
        if any(not one.scales <= LIMIT for one in off.values()):
            return False
        return abs(leaning(made, self.expected, self.start, self.scales, self.fmt)[2]) <= LEANING

    def _note(self, scales: Scales, place: str, value: Any) -> None:
        """Add the scale of a candidate's place: that of the right step, grown where it moves further."""
        exact, unit = self.expected[place], 2 * self.fmt.unit_roundoff
        if not isinstance(exact, np.ndarray):
            return
        with np.errstate(all="ignore"):
            value, exact = np.float64(value), np.float64(exact)
            moves = place.startswith("params[")
            origin = self.start[place] if moves else 0.0
            theirs, ours = np.abs(value - origin), np.abs(exact - origin)
            further = np.where(ours > 0, np.maximum(theirs / ours, 1.0), 1.0)
            before = self.scales.sigma[place]
            sigma = scales.sigma[place] = np.hypot(before * further, unit * theirs)
            if place in self.scales.runs:  # a lean is measured in the noise of the same numbers
                scales.runs[place] = self.scales.runs[place] * np.where(before > 0, sigma / before, 1.0)
            stored = STORED.get(self.step.formats.get(place, ""), self.fmt)
            coarser = stored if stored.bits < self.fmt.bits else self.fmt
            larger = np.maximum(coarser.ulp(value) / coarser.ulp(exact), 1.0)
            scales.slack[place] = self.scales.slack[place] * larger + (
                0.5 * coarser.ulp(value) if moves and coarser is self.fmt else 0.0
            )

    # ── factors that have no name ────────────────────────────────────────────────────────────────────

    def _factors(self) -> Iterator[Candidate]:
        step, params = self.step, [p for p in self.given if p.startswith("params[")]
        for kind, what, make in self._kinds():
            factor = self._ratio(params, make(step, 0.0), make(step, 1.0))
            if factor is not None:
                yield Candidate(kind, what.format(number(factor)), leaves(step.labels, *make(step, factor)))
        slots = [place for place in self.given if place.partition("[")[0] in BUFFERS]
        zero = tuple(0 * g for g in step.grads)
        factor = self._ratio(slots, step.take(grads=zero), step.take())
        if factor is not None:
            made = step.take(grads=tuple(factor * g for g in step.grads))
            yield Candidate(
                "gradient scaled", f"the gradients are {number(factor)} × those given", leaves(step.labels, *made)
            )

    def _kinds(self) -> list[Kind]:
        """What of the step may have a factor."""
        found: list[Kind] = [("factor", "the step is {} × the oracle's", scaled)]
        if decoupled(self.step) and self.step.optimizer.hyperparameters.get("weight_decay"):
            both = "the step and the decay are both {} × the oracle's, as by another learning rate"
            found += [
                ("learning rate", both, faster),
                ("weight decay", "the weight decay is {} × the oracle's", decaying),
            ]
        return found

    def _ratio(self, where: list[str], origin: Any, right: Any) -> float | None:
        """The f for which origin + f·(right − origin) is nearest to what is given."""
        base, full = leaves(self.step.labels, *origin), leaves(self.step.labels, *right)
        above = below = 0.0
        count = 0
        with np.errstate(all="ignore"):
            for place in where:
                way, sigma = full[place] - base[place], np.maximum(self.scales.sigma[place], self.scales.slack[place])
                weight = np.where(sigma > 0, way / sigma / sigma, 0.0)
                good = np.isfinite(weight) & np.isfinite(self.given[place])
                above += float(np.sum(np.where(good, weight * (self.given[place] - base[place]), 0.0)))
                below += float(np.sum(np.where(good, weight * way, 0.0)))
                count += int(np.sum(good & (weight != 0)))
        return above / below if count >= FEW and below > 0 and isfinite(above / below) else None


def share(search: Search) -> float:
    """How much of the way moved the given parameters are off."""
    return share_of_the_way(search.given, search.expected, search.step.start)


def unexplained(search: Search) -> str:
    """Where the numbers are wrong, if no known mistake makes them."""
    found = places(search.given, search.expected, search.scales, search.step.formats, search.fmt)
    wrong = [place for place, one in found.items() if not one.scales <= LIMIT]
    right = [place for place in found if place not in wrong]
    text = "no known mistake makes these numbers"
    if unmoved := _unmoved(search, wrong):
        return f"{unmoved}; all else is right" if right else unmoved
    params = [place for place in wrong if place.startswith("params[")]
    slots = [place for place in right if not place.startswith("params[") and place != "step"]
    if params and slots and len(params) == len(wrong):
        return f"{text}; the state is right, so look at how the parameters are moved by it"
    if wrong and not params:
        return f"{text}; the parameters are right, so look at how {wrong[0].partition('[')[0]} is kept"
    if wrong and right and len(wrong) <= 3:
        return (
            f"{text}; only {' and '.join(wrong)} is off"
            if len(wrong) == 1
            else f"{text}; only {', '.join(wrong)} are off"
        )
    return text


def _unmoved(search: Search, wrong: Sequence[str]) -> str:
    """Which arrays, or rows or elements of them, are as they were before the step, if that is all that is wrong."""
    whole, parts = [], []
    for place in wrong:
        given, start = search.given[place], search.start.get(place)
        if not isinstance(start, np.ndarray) or start.shape != given.shape:
            return ""
        still, off = given == start, search.off(place)
        if np.any(off & ~still):
            return ""
        if np.all(still):
            whole.append(place)
            continue
        rows = np.any(off, axis=tuple(range(1, off.ndim)))
        if off.ndim > 1 and np.all(still[rows]):
            parts.append(_counted("row", np.flatnonzero(rows).tolist(), place))
        else:
            parts.append(_counted("element", [list(map(int, i)) for i in np.argwhere(off)], place))
    said = [*([" and ".join(whole)] if whole else []), *parts]
    one = len(whole) + len(parts) == 1 and not (parts and parts[0].startswith(("rows", "elements")))
    verb = "is as it was" if one else "are as they were"
    return f"{' and '.join(said)} {verb} before the step" if said else ""


def _counted(kind: str, which: Sequence[Any], place: str) -> str:
    """A few by their numbers, more by how many they are."""
    if len(which) == 1:
        return f"{kind} {which[0]} of {place}"
    listed = f" {', '.join(map(str, which))}" if len(which) <= 4 else ""
    return f"{kind}s{listed} of {place}" if listed else f"{kind}s, {len(which)} in number, of {place}"
