"""The diagnosis: which mistake makes the gradients that were given.

Every known mistake is made in the oracle's own formulas, and what comes of it held against what was given: first by
norm, on a walk from the output down (`search`), then element by element, by the rounding scale of the wrong gradients
themselves. One mistake is tried before two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations, islice
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.arithmetic.noise_source import NoiseSource
from reference.network.in_arithmetic import in_noise, spread_of
from reference.rounding.distance import FACTOR, in_scales

from ..mistakes.data import activation_mistakes, batch_mistakes, deviation_mistakes
from ..mistakes.loss import loss_mistakes
from ..mistakes.mistake import Leaves, Mistake, habits, leaves_with
from .candidate import Effort
from .evidence import Evidence, distance
from .example_weights import example_weight_mistakes
from .search import explanations
from .unexplained import agrees, not_finite, unexplained
from .wording import Diagnosis, sentence

RUNS = 16
NUMBERS = 2**25
"""In the arrays of all noisy runs together: large networks are put to the test with fewer runs."""
CONFIRMED = 8
"""So many of the candidates that fit best are put to the test in noisy arithmetic."""
COMPARED = 200
"""So many candidates are made and compared at the most."""
WORK = 4e9
"""Multiply-adds that the search may spend: two seconds or so."""
BITS = {1: 18.0, 2: 24.0, 3: 30.0}
"""An explanation of so many mistakes has to predict so many bits of how the gradients differ from the right ones: of
2^8 mistakes, or 2^14 pairs, that are tried one would meet one in a thousand random gradients by chance. Each constant
that was fitted takes one number, the one that tells most."""
PARTICULAR = 4.0
"""So many bits less suffice for a mistake that is one of 2^4, those peculiar to the problem's activations and loss."""
CLOSEST = 4.0
"""σ within which rounding lies as a rule: a closer fit tells no more."""
SHARE = 4.0
"""An explanation leaves a fourth of the error at the most, or it explains little."""


Mistakes = tuple[Mistake, ...]
"""An explanation: all that was done wrong, at every place where it was."""


def _names(mistakes: Mistakes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.name for m in mistakes))


def _habits(mistakes: Mistakes) -> frozenset[tuple[str, str]]:
    return frozenset(m.habit for m in mistakes)


def _order(mistakes: Mistakes) -> tuple[Any, ...]:
    """The simplest first: few mistakes, none vague, no constants, few places."""
    unique = {m.habit: m for m in mistakes}.values()
    return len(unique), sum(m.vague for m in unique), sum(bool(m.form) for m in unique), len(mistakes)


