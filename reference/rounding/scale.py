"""The rounding scale: how far a correct implementation's gradient strays, measured and not chosen.

The calculus runs on `Noisy`, whose every operation makes a random rounding error of the size that the format
makes: the spread of the runs is the error that any correct implementation of that precision makes, element
by element.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..arithmetic.array import Array
from ..arithmetic.formats import FORMATS, Format, get_format
from ..arithmetic.noise_source import NoiseSource
from ..arithmetic.noisy import Noisy
from ..network.gradients import Gradients
from ..network.in_arithmetic import in_noise, spread_of
from ..network.problem import Problem, gradients

__all__ = ["FORMATS", "RUNS", "Format", "Noisy", "get_format", "in_noise", "rounding_scale", "spread_of"]

LARGEST = 2**24
"""Numbers in an array of all runs (128 MB): a larger problem is run in several parts."""
RUNS = 32
"""Noisy runs: the root mean square over 32 is within 40% of σ in 99.9% of elements (χ² with 32 degrees)."""


def rounding_scale(
    problem: Problem,
    dtype: DTypeLike | Format | None = None,
    *,
    textbook: bool = False,
    runs: int = RUNS,
    seed: int = 0,
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
    parts = [_spread(problem, NoiseSource(fmt, size, rng), textbook) for size in sizes]
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


def _spread(problem: Problem, source: NoiseSource, textbook: bool) -> Gradients:
    """σ from as many runs as the source makes."""
    with np.errstate(all="ignore"):
        one = problem.as_one(source.format.unit_roundoff)
        return gradients(in_noise(one, source, textbook)).map(spread_of)
