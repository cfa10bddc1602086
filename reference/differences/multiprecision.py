"""Central differences of the loss alone, in balls of several hundred bits: no derivative formula is used.

With a step of 2^−(bits/3) the rounding error of (L(θ + h) − L(θ − h))/2h is as small as its truncation error
h²L‴/6: two thirds of the bits are left, 120 digits of 600 bits. The truncation error is measured with a second
step of twice the size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from flint import arb

from ..arithmetic.array import NumPyArray
from ..arithmetic.ball import Ball
from ..arithmetic.ball_decisions import Undecided, precision
from ..arithmetic.ball_elements import Element
from ..losses.reduced import in_rows, target_in_rows
from ..network import graph, passes
from ..network.gradients import Gradients
from ..network.graph import Network, NetworkTrace
from ..network.in_arithmetic import in_balls
from ..network.passes import AnyTrace
from ..network.problem import Problem, loss_value
from .one_parameter import choose_elements, preactivations

__all__ = ["MultiprecisionDifference", "multiprecision_difference", "multiprecision_directional"]

BITS = 600
MARGIN = 4
"""The error bar is this many times the measured truncation error: room for the fourth order beside the second."""


@dataclass(frozen=True, eq=False, slots=True)
class MultiprecisionDifference:
    """Derivatives and their error bars.

    Attributes:
        value: a tree of `Ball`; NaN where an element is not judged. `.loss` is the loss.
        error: a tree of float64: |derivative − value| is at most this; infinite where an element is not judged.
    """

    value: Gradients
    error: Gradients


def multiprecision_difference(
    problem: Problem, *, entries: int | None = None, seed: int = 0, bits: int = BITS
) -> MultiprecisionDifference:
    """The derivative of the loss with respect to every parameter and input element, each with its error bar.

    An element is not judged where a unit that it moves sits on a break of its activation, or where the loss sits
    on a switch of its formula that it moves, or where no comparison is decided at so many bits.

    Args:
        problem: as for `certified_gradients`. Every element costs four forward passes.
        entries: how many elements to judge, drawn at random and spread evenly over the leaves; all if not given.
        seed: of that draw.
        bits: of precision.

    Raises:
        TypeError: an array is of a type that float64 does not hold.
        ValueError: an array holds NaN or infinity, reduction is "none", or entries is below 1.

    >>> from reference import initialize
    >>> from reference.rounding.certified import ball_gradients
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> found = multiprecision_difference(problem, entries=5)
    >>> float(np.min(found.error.input)) < 1e-100
    True
    """
    with precision(bits):
        base = _Base.of(in_balls(problem), bits)
        leaves = {place: cast(Ball, leaf) for place, leaf in base.problem.leaves().items()}
        value = {place: [arb("nan")] * leaf.size for place, leaf in leaves.items()}
        error: dict[str, NumPyArray] = {place: np.full(leaf.size, np.inf) for place, leaf in leaves.items()}
        for place, chosen in choose_elements(problem, entries, seed).items():
            for index in chosen.tolist():
                moved = _mover(base.problem, leaves, place, index)
                value[place][index], error[place][index] = base.quotient(moved)
        shapes = {place: leaf.shape for place, leaf in leaves.items()}
        loss_error = np.asarray(_above(base.loss.flat[0].rad()))
        values = {place: Ball(value[place], shapes[place]) for place in leaves} | {"loss": base.loss}
        errors = {place: error[place].reshape(shapes[place]) for place in leaves} | {"loss": loss_error}
        return MultiprecisionDifference(Gradients.from_leaves(values), Gradients.from_leaves(errors))


def multiprecision_directional(problem: Problem, direction: Gradients, *, bits: int = BITS) -> tuple[Ball, float]:
    """⟨∇L, direction⟩ and its error bar: a check of a network of any size by four forward passes.

    Args:
        problem: as for `certified_gradients`.
        direction: a tree like the gradients, of float64; its loss does not count.
        bits: of precision.

    Returns:
        The derivative (no dimensions) and its bar; NaN and infinity where it is not judged.

    Raises:
        TypeError: an array is of a type that float64 does not hold.
        ValueError: an array holds NaN or infinity, or reduction is "none".

    >>> from reference import initialize
    >>> from reference.differences import random_direction
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> multiprecision_directional(problem, random_direction(problem, seed=1))[1] < 1e-100
    True
    """
    with precision(bits):
        base = _Base.of(in_balls(problem), bits)
        along = [Ball.exact(direction.leaves()[place]) for place in problem.leaves()]

        def moved(h: arb) -> Problem:
            steps = iter(along)
            return base.problem.map(lambda values: values + next(steps) * Ball([h], ()))

        value, error = base.quotient(moved)
        return Ball([value], ()), error


# ── one quotient ─────────────────────────────────────────────────────────────────────────────────────

_Watched = list[tuple[int, int]]
"""Which units (layer, flat place in z) sit on a break."""


@dataclass(frozen=True, eq=False)
class _Base:
    """A problem in balls, and where it sits on breaks."""

    problem: Problem
    step: arb
    trace: AnyTrace
    loss: Ball
    units: _Watched
    switches: list[Any]

    @classmethod
    def of(cls, problem: Problem, bits: int) -> _Base:
        trace = passes.forward(problem.network, problem.x)
        near = arb(2) ** -(bits // 6)
        units = (
            []
            if isinstance(trace, NetworkTrace)
            else [
                (index, place)
                for index, (layer, z) in enumerate(zip(problem.mlp.layers, trace.preactivations, strict=True))
                for at in layer.activation.all_breaks
                for place, b in enumerate(cast(Ball, z).flat)
                if not abs(b - at) > near
            ]
        )
        switches = [place for place, s in enumerate(_switches(problem, trace)) if not abs(s) > near]
        return cls(
            problem, arb(2) ** -(bits // 3), trace, cast(Ball, loss_value(problem, trace.output)), units, switches
        )

    def quotient(self, moved: Callable[[arb], Problem]) -> tuple[arb, float]:
        """(L(h) − L(−h))/2h and its error bar."""
        try:
            fine, coarse = (self._central(moved, h) for h in (self.step, 2 * self.step))
        except Undecided:
            fine = coarse = None
        if fine is None or coarse is None:
            return arb("nan"), np.inf
        bar = MARGIN * abs(coarse - fine) / 3 + fine.rad()
        return fine, np.inf if fine.is_nan() else _above(bar.upper())

    def _central(self, moved: Callable[[arb], Problem], h: arb) -> arb | None:
        ends = []
        for step in (h, -h):
            variant = moved(step)
            trace = passes.forward(variant.network, variant.x)
            if self._leaves_break(variant, trace):
                return None
            ends.append(cast(Ball, loss_value(variant, trace.output)).flat[0])
        return (ends[0] - ends[1]) / (2 * h)

    def _leaves_break(self, variant: Problem, trace: AnyTrace) -> bool:
        """Whether a unit on a break, or a switch of the loss at 0, moves."""
        for index, place in self.units:
            here, there = (cast(Ball, preactivations(t)[index]).flat[place] for t in (self.trace, trace))
            if not _still(there, here):
                return True
        if not self.switches:
            return False
        before, after = _switches(self.problem, self.trace), _switches(variant, trace)
        return any(not _still(after[place], before[place]) for place in self.switches)


def _still(a: Element, b: Element) -> bool:
    if bool(a == b) or not (isinstance(a, arb) and isinstance(b, arb)):
        return bool(a == b)
    return bool(a.is_exact() is False and a.mid() == b.mid() and a.rad() == b.rad())


def _switches(problem: Problem, trace: AnyTrace) -> list[Any]:
    """The switches of the loss, and those of the steps of a network of operations."""
    arrays = list(problem.loss.switches(in_rows(trace.output), target_in_rows(problem.target, trace.output)))
    if isinstance(trace, NetworkTrace):
        assert isinstance(problem.network, Network)
        for step in problem.network.steps:
            arrays += step.operation.switches(*graph.inputs_of(step, trace.values))
    found: list[Any] = []
    for values in arrays:
        found += (values if isinstance(values, Ball) else Ball.exact(np.asarray(values))).flat
    return found


def _above(exact: arb) -> float:
    """A float64 that is not below an exact number."""
    return float(np.nextafter(float(exact), np.inf))


# ── trees ────────────────────────────────────────────────────────────────────────────────────────────


def _mover(problem: Problem, leaves: dict[str, Ball], place: str, index: int) -> Callable[[arb], Problem]:
    """h ↦ the problem with one element of one leaf moved by h."""
    target = leaves[place]

    def moved(h: arb) -> Problem:
        flat = list(target.flat)
        flat[index] = flat[index] + h
        changed = Ball(flat, target.shape)
        return problem.map(lambda values: changed if values is target else values)

    return moved