@dataclass(frozen=True)
class _Search:
    """A search for the mistakes behind gradients that are wrong.

    Attributes:
        evidence: what was given.
        expected: the right gradients by place.
        scale: their rounding scale.
        fmt: the format that the gradients were computed in.
        seed: of the noise.
        effort: what it may cost.
    """

    evidence: Evidence
    expected: Mapping[str, Any]
    scale: Mapping[str, Any]
    fmt: Format
    seed: int
    effort: Effort = field(default_factory=lambda: Effort(WORK))

    @cached_property
    def worst(self) -> float:
        """How far what was given is from the right gradients, in their rounding scales."""
        given = self.evidence.given
        return max(_farthest(leaf, self.expected[k], self.scale[k], self.fmt) for k, leaf in given.items())

    @cached_property
    def noisy(self) -> ref.Problem:
        """The problem in noisy arithmetic, of as many runs as its size allows."""
        problem = self.evidence.problem
        largest = max(problem.x.shape[0] * max(l.weight.shape) + l.weight.size for l in problem.mlp.layers)
        runs = int(np.clip(NUMBERS // largest, 3, RUNS))
        return in_noise(problem, NoiseSource(self.fmt, runs, np.random.default_rng(self.seed)), textbook=True)

    # ── finding explanations ─────────────────────────────────────────────────────────────────────────

    def best(self, budget: int) -> Diagnosis | None:
        """The simplest explanation with so many mistakes that stands the test, with the others that do."""
        found = {frozenset(m.key for m in c): c for c in self._found(budget) if habits(c) == budget}
        candidates = sorted(self._nearest(found.values()), key=_order)[:CONFIRMED]
        standing = {c: scales for c in candidates if np.isfinite(scales := self._confirm(c))}
        return self._diagnosis(standing) if standing else None

    def _found(self, budget: int) -> Iterator[Mistakes]:
        """Every set of so many mistakes that explains all gradients by norm."""
        told = example_weight_mistakes(self.evidence) if budget == 1 else ()
        for first in chain(((mistake,) for mistake in told), _starts(self.evidence.problem, budget)):
            try:
                yield from explanations(self.evidence, first, budget, self.effort)
            except (ValueError, IndexError, AssertionError, np.linalg.LinAlgError):
                continue  # the mistakes cannot be made together
            if self.effort.exhausted:
                return

    def _nearest(self, candidates: Iterable[Mistakes]) -> list[Mistakes]:
        """The candidates that come nearest to what was given, by root mean square of the worst leaf."""
        away = {}
        for mistakes in islice(candidates, COMPARED):
            made = leaves_with(mistakes, self.evidence.problem)
            off = [self.evidence.off(k, made[k]) for k in self.evidence.given if k in made and k != "loss"]
            away[mistakes] = max((float(np.sqrt(np.mean(o * o))) for o in off), default=np.inf)
        least = min(away.values(), default=0.0)
        return [mistakes for mistakes, distance in away.items() if distance <= max(2 * least, 1.0)]

    # ── testing one ──────────────────────────────────────────────────────────────────────────────────

    def _confirm(self, mistakes: Mistakes) -> float:
        """The largest distance from what the mistakes make, in their own rounding scales; ∞ if they explain little."""
        made, allowed = self._made(mistakes)
        given = {place: self.evidence.given[place] for place in made}
        worst = max((_farthest(given[k], made[k], allowed[k], self.fmt) for k in made), default=np.inf)
        if worst > min(FACTOR, self.worst / SHARE):
            return float("inf")
        least = {place: np.maximum(sigma, np.finfo(float).tiny) for place, sigma in allowed.items()}
        told = [np.ravel(np.abs(given[place] - self.expected[place]) / least[place]) for place in made]
        return worst if self._tell_enough(np.concatenate(told) / max(worst, CLOSEST), mistakes) else float("inf")

    def _made(self, mistakes: Mistakes) -> tuple[Leaves, Leaves]:
        """The gradients that the mistakes make, of those that were given, and the rounding scale of each."""
        noisy, exact = leaves_with(mistakes, self.noisy), leaves_with(mistakes, self.evidence.problem)
        made = {place: exact[place] for place in self.evidence.given if place in exact and place != "loss"}
        uncertainty = max(m.uncertainty for m in mistakes)
        allowed = {k: np.maximum(spread_of(noisy[k]), uncertainty * np.abs(leaf)) for k, leaf in made.items()}
        return made, allowed

    def _tell_enough(self, told: Any, mistakes: Mistakes) -> bool:
        """Whether the mistakes predict enough of how the gradients differ from the right ones (see `BITS`).

        Args:
            told: the difference of each element, in units of what the mistakes leave of it.
            mistakes: the explanation.
        """
        bits = np.sort(np.log2(np.clip(told, 1.0, 2.0**self.fmt.bits)))
        fitted = len({m.habit for m in mistakes if m.uncertainty > 0})
        less = PARTICULAR if all(m.particular for m in mistakes) else 0.0
        return bool(np.sum(bits[: bits.size - fitted]) >= BITS[habits(mistakes)] - less)

    # ── saying it ────────────────────────────────────────────────────────────────────────────────────

    def _diagnosis(self, standing: Mapping[Mistakes, float]) -> Diagnosis:
        """The first of the explanations that stand the test, with their distances, and the others as its rivals."""
        problem, first = self.evidence.problem, next(iter(standing))
        rivals = _rivals(first, standing)
        others = [_names(c) for c in rivals] + [(name,) for m in first for name in m.also]
        others = [names for names in dict.fromkeys(others) if names != _names(first)]
        texts = dict.fromkeys(sentence(c, problem) for c in rivals)
        runner_up = " or ".join([text for text in texts if text != sentence(first, problem)][:2])
        text = sentence(first, problem, standing[first]) + self._loss(first)
        return Diagnosis(text, _names(first), standing[first], runner_up, tuple(others))

    def _loss(self, mistakes: Mistakes) -> str:
        """A clause on the loss that was given besides, if it is wrong: by the same mistake or not."""
        if "loss" not in self.evidence.given:
            return ""
        value, right = self.evidence.given["loss"], self.expected["loss"]
        if agrees("loss", self.evidence.given, self.expected, self.scale, self.fmt):
            return ""
        made = leaves_with(mistakes, self.evidence.problem)["loss"]
        factors = [m.constant for m in mistakes if m.form == "factor"]
        if any(distance(value, c * np.asarray(made)) <= self.evidence.slack("loss") for c in (1.0, *factors)):
            return "; your loss has the mistake too"
        return f"; your loss, {float(value):.6g}, is wrong too and not by that: it is {float(right):.6g}"


def _rivals(first: Mistakes, standing: Iterable[Mistakes]) -> list[Mistakes]:
    """The other explanations that are as simple as the first, one for each set of habits."""
    simple = [c for c in standing if _order(c)[:2] <= _order(first)[:2] and _habits(c) != _habits(first)]
    unique = {_habits(c): c for c in reversed(simple)}
    return list(reversed(unique.values()))


def _farthest(given: Any, expected: Any, scale: Any, fmt: Format) -> float:
    """The largest distance of an element, in rounding scales; 0 if there is no element."""
    return float(np.max(_ratio(given, expected, scale, fmt), initial=0.0))


def _ratio(given: Any, expected: Any, scale: Any, fmt: Format) -> Any:
    ratio = in_scales(given, expected, scale, fmt)
    return np.where(np.isnan(ratio), np.where(np.isfinite(expected), 0.0, np.inf), ratio)


def _starts(problem: ref.Problem, budget: int) -> Iterator[Mistakes]:
    """Mistakes that the backward pass starts from: none, one, or two that do not make the same thing wrong."""
    yield ()
    if budget > 2:
        return
    losses, batches = list(loss_mistakes(problem)), list(batch_mistakes(problem))
    activations = list(activation_mistakes(problem))
    for mistake in (*deviation_mistakes(problem), *losses, *batches, *activations):
        yield (mistake,)
    if budget > 1:
        likely = [m for m in (*losses, *activations, *batches) if not m.vague]
        yield from (pair for pair in combinations(likely, 2) if pair[0].name != pair[1].name)


def diagnose(
    problem: ref.Problem,
    given: Mapping[str, Any],
    expected: Mapping[str, Any],
    scale: Mapping[str, Any],
    fmt: Format,
    seed: int = 0,
) -> Diagnosis:
    """Name the mistake that explains gradients which are not the problem's.

    Args:
        problem: the problem.
        given: arrays by place.
        expected: the right gradients by place.
        scale: the rounding scale by place.
        fmt: the format that the gradients were computed in.
        seed: of the noise.

    >>> mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0)
    >>> rng = np.random.default_rng(0)
    >>> problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    >>> import torch_compare as tc
    >>> tc.check(problem, ref.gradients(problem).map(lambda leaf: -leaf)).diagnosis.names
    ('sign',)
    """
    problem = problem.in_float64()
    with np.errstate(all="ignore"):
        broken = not_finite(problem, given, fmt)
        if broken:
            return Diagnosis(broken, ("not finite",))
        evidence = Evidence.of(problem, given, expected, scale, fmt.unit_roundoff)
        search = _Search(evidence, expected, scale, fmt, seed)
        for budget in BITS:
            found = search.best(budget)
            if found is not None:
                return found
        names, text = unexplained(evidence, given, expected, scale, fmt)
        return Diagnosis(text, names)
