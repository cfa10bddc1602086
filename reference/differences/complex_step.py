"""The complex step: Im L(θ + ih)/h."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arithmetic.array import NumPyArray
from ..losses.reduced import in_rows
from ..network import passes
from ..network.gradients import Gradients
from ..network.graph import Network, NetworkTrace
from ..network.passes import AnyTrace
from ..network.problem import Problem, loss_value
from .base_point import CORNERS, region_of
from .extrapolation import power_of_two
from .one_parameter import (
    Evaluate,
    Run,
    Tree,
    along_elements,
    choose_elements,
    in_batches,
    in_float64,
    in_loss_rows,
    preactivations,
    starts_and_motions,
    switches_of,
)
from .whole_variants import along_leaves, step_switches

COMPLEX_STEP = 2.0**-332
"""1e-100: its square vanishes beside any number that it is added to."""

LARGE = 2.0**-100
"""Where an imaginary part is more, its square may show: the step is too long for gradients so large."""
LONG = 2.0**300
"""The imaginary part of the fastest number where a function is a straight line, and no step is too long."""
UNDERFLOW = 2.0**-960
"""Where a layer's largest imaginary part is less, that of its other numbers may be subnormal."""


def complex_step(problem: Problem, *, entries: int | None = None, seed: int = 0, stretch: float = 1.0) -> Gradients:
    """The derivatives as Im L(θ + ih)/h, h = 2⁻³³²: nothing cancels but what cancels in the forward pass.

    Squire & Trapp 1998, eq. 1; Martins, Sturdza & Alonso 2003, eq. 6. It holds for analytic functions, so
    for every row on each piece of its formula. An element is not judged where a unit that it moves sits on a
    break, nor where the product of h and a derivative underflows however h is chosen (derivatives below 1e-220,
    give or take). There is no bar: the error is the rounding error of a forward pass, for which the textbook
    `rounding_scale` stands (a softmax or its logarithm near 0 or 1 loses the digits that 1 − y loses), and an
    error of 1e-199 times the third derivative, which shows where the first is 0. Where derivatives cancel on the way
    forward that do not on the way back, as 0.336·∂y₁ − 0.337·∂y₂ for equal ∂y, the error is larger: the spread over
    several values of `stretch` has it.

    Args:
        problem: as for `central_difference`, in complex128 of which float32 and float64 are exact parts.
        entries: how many elements to judge, drawn at random and spread evenly over the leaves; all if not given.
        seed: of that draw.
        stretch: what h is multiplied by, from 1 to 2. One that is no power of two rounds every imaginary part anew.

    Returns:
        A tree like the gradients, float64; NaN where an element is not judged.

    Raises:
        ValueError: reduction is "none", entries is below 1, or stretch is not from 1 to 2.

    >>> from reference import gradients, initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> bool(np.max(abs(complex_step(problem).input - gradients(problem).input)) < 1e-15)
    True
    """
    if not 1 <= stretch <= 2:
        raise ValueError(f"stretch: expected a number from 1 to 2, got {stretch}")
    problem = in_float64(problem)
    found = Tree(problem, np.nan)
    with np.errstate(all="ignore"):
        trace = passes.forward(problem.network, problem.x)
        rows, output = in_loss_rows(problem, trace.output), np.asarray(in_rows(trace.output))
        divisor = rows.loss.divisor(output, rows.target) if problem.reduction == "mean" else 1.0
        pieces = _Pieces.of(rows, trace, output)
        for groups in in_batches(problem, choose_elements(problem, entries, seed), 2):
            evaluate, sizes, straight = _variants(problem, trace, groups)
            h = np.full((len(sizes), 1), COMPLEX_STEP * stretch)
            run = evaluate(np.arange(len(sizes)), 1j * h)
            derivative = np.asarray(run.terms.imag.sum(axis=2) / h / divisor)
            weakest, strongest = _imaginary_range(run)
            # how fast the fastest number moves: the layer that an element enters, if all else underflows
            rate = np.maximum(strongest / COMPLEX_STEP, sizes)
            vanished = (weakest < UNDERFLOW) | np.all(run.terms.imag == 0, axis=(1, 2))
            unsuited = (rate > 0) & (vanished | ~(strongest < LARGE))
            if np.any(unsuited):
                which = np.flatnonzero(unsuited)
                others = _with_other_steps(pieces, evaluate, which, straight[which], rate, stretch)
                derivative[which, 0] = others / divisor
            found.put(groups, np.where(pieces.left_by(run), np.nan, derivative[:, 0]))
        loss = loss_value(problem, trace.output)
    return found.gradients(loss)


