"""Certified gradients: intervals that provably hold the exact gradient, and the float64 nearest to it.

The calculus runs on `Ball` with the problem's numbers as they are, exactly. Precision is doubled (Ziv 1991,
Fast evaluation of elementary mathematical functions with correctly rounded last bit) until both ends of every
interval round to the same float64. A comparison that is undecided asks for more bits, too; at the cap, both
outcomes are admitted and the interval holds both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf, nextafter
from typing import Any, cast

import numpy as np
from flint import arb_mat, fmpq

from ..arithmetic.array import Array
from ..arithmetic.ball import Ball
from ..arithmetic.ball_decisions import Decisions, Undecided, precision
from ..arithmetic.ball_elements import as_arb, exactly, outward
from ..network import passes
from ..network.gradients import Gradients
from ..network.graph import Network, NetworkTrace, inputs_of
from ..network.in_arithmetic import in_balls
from ..network.mlp import Trace
from ..network.passes import AnyTrace
from ..network.problem import Problem, loss_gradient, loss_value

__all__ = ["CertifiedGradients", "CertifiedLeaf", "ExactKink", "StepKink", "ball_gradients", "certified_gradients"]

FIRST_BITS = 128
"""Two machine words: 75 bits beyond float64 for the rounding errors and cancellation of most networks."""
CAP = 4096
SUBNORMAL = 1080
"""From 1 so many bits down to below half the smallest float64, with a few to spare."""
RATIONAL_WORK = 2**22
"""Multiply-adds of a forward pass up to which rational numbers are carried along when the first run fails."""
_NARROW = 2.0**-900
_WIDE = 2.0**1000


@dataclass(frozen=True, eq=False, slots=True)
class CertifiedLeaf:
    """Gradients of one array, each between two float64 numbers.

    Attributes:
        lower: at most the exact gradient.
        upper: at least the exact gradient.
        nearest: the float64 nearest to the exact gradient where resolved; else the interval's middle, and NaN
            where nothing is known.
        resolved: where `nearest` is proved (or the relative width asked for is reached).
    """

    lower: Array
    upper: Array
    nearest: Array
    resolved: Array


@dataclass(frozen=True, slots=True)
class ExactKink:
    """A pre-activation that sits exactly at a kink of its activation.

    Attributes:
        layer: index of the layer.
        example: row of z.
        unit: column of z.
        activation: the row's name.
        at: the kink.
        derivative: the slope that was taken: the declared convention.
        left: the slope from below.
        right: the slope from above.
    """

    layer: int
    example: int
    unit: int
    activation: str
    at: float
    derivative: float
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class StepKink:
    """A number that sits exactly where the formula of a step of a network changes: a tie, a kink, a bound.

    Attributes:
        step: the name of the step.
        operation: the row's name.
        index: of the number among the operation's switches.
    """

    step: str
    operation: str
    index: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class CertifiedGradients(Gradients):
    """A tree like `Gradients` whose leaves are `CertifiedLeaf`; `map` makes a plain tree of it.

    Attributes:
        bits: of precision in the last run.
        status: "certified" if every element is resolved, else "unresolved".
        kinks: the pre-activations, or numbers of steps, that sit exactly at a kink, where the declared convention was
            followed.
        undecided: what the cap left undecided, in words; empty if nothing.
    """

    bits: int = 0
    status: str = "certified"
    kinks: tuple[ExactKink | StepKink, ...] = ()
    undecided: str = ""

    def leaves(self) -> dict[str, Any]:
        """Every `CertifiedLeaf` by its place, the loss last."""
        return Gradients.leaves(self)


def certified_gradients(problem: Problem, target_bits: int = 53, *, cap: int = CAP) -> CertifiedGradients:
    """The exact loss and gradients of the problem's numbers, enclosed and correctly rounded to float64.

    Args:
        problem: of float64, float32 or float16; each of its numbers stands for itself.
        target_bits: 53 asks for the nearest float64; fewer for a relative width of 2^−target_bits; more for
            both. An exact 0 is resolved when the interval rounds to 0 at both ends.
        cap: the largest precision to try, in bits.

    Returns:
        A tree like the gradients; its leaves hold `.lower`, `.upper`, `.nearest` and `.resolved`, with the shape
        of the parameter (the loss: no dimensions).

    Raises:
        TypeError: an array is of a type that float64 does not hold.
        ValueError: an array holds NaN or infinity (the first is named), reduction is "none", or target_bits or
            cap is not positive.

    >>> from reference import Layer, MLP
    >>> mlp = MLP((Layer(np.array([[20.0]]), None, "tanh"),))
    >>> problem = Problem(mlp, np.array([[1.0]]), np.array([[0.0]]), loss="half_squared_error")
    >>> found = certified_gradients(problem)
    >>> found.status, float(found.layers[0].weight.nearest[0, 0])
    ('certified', 1.6993417021166355e-17)
    """
    if target_bits < 1 or cap < 1:
        raise ValueError(f"target_bits and cap must be positive, got {target_bits} and {cap}")
    balls = in_balls(problem)
    first = bits = min(max(FIRST_BITS, 2 * target_bits), cap)
    undecided = ""
    small = passes.work(problem.network, problem.x) <= RATIONAL_WORK
    while True:
        with precision(bits):
            try:
                trace, found = _run(balls)
                leaves = found.map(lambda ball: round_leaf(ball, target_bits))
            except Undecided as error:
                if bits >= cap:
                    if undecided:
                        raise
                    undecided = str(error)
                    balls = in_balls(problem, Decisions(hull=True, rational=small))
                else:
                    bits = min(2 * bits, cap)
                    balls = in_balls(problem, Decisions(rational=small))
                continue
            done = all(np.all(cast(CertifiedLeaf, leaf).resolved) for leaf in leaves.leaves().values())
            if done or bits >= cap:
                status = "certified" if done else "unresolved"
                kinks = _exact_kinks(problem, trace)
                return CertifiedGradients(
                    leaves.layers, leaves.input, leaves.loss, leaves.named, bits, status, kinks, undecided
                )
        bits, still = _next_bits(leaves, bits, cap, first)
        balls = in_balls(problem, Decisions(hull=bool(undecided), rational=small and not still))


def _next_bits(leaves: Gradients, bits: int, cap: int, first: int) -> tuple[int, bool]:
    """The precision to try next, and whether all that is open is numbers that seem to be 0.

    What is still about 0 at twice the first precision is 0, or far below all else: the bits that bring it below the
    smallest float64 are asked for at once.
    """
    found = [cast(CertifiedLeaf, leaf) for leaf in leaves.leaves().values()]
    lower, upper = (
        np.concatenate([np.ravel(bound)[~np.ravel(leaf.resolved)] for leaf, bound in zip(found, bounds, strict=True)])
        for bounds in ([leaf.lower for leaf in found], [leaf.upper for leaf in found])
    )
    widest = float(np.max(np.maximum(upper, -lower), initial=0.0))
    if bits <= first or not (np.all(lower <= 0) and np.all(upper >= 0) and 0 < widest < 1):
        return min(2 * bits, cap), False
    return min(max(2 * bits, bits + SUBNORMAL + int(np.ceil(np.log2(widest)))), cap), True


def ball_gradients(problem: Problem, bits: int) -> Gradients:
    """The loss and gradients as `Ball`s of so many bits.

    Raises:
        Undecided: a comparison needs more bits, or no precision decides it.
        TypeError, ValueError: as for `certified_gradients`.
    """
    with precision(bits):
        return _run(in_balls(problem))[1]


def _run(balls: Problem) -> tuple[AnyTrace, Gradients]:
    balls = balls.as_one()
    trace = passes.forward(balls.network, balls.x)
    found = passes.backward(balls.network, trace, loss_gradient(balls, trace.output))
    return trace, Gradients(found.layers, found.input, loss_value(balls, trace.output), found.named)


def _exact_kinks(problem: Problem, trace: AnyTrace) -> tuple[ExactKink | StepKink, ...]:
    if isinstance(problem.network, Network):
        return tuple(_step_kinks(problem.network, cast(NetworkTrace, trace)))
    found = []
    preactivations = cast(Trace, trace).preactivations
    for index, (layer, z) in enumerate(zip(problem.mlp.layers, preactivations, strict=True)):
        for kink in layer.activation.kinks:
            at, name = fmpq(*float(kink.at).as_integer_ratio()), layer.activation.name
            for place in (i for i, b in enumerate(cast(Ball, z).flat) if exactly(b) == at):
                example, unit = divmod(place, z.shape[1])
                found.append(ExactKink(index, example, unit, name, kink.at, kink.derivative, kink.left, kink.right))
    return tuple(found)


def _step_kinks(network: Network, trace: NetworkTrace) -> Iterator[StepKink]:
    for step in network.steps:
        if step.name not in trace.values:
            continue  # it was taken together with the loss
        for switch in step.operation.switches(*inputs_of(step, trace.values)):
            if not isinstance(switch, Ball):
                continue  # of constants alone
            for place, b in enumerate(switch.flat):
                if exactly(b) == 0:
                    index = tuple(int(i) for i in np.unravel_index(place, switch.shape))
                    yield StepKink(step.name, step.operation.name, index)


def round_leaf(ball: Ball, target_bits: int = 53) -> CertifiedLeaf:
    """The bounds and nearest float64 of every element.

    All at once where nothing under- or overflows: with m the float64 nearest to the midpoint and d = b − m, still
    a ball, m is the nearest to all of b if |d| stays below half the distance from m to its nearer neighbour.
    """
    rational = {i: b for i, b in enumerate(ball.flat) if isinstance(b, fmpq)}
    flat = list(map(as_arb, ball.flat)) if rational else ball.flat
    near = np.array([float(b) for b in flat])
    usual = (np.abs(near) >= _NARROW) & (np.abs(near) <= _WIDE)
    middles = np.where(usual, near, 0.0)
    rest = (arb_mat(1, len(flat), flat) - arb_mat(1, len(flat), middles.tolist())).entries()
    offset = np.array([float(d) if m else 0.0 for d, m in zip(rest, usual.tolist(), strict=True)])
    reach = np.array([float(d.abs_upper()) if m else 0.0 for d, m in zip(rest, usual.tolist(), strict=True)])
    reach = reach * (1 + 2.0**-50)
    gap = np.spacing(np.abs(middles)) * np.where(np.abs(np.frexp(middles)[0]) == 0.5, 0.5, 1.0)
    radius = reach - np.abs(offset) + 2.0**-50 * reach
    settled = usual & (reach < gap / 2) & ((reach > 0) | np.array([d.is_zero() for d in rest]))
    lower = np.where((offset >= radius), middles, np.nextafter(middles, -np.inf))
    upper = np.where((offset <= -radius), middles, np.nextafter(middles, np.inf))
    resolved = settled.copy()
    for i in np.flatnonzero(~settled).tolist():
        b = flat[i]
        if b.is_zero():
            near[i] = lower[i] = upper[i] = 0.0
            resolved[i] = True
            continue
        lower[i], upper[i] = outward(b)
        resolved[i] = not b.is_nan() and float(b.lower()) == float(b.upper())
    for i, exact in rational.items():
        lower[i], near[i], upper[i] = _around(Fraction(int(exact.p), int(exact.q)))
        resolved[i] = True
    if target_bits != 53:
        wide = np.array([b.rel_accuracy_bits() >= target_bits for b in flat])
        resolved = wide | (near == 0) & resolved if target_bits < 53 else resolved & (wide | (near == 0))
    parts = (a.reshape(ball.shape) for a in (lower, upper, near, resolved))
    return CertifiedLeaf(*parts)


def _around(exact: Fraction) -> tuple[float, float, float]:
    """The float64 numbers below, nearest to and above a rational number."""
    try:
        near = float(exact)
    except OverflowError:
        near = inf if exact > 0 else -inf
    lower = near if near <= exact else nextafter(near, -inf)
    upper = near if near >= exact else nextafter(near, inf)
    return lower, near, upper
