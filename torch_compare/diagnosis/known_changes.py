"""What every known mistake would change, in rounding scales: the directions that the errors of a mistake may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import numpy as np

import reference as ref
from reference.network import passes
from reference.rounding.scale import RUNS, Rounding
from reference.rounding.statistics import Whitened, flat

from ..mistakes.mistake import Leaves, Mistake, leaves_with
from ..mistakes.network_pass import NetworkPass
from ..mistakes.rates import RATE, OfRate, rate_mistakes
from ..mistakes.rules import RIGHT, remembered
from ..mistakes.single import single_mistakes
from .network_search import OVERHEAD as OF_STEP

WORK = 4e9
"""Multiply-adds that they may take: a second or two; the first ones, if it is too few."""
OVERHEAD = 1e6
"""What a layer costs besides, however small it is, in the same units: 100 layers would take a minute."""
PASSES = 1.5
"""Forward passes' work that a wrong step costs: `NetworkPass` takes it from there down, half of a backward pass."""
KEPT = 2**14
"""Numbers in the gradients up to which what all mistakes make is kept: 40 MB where there are 300."""


def known_changes(
    problem: ref.Problem, white: Whitened, expected: Mapping[str, Any], rounding: Rounding
) -> Iterator[tuple[Mistake, dict[str, Any]]]:
    """Known mistakes, and what each changes in rounding scales by place, as far as the work goes.

    Of a mistake with a rate it is the rate that fits the errors best, by least squares.

    Args:
        problem: the problem.
        white: what was given, the right gradients and the runs in rounding scales.
        expected: the right gradients.
        rounding: their rounding.
    """
    elements = sum(gradient.size for gradient in white.gradient.values())
    each = _work(problem) + elements * RUNS
    make = _kept if elements <= KEPT else _made
    for mistake, made in make(problem, int(WORK // each)):
        with np.errstate(all="ignore"):
            change = changes(made, white, expected, rounding)
            yield (mistake, change) if isinstance(mistake, Mistake) else _fitted(mistake, change, white)


def _fitted(mistake: OfRate, change: Mapping[str, Any], white: Whitened) -> tuple[Mistake, dict[str, Any]]:
    """A mistake at the rate that fits the errors best, and what it changes, from what it changes at `RATE`."""
    times, noise = _least_squares(white, change)
    of_rate = mistake(RATE * times, noise / abs(times) if times else 0.0)
    return of_rate, {place: times * moved for place, moved in change.items()}


def _made(problem: ref.Problem, most: int) -> Iterator[tuple[Mistake | OfRate, Leaves]]:
    """The first known mistakes, and the gradients that each makes; those with a rate at `RATE`."""
    problem = problem.in_float64()
    network = isinstance(problem.network, ref.Network)
    with np.errstate(all="ignore"):
        trace = NetworkPass.of(problem) if network else ref.forward(problem.mlp, problem.x)
        right = remembered(problem, trace) if isinstance(trace, ref.Trace) else RIGHT
    known: Iterator[Mistake | OfRate] = chain(single_mistakes(problem), rate_mistakes(problem))
    for mistake in islice(known, most):
        one = mistake if isinstance(mistake, Mistake) else mistake(RATE, 0.0)
        with np.errstate(all="ignore"):
            try:
                made = leaves_with((one,), problem, trace, right)
            except (ValueError, IndexError, AssertionError, np.linalg.LinAlgError):
                continue  # it cannot be made here
        yield mistake, made


@lru_cache(maxsize=1)
def _kept(problem: ref.Problem, most: int) -> tuple[tuple[Mistake | OfRate, Leaves], ...]:
    """The same, kept: a verdict asks for them by several scales."""
    return tuple(_made(problem, most))


def _work(problem: ref.Problem) -> float:
    """The multiply-adds of one mistake's gradients."""
    work = passes.work(problem.network, problem.x)
    if isinstance(problem.network, ref.Network):
        return PASSES * work + OF_STEP * len(problem.network.steps)
    return 3.0 * work + OVERHEAD * len(problem.mlp.layers)


def changes(
    made: Mapping[str, Any], white: Whitened, expected: Mapping[str, Any], rounding: Rounding
) -> dict[str, Any]:
    """How leaves that were made differ from the right ones, in rounding scales, where those are known."""
    change = {}
    for place, gradient in white.gradient.items():
        sigma = rounding.sigma[place]
        moved = (made[place] - expected[place]) / sigma if place in made else np.zeros(np.shape(gradient))
        change[place] = np.where((sigma > 0) & np.isfinite(moved), moved, 0.0)
    return change


def fitted_factor(white: Whitened, places: tuple[str, ...]) -> tuple[float, float]:
    """The factor of these leaves less 1 that fits the errors best, by least squares, and its standard error.

    Both are 0 without a gradient.
    """
    return _least_squares(white, {place: white.gradient[place] for place in places})


def _least_squares(white: Whitened, change: Mapping[str, Any]) -> tuple[float, float]:
    """How many times a change fits the errors best, and the standard error: what fits the noisy runs' by r.m.s."""
    error, direction = (flat({place: side[place] for place in change}) for side in (white.error, change))
    peak = float(np.abs(direction).max(initial=0.0))
    if not peak > 0:
        return 0.0, 0.0
    d = direction / peak
    runs = np.concatenate([white.runs[place].reshape(len(white.runs[place]), -1) for place in change], axis=1)
    size = d @ d * peak
    return float(d @ error / size), float(np.sqrt(np.mean(np.square(runs @ d / size))))
