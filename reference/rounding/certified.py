"""Certified gradients: intervals that provably hold the exact gradient, and the float64 nearest to it.

The calculus runs on `Ball` with the problem's numbers as they are, exactly. Precision is raised (Ziv 1991,
Fast evaluation of elementary mathematical functions with correctly rounded last bit) until both ends of every
interval round to the same float64; leaves that are settled are not computed again. A comparison that is undecided
asks for more bits, too; at the cap, both outcomes are admitted and the interval holds both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf, log2
from typing import Any, cast

import numpy as np
from flint import arb, fmpq

from ..arithmetic.array import Array
from ..arithmetic.ball import Ball
from ..arithmetic.ball_decisions import Decisions, Undecided, precision
from ..arithmetic.ball_elements import as_arb, exactly
from ..network import passes
from ..network.gradients import Gradients
from ..network.graph import Network, NetworkTrace, inputs_of
from ..network.in_arithmetic import in_balls
from ..network.mlp import Trace
from ..network.passes import AnyTrace
from ..network.problem import Problem, loss_gradient, loss_value
from .rounded import CertifiedLeaf, round_leaf

__all__ = ["CertifiedGradients", "CertifiedLeaf", "ExactKink", "StepKink", "ball_gradients", "certified_gradients"]

FIRST_BITS = 128
"""Two machine words: 75 bits beyond float64 for the rounding errors and cancellation of most networks."""
CAP = 4096
WORD = 64
SPREAD = 16
"""Bits by which a leaf's small elements have fewer than its largest: 5 to 20 in the tanh, GPT-2 and ResNet of the
benchmarks. More precision is asked for at once if these will be missing; what is missing all the same, a further run
finds out."""
SUBNORMAL = 1080
"""From 1 so many bits down to below half the smallest float64, with a few to spare."""
RATIONAL_WORK = 2**22
"""Multiply-adds of a forward pass up to which rational numbers are carried along when the first run fails."""


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
    bits, decisions, undecided = min(max(FIRST_BITS, 2 * target_bits), cap), Decisions(), ""
    small = passes.work(problem.network, problem.x) <= RATIONAL_WORK
    balls, leaves = in_balls(problem, decisions), dict[str, CertifiedLeaf]()
    enough = target_bits + SPREAD + log2(1 + sum(np.size(values) for values in problem.leaves().values()))
    while True:
        with precision(bits):
            try:
                forward = _forward(balls)
                if not leaves and (lacking := enough - _expected(forward, bits)) > 0 and bits < cap:
                    bits, more = min(bits + WORD * ceil(lacking / WORD), cap), replace(decisions, rational=small)
                else:
                    wanted = None if not leaves else {place for place, leaf in leaves.items() if not leaf.final}
                    for place, ball in _backward(forward, wanted).leaves().items():
                        if wanted is None or place in wanted:
                            leaves[place] = round_leaf(cast(Ball, ball), target_bits)
                    done = all(np.all(leaf.resolved) for leaf in leaves.values())
                    if done or bits >= cap:
                        tree = Gradients.from_leaves(leaves)
                        status, kinks = "certified" if done else "unresolved", _exact_kinks(problem, forward.trace)
                        return CertifiedGradients(
                            tree.layers, tree.input, tree.loss, tree.named, bits, status, kinks, undecided
                        )
                    bits, still = _next_bits(leaves, bits, cap, ready=decisions.rational or not small)
                    more = replace(decisions, rational=small and not still)
            except Undecided as error:
                if bits >= cap and undecided:
                    raise
                if bits >= cap:
                    undecided = str(error)
                bits, more = min(2 * bits, cap), Decisions(hull=bool(undecided), rational=small)
        if more != decisions:
            balls, decisions = in_balls(problem, more), more


def _expected(forward: _Forward, bits: int) -> float:
    """How many bits the largest gradients of the first layers will have.

    The backward pass loses about as many as the forward pass did: it goes through the same weights.
    """
    return _accuracy(forward.d_output) - (bits - min(bits, _accuracy(forward.trace.output)))


def _accuracy(values: Array) -> float:
    """By how many bits the largest midpoint exceeds the largest radius; ∞ where that says nothing."""
    balls = [as_arb(b) for b in cast(Ball, values).flat]
    middle, radius = (max(map(abs, map(float, map(part, balls))), default=0.0) for part in (arb.mid, arb.rad))
    return log2(middle) - log2(radius) if 0 < middle < inf and 0 < radius < inf else inf


def _next_bits(leaves: Mapping[str, CertifiedLeaf], bits: int, cap: int, *, ready: bool) -> tuple[int, bool]:
    """The precision to try next, and whether all that is open is numbers that seem to be 0.

    What is still about 0 is 0, or far below all else: the bits that bring it below the smallest float64 are asked for
    at once. Not before it is `ready`: rational numbers, where they are carried along, may show that it is 0.
    """
    lower, upper = (
        np.concatenate(
            [np.ravel(bound)[~np.ravel(leaf.resolved)] for leaf, bound in zip(leaves.values(), bounds, strict=True)]
        )
        for bounds in ([leaf.lower for leaf in leaves.values()], [leaf.upper for leaf in leaves.values()])
    )
    widest = float(np.max(np.maximum(upper, -lower), initial=0.0))
    if not ready or not (np.all(lower <= 0) and np.all(upper >= 0) and 0 < widest < 1):
        return min(2 * bits, cap), False
    return min(max(2 * bits, bits + SUBNORMAL + int(np.ceil(np.log2(widest)))), cap), True


def ball_gradients(problem: Problem, bits: int) -> Gradients:
    """The loss and gradients as `Ball`s of so many bits.

    Raises:
        Undecided: a comparison needs more bits, or no precision decides it.
        TypeError, ValueError: as for `certified_gradients`.
    """
    with precision(bits):
        return _backward(_forward(in_balls(problem)))


@dataclass(frozen=True, eq=False, slots=True)
class _Forward:
    """A problem in balls whose network and loss were gone through, forward.

    Attributes:
        balls: the problem, its last activation in its loss.
        trace: what the forward pass stored.
        d_output: the gradient of the loss with respect to the output.
    """

    balls: Problem
    trace: AnyTrace
    d_output: Array


def _forward(balls: Problem) -> _Forward:
    balls = balls.as_one()
    trace = passes.forward(balls.network, balls.x, keep=True)
    return _Forward(balls, trace, loss_gradient(balls, trace.output))


def _backward(forward: _Forward, wanted: Collection[str] | None = None) -> Gradients:
    """The loss and the gradients of the leaves at the wanted places; None for all."""
    found = passes.backward(forward.balls.network, forward.trace, forward.d_output, wanted)
    return Gradients(found.layers, found.input, loss_value(forward.balls, forward.trace.output), found.named)


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
