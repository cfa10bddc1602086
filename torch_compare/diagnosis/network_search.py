"""The search for the mistakes behind wrong gradients of a network: which come near, one alone or two in two steps.

Every known mistake is made in the oracle's own formulas, and what comes of it is held against what was given, in the
rounding scale of the right gradients. Two mistakes are found one after the other: the first is one that gives some of
the wrong leaves and spoils no right one, the second is looked for on the problem with the first in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network import passes
from reference.rounding.distance import FACTOR, worst_places

from ..mistakes.forward import SAID
from ..mistakes.mistake import Leaves, Mistake, leaves_with
from ..mistakes.network_forward import forward_mistakes_of
from ..mistakes.network_pass import NetworkPass
from ..mistakes.of_network import network_mistakes

Numbers = Mapping[str, Any]
"""Arrays by place."""
WORK = 2e10
"""Multiply-adds that making the mistakes may take; a pass costs `OVERHEAD` a step besides, in the same units. Pairs may
take as much again."""
OVERHEAD = 2e5
FIRSTS = 6
"""So many mistakes are tried as the first of two."""
SHARE = 4.0
"""An explanation leaves a fourth of the error at the most, by root mean square and in rounding scales."""


@dataclass(frozen=True)
class Fit:
    """Mistakes that come near.

    Attributes:
        mistakes: what was done: one, or two in two steps.
        away: root mean square of what they leave of the worst leaf, in rounding scales of the right gradients.
        scales: the largest distance of an element, in their own rounding scales.
        loss: whether they give the loss that was given, if one was.
    """

    mistakes: tuple[Mistake, ...]
    away: float
    scales: float = np.inf
    loss: bool = True

    @property
    def vague(self) -> bool:
        """Whether one of the mistakes makes so many gradients that it is named only if no other fits."""
        return any(mistake.vague for mistake in self.mistakes)

    @property
    def of_forward(self) -> bool:
        """Whether it is a mistake in the forward pass."""
        return any(mistake.what.startswith(SAID) for mistake in self.mistakes)


@dataclass(frozen=True)
class Subject:
    """Wrong gradients of a network.

    Attributes:
        problem: what they are gradients of.
        held: the given arrays by place, the loss among them if it was given.
        expected: the right ones.
        scale: the rounding scale of the right ones.
        fmt: the format that they were computed in.
        stored: the format of every leaf that is stored in a coarser one, by place.
    """

    problem: ref.Problem
    held: Numbers
    expected: Numbers
    scale: Numbers
    fmt: Format
    stored: Mapping[str, Format] = field(default_factory=dict)

    @property
    def places(self) -> list[str]:
        """Every leaf that was given, but for the loss."""
        return [place for place in self.held if place != "loss"]

    def wrong(self) -> set[str]:
        """The leaves that have an element beyond rounding, the loss left out."""
        return {place for place, scales in self._farthest.items() if scales > FACTOR}

    @cached_property
    def worst(self) -> float:
        """How far the farthest element is from the right one, the loss left out, in rounding scales."""
        return max((scales for scales in self._farthest.values() if scales > 0), default=0.0)

    @cached_property
    def _farthest(self) -> dict[str, float]:
        worst = worst_places(self.held, self.expected, self.scale, self.fmt)
        return {place: worst[place].scales for place in self.places}

    def loss_is_wrong(self) -> bool:
        """Whether a loss was given that is beyond rounding."""
        return "loss" in self.held and not self.has_loss_of(self.problem)

    def off(self, made: Leaves) -> dict[str, float]:
        """How far each leaf is from what was made: root mean square, in rounding scales."""
        return {place: rms(self.held[place], made[place], self._wider(made, place)) for place in self.places}

    @cached_property
    def _usual(self) -> dict[str, tuple[Any, float]]:
        """The rounding scale of each leaf, at least its median, and the leaf's largest element."""
        found = {}
        for place in self.places:
            scale = np.asarray(self.scale[place])
            usual = float(np.median(scale)) if scale.size else 0.0
            found[place] = np.maximum(scale, usual), float(np.abs(self.expected[place]).max(initial=0.0))
        return found

    def _wider(self, made: Leaves, place: str) -> Any:
        """The rounding scale of a leaf, as many times as the wrong one is larger than the right one.

        Not below the unit roundoff of what was made: the right operation may be exact where the wrong one rounds.
        """
        scale, size = self._usual[place]
        large = np.abs(made[place])
        times = max(1.0, float(large.max(initial=0.0)) / size) if size else 1.0
        return np.maximum(scale * times, self.stored.get(place, self.fmt).unit_roundoff * large)

    def has_loss_of(self, other: ref.Problem) -> bool:
        """Whether another problem has the loss that was given, to within rounding; or none was given."""
        if "loss" not in self.held:
            return True
        loss, right = float(np.asarray(ref.loss_value(other))), abs(float(self.expected["loss"]))
        wider = max(1.0, abs(loss) / right) if right else 1.0
        return bool(abs(float(self.held["loss"]) - loss) <= FACTOR * wider * float(self.scale["loss"]))