def _variants(
    problem: Problem, trace: AnyTrace, groups: list[tuple[str, NumPyArray]]
) -> tuple[Evaluate, NumPyArray, NumPyArray]:
    """The variants of some elements, how fast each moves what it enters, and whether all that follows is straight."""
    if isinstance(trace, NetworkTrace):
        count = sum(len(index) for _, index in groups)
        # what a step of a network does with zeros is not known: a derivative of 0 is not told from an underflow
        return along_leaves(problem, trace, groups), np.ones(count), np.zeros(count, dtype=bool)
    starts, motions = starts_and_motions(problem, trace, groups)
    sizes = np.array([np.abs(motion).max() for motion in motions])
    return along_elements(problem, trace, starts, motions), sizes, _straight_from(problem)[starts]


def _with_other_steps(
    pieces: _Pieces, evaluate: Evaluate, which: NumPyArray, straight: NumPyArray, rate: NumPyArray, stretch: float
) -> NumPyArray:
    """Im L·divisor/h for the elements of a batch that the usual step does not suit, (E,); NaN where none is sound."""
    h = stretch * COMPLEX_STEP * power_of_two(2.0**-170 / COMPLEX_STEP / rate[which, None]) * np.array([2.0**-30, 1.0])
    run = evaluate(which, 1j * h)
    short, usual = (run.terms.imag.sum(axis=2) / h).T
    # an error of h²f‴/6 would make the second 2⁶⁰ times as wrong as the first
    sound = np.abs(usual - short) <= np.abs(short) / 2
    sound &= ~(_imaginary_range(run)[0] < UNDERFLOW) & ~pieces.left_by(run)
    # only straight lines pass on nothing or a plain multiple; elsewhere a 0 may be an underflow
    zero = sound & straight & (short == 0)
    if np.any(zero):
        # along a straight line a step may be as long as one likes: what is 0 with this one is no underflow
        h = stretch * power_of_two(LONG / rate[which[zero], None])
        run = evaluate(which[zero], 1j * h)
        short[zero] = run.terms.imag.sum(axis=2)[:, 0] / h[:, 0]
        sound[zero] = ~(_imaginary_range(run)[0] < UNDERFLOW)
    return np.where(sound & ((short != 0) | straight), short, np.nan)


def _straight_from(problem: Problem) -> NumPyArray:
    """For each layer whether it and all behind it are straight lines and the loss does not bend everywhere."""
    probe = np.linspace(-8, 8, 33)
    straight = problem.loss.name not in (*CORNERS, "bce")
    found = []
    for layer in reversed(problem.mlp.layers):
        second = layer.activation.second_derivative
        straight = straight and second is not None and not np.any(second(probe))
        found.append(straight)
    return np.array(found[::-1])


def _imaginary_range(run: Run) -> tuple[NumPyArray, NumPyArray]:
    """The least and the greatest, over layers where one is not 0, of the largest imaginary part: (E,) each."""
    strongest = np.abs(run.terms.imag).max(axis=(1, 2))
    weakest = np.where(strongest > 0, strongest, np.inf)
    for z in (*run.moving.values(), run.output):
        size = np.abs(z.imag).max(axis=tuple(range(1, z.ndim)), initial=0.0)
        weakest[: len(z)] = np.minimum(weakest[: len(z)], np.where(size > 0, size, np.inf))
        strongest[: len(z)] = np.maximum(strongest[: len(z)], size)
    return weakest, strongest


@dataclass(frozen=True, eq=False)
class _Pieces:
    """On which piece of every formula a problem lies.

    Attributes:
        problem: the problem, its target in rows.
        trace: of its forward pass.
        of_loss: the switches of the loss, (1, M).
        of_steps: those of the steps of a network of operations (M,).
    """

    problem: Problem
    trace: AnyTrace
    of_loss: NumPyArray
    of_steps: NumPyArray

    @classmethod
    def of(cls, problem: Problem, trace: AnyTrace, output: NumPyArray) -> _Pieces:
        of_steps = np.zeros(0)
        if isinstance(trace, NetworkTrace):
            assert isinstance(problem.network, Network)
            of_steps = step_switches(problem.network, trace.values)
        return cls(problem, trace, switches_of(problem, output[None]), of_steps)

    def left_by(self, run: Run) -> NumPyArray:
        """Whether an element moves a unit or a switch off a point where the formula changes: (E,).

        Or whether complex products round to the other side of such a point than real ones.
        """
        beyond = _passes(switches_of(self.problem, run.output[:, 0]), self.of_loss)
        if run.switches is not None:
            return beyond | _passes(run.switches[:, 0], self.of_steps)
        for index, layer in enumerate(self.problem.mlp.layers):
            breaks, z = layer.activation.all_breaks, run.moving.get(index)
            if breaks and z is not None:
                region, here = region_of(z.real, breaks), region_of(preactivations(self.trace)[index], breaks)
                beyond[: len(z)] |= np.any(((here % 2 == 1) & (z.imag != 0)) | (region != here), axis=(1, 2, 3))
        return beyond


def _passes(switch: NumPyArray, base: NumPyArray) -> NumPyArray:
    return np.asarray(
        np.any(((switch.real == 0) & (switch.imag != 0)) | (np.sign(switch.real) != np.sign(base)), axis=1)
    )
