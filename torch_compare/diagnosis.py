"""The diagnosis: which mistake makes the gradients that were given.

Every mistake of the bank is made, in the oracle's own formulas, and the outcome held against what was given: first
roughly, then by the rounding scale of the wrong gradients themselves. One mistake is tried before two, and any may go
with a factor, a weight decay or a clipped norm, which are fitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import reference as ref
from reference.formats import Format
from reference.noise import in_noise, spread_of
from reference.noisy import Source

from .data_mistakes import activation_mistakes, batch_mistakes
from .fits import Fit, fits
from .loss_mistakes import loss_mistakes
from .measure import FACTOR, in_scales
from .mistakes import Leaves, Mistake, leaves_with
from .pass_mistakes import bias_mistakes, product_mistakes, slope_mistakes, updated_weights

RUNS = 16
CONFIRMED = 6
"""So many of the candidates that fit best are put to the test in noisy arithmetic."""
PARTNERS = 10
"""So many single mistakes, those that explain most, are tried together with every other one."""
WORK = 4e9
"""Multiply-adds that may be spent on pairs: a few seconds."""
ROUGHEST = 0.4
"""The largest slack: less than the distance of a factor 2. In FP8, 32 σ are several times the gradient itself, and
every mistake would count as roughly none at all; what is roughly the same is put to the test later."""
VAGUE = ("another activation", "another loss", "examples left out")
"""Kinds that make many gradients: named only where no other fits."""


@dataclass(frozen=True)
class Diagnosis:
    """What explains a wrong gradient.

    Attributes:
        names: the kinds of the mistakes, one or two; none if nothing fits.
        text: what was done, where, and how well it fits.
        scales: the largest distance from what the mistake makes, in rounding scales.
        runner_up: another explanation that fits within rounding too; "" if there is none.
    """

    names: tuple[str, ...]
    text: str
    scales: float = float("inf")
    runner_up: str = ""

    def __str__(self) -> str:
        return f"{self.text}\n  or else: {self.runner_up}" if self.runner_up else self.text


@dataclass(frozen=True)
class _Candidate:
    """Mistakes with the fit that takes them to what was given."""

    mistakes: tuple[Mistake, ...]
    fit: Fit
    residual: float

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(m.name for m in self.mistakes) + self.fit.names

    @property
    def order(self) -> tuple[Any, ...]:
        vague = sum(name in VAGUE for name in self.names)
        everywhere = sum(m.layer is None for m in self.mistakes)
        return (len(self.names), vague + self.fit.vague, len(self.fit.names), -everywhere, self.residual)


@dataclass(frozen=True)
class _Tried:
    """Mistakes, how many leaves they explain, and the candidate that they make if they explain all."""

    mistakes: tuple[Mistake, ...]
    explained: int
    candidate: _Candidate | None


@dataclass
class _Search:
    problem: ref.Problem
    given: Mapping[str, Any]
    expected: Mapping[str, Any]
    scale: Mapping[str, Any]
    fmt: Format
    seed: int
    spent: float = 0.0
    noisy: ref.Problem | None = None
    made: dict[tuple[str, ...], Leaves] = field(default_factory=dict)

    def make(self, mistakes: tuple[Mistake, ...]) -> Leaves | None:
        """What the mistakes make; None where they cannot be made together."""
        weights = sum(layer.weight.size for layer in self.problem.mlp.layers)
        self.spent += 3.0 * weights * self.problem.x.shape[0]
        try:
            with np.errstate(all="ignore"):
                return leaves_with(mistakes, self.problem)
        except (ValueError, IndexError, AssertionError):
            return None

    def tried(self, combinations: Iterable[tuple[Mistake, ...]]) -> Iterator[_Tried]:
        """Every combination with its fit, if it has one, and how many leaves it explains."""
        for mistakes in combinations:
            leaves = self.make(mistakes)
            if leaves is not None:
                found, explained = fits(self.problem, self.given, leaves, self.slack)
                candidate = None if found is None else _Candidate(mistakes, found, found.residual)
                yield _Tried(mistakes, explained, candidate)

    def slack(self, place: str) -> float:
        """The relative distance, by norm, up to which a leaf counts as roughly the same."""
        size = float(np.linalg.norm(np.ravel(self.expected[place])))
        sigma = np.ravel(self.scale[place])
        noise = float(np.linalg.norm(sigma[np.isfinite(sigma)]))
        return min(ROUGHEST, 2 * FACTOR * noise / size) if size > 0 else 0.0

    def confirm(self, candidate: _Candidate) -> float:
        """The largest distance from what the mistakes make, in their own rounding scales."""
        if self.noisy is None:
            source = Source(self.fmt, RUNS, np.random.default_rng(self.seed))
            self.noisy = in_noise(self.problem, source, textbook=True)
        mistakes = (*candidate.mistakes, *candidate.fit.mistakes)
        with np.errstate(all="ignore"):
            noisy = {k: spread_of(v) for k, v in leaves_with(mistakes, self.noisy).items()}
            exact = leaves_with(mistakes, self.problem)
        worst = 0.0
        for place, values in self.given.items():
            if place not in exact or (place == "loss" and candidate.fit.loss_free):
                continue
            allowed = np.maximum(noisy[place], candidate.fit.uncertainty * np.abs(exact[place]))
            ratio = in_scales(values, exact[place], allowed, self.fmt)
            worst = max(worst, float(np.max(np.where(np.isnan(ratio), np.inf, ratio))))
        return worst

    def best(self, tried: Iterable[_Tried]) -> Diagnosis | None:
        """The simplest candidate that stands the test, with a runner-up that does too."""
        standing: list[tuple[_Candidate, float]] = []
        found = [t.candidate for t in tried if t.candidate is not None]
        for candidate in sorted(found, key=lambda c: c.order)[:CONFIRMED]:
            scales = self.confirm(candidate)
            if scales <= FACTOR:
                standing.append((candidate, scales))
        if not standing:
            return None
        first, scales = standing[0]
        others = [c for c, _ in standing[1:] if sorted(_texts(c)) != sorted(_texts(first))]
        simple = [c for c in others if c.order[:2] <= first.order[:2]]
        text = f"{_text(first)}; with that the oracle's formulas give your numbers to {scales:.2g} rounding scales"
        return Diagnosis(first.names, text, scales, _text(simple[0]) if simple else "")


def _text(candidate: _Candidate) -> str:
    return "; and ".join(_texts(candidate))


def _texts(candidate: _Candidate) -> list[str]:
    return [m.text for m in (*candidate.mistakes, *candidate.fit.mistakes)]


def bank(problem: ref.Problem, layers: Iterable[int]) -> Iterator[Mistake]:
    """Every mistake that can be made on the problem; those of single layers in the layers given."""
    yield from loss_mistakes(problem)
    for layer in layers:
        yield from product_mistakes(problem, layer)
        yield from slope_mistakes(problem, layer)
    if len(problem.mlp.layers) > 1:
        yield from slope_mistakes(problem, None)
        yield from bias_mistakes(problem, None)
    yield from activation_mistakes(problem)
    yield from batch_mistakes(problem)


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
    >>> tc.check(problem, ref.gradients(problem).map(lambda leaf: -leaf)).explanation.names
    ('sign',)
    """
    problem = problem.in_float64()
    broken = _not_finite(given)
    if broken:
        return Diagnosis(("not finite",), broken)
    search = _Search(problem, given, expected, scale, fmt, seed)
    parted = _parting(problem, given, expected, scale, fmt)
    layers = sorted({l for l in (parted - 1, parted, parted + 1) if 0 <= l < len(problem.mlp.layers)}, reverse=True)
    near = list(bank(problem, layers if len(problem.mlp.layers) > 8 else range(len(problem.mlp.layers))))
    near += updated_weights(problem, given, slack=search.slack)
    singles = list(search.tried([(), *((m,) for m in near)]))
    found = search.best(singles)
    if found is None:
        promising = [t.mistakes for t in sorted(singles, key=lambda t: -t.explained) if t.mistakes][:PARTNERS]
        pairs = ((*first, other) for first in promising for other in near if other not in first)
        search.spent = 0.0
        found = search.best(search.tried(pair for pair in pairs if search.spent < WORK))
    return found or Diagnosis((), _unexplained(problem, given, expected, scale, fmt, parted))


