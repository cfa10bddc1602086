"""The rounding scale: how far a correct implementation's gradient strays, measured and not chosen.

The calculus runs on `Noisy`, whose every operation makes a random rounding error of the size that the format
makes: the spread of the runs is the error that any correct implementation of that precision makes, element
by element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..activations.row import Activation, Loss
from ..arithmetic.dispatch import Array
from ..arithmetic.formats import FORMATS, Format, get_format
from ..arithmetic.noisy import Noisy, Source
from ..network.mlp import Gradients, Layer
from ..network.problem import Problem, gradients
from ..network.unchecked import changed, unchecked

__all__ = ["FORMATS", "RUNS", "Format", "Noisy", "get_format", "in_noise", "rounding_scale", "spread_of"]

LARGEST = 2**24
"""Numbers in an array of all runs (128 MB): a larger problem is run in several parts."""
RUNS = 32
"""Noisy runs: the root mean square over 32 is within 40% of σ in 99.9% of elements (χ² with 32 degrees)."""

TANH_TAIL = {"tanh": 8.0, "mish": 8.0, "gelu_tanh": 4.0}
"""Rows whose customary derivative takes 1 − tanh², and the |z| from which the tanh is that of 8 and more."""
TANH_ULPS = 6.0
"""The error of a float64 tanh there, as that of a uniform one within so many ulps; in 1 − tanh² it counts twice. XLA's
(JAX 0.10) errs by up to 6.9 ulps, 3.4 by root mean square, and not evenly to both sides, so that the errors of examples
add up; NumPy's and torch's stay within 0.9. A test of this room measures them. In float32 none exceeds 4.3 ulps, 1.1
by root mean square, and nearer to 0 none does in either: that is within the factor of the usual ulp."""


def rounding_scale(
    problem: Problem, dtype: Any = None, *, textbook: bool = False, runs: int = RUNS, seed: int = 0
) -> Gradients:
    """σ of every gradient: the size of the rounding errors of a correct implementation.

    Args:
        problem: the problem, of any floating type. Numbers that the format holds are exact, others are rounded.
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
    fmt, rng = get_format(problem.dtype if dtype is None else dtype), np.random.default_rng(seed)
    part = max(2, LARGEST // _largest_array(problem) - 1)
    sizes = [len(piece) for piece in np.array_split(np.arange(runs), -(-runs // part))]
    parts = [_spread(problem, Source(fmt, size, rng), textbook) for size in sizes]
    weights = np.sqrt(np.array(sizes) / runs)

    def together(*sigmas: Array) -> Array:
        total = sigmas[0] * weights[0]
        for sigma, weight in zip(sigmas[1:], weights[1:], strict=True):
            total = np.hypot(total, sigma * weight)
        return total

    return parts[0] if len(parts) == 1 else parts[0].map(together, *parts[1:])


def _largest_array(problem: Problem) -> int:
    examples = problem.x.shape[0]
    return int(max(max(layer.weight.size, examples * max(layer.weight.shape)) for layer in problem.mlp.layers))


def _spread(problem: Problem, source: Source, textbook: bool) -> Gradients:
    """σ from as many runs as the source makes."""
    with np.errstate(all="ignore"):
        return gradients(in_noise(problem, source, textbook)).map(spread_of)


def in_noise(problem: Problem, source: Source, textbook: bool = False) -> Problem:
    """The problem in noisy arithmetic, on which any function of the calculus shows how far rounding takes it.

    Args:
        problem: the problem, of any floating type.
        source: what draws the errors.
        textbook: allow for the customary formulas, as in `rounding_scale`.
    """
    noisy = problem.map(lambda values: Noisy.held(values, source))
    if textbook:
        noisy = _textbook(noisy)
    return noisy.replace(target=noisy.target.astype(float)) if noisy.target.dtype.kind == "f" else noisy


def spread_of(leaf: Array) -> Array:
    """σ of what a noisy computation gave: 0 where no operation rounded."""
    return leaf.spread() if isinstance(leaf, Noisy) else np.zeros(np.shape(leaf))


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
        size = row.textbook_derivative(z)
        if row.name in TANH_TAIL and z.source.format.bits == FORMATS["float64"].bits:
            size = np.where(z.magnitude() > TANH_TAIL[row.name], 2 * TANH_ULPS * size, size)
        return row.derivative(z).jitter(size, _reach(z))

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
