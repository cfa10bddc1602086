"""The rounding scale: how far a correct implementation's gradient strays, measured and not chosen.

The calculus runs on `Noisy`, whose every operation makes a random rounding error of the size that the format
makes: the spread of the runs is the error that any correct implementation of that precision makes, element
by element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import Array
from .formats import FORMATS, Format, get_format
from .mlp import Gradients, Layer
from .noisy import Noisy, Source
from .problem import Problem, gradients
from .records import changed, unchecked
from .rows import Activation, Loss

__all__ = ["FORMATS", "RUNS", "Format", "Noisy", "get_format", "rounding_scale"]

RUNS = 32
"""Noisy runs: the root mean square over 32 is within 40% of σ in 99.9% of elements (χ² with 32 degrees)."""


def rounding_scale(
    problem: Problem, dtype: Any = None, *, textbook: bool = False, runs: int = RUNS, seed: int = 0
) -> Gradients:
    """σ of every gradient: the size of the rounding errors of a correct implementation.

    Args:
        problem: the problem, of any floating type; its numbers are taken as exact.
        dtype: the format that the implementation computes in; the problem's own if not given.
        textbook: allow besides for the customary formulas, whose intermediate terms are larger than their
            results (1 − y² for tanh′, softmax − t, …): each row states its own.
        runs: how many noisy runs to take the root mean square of.
        seed: of the noise.

    Returns:
        A tree like the gradients, every leaf the σ of each element; `.loss` is that of the loss.

    Raises:
        ValueError: the format is unknown, or there are fewer than 2 runs.

    >>> from reference import initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> bool(np.all(rounding_scale(problem).layers[0].weight < 1e-15))
    True
    """
    if runs < 2:
        raise ValueError(f"runs: expected at least 2, got {runs}")
    source = Source(get_format(problem.dtype if dtype is None else dtype), runs, np.random.default_rng(seed))
    noisy = problem.map(lambda values: Noisy.exact(values, source))
    if textbook:
        noisy = _textbook(noisy)
    if noisy.target.dtype.kind == "f":
        noisy = noisy.replace(target=noisy.target.astype(float))
    with np.errstate(all="ignore"):
        return gradients(noisy).map(lambda leaf: leaf.spread() if isinstance(leaf, Noisy) else np.zeros(np.shape(leaf)))


def _textbook(problem: Problem) -> Problem:
    layers = tuple(
        unchecked(Layer, weight=layer.weight, bias=layer.bias, activation=_textbook_activation(layer.activation))
        for layer in problem.mlp.layers
    )
    return problem.replace(mlp=unchecked(type(problem.mlp), layers=layers), loss=_textbook_loss(problem.loss))


def _textbook_activation(row: Activation) -> Activation:
    """The row with the noise of the customary formula's intermediate terms."""

    def value(z: Noisy) -> Noisy:
        return row.value(z).jitter(row.textbook_value(z), _reach(z))

    def derivative(z: Noisy) -> Noisy:
        assert row.derivative is not None
        return row.derivative(z).jitter(row.textbook_derivative(z), _reach(z))

    def vjp(z: Noisy, d_y: Noisy) -> Noisy:
        assert row.vjp is not None
        largest = Noisy(np.abs(d_y.data).max(axis=2, keepdims=True), d_y.source)
        return row.vjp(z, d_y).jitter(row.textbook_derivative(z) * largest, _reach(z) * _reach(d_y))

    changes = {"value": value} | ({"vjp": vjp} if row.rowwise else {"derivative": derivative})
    return changed(row, **changes)


def _reach(z: Noisy) -> Array:
    """The largest magnitude in z, at least 1."""
    return np.maximum(1.0, np.abs(z.data[0]).max())


def _textbook_loss(row: Loss) -> Loss:
    """The row with the noise of the customary formula's intermediate terms."""

    def value(y: Noisy, t: Array) -> Noisy:
        return row.value(y, t).jitter(row.textbook_value(y, t))

    def gradient(y: Noisy, t: Array) -> Noisy:
        return row.gradient(y, t).jitter(row.textbook_gradient(y, t))

    return changed(row, value=value, gradient=gradient)