def _not_finite(given: Mapping[str, Any]) -> str:
    for place, values in given.items():
        bad = ~np.isfinite(np.asarray(values, dtype=float))
        if np.any(bad):
            at = [int(i) for i in np.argwhere(np.atleast_1d(bad))[0]]
            count = int(np.sum(bad))
            return (
                f"{place}: {count} of {bad.size} elements {'is' if count == 1 else 'are'} not finite, the first at {at}"
            )
    return ""


def _agrees(place: str, given: Mapping[str, Any], expected: Any, scale: Any, fmt: Format) -> bool:
    ratio = in_scales(given[place], expected[place], scale[place], fmt)
    return bool(np.all(np.isnan(ratio) | (ratio <= FACTOR)))


def _parting(problem: ref.Problem, given: Mapping[str, Any], expected: Any, scale: Any, fmt: Format) -> int:
    """The layer, counted from the output down, in which the gradients first disagree."""
    for layer in reversed(range(len(problem.mlp.layers))):
        places = [p for p in (f"layers[{layer}].weight", f"layers[{layer}].bias") if p in given]
        if any(not _agrees(p, given, expected, scale, fmt) for p in places):
            return layer
    return 0


def _unexplained(
    problem: ref.Problem, given: Mapping[str, Any], expected: Any, scale: Any, fmt: Format, parted: int
) -> str:
    """Where the gradients part, for what no mistake of the bank explains."""
    right = [p for p in given if _agrees(p, given, expected, scale, fmt)]
    wrong = [p for p in given if p not in right]
    text = "no known mistake, and no two of them, explain the difference; wrong: "
    text += _some([p + _pattern(in_scales(given[p], expected[p], scale[p], fmt) > FACTOR) for p in wrong])
    if right:
        text += f"; right: {_some(right)}"
    if f"layers[{parted}].weight" in wrong or f"layers[{parted}].bias" in wrong:
        above = "the loss" if parted == len(problem.mlp.layers) - 1 else f"the product with layers[{parted + 1}].weight"
        text += f"; coming from the output they part in layers[{parted}]: look at {above} and at its derivative"
    return text


def _pattern(wrong: Any) -> str:
    """Which elements of a leaf are wrong, where they are few or lie in a row or a column."""
    at = np.argwhere(np.atleast_1d(wrong))
    if len(at) == wrong.size or wrong.ndim == 0:
        return ""
    if len(at) == 1:
        return f" (at {[int(i) for i in at[0]]} alone)"
    if wrong.ndim == 2:
        for axis, name in ((0, "row"), (1, "column")):
            if len(set(at[:, axis].tolist())) == 1:
                return f" (in {name} {int(at[0, axis])} alone)"
    return f" ({len(at)} of {wrong.size} elements)"


def _some(places: list[str]) -> str:
    return ", ".join(places[:6]) + (f" and {len(places) - 6} more" if len(places) > 6 else "")
