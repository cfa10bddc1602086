"""Central differences extrapolated to h = 0, each with an error bar (Ridders 1982; Richardson 1911).

Shapes: E elements, S signed steps, B = E·S variants of the problem, N examples, O a layer's fan-out, K
outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..arithmetic.array import NumPyArray
from .base_point import ROUNDOFF, Base
from .one_parameter import Evaluate, Run

ROWS = 9
"""Steps of one ladder, each half the one before: the finest is 1/256 of the coarsest."""
COLUMNS = 5
"""Extrapolations: the last column of the tableau is of order h¹⁰."""
LADDERS = 7
"""Ladders at most, each beginning where the one before has 2 steps left: down to 2⁻⁵⁰ of the first step."""
PROBE = 2.0**-26
"""The step that finds the scale, relative to z: √u, where a forward difference balances its two errors."""
NOISE = 4.0
"""Rounding errors are bounded by this many σ of the noise model."""

Entries = tuple[NumPyArray, NumPyArray, NumPyArray]
"""One entry of a tableau for each element: its value, its bar, and its row, (E,) each."""


def power_of_two(h: NumPyArray) -> NumPyArray:
    """The power of two at or below h, within the range where h·z and 1/h do not overflow."""
    return np.ldexp(1.0, np.frexp(np.clip(h, 2.0**-500, 2.0**500))[1] - 1)


def extrapolate(base: Base, evaluate: Evaluate, scale: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
    """Derivatives along E elements and their error bars, each (E,); scale (E,) is how far a step may well go."""
    every = np.arange(len(scale))
    probe = power_of_two(scale * PROBE)
    for _ in range(3):
        near = evaluate(every, np.stack([probe, -probe], axis=1))
        reach = base.reach(near, probe)
        if np.all(reach >= 16 * probe):
            break
        probe = np.where(reach >= 16 * probe, probe, power_of_two(probe * 2.0**-13))
    check = np.stack(_quotients(base, near, probe[:, None], base.sigma))
    h = power_of_two(np.minimum(reach, scale))
    value, error = np.full(h.shape, np.nan), np.full(h.shape, np.inf)
    todo = every[reach > 0]
    for _ in range(LADDERS):
        if not len(todo):
            break
        v, e, row = _ladder(base, partial(evaluate, todo), h[todo], check[:, todo])
        better = e < error[todo]
        value[todo], error[todo] = np.where(better, v, value[todo]), np.where(better, e, error[todo])
        todo = todo[(row >= ROWS - 3) | ~np.isfinite(e)]
        h = h * 2.0 ** (2 - ROWS)
    return value, error


def _quotients(base: Base, run: Run, h: NumPyArray, sigma: NumPyArray | float) -> tuple[NumPyArray, NumPyArray]:
    """(L(h) − L(−h))/2h and the bound on its rounding error, (E, S/2) each; NaN outside the region."""
    half = run.terms.shape[1] // 2
    size = np.abs(run.terms).sum(axis=2) / base.divisor
    good = base.same_region(run)
    # the terms' differences are summed, not the sums' difference: what does not move cancels exactly
    change = (run.terms[:, :half] - run.terms[:, half:]).sum(axis=2) / base.divisor
    quotient = np.where(good[:, :half] & good[:, half:], change / h / 2, np.nan)
    noise = NOISE * (sigma + ROUNDOFF * np.maximum(size[:, :half], size[:, half:])) / h + 2.0**-1074 / h
    return quotient, noise


def _ladder(base: Base, evaluate: Callable[[NumPyArray], Run], top: NumPyArray, check: NumPyArray) -> Entries:
    """The best entry of one tableau, its bar, and its row, (E,) each; top is the first step."""
    quotient, noise = _first_column(base, evaluate, top)
    best = np.full(top.shape, np.nan), np.full(top.shape, np.inf), np.zeros(top.shape, dtype=int)
    for column in range(1, COLUMNS + 1):
        quotient, noise, truncation = _next_column(quotient, noise, 4.0**column)
        bar = truncation + noise + _disagreement(quotient, noise, check) + 2 * ROUNDOFF * np.abs(quotient)
        best = _better(best, quotient, np.where(np.isnan(bar), np.inf, bar), column)
    return best


def _first_column(base: Base, evaluate: Callable[[NumPyArray], Run], top: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
    """The difference quotients at the steps of a ladder and the bounds on their rounding errors, (E, ROWS) each.

    NaN where a step or a finer one leaves the region.
    """
    fraction = 2.0 ** -np.arange(ROWS)
    h = top[:, None] * fraction
    run = evaluate(np.concatenate([h, -h], axis=1))
    ends = [0, ROWS, ROWS - 1, 2 * ROWS - 1]
    found = base.noise(Run({}, run.output[:, ends], run.terms[:, ends]))
    far, near = (np.hypot(found[:, k], found[:, k + 1])[:, None] for k in (0, 2))
    quotient, noise = _quotients(base, run, h, base.sigma + near + far * fraction)
    outside = np.isnan(quotient)[:, ::-1].cumsum(axis=1)[:, ::-1] > 0
    return np.where(outside, np.nan, quotient), noise


def _next_column(quotient: NumPyArray, noise: NumPyArray, weight: float) -> tuple[NumPyArray, NumPyArray, NumPyArray]:
    """Richardson's finer + (finer − coarser)/(weight − 1) for every two rows, its noise, and how far it may be off.

    The truncation is the largest difference from the entry's neighbours: the two that it is made from, and the next
    two of its own column. The last two rows have no such two; what they still lack is no more than the last change of
    the column divided by the weight, for its errors fall by that at least: two neighbours may meet by chance where the
    error changes its sign.
    """
    finer, coarser = quotient[:, 1:], quotient[:, :-1]
    raised = finer + (finer - coarser) / (weight - 1)
    noise = (weight * noise[:, 1:] + noise[:, :-1]) / (weight - 1)
    truncation = np.maximum(np.abs(raised - finer), np.abs(raised - coarser))
    change, twice = np.abs(raised[:, 1:] - raised[:, :-1]), np.abs(raised[:, 2:] - raised[:, :-2])
    for rows, found in ((np.s_[:-1], change), (np.s_[:-2], twice), (np.s_[-2:], change[:, -2:] / weight)):
        truncation[:, rows] = np.maximum(truncation[:, rows], found)
    return raised, noise, truncation


def _better(best: Entries, values: NumPyArray, bar: NumPyArray, column: int) -> Entries:
    """For each element, the best entry so far or the column's entry of the least bar, whichever has the lower one."""
    value, least, at = best
    row = np.argmin(bar, axis=1)
    each = np.arange(len(row))
    better = bar[each, row] < least
    return (
        np.where(better, values[each, row], value),
        np.where(better, bar[each, row], least),
        np.where(better, row + column, at),
    )


def _disagreement(values: NumPyArray, noise: NumPyArray, check: NumPyArray) -> NumPyArray:
    """By how much values at finer steps, and the probe's, differ from each by more than rounding explains."""
    rows = values.shape[1]
    apart = np.abs(values[:, None, :] - values[:, :, None]) - noise[:, None, :] - noise[:, :, None]
    apart = np.where(np.triu(np.ones((rows, rows), dtype=bool), 1), apart, 0.0).max(axis=2)
    probe, probe_noise = check[0], check[1]
    beside = np.abs(values - probe) - probe_noise - noise
    return np.maximum(np.maximum(apart, np.where(np.isnan(beside), 0.0, beside)), 0.0)
