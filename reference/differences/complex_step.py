"""The complex step: Im L(θ + ih)/h."""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import NumPyArray
from ..network.gradients import Gradients
from ..network.mlp import Trace, forward
from ..network.problem import Problem, loss_value
from .extrapolation import CORNERS, power_of_two, region_of
from .one_parameter import (
    Evaluate,
    Run,
    Tree,
    along_elements,
    choose_elements,
    in_batches,
    in_float64,
    starts_and_motions,
    switches_of,
)

COMPLEX_STEP = 2.0**-332
"""1e-100: its square vanishes beside any number that it is added to."""

LARGE = 2.0**-100
"""Where an imaginary part is more, its square may show: the step is too long for gradients so large."""
LONG = 2.0**300
"""The imaginary part of the fastest number where a function is a straight line, and no step is too long."""
UNDERFLOW = 2.0**-960
"""Where a layer's largest imaginary part is less, that of its other numbers may be subnormal."""


def complex_step(problem: Problem, *, entries: int | None = None, seed: int = 0) -> Gradients:
    """The derivatives as Im L(θ + ih)/h, h = 2⁻³³²: nothing cancels but what cancels in the forward pass.

    Squire & Trapp 1998, eq. 1; Martins, Sturdza & Alonso 2003, eq. 6. It holds for analytic functions, so
    for every row on each piece of its formula. An element is not judged where a unit that it moves sits on a
    break, nor where the product of h and a derivative underflows however h is chosen (derivatives below 1e-220,
    give or take). There is no bar: the error is the rounding error of a forward pass, for which the textbook
    `rounding_scale` stands (a softmax or its logarithm near 0 or 1 loses the digits that 1 − y loses), and an
    error of 1e-199 times the third derivative, which shows where the first is 0.

    Args:
        problem: as for `central_difference`, in complex128 of which float32 and float64 are exact parts.
        entries: how many elements to judge, drawn at random and spread evenly over the leaves; all if not given.
        seed: of that draw.

    Returns:
        A tree like the gradients, float64; NaN where an element is not judged.

    Raises:
        ValueError: reduction is "none", or entries is below 1.

    >>> from reference import gradients, initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> bool(np.max(abs(complex_step(problem).input - gradients(problem).input)) < 1e-15)
    True
    """
    problem = in_float64(problem)
    found = Tree(problem, np.nan)
    with np.errstate(all="ignore"):
        trace = forward(problem.mlp, problem.x)
        divisor = problem.loss.divisor(trace.output, problem.target) if problem.reduction == "mean" else 1.0
        for groups in in_batches(problem, choose_elements(problem, entries, seed), 2):
            starts, motions = starts_and_motions(problem, trace, groups)
            evaluate = along_elements(problem, trace, starts, motions)
            h = np.full((len(starts), 1), COMPLEX_STEP)
            run = evaluate(np.arange(len(starts)), 1j * h)
            derivative = np.asarray(run.terms.imag.sum(axis=2) / h / divisor)
            weakest, strongest = _imaginary_range(run)
            # how fast the fastest number moves: the layer that an element enters, if all else underflows
            rate = np.maximum(strongest / COMPLEX_STEP, np.array([np.abs(motion).max() for motion in motions]))
            vanished = (weakest < UNDERFLOW) | np.all(run.terms.imag == 0, axis=(1, 2))
            unsuited = (rate > 0) & (vanished | ~(strongest < LARGE))
            if np.any(unsuited):
                which = np.flatnonzero(unsuited)
                derivative[which, 0] = _with_other_steps(problem, trace, evaluate, which, starts, rate) / divisor
            found.put(groups, np.where(_beyond_a_break(problem, trace, run), np.nan, derivative[:, 0]))
        loss = loss_value(problem, trace.output)
    return found.gradients(loss)


def _with_other_steps(
    problem: Problem, trace: Trace, evaluate: Evaluate, which: NumPyArray, starts: NumPyArray, rate: NumPyArray
) -> NumPyArray:
    """Im L·divisor/h for the elements of a batch that the usual step does not suit, (E,); NaN where none is sound."""
    h = COMPLEX_STEP * power_of_two(2.0**-170 / COMPLEX_STEP / rate[which, None]) * np.array([2.0**-30, 1.0])
    run = evaluate(which, 1j * h)
    short, usual = (run.terms.imag.sum(axis=2) / h).T
    # an error of h²f‴/6 would make the second 2⁶⁰ times as wrong as the first
    sound = np.abs(usual - short) <= np.abs(short) / 2
    sound &= ~(_imaginary_range(run)[0] < UNDERFLOW) & ~_beyond_a_break(problem, trace, run)
    # only straight lines pass on nothing or a plain multiple; elsewhere a 0 may be an underflow
    straight = _straight_from(problem)[starts[which]]
    zero = sound & straight & (short == 0)
    if np.any(zero):
        # along a straight line a step may be as long as one likes: what is 0 with this one is no underflow
        h = power_of_two(LONG / rate[which[zero], None])
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
    for z in (*run.preactivations.values(), run.output):
        size = np.abs(z.imag).max(axis=(1, 2, 3), initial=0.0)
        weakest[: len(z)] = np.minimum(weakest[: len(z)], np.where(size > 0, size, np.inf))
        strongest[: len(z)] = np.maximum(strongest[: len(z)], size)
    return weakest, strongest


def _beyond_a_break(problem: Problem, trace: Trace, run: Run) -> NumPyArray:
    """Whether an element moves a unit or the loss off a point where the formula changes: (E,).

    Or whether complex products round to the other side of such a point than real ones.
    """
    switch, base = (switches_of(problem, y) for y in (run.output[:, 0], np.asarray(trace.output)[None]))
    beyond = np.any(((switch.real == 0) & (switch.imag != 0)) | (np.sign(switch.real) != np.sign(base)), axis=1)
    for index, z in run.preactivations.items():
        breaks = problem.mlp.layers[index].activation.all_breaks
        if breaks:
            region, here = region_of(z.real, breaks), region_of(trace.preactivations[index], breaks)
            beyond[: len(z)] |= np.any(((here % 2 == 1) & (z.imag != 0)) | (region != here), axis=(1, 2, 3))
    return beyond
