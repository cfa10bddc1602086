"""Gradients of a network that are 0 everywhere: never set, or behind a cut, a `detach` say, in the way back.

A cut is a step that hands no gradient on. It makes all the leaves 0 that the loss depends on through that step alone,
and takes from the others what they get through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference as ref
from reference.rounding.distance import FACTOR, worst_places

from ..mistakes.mistake import Mistake, leaves_with
from ..mistakes.network_forward import with_passes
from .network_search import Subject
from .wording import Diagnosis, sentence
from .wording import places as said_places

NAME = "gradient missing"
MADE = 16
"""So many cuts are made, from the loss on, where leaves are wrong that are not 0: a chain of steps has as many cuts."""


@dataclass(frozen=True)
class Missing:
    """The leaves that are 0 everywhere where the right ones are not.

    Attributes:
        places: of these leaves.
        said: what may have been done to them.
        explained: whether it explains every wrong leaf.
        scales: the largest distance of the other leaves from what it makes, in rounding scales.
    """

    places: tuple[str, ...]
    said: Mistake
    explained: bool
    scales: float

    def diagnosis(self, problem: ref.Problem) -> Diagnosis:
        """Of leaves of which no other is wrong."""
        return Diagnosis(sentence((self.said,), problem), (NAME,), self.scales)

    def with_rest(self, rest: Diagnosis, problem: ref.Problem) -> Diagnosis:
        """With what explains the other wrong leaves, or what is said of them if nothing does."""
        text = f"{sentence((self.said,), problem)}; of the rest: {rest}"
        others = tuple((NAME, *other) for other in rest.others)
        return Diagnosis(text, (NAME, *rest.names), rest.scales, rest.runner_up, others, stopped=rest.stopped)


def missing(subject: Subject, wrong: set[str]) -> Missing | None:
    """The leaves that are 0 everywhere and should not be; None if there are none.

    Args:
        subject: the gradients.
        wrong: their leaves that are wrong.
    """
    zero = tuple(place for place in subject.places if place in wrong and not np.any(subject.held[place]))
    if not zero:
        return None
    cuts = list(_cuts(subject, set(zero)))
    left = _farthest(subject, subject.expected, zero)
    if set(zero) == wrong:
        return Missing(zero, _said(subject, zero, cuts, "never set, or "), True, left)
    made = {index: leaves_with((_cut(index),), subject.problem) for index in cuts[:MADE]}
    off = {index: _farthest(subject, leaves, zero) for index, leaves in made.items()}
    fitting = [index for index, scales in off.items() if scales <= FACTOR]
    if fitting:
        return Missing(zero, _said(subject, zero, fitting, ""), True, min(off.values()))
    return Missing(zero, _said(subject, zero, cuts, "never set, or "), False, left)


def without(subject: Subject, places: Sequence[str]) -> Subject:
    """The gradients but for those of some leaves."""
    return replace(subject, held={place: values for place, values in subject.held.items() if place not in places})


def _farthest(subject: Subject, made: Any, zero: Sequence[str]) -> float:
    """The largest distance of the leaves that are not 0, in rounding scales of the right ones."""
    rest = {place: subject.held[place] for place in subject.places if place not in zero}
    worst = worst_places(rest, made, subject.scale, subject.fmt)
    return max((w.scales for w in worst.values() if w.scales > 0), default=0.0)


def _cuts(subject: Subject, zero: set[str]) -> Iterator[int]:
    """The steps behind which exactly these leaves lie, the last first; leaves that were not given left out."""
    graph, given = subject.problem.graph, set(subject.places)
    for index in reversed(range(len(graph.steps))):
        behind = _reached(graph, set(graph.steps[index].outputs), -1) & given
        if zero <= behind and behind - _reached(graph, {graph.output}, index) == zero:
            yield index


def _reached(graph: ref.Network, names: set[str], cut: int) -> set[str]:
    """All that gets a gradient from these values, if a step hands none on."""
    found = set(names)
    for index in reversed(range(len(graph.steps))):
        step = graph.steps[index]
        if index != cut and found.intersection(step.outputs):
            found.update(n for k, n in enumerate(step.inputs) if n is not None and not step.operation.is_data(k))
    return found


def _cut(index: int) -> Mistake:
    def nothing(inputs: Any, y: Any, d_y: Any) -> tuple[None, ...]:
        return (None,) * len(inputs)

    return Mistake(NAME, "", "", problem=with_passes(index, pullback=nothing))


def _said(subject: Subject, zero: Sequence[str], cuts: Sequence[int], else_: str) -> Mistake:
    """What may have been done, in words; `cuts` from the loss on."""
    steps = [
        f"the step {step.name} ({step.operation.name})" for step in map(subject.problem.graph.steps.__getitem__, cuts)
    ]
    where = (
        f"cut between {steps[0]} and {steps[-1]}" if len(steps) > 1 else f"cut at {steps[0]}" if steps else "detached"
    )
    return Mistake(NAME, said_places(zero, subject.problem), f"0 everywhere, {else_}{where}")
