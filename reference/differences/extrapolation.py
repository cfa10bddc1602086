"""Central differences extrapolated to h = 0, each with an error bar (Ridders 1982; Richardson 1911).

Shapes: E elements, S signed steps, B = E·S variants of the problem, N examples, O a layer's fan-out, K
outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.formats import get_format
from ..arithmetic.noise_source import NoiseSource
from ..arithmetic.noisy import Noisy
from ..network.mlp import Trace, forward
from ..network.problem import Problem, loss_value
from .one_parameter import Evaluate, Run, switches_of, unreduced_losses

ROWS = 9
"""Steps of one ladder, each half the one before: the finest is 1/256 of the coarsest."""
COLUMNS = 5
"""Extrapolations: the last column of the tableau is of order h¹⁰."""
LADDERS = 7
"""Ladders at most, each beginning where the one before has 2 steps left: down to 2⁻⁵⁰ of the first step."""
PROBE = 2.0**-26
"""The step that finds the scale, relative to z: √u, where a forward difference balances its two errors."""
RUNS = 16
"""Noisy forward passes that measure the loss's rounding error."""
NOISE = 4.0
"""Rounding errors are bounded by this many σ of the noise model."""
ROUNDOFF = 2.0**-53
CORNERS = ("cross_entropy", "bce_with_logits", "soft_margin", "multilabel_soft_margin", "poisson_nll")
"""Losses that turn within 1 of a point that may lie anywhere: steps of the output stay below 1."""


# ── the base point: its regions and its rounding error ───────────────────────────────────────────────


def region_of(z: Array, breaks: tuple[float, ...]) -> NumPyArray:
    """Which piece of the activation each z is in: odd on a break, even between breaks."""
    code = np.zeros(z.shape, dtype=np.int8)
    for at in breaks:
        code += z >= at
        code += z > at
    return code


def _unsettled(values: NumPyArray, source: NoiseSource) -> Noisy:
    """The numbers with a rounding error each, and a tiny one where they are 0."""
    size = np.where(values == 0, 2.0**-200, 2 * ROUNDOFF * values)
    return Noisy(values + size * source.errors(values), source)