def rms(given: Any, made: Any, sigma: Any) -> float:
    """The root mean square of a difference in rounding scales; ∞ where there is none and the numbers differ."""
    apart = np.abs(np.asarray(given, dtype=float) - made)
    with np.errstate(all="ignore"):
        off = np.where(apart == 0, 0.0, apart / np.where(sigma > 0, sigma, 0.0))
    off = np.where(np.isnan(off), np.inf, off)
    return float(np.sqrt(np.mean(np.square(np.minimum(off, 1e150)))))


@dataclass
class _Made:
    """What each mistake makes, one after the other, until the work is spent; `stopped` says that it was."""

    subject: Subject
    mistakes: Iterator[Mistake]
    first: tuple[Mistake, ...]
    work: float
    stopped: bool = False

    def __iter__(self) -> Iterator[tuple[Mistake, dict[str, float]]]:
        problem = self.subject.problem
        for mistake in self.first:
            problem = mistake.problem(problem)
        right = NetworkPass.of(problem)
        each = 3.0 * passes.work(problem.network, problem.x) + OVERHEAD * len(problem.graph.steps)
        for mistake in self.mistakes:
            self.work -= each
            if self.work < 0:
                self.stopped = True
                return
            try:
                with np.errstate(all="ignore"):
                    if mistake.what.startswith(SAID) and not self.subject.has_loss_of(mistake.problem(problem)):
                        continue  # a forward pass alone shows that
                    made = leaves_with((mistake,), problem, right)
            except (ValueError, IndexError, AssertionError, np.linalg.LinAlgError):
                continue  # it cannot be made here
            yield mistake, self.subject.off(made)


def nearest(subject: Subject, wrong: set[str]) -> tuple[list[Fit], list[Mistake], str]:
    """The mistakes that leave little of the errors, the nearest first; what may be the first of two; what was left out.

    Args:
        subject: the gradients.
        wrong: their leaves that are wrong.
    """
    before = subject.off(dict(subject.expected))
    most = max(before.values(), default=0.0)
    made = _Made(subject, _likely(subject, wrong), (), WORK)
    found, firsts = [], []
    for mistake, off in made:
        away = max(off.values(), default=0.0)
        if away <= most / SHARE:
            found.append(Fit((mistake,), away))
        gained = {place for place in wrong if off[place] <= 1.0}
        spoilt = any(off[place] > max(FACTOR, before[place]) for place in off if place not in wrong)
        if gained and gained != wrong and not spoilt:
            firsts.append((len(gained), mistake))
    text = f"stopped after {WORK:.0e} multiply-adds: it looked at the likeliest mistakes".replace("e+", "e")
    ranked = [mistake for _, mistake in sorted(firsts, key=lambda first: -first[0])]
    return sorted(found, key=lambda f: f.away), ranked, text if made.stopped else ""


def pairs(subject: Subject, wrong: set[str], firsts: list[Mistake]) -> list[Fit]:
    """Two mistakes in two steps that leave little of the errors, the nearest first."""
    most = max(subject.off(dict(subject.expected)).values(), default=0.0)
    found, work = [], WORK
    for first in firsts[:FIRSTS]:
        left = subject.off(leaves_with((first,), subject.problem))
        rest = {place for place in wrong if left[place] > 1.0}
        made = _Made(subject, _backward(subject, rest), (first,), work)
        for second, off in made:
            away = max(off.values(), default=0.0)
            if away <= most / SHARE and second.where != first.where:
                found.append(Fit((first, second), away))
        work = made.work
    return sorted(found, key=lambda f: f.away)


def _likely(subject: Subject, wrong: set[str]) -> Iterator[Mistake]:
    """Mistakes of the backward pass that reach every wrong leaf, and of the forward pass: first if the loss is off."""
    backward, forward = _backward(subject, wrong), forward_mistakes_of(subject.problem)
    return chain(forward, backward) if subject.loss_is_wrong() else chain(backward, forward)


def _backward(subject: Subject, wrong: set[str]) -> Iterator[Mistake]:
    """Those of a step from which all of the leaves can be reached."""
    network = subject.problem.graph
    reached = {step.name: _leaves_behind(network, step, subject.problem) for step in network.steps}
    for mistake in network_mistakes(subject.problem):
        behind = reached.get(mistake.where)
        if behind is None or wrong <= behind:
            yield mistake


def _leaves_behind(network: ref.Network, step: ref.Step, problem: ref.Problem) -> set[str]:
    """The leaves that a step's output depends on."""
    needed = set(step.outputs)
    for earlier in reversed(network.steps):
        if needed & set(earlier.outputs):
            needed |= {name for name in earlier.inputs if name is not None}
    return needed & set(problem.leaves())
