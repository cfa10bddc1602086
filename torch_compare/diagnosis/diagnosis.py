"""The diagnosis: which mistake makes the gradients that were given.

Every known mistake is made in the oracle's own formulas, and what comes of it held against what was given: first by
norm, on a walk from the output down (`search`), then element by element, by the rounding scale of the wrong gradients
themselves (`trial`). One mistake is tried before two. The work is bounded by a count of multiply-adds, and no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format

from ..mistakes.mistake import Mistake, habits, leaves_with
from .candidate import ELEMENT, Effort
from .evidence import Evidence, distance
from .example_weights import example_weight_mistakes
from .of_network import diagnose_network
from .search import explanations
from .starts import starts
from .trial import CLOSEST, Trial
from .unexplained import agrees, not_finite, unexplained
from .wording import Diagnosis, sentence

COMPARED = 200
"""So many candidates are made and compared at the most."""
COMPARING = 4e9
"""Multiply-adds for that: candidates of a large network are fewer."""
WORK = {1: 4e9, 2: 3e9, 3: 1e9}
"""Multiply-adds that the search for so many mistakes may spend: a second or so each."""
CLOSER = 4.0
"""An explanation that is so many times farther off than another, and farther than rounding lies, is none."""

Mistakes = tuple[Mistake, ...]
"""An explanation: all that was done wrong, at every place where it was."""


def _names(mistakes: Mistakes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.name for m in mistakes))


def _habits(mistakes: Mistakes) -> frozenset[tuple[str, str]]:
    return frozenset(m.habit for m in mistakes)


@dataclass(frozen=True)
class _Candidate:
    """An explanation that fits by norm.

    Attributes:
        mistakes: what was done wrong.
        away: root mean square of the worst leaf, in rounding scales.
        loss: whether the loss that was given, if one was, is what they make of it.
        scales: the largest distance of an element, in their own rounding scales.
    """

    mistakes: Mistakes
    away: float
    loss: bool
    scales: float = np.inf

    @property
    def simplicity(self) -> tuple[Any, ...]:
        """The simplest first: few mistakes, which explain the loss too, none vague, no constants, few places."""
        unique = {m.habit: m for m in self.mistakes}.values()
        vague, constants = sum(m.vague for m in unique), sum(bool(m.form) for m in unique)
        return len(unique), not self.loss, vague, constants, len(self.mistakes)


@dataclass(frozen=True)
class _Search:
    """A search for the mistakes behind gradients that are wrong.

    Attributes:
        trial: of an explanation.
        efforts: what it cost, by the number of mistakes.
    """

    trial: Trial
    efforts: dict[int, Effort] = field(default_factory=dict)

    @property
    def evidence(self) -> Evidence:
        """What was given."""
        return self.trial.evidence

    # ── finding explanations ─────────────────────────────────────────────────────────────────────────

    def best(self, budget: int) -> Diagnosis | None:
        """The simplest explanation with so many mistakes that stands the test, with the others that do."""
        found = {frozenset(m.key for m in c): c for c in self._found(budget) if habits(c) == budget}
        candidates = sorted(self._nearest(found.values()), key=lambda c: c.simplicity)[: self.trial.most]
        tried = [replace(c, scales=self.trial.away(c.mistakes)) for c in candidates]
        bound = max(CLOSEST, CLOSER * min((c.scales for c in tried), default=np.inf))
        standing = [c for c in tried if np.isfinite(c.scales) and c.scales <= bound]
        return self._diagnosis(standing) if standing else None

    def _found(self, budget: int) -> Iterator[Mistakes]:
        """Every set of so many mistakes that explains all gradients by norm."""
        effort = self.efforts[budget] = Effort(WORK[budget])
        told = example_weight_mistakes(self.evidence) if budget == 1 else ()
        for first in chain(((mistake,) for mistake in told), starts(self.evidence.problem, budget)):
            if effort.exhausted:
                return
            try:
                yield from explanations(self.evidence, first, budget, effort)
            except (ValueError, IndexError, AssertionError, np.linalg.LinAlgError):
                continue  # the mistakes cannot be made together

    def _nearest(self, candidates: Iterable[Mistakes]) -> list[_Candidate]:
        """The candidates that come nearest to what was given, by root mean square of the worst leaf."""
        problem, found = self.evidence.problem, []
        work = sum((3 * problem.x.shape[0] + 4 * ELEMENT) * layer.weight.size for layer in problem.mlp.layers)
        for mistakes in islice(candidates, int(np.clip(COMPARING // work, self.trial.most, COMPARED))):
            made = leaves_with(mistakes, problem, self.evidence.trace)
            off = [self.evidence.off(k, made[k]) for k in self.evidence.given if k in made and k != "loss"]
            away = max((float(np.sqrt(np.mean(o * o))) for o in off), default=np.inf)
            found.append(_Candidate(mistakes, away, self._makes_loss(mistakes, made["loss"])))
        least = min((c.away for c in found), default=0.0)
        return [c for c in found if c.away <= max(2 * least, 1.0)]

    def _makes_loss(self, mistakes: Mistakes, made: Any) -> bool:
        """Whether the loss that was given is the one that is made, or that times a factor which the gradients have."""
        if "loss" not in self.evidence.given:
            return True
        given, slack = self.evidence.given["loss"], self.evidence.slack("loss")
        factors = [m.constant for m in mistakes if m.form == "factor"]
        products = (1.0, *factors, float(np.prod(factors)))
        return any(distance(given, c * np.asarray(made)) <= slack for c in products)

    # ── saying it ────────────────────────────────────────────────────────────────────────────────────

    def _diagnosis(self, standing: list[_Candidate]) -> Diagnosis:
        """The first of the explanations that stand the test, and the others as its rivals."""
        problem, first = self.evidence.problem, standing[0]
        rivals = _rivals(first, standing)
        others = [_names(c.mistakes) for c in rivals] + [(name,) for m in first.mistakes for name in m.also]
        others = [names for names in dict.fromkeys(others) if names != _names(first.mistakes)]
        texts = dict.fromkeys(sentence(c.mistakes, problem) for c in rivals)
        runner_up = " or ".join([text for text in texts if text != sentence(first.mistakes, problem)][:2])
        text = sentence(first.mistakes, problem, first.scales) + self._loss(first)
        return Diagnosis(
            text, _names(first.mistakes), first.scales, runner_up, tuple(others), stopped=self.stopped
        )  # fmt: skip

    def _loss(self, first: _Candidate) -> str:
        """A clause on the loss that was given besides, if it is wrong: by the same mistake or not."""
        trial = self.trial
        if "loss" not in self.evidence.given:
            return ""
        if agrees("loss", self.evidence.given, trial.expected, trial.scale, trial.fmt):
            return ""
        if first.loss:
            return "; your loss has the mistake too"
        value, right = (float(leaf["loss"]) for leaf in (self.evidence.given, trial.expected))
        return f"; your loss, {value:.6g}, is wrong too and not by that: it is {right:.6g}"

    @property
    def stopped(self) -> str:
        """Which part of the search came to the end of its work; "" if none did."""
        parts = {1: "single mistakes", 2: "pairs of mistakes", 3: "sets of three"}
        cut = [parts[budget] for budget, effort in self.efforts.items() if effort.exhausted]
        if not cut:
            return ""
        most = sum(effort.limit for effort in self.efforts.values())
        return f"stopped after {most:.0e} multiply-adds; of {' and '.join(cut)} it looked at the likeliest".replace(
            "e+0", "e"
        ).replace("e+", "e")


def _rivals(first: _Candidate, standing: Iterable[_Candidate]) -> list[_Candidate]:
    """The other explanations that are as simple as the first, one for each set of habits."""
    simple = [
        c for c in standing
        if c.simplicity[:3] <= first.simplicity[:3] and _habits(c.mistakes) != _habits(first.mistakes)
    ]  # fmt: skip
    unique = {_habits(c.mistakes): c for c in reversed(simple)}
    return list(reversed(unique.values()))


def diagnose(
    problem: ref.Problem,
    given: Mapping[str, Any],
    expected: Mapping[str, Any],
    scale: Mapping[str, Any],
    fmt: Format,
    seed: int = 0,
    stored: Mapping[str, Format] = MappingProxyType({}),
    beyond: Collection[str] = (),
) -> Diagnosis:
    """Name the mistake that explains gradients which are not the problem's.

    Args:
        problem: the problem.
        given: arrays by place.
        expected: the right gradients by place.
        scale: the rounding scale by place.
        fmt: the format that the gradients were computed in.
        seed: of the noise.
        stored: the format of every leaf that is stored in a coarser one, by place.
        beyond: the leaves of a network that are wrong by a statistic, where none is by an element.

    >>> mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0)
    >>> rng = np.random.default_rng(0)
    >>> problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    >>> import torch_compare as tc
    >>> tc.check(problem, ref.gradients(problem).map(lambda leaf: -leaf)).diagnosis.names
    ('sign',)
    """
    problem = problem.in_float64()
    if isinstance(problem.network, ref.Network):
        with np.errstate(all="ignore"):
            return diagnose_network(problem, given, expected, scale, fmt, seed, stored, beyond)
    with np.errstate(all="ignore"):
        broken = not_finite(problem, given, fmt)
        if broken:
            return Diagnosis(broken, ("not finite",))
        evidence = Evidence.of(problem, given, expected, scale, fmt.unit_roundoff)
        search = _Search(Trial(evidence, expected, scale, fmt, seed, stored))
        for budget in WORK:
            found = search.best(budget)
            if found is not None:
                return found
        names, text, implied = unexplained(evidence, given, expected, scale, fmt)
        text += "" if names or not search.stopped else f"; {search.stopped}"
        return Diagnosis(text, names, stopped=search.stopped, implied=implied)