@dataclass(frozen=True, eq=False)
class Base:
    """A problem at its own parameters, and the rounding error of its loss there."""

    problem: Problem
    trace: Trace
    divisor: float
    sigma: float
    deviations: NumPyArray

    @classmethod
    def of(cls, problem: Problem) -> Base:
        """Measure the rounding error with noisy forward passes; every parameter carries one of its own, too.

        So a sum that happens to be exact at the base point, but not beside it, does not pass for exact.
        """
        trace = forward(problem.mlp, problem.x)
        source = NoiseSource(get_format("float64"), RUNS, np.random.default_rng(0))
        noisy = problem.map(lambda v: _unsettled(np.asarray(v), source))
        output = cast(Noisy, forward(noisy.mlp, noisy.x).output)
        loss = cast(Noisy, loss_value(noisy, output))
        divisor = problem.loss.divisor(trace.output, problem.target) if problem.reduction == "mean" else 1.0
        deviations = np.asarray(output.data[1:] - output.data[:1])
        return cls(problem, trace, float(np.asarray(divisor)), float(loss.spread()), deviations)

    def same_region(self, run: Run) -> NumPyArray:
        """Whether each variant (E, S) lies in the base point's region: no formula changes on the way."""
        lead = run.output.shape[:2]
        same = np.all(np.isfinite(run.terms), axis=2)
        for index, z in run.preactivations.items():
            breaks = self.problem.mlp.layers[index].activation.all_breaks
            if breaks:
                base = region_of(self.trace.preactivations[index], breaks)
                same[: len(z)] &= np.all(region_of(z, breaks) == base, axis=(2, 3))
        y = run.output.reshape(-1, *run.output.shape[2:])
        base = np.sign(switches_of(self.problem, np.asarray(self.trace.output)[None]))
        same &= np.all(np.sign(switches_of(self.problem, y)) == base, axis=1).reshape(lead)
        return same & np.all(self.problem.loss.domain(run.output), axis=(2, 3))

    def reach(self, run: Run, h: NumPyArray) -> NumPyArray:
        """How far each element can go, from its variants at ±h: (E,).

        To half of 1 + |z| in every activation's argument and in the output; not to a break, nor to a
        switch of the loss, nor out of its domain.
        """
        reach = np.full(h.shape, np.inf)
        for index, z in run.preactivations.items():
            room = _room(self.problem.mlp.layers[index].activation, self.trace.preactivations[index])
            rate = np.abs(z[:, 0] - z[:, 1]) / 2
            reach[: len(z)] = np.minimum(reach[: len(z)], _least_ratio(room, rate))
        step = (run.output[:, 0] - run.output[:, 1]) / 2
        reach = np.minimum(reach, _least_ratio(self._room_of_output(), np.abs(step)))
        reach = np.minimum(reach, self._to_a_switch(run))
        return self._within_domain(reach, step) * h

    def _room_of_output(self) -> NumPyArray:
        """How far each output (N, K) may move."""
        # what compares the entries of a row turns within 1 of their differences, however large they are
        nearest = 1.0 if self.problem.loss.name in CORNERS else np.inf
        return np.minimum((1 + np.abs(self.trace.output)) / 2, nearest)

    def _to_a_switch(self, run: Run) -> NumPyArray:
        """How often the step fits into three quarters of the way to the nearest switch of the loss: (E,)."""
        y = np.asarray(self.trace.output)
        switch = switches_of(self.problem, y[None])[0]
        sides = switches_of(self.problem, run.output.reshape(-1, *y.shape)).reshape(len(run.output), 2, -1)
        return _least_ratio(0.75 * np.abs(switch), np.abs(sides[:, 0] - sides[:, 1]) / 2)

    def _within_domain(self, reach: NumPyArray, step: NumPyArray) -> NumPyArray:
        """The reach, halved until the output ± 4/3 of it lies in the loss's domain; step (E, N, K) is the output's."""
        loss, y = self.problem.loss, self.trace.output
        if loss.domain_text == "any real number":
            return reach
        for _ in range(60):
            far = np.minimum(reach, 2.0**60)[:, None, None] * step / 0.75
            inside = loss.domain(y + far) & loss.domain(y - far)
            reach = np.where(np.all(inside, axis=(1, 2)), reach, reach / 2)
        return reach

    def noise(self, run: Run) -> NumPyArray:
        """σ of the loss at variants (E, S): the output's rounding error carried through the loss there."""
        y = run.output
        deviations = self.deviations[: RUNS // 2]
        signs = np.where(np.random.default_rng(1).random(deviations.shape) < 0.5, -1.0, 1.0)
        strayed = y[:, :, None] + (deviations + 2 * ROUNDOFF * np.abs(y[:, :, None]) * signs)
        terms = unreduced_losses(self.problem, strayed.reshape(-1, *y.shape[2:])).reshape(*strayed.shape[:3], -1)
        error = (terms - run.terms[:, :, None]).sum(axis=3) / self.divisor
        return np.sqrt(np.mean(error * error, axis=2))


def _room(row: Activation, z: Array) -> NumPyArray:
    """How far each z (N, O) may move: by half of 1 + |z|, and three quarters of the way to a break."""
    room = np.full(z.shape, np.inf) if row.homogeneous else (1 + np.abs(z)) / 2
    if row.rowwise:
        room = np.minimum(room, 1.0)
    for at in row.all_breaks:
        room = np.minimum(room, 0.75 * np.abs(z - at))
    return room


def _least_ratio(room: NumPyArray, rate: NumPyArray) -> NumPyArray:
    """The least room/rate over the elements that move at all: (E,)."""
    ratio = np.where(rate > 0, room / rate, np.inf)
    return np.where(np.isnan(ratio), 0, ratio).min(axis=tuple(range(1, rate.ndim)), initial=np.inf)


# ── extrapolation ────────────────────────────────────────────────────────────────────────────────────

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
    two of its own column.
    """
    finer, coarser = quotient[:, 1:], quotient[:, :-1]
    raised = finer + (finer - coarser) / (weight - 1)
    noise = (weight * noise[:, 1:] + noise[:, :-1]) / (weight - 1)
    truncation = np.maximum(np.abs(raised - finer), np.abs(raised - coarser))
    for ahead in (1, 2):
        later = np.abs(raised[:, ahead:] - raised[:, :-ahead])
        truncation[:, :-ahead] = np.maximum(truncation[:, :-ahead], later)
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
