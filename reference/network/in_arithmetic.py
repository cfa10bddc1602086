"""A problem in another arithmetic: in balls, or with noise, where it may allow for the customary formulas too."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.ball import Ball
from ..arithmetic.ball_decisions import RAISE, Decisions
from ..arithmetic.formats import FORMATS, Format
from ..arithmetic.noise_source import NoiseSource
from ..arithmetic.noisy import Noisy
from ..losses.row import Loss
from ..operations.of_activation import activation_of
from ..operations.row import Operation
from . import passes
from .graph import Network, Step
from .mlp import MLP, Layer
from .problem import Problem
from .unchecked import changed, unchecked
from .validation import require_finite

TANH_TAIL = MappingProxyType({"tanh": 8.0, "mish": 8.0, "gelu_tanh": 4.0})
"""Rows whose customary derivative takes 1 − tanh², and the |z| from which the tanh is that of 8 and more."""
TANH_ULPS = 6.0
"""The error of a float64 tanh there, as that of a uniform one within so many ulps; in 1 − tanh² it counts twice. XLA's
(JAX 0.10) errs by up to 6.9 ulps, 3.4 by root mean square, and not evenly to both sides, so that the errors of examples
add up; NumPy's and torch's stay within 0.9. Measured in `tests/reference/arithmetic/test_noisy.py`. In float32 none
exceeds 4.3 ulps, 1.1 by root mean square, and nearer to 0 none does in either: that is within the factor of
the usual ulp."""


def in_balls(problem: Problem, decisions: Decisions = RAISE) -> Problem:
    """The problem with every number of weights, biases and x an exact ball, and target and constants where it matters.

    Losses of probabilities form 1 − t, which float64 rounds; elsewhere the target enters as it is.
    """
    if problem.reduction == "none":
        raise ValueError(
            'reduction "none" leaves a loss of many numbers, which has no single gradient: use "sum" or "mean"'
        )
    require_exact(problem, "certify")

    def exact(values: Any) -> Ball:
        return Ball.exact(values, decisions)

    balls = problem.map(exact)
    target = exact(problem.target) if problem.loss.target == "probabilities" else problem.target
    return balls.replace(network=passes.with_constants_alone(balls.network, exact), target=target)


def require_exact(problem: Problem, purpose: str) -> None:
    """Raise unless float64 holds every number of the problem, so that nothing is lost in what follows.

    Args:
        problem: of any number type.
        purpose: what the problem is wanted for, as a verb.

    Raises:
        TypeError: it is of a type that float64 does not hold (longdouble, complex numbers).
        ValueError: a number is NaN or infinite; the message names the first.
    """
    dtype = problem.dtype
    if not isinstance(dtype, np.dtype) or dtype.kind != "f" or dtype.itemsize > np.dtype(np.float64).itemsize:
        place = next(iter(problem.leaves()))
        raise TypeError(f"{place}: expected float64, float32 or float16 to {purpose}, got {dtype}")
    require_finite(problem.arrays())


def in_noise(problem: Problem, source: NoiseSource, textbook: bool = False) -> Problem:
    """The problem in noisy arithmetic, on which any function of the calculus shows how far rounding takes it.

    Args:
        problem: the problem, of any floating type.
        source: what draws the errors.
        textbook: allow for the customary formulas, as in `rounding_scale`.
    """
    noisy = problem.map(lambda values: Noisy.held(values, source))
    noisy = noisy.replace(network=passes.with_constants_alone(noisy.network, lambda values: Noisy.held(values, source)))
    if textbook:
        network = _with_rows(noisy.network, _textbook_activation, _textbook_step)
        noisy = noisy.replace(network=network, loss=_textbook_loss(noisy.loss))
    if source.format.functions is not None:
        once = _step_rounded_once(source.format)
        noisy = noisy.replace(network=_with_rows(noisy.network, _rounded_once, once))
    target = np.asarray(noisy.target)
    return noisy.replace(target=target.astype(float)) if target.dtype.kind == "f" else noisy


def spread_of(leaf: Array) -> NumPyArray:
    """σ of what a noisy computation gave: 0 where no operation rounded."""
    return leaf.spread() if isinstance(leaf, Noisy) else np.zeros(np.shape(leaf))


def _textbook_operation(row: Operation, own: bool) -> Operation:
    """The row with the noise of the customary formulas' intermediate terms.

    Unless the step states a format of its `own`, a formula that shifts z may do so in the format of all, though the row
    is computed in a wider one and rounded once. A layer's activation has the noise that it has in an MLP.
    """
    activation = activation_of(row)
    if activation is not None and not activation.rowwise:
        return _of_textbook_activation(row, _textbook_activation(activation, own))

    def value(*inputs: Any) -> Any:
        y = row.value(*inputs)
        return _jittered(y, row.textbook_value(inputs, y))

    def pullback(inputs: Any, y: Any, d_y: Any) -> Any:
        sizes = row.textbook_pullback(inputs, y, d_y)
        if row.activation is not None and isinstance(inputs[0], Noisy):
            inputs = (_compared(row.activation, inputs[0], own),)
        return tuple(map(_jittered, row.pullback(inputs, y, d_y), sizes))

    return changed(row, value=value, pullback=pullback)


def _of_textbook_activation(row: Operation, activation: Activation) -> Operation:
    def value(z: Any) -> Any:
        return activation.value(z) if isinstance(z, Noisy) else row.value(z)

    def pullback(inputs: Any, y: Any, d_y: Any) -> Any:
        return (activation.pullback(inputs[0], d_y),) if isinstance(inputs[0], Noisy) else row.pullback(inputs, y, d_y)

    return changed(row, value=value, pullback=pullback)


def _jittered(values: Any, size: Any) -> Any:
    """Noisy values with a further error of this size; anything else as it is."""
    if isinstance(values, tuple):
        return tuple(map(_jittered, values, size if isinstance(size, tuple) else (size,) * len(values)))
    return values.jitter(size) if isinstance(values, Noisy) else values


def _with_rows(
    network: MLP | Network, of_layer: Callable[[Activation], Activation], of_step: Callable[[Step], Step]
) -> MLP | Network:
    """The network with every layer's activation, or every step, changed."""
    if isinstance(network, Network):
        return changed(network, steps=tuple(map(of_step, network.steps)))
    layers = tuple(
        unchecked(Layer, weight=layer.weight, bias=layer.bias, activation=of_layer(layer.activation))
        for layer in network.layers
    )
    return unchecked(MLP, layers=layers)


