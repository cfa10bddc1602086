"""The diagnosis: which mistake makes the gradients that were given.

Every known mistake is made in the oracle's own formulas, and what comes of it held against what was given: first by
norm, on a walk from the output down (`search`), then element by element, by the rounding scale of the wrong gradients
themselves. One mistake is tried before two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any, Self

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
from .search import Walk
from .unexplained import agrees, not_finite, unexplained
from .wording import sentence

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
CLOSEST = 4.0
"""σ within which rounding lies as a rule: a closer fit tells no more."""
SHARE = 4.0
"""An explanation leaves a fourth of the error at the most, or it explains little."""


class Diagnosis(str):
    """One sentence on what gradients are, with the facts behind it: it prints, compares and is searched as its text.

    Attributes:
        names: the kinds of the mistakes that make the gradients, one or two; none if nothing fits, or none was made.
        scales: the largest distance from what the mistakes make, in rounding scales.
        runner_up: another explanation that fits within rounding too; "" if there is none.
        others: the kinds of every other explanation that fits within rounding as well and is as simple.
        sought: whether a mistake was looked for.

    >>> found = Diagnosis("the sign is wrong", ("sign",), 0.5)
    >>> found, found.names, "sign" in found
    ('the sign is wrong', ('sign',), True)
    """

    names: tuple[str, ...]
    scales: float
    runner_up: str
    others: tuple[tuple[str, ...], ...]
    sought: bool

    def __new__(
        cls,
        text: str,
        names: tuple[str, ...] = (),
        scales: float = float("inf"),
        runner_up: str = "",
        others: tuple[tuple[str, ...], ...] = (),
        *,
        sought: bool = True,
    ) -> Self:
        """The sentence, and what is known behind it."""
        made = super().__new__(cls, text)
        made.names, made.scales, made.runner_up, made.others, made.sought = names, scales, runner_up, others, sought
        return made


def _names(mistakes: tuple[Mistake, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.name for m in mistakes))


def _habits(mistakes: tuple[Mistake, ...]) -> frozenset[tuple[str, str]]:
    return frozenset(m.habit for m in mistakes)


def _order(mistakes: tuple[Mistake, ...]) -> tuple[Any, ...]:
    """The simplest first: few mistakes, none vague, no constants, few places."""
    unique = {m.habit: m for m in mistakes}.values()
    return len(unique), sum(m.vague for m in unique), sum(bool(m.form) for m in unique), len(mistakes)


@dataclass
class _Search:
    evidence: Evidence
    expected: Mapping[str, Any]
    scale: Mapping[str, Any]
    fmt: Format
    seed: int
    noisy: ref.Problem | None = None
    effort: Effort = field(default_factory=lambda: Effort(WORK))
    worst: float = field(init=False)

    def __post_init__(self) -> None:
        self.worst = max(
            float(np.max(_ratio(v, self.expected[k], self.scale[k], self.fmt), initial=0.0))
            for k, v in self.evidence.given.items()
        )

    def walks(self, budget: int) -> Iterator[tuple[Mistake, ...]]:
        """Every set of so many mistakes that explains all gradients by norm."""
        for first in _starts(self.evidence.problem, budget):
            try:
                yield from Walk(self.evidence, first, budget, self.effort).run()
            except (ValueError, IndexError, AssertionError, np.linalg.LinAlgError):
                continue  # the mistakes cannot be made together
            if self.effort.exhausted:
                return

    def confirm(self, mistakes: tuple[Mistake, ...]) -> float:
        """The largest distance from what the mistakes make, in their own rounding scales; ∞ if they explain little."""
        problem, given = self.evidence.problem, self.evidence.given
        if self.noisy is None:
            largest = max(problem.x.shape[0] * max(l.weight.shape) + l.weight.size for l in problem.mlp.layers)
            runs = int(np.clip(NUMBERS // largest, 3, RUNS))
            source = NoiseSource(self.fmt, runs, np.random.default_rng(self.seed))
            self.noisy = in_noise(problem, source, textbook=True)
        noisy = {k: spread_of(v) for k, v in leaves_with(mistakes, self.noisy).items()}
        exact = leaves_with(mistakes, problem)
        uncertainty = max(m.uncertainty for m in mistakes)
        worst, told = 0.0, []
        for place, values in given.items():
            if place not in exact or place == "loss":
                continue
            allowed = np.maximum(noisy[place], uncertainty * np.abs(exact[place]))
            worst = max(worst, float(np.max(_ratio(values, exact[place], allowed, self.fmt), initial=0.0)))
            told.append(np.ravel(np.abs(values - self.expected[place]) / np.maximum(allowed, np.finfo(float).tiny)))
        if not told or worst > min(FACTOR, self.worst / SHARE):
            return float("inf")
        bits = np.log2(np.clip(np.concatenate(told) / max(worst, CLOSEST), 1.0, 2.0**self.fmt.bits))
        fitted = len({m.habit for m in mistakes if m.uncertainty > 0})
        return worst if np.sum(np.sort(bits)[: bits.size - fitted]) >= BITS[habits(mistakes)] else float("inf")

    def _nearest(self, candidates: Iterable[tuple[Mistake, ...]]) -> list[tuple[Mistake, ...]]:
        """The candidates that come nearest to what was given, by root mean square of the worst leaf."""
        away = {}
        for mistakes in islice(candidates, COMPARED):
            made = leaves_with(mistakes, self.evidence.problem)
            off = [self.evidence.off(k, made[k]) for k in self.evidence.given if k in made and k != "loss"]
            away[mistakes] = max((float(np.sqrt(np.mean(o * o))) for o in off), default=np.inf)
        least = min(away.values(), default=0.0)
        return [mistakes for mistakes, distance in away.items() if distance <= max(2 * least, 1.0)]

    def best(self, budget: int) -> Diagnosis | None:
        """The simplest explanation with so many mistakes that stands the test, with the others that do."""
        found = {frozenset(m.key for m in c): c for c in self.walks(budget) if habits(c) == budget}
        candidates = sorted(self._nearest(found.values()), key=_order)[:CONFIRMED]
        standing = [(c, scales) for c in candidates if np.isfinite(scales := self.confirm(c))]
        if not standing:
            return None
        first, scales = standing[0]
        problem = self.evidence.problem
        rivals = list({_habits(c): c for c, _ in reversed(standing) if _order(c)[:2] <= _order(first)[:2]}.values())[
            ::-1
        ]
        rivals = [c for c in rivals if _habits(c) != _habits(first)]
        also = [m.also for m in first if m.also]
        others = [_names(c) for c in rivals] + [(name,) for names in also for name in names]
        others = [o for o in dict.fromkeys(others) if o != _names(first)]
        text = sentence(first, problem, scales) + self._loss(first)
        texts = [sentence(c, problem) for c in rivals]
        texts = [t for t in dict.fromkeys(texts) if t != sentence(first, problem)]
        return Diagnosis(text, _names(first), scales, " or ".join(texts[:2]), tuple(others))

    def _loss(self, mistakes: tuple[Mistake, ...]) -> str:
        """What is to be said of the loss that was given besides: it may be right, or as wrong as the gradients."""
        if "loss" not in self.evidence.given:
            return ""
        value = self.evidence.given["loss"]
        if agrees("loss", self.evidence.given, self.expected, self.scale, self.fmt):
            return ""
        slack = self.evidence.slack("loss")
        made: Leaves = leaves_with(mistakes, self.evidence.problem)
        factors = [m.constant for m in mistakes if m.form == "factor"]
        if any(distance(value, c * np.asarray(made["loss"])) <= slack for c in (1.0, *factors)):
            return "; your loss has the mistake too"
        return (
            f"; your loss, {float(value):.6g}, is wrong too and not by that: it is {float(self.expected['loss']):.6g}"
        )


def _ratio(given: Any, expected: Any, scale: Any, fmt: Format) -> Any:
    ratio = in_scales(given, expected, scale, fmt)
    return np.where(np.isnan(ratio), np.where(np.isfinite(expected), 0.0, np.inf), ratio)


def _starts(problem: ref.Problem, budget: int) -> Iterator[tuple[Mistake, ...]]:
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
