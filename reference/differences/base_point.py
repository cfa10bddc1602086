"""The point that differences are taken at: its pieces, how far a step may go, and the rounding error of the loss.

Shapes: E elements, S signed steps, B = E·S variants of the problem, N examples, O a layer's fan-out, K
outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.formats import get_format
from ..arithmetic.noise_source import NoiseSource
from ..arithmetic.noisy import Noisy
from ..losses.reduced import in_rows
from ..network import passes
from ..network.graph import Network, NetworkTrace
from ..network.passes import AnyTrace
from ..network.problem import Problem, loss_value
from .one_parameter import Run, in_loss_rows, switches_of, unreduced_losses
from .whole_variants import rooms_of, step_switches

RUNS = 16
"""Noisy forward passes that measure the loss's rounding error."""
ROUNDOFF = 2.0**-53
CORNERS = ("cross_entropy", "bce_with_logits", "soft_margin", "multilabel_soft_margin", "poisson_nll")
"""Losses that turn within 1 of a point that may lie anywhere: steps of the output stay below 1."""


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
    """A problem at its own parameters, and the rounding error of its loss there.

    Attributes:
        problem: the problem, its target in rows.
        trace: of its forward pass.
        output: the network's output in rows (N, K).
        divisor: of the sum of the unreduced losses.
        sigma: of the loss.
        deviations: the errors of the output in each noisy run, (runs, N, K).
        regions: of each layer of an MLP that has breaks: these, and the region of each of its z.
        rooms: how far each moving value may go, by its name in `Run`.
        switches: of the steps of a network of operations (M,).
    """

    problem: Problem
    trace: AnyTrace
    output: NumPyArray
    divisor: float
    sigma: float
    deviations: NumPyArray
    regions: Mapping[int | str, tuple[tuple[float, ...], NumPyArray]]
    rooms: Mapping[int | str, NumPyArray]
    switches: NumPyArray

    @classmethod
    def of(cls, problem: Problem) -> Base:
        """Measure the rounding error with noisy forward passes; every parameter carries one of its own, too.

        So a sum that happens to be exact at the base point, but not beside it, does not pass for exact.
        """
        trace = passes.forward(problem.network, problem.x)
        source = NoiseSource(get_format("float64"), RUNS, np.random.default_rng(0))
        noisy = problem.map(lambda v: _unsettled(np.asarray(v), source))
        noisy_output = cast(Noisy, passes.forward(noisy.network, noisy.x).output)
        loss = cast(Noisy, loss_value(noisy, noisy_output))
        output, errors = np.asarray(in_rows(trace.output)), cast(Noisy, in_rows(noisy_output)).data
        rows = in_loss_rows(problem, trace.output)
        divisor = rows.loss.divisor(output, rows.target) if problem.reduction == "mean" else 1.0
        regions: dict[int | str, tuple[tuple[float, ...], NumPyArray]] = {}
        rooms: dict[int | str, NumPyArray] = {}
        switches = np.zeros(0)
        if isinstance(trace, NetworkTrace):
            assert isinstance(problem.network, Network)
            rooms.update(rooms_of(problem.network, trace, _room))
            switches = step_switches(problem.network, trace.values)
        else:
            for index, layer in enumerate(problem.mlp.layers):
                z, breaks = trace.preactivations[index], layer.activation.all_breaks
                rooms[index] = _room(layer.activation, z)
                if breaks:
                    regions[index] = breaks, region_of(z, breaks)
        sigma, deviations = float(loss.spread()), np.asarray(errors[1:] - errors[:1])
        return cls(rows, trace, output, float(np.asarray(divisor)), sigma, deviations, regions, rooms, switches)

    def same_region(self, run: Run) -> NumPyArray:
        """Whether each variant (E, S) lies in the base point's region: no formula changes on the way."""
        lead = run.output.shape[:2]
        same = np.all(np.isfinite(run.terms), axis=2)
        for index, (breaks, base) in self.regions.items():
            z = run.moving.get(index)
            if z is not None:
                same[: len(z)] &= np.all(region_of(z, breaks) == base, axis=(2, 3))
        if run.switches is not None:
            same &= np.all(np.sign(run.switches) == np.sign(self.switches), axis=2)
        y = run.output.reshape(-1, *run.output.shape[2:])
        base = np.sign(switches_of(self.problem, self.output[None]))
        same &= np.all(np.sign(switches_of(self.problem, y)) == base, axis=1).reshape(lead)
        return same & np.all(self.problem.loss.domain(run.output), axis=(2, 3))

    def reach(self, run: Run, h: NumPyArray) -> NumPyArray:
        """How far each element can go, from its variants at ±h: (E,).

        To half of 1 + |z| in every activation's argument and in the output; not to a break, nor to a
        switch of the loss, nor out of its domain.
        """
        reach = np.full(h.shape, np.inf)
        for index, z in run.moving.items():
            if index in self.rooms:
                rate = np.abs(z[:, 0] - z[:, 1]) / 2
                reach[: len(z)] = np.minimum(reach[: len(z)], _least_ratio(self.rooms[index], rate))
        step = (run.output[:, 0] - run.output[:, 1]) / 2
        reach = np.minimum(reach, _least_ratio(self._room_of_output(), np.abs(step)))
        reach = np.minimum(reach, self._to_a_switch(run))
        return self._within_domain(reach, step) * h

    def _room_of_output(self) -> NumPyArray:
        """How far each output (N, K) may move."""
        # what compares the entries of a row turns within 1 of their differences, however large they are
        nearest = 1.0 if self.problem.loss.name in CORNERS else np.inf
        return np.minimum((1 + np.abs(self.output)) / 2, nearest)

    def _to_a_switch(self, run: Run) -> NumPyArray:
        """How often the step fits into three quarters of the way to the nearest switch of the loss or a step: (E,)."""
        y = self.output
        switch = switches_of(self.problem, y[None])[0]
        sides = switches_of(self.problem, run.output.reshape(-1, *y.shape)).reshape(len(run.output), 2, -1)
        reach = _least_ratio(0.75 * np.abs(switch), np.abs(sides[:, 0] - sides[:, 1]) / 2)
        if run.switches is None:
            return reach
        rate = np.abs(run.switches[:, 0] - run.switches[:, 1]) / 2
        return np.minimum(reach, _least_ratio(0.75 * np.abs(self.switches), rate))

    def _within_domain(self, reach: NumPyArray, step: NumPyArray) -> NumPyArray:
        """The reach, halved until the output ± 4/3 of it lies in the loss's domain; step (E, N, K) is the output's."""
        loss, y = self.problem.loss, self.output
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