def _step_rounded_once(fmt: Format) -> Callable[[Step], Step]:
    """step ↦ the step computed in the wider format of `functions`, its output and gradients rounded once."""
    finer = next(f for f in FORMATS.values() if f.bits == fmt.functions)

    def change(step: Step) -> Step:
        return step if step.compute or step.store else changed(step, compute=finer, store=fmt)

    return change


def _textbook_step(step: Step) -> Step:
    return changed(step, operation=_textbook_operation(step.operation, bool(step.compute)))


def _rounded_once(row: Activation) -> Activation:
    """The row with a(z) and d_y·a′(z) computed in the wider format of `functions`, each rounded once."""
    if not row.one_rounding:
        return row

    def finer(z: Noisy) -> Noisy:
        return z.in_format(next(f for f in FORMATS.values() if f.bits == z.source.format.functions))

    def value(z: Noisy) -> Noisy:
        return _noisy(row.value(finer(z))).in_format(z.source.format)

    def vjp(z: Noisy, d_y: Array) -> Noisy:
        return _noisy(row.pullback(finer(z), finer(Noisy.held(d_y, z.source)))).in_format(z.source.format)

    return changed(row, value=value, vjp=vjp)


def _textbook_activation(row: Activation, own: bool = True) -> Activation:
    """The row with the noise of the customary formula's intermediate terms.

    They stand in a′(z), as 1 − y² does, or, in half of the runs, in d_y·a′(z), as in torch's d_y − d_y(1 − y²) of
    z − tanh z: there the errors of examples that share z but not d_y do not cancel with their gradients.
    """

    def value(z: Noisy) -> Noisy:
        return _noisy(row.value(z)).jitter(row.textbook_value(z), reach(z))

    def elementwise(z: Noisy, d_y: Array) -> Noisy:
        assert row.derivative is not None
        size, d_y = row.textbook_derivative(z), Noisy.held(d_y, z.source)
        apart = size
        if row.name in TANH_TAIL and z.source.format.bits == FORMATS["float64"].bits:
            apart = np.where(z.magnitude() > TANH_TAIL[row.name], 2 * TANH_ULPS * size, size)
        slope = _noisy(row.derivative(_compared(row, z, own)))
        at_once = _noisy(d_y * slope).jitter(size * np.abs(d_y), reach=0.0, factor=reach(z))
        return _noisy(d_y * slope.jitter(apart, reach(z))).in_turns(at_once)

    def rowwise(z: Noisy, d_y: Noisy) -> Noisy:
        assert row.vjp is not None
        largest = Noisy(np.abs(d_y.data).max(axis=2, keepdims=True), d_y.source)
        return _noisy(row.vjp(z, d_y)).jitter(row.textbook_derivative(z) * largest, reach(z) * reach(d_y))

    def reach(z: Noisy) -> NumPyArray:
        """The magnitude that each number is multiplied by, at least 1: its own, or the largest of its row."""
        size = np.maximum(1.0, np.abs(z.data[0]))
        return size.max(axis=-1, keepdims=True) if row.rowwise else size

    return changed(row, value=value, vjp=rowwise if row.rowwise else elementwise)


def _compared(row: Activation, z: Noisy, own: bool) -> Noisy:
    """z on the side of every kink where the customary formula, which shifts z before it compares, may find it.

    It does so in the format of z's `own`, or in that of all.
    """
    fmt = (z.source if own else z.source.in_format(None)).format
    for kink in row.kinks if row.shift else ():
        z = z.across(kink.at, row.shift, fmt.bits)
    return z


def _noisy(values: Array) -> Noisy:
    """The values, which are noisy: a formula makes noisy numbers of noisy ones."""
    return cast(Noisy, values)


def _textbook_loss(row: Loss) -> Loss:
    """The row with the noise of the customary formula's intermediate terms."""

    def value(y: Noisy, t: Array) -> Noisy:
        return _noisy(row.value(y, t)).jitter(row.textbook_value(y, t))

    def gradient(y: Noisy, t: Array) -> Noisy:
        found = _noisy(row.gradient(y, t)).jitter(row.textbook_gradient(y, t))
        return found if row.other_gradient is None else found.in_turns(_noisy(row.other_gradient(y, t)))

    return changed(row, value=value, gradient=gradient)
