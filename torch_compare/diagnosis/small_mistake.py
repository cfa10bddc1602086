"""The mistake behind errors that no element shows, but all together do: as in half precision.

Known mistakes are held against the errors in rounding scales: one explains them if what it leaves of them is within
every limit of `reference.rounding.statistics`. By least squares the best is the one that leaves the smallest sum of
squares; others that leave little more are its rivals, and the simplest of them is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network.gradients import layer_of
from reference.rounding.distance import FACTOR
from reference.rounding.scale import Rounding
from reference.rounding.statistics import SIZE, Whitened, statistics

from ..mistakes.backward import flow_factor
from ..mistakes.finished import factor_at
from ..mistakes.mistake import Mistake
from .known_changes import fitted_factor, known_changes
from .named_factors import UNKNOWN, Named, constants, nearest, product
from .wording import Diagnosis, number, sentence

LITTLE = 40.0
"""Sums of squares that differ by so many mean squares are told apart: odds of e²⁰, were the elements independent."""
SHARE = 0.75
"""An explanation leaves so much of the errors' root mean square at the most."""


@dataclass(frozen=True)
class _Found:
    """An explanation: the mistake, and what it leaves of the errors, summed and by the largest element."""

    mistake: Mistake
    left: float
    largest: float

    @property
    def simplicity(self) -> tuple[Any, ...]:
        """The simplest first: not vague, a name for the constant, what leaves the least; a factor after what is one."""
        left = float(f"{self.left:.6g}")  # the same numbers made in two ways
        return self.mistake.vague, bool(self.mistake.uncertainty), left, self.mistake.form == "factor"


def small_mistake(
    problem: ref.Problem,
    given: Mapping[str, Any],
    expected: Mapping[str, Any],
    rounding: Rounding,
    fmt: Format,
    share: float = SHARE,
) -> Diagnosis | None:
    """The known mistake that explains small errors; None if none does, or some number is wrong that nothing rounds.

    Args:
        problem: the problem.
        given: arrays by place.
        expected: the right gradients by place.
        rounding: the rounding errors of correct ones.
        fmt: the format that the gradients were computed in.
        share: how much of the errors' root mean square it may leave.
    """
    if any(_not_small(v, expected[k], rounding.sigma[k]) for k, v in given.items() if k != "loss"):
        return None
    white = Whitened.of(given, expected, rounding)
    elements = sum(error.size for error in white.error.values())
    if not elements:
        return None
    before = _squares(white.error)
    found = []
    for mistake, change in _explanations(problem, white, expected, rounding, fmt):
        rest = {place: error - change[place] for place, error in white.error.items()}
        if mistake.form == "factor" and not _scales_with(rest, change, mistake.constant, rounding, fmt):
            continue
        left = _squares(rest)
        if left <= share**2 * before and _within(Whitened(rest, white.gradient, white.runs)):
            found.append(_Found(mistake, left, max(float(np.abs(r).max(initial=0.0)) for r in rest.values())))
    if not found:
        return None
    least = min(f.left for f in found)
    allowed = least + LITTLE * max(least / elements, 0.1)
    near = sorted((f for f in found if f.left <= allowed), key=lambda f: f.simplicity)
    return _said(near, problem)


def _not_small(given: Any, expected: Any, sigma: Any) -> bool:
    """Whether a number is wrong that nothing rounds, or all are 0 that rounding does not reach."""
    if np.any((sigma == 0) & (given != expected)):
        return True
    return not np.any(given) and bool(np.any(np.abs(expected) > FACTOR * sigma))


def _squares(error: Mapping[str, Any]) -> float:
    return float(sum(np.sum(np.square(e)) for e in error.values()))


def _scales_with(
    rest: Mapping[str, Any], change: Mapping[str, Any], factor: float, rounding: Rounding, fmt: Format
) -> bool:
    """Whether what a factor leaves is as small as it makes the rounding errors too, underflow apart.

    Where a gradient is nearly lost, as a sum that should be 0, every factor near 0 leaves less than the rounding scale.
    """
    for place, left in rest.items():
        sigma = rounding.sigma[place]
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = np.where(sigma > 0, fmt.smallest / sigma, 0.0)
        if np.any((change[place] != 0) & (np.abs(left) > FACTOR * abs(factor) + lost)):
            return False
    return True


def _within(white: Whitened) -> bool:
    """Whether what is left looks like rounding: no element, size or direction too large."""
    if any(float(np.abs(error).max(initial=0.0)) > FACTOR for error in white.error.values()):
        return False
    return all(s.excess <= (1.0 if s.kind == SIZE else 0.5) for s in statistics(white))


def _said(near: list[_Found], problem: ref.Problem) -> Diagnosis:
    first, *rest = near
    text = sentence((first.mistake,), problem, first.largest)
    rivals = [
        f.mistake for f in rest if f.mistake.habit != first.mistake.habit and f.mistake.vague <= first.mistake.vague
    ]
    names = (first.mistake.name,)
    others = [(m.name,) for m in rivals] + [(name,) for name in first.mistake.also]
    others = [o for o in dict.fromkeys(others) if o != names]
    runner_up = " or ".join(dict.fromkeys(sentence((m,), problem) for m in rivals[:2]))
    return Diagnosis(text, names, first.largest, runner_up, tuple(others))


def _explanations(
    problem: ref.Problem, white: Whitened, expected: Mapping[str, Any], rounding: Rounding, fmt: Format
) -> Iterator[tuple[Mistake, dict[str, Any]]]:
    """Known mistakes and factors, each with the change that it makes in rounding scales."""
    table = constants(problem)
    for places, at in _scopes(problem, white):
        less, noise = fitted_factor(white, places)
        if less == 0:
            continue
        like = _factor(table, 1 + less, max(noise, fmt.unit_roundoff / 8))
        yield at(like), _scaled(white, places, like.constant - 1)
        if like.uncertainty == 0:
            plain = _factor((), 1 + less, noise)
            yield at(plain), _scaled(white, places, less)
    yield from known_changes(problem, white, expected, rounding)


def _scopes(problem: ref.Problem, white: Whitened) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The sets of leaves that one factor may lie on, and what makes a mistake of such a factor."""
    depth = 0 if isinstance(problem.network, ref.Network) else len(problem.mlp.layers)
    if not depth:
        everywhere = tuple(white.error)
        yield everywhere, lambda like: factor_at(everywhere, "every gradient", like)
    for layer in reversed(range(depth)):
        below = tuple(p for p in white.error if p == "input" or (layer_of(p) or 0) <= layer)
        yield below, lambda like, layer=layer: flow_factor(layer, depth, like)
    for place in white.error:
        yield (place,), lambda like, place=place: factor_at([place], place, like)


def _scaled(white: Whitened, places: tuple[str, ...], less: float) -> dict[str, Any]:
    return {place: g * less if place in places else np.zeros(np.shape(g)) for place, g in white.gradient.items()}


def _factor(table: tuple[Named, ...], c: float, noise: float) -> Mistake:
    """A factor by its name in the table, or as a number."""
    named = nearest(table, c, noise) if table else ()
    if len(named) == 1 and abs(product(named) - c) <= 6 * noise * max(1.0, abs(c)):
        one = named[0]
        return Mistake(one.kinds[0], "", one.text, form="factor", constant=one.value, also=one.kinds[1:])
    what = f"{number(c, noise)} {UNKNOWN}"
    return Mistake("constant factor", "", what, vague=True, form="factor", constant=c, uncertainty=max(noise, 1e-300))
