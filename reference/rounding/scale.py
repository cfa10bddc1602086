"""The rounding scale: how far a correct implementation's gradient strays, measured and not chosen.

The calculus runs on `Noisy`, whose every operation makes a random rounding error of the size that the format
makes: the spread of the runs is the error that any correct implementation of that precision makes, element
by element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.formats import FORMATS, Format, get_format
from ..arithmetic.noise_source import NoiseSource
from ..arithmetic.noisy import Noisy
from ..network import passes
from ..network.gradients import Gradients
from ..network.in_arithmetic import in_noise, spread_of
from ..network.problem import Problem, gradients
from .distance import FACTOR

__all__ = [
    "FORMATS", "RUNS", "SCREEN_RUNS", "Format", "Noisy", "Rounding", "get_format", "in_noise", "rounding_errors",
    "rounding_scale", "spread_of",
]  # fmt: skip

LARGEST = 2**24
"""Numbers in an array of all runs (128 MB): a larger problem is run in several parts."""
RUNS = 32
"""Noisy runs: the root mean square over 32 is within 40% of σ in 99.9% of elements (χ² with 32 degrees)."""
SCREEN_RUNS = 8
"""Enough to leave out what is far off: σ from 8 runs is within a factor of 2 of σ in all but one element in 10,000 from
above, and of 4 from below (χ² with 8 degrees)."""


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
    return Gradients.from_leaves(rounding_errors(problem, dtype, textbook=textbook, runs=runs, seed=seed).sigma)


@dataclass(frozen=True)
class Rounding:
    """The rounding errors of a correct implementation, as noisy runs make them.

    Attributes:
        sigma: their root mean square over the runs, by place: the rounding scale.
        errors: the errors of each run in units of σ, (runs, …) float32, by place; 0 where σ is 0.
    """

    sigma: Mapping[str, NumPyArray]
    errors: Mapping[str, NumPyArray]

    def wider(self, other: Rounding) -> Rounding:
        """For every element the larger errors of the two."""
        sigma, errors = {}, {}
        for place, one in self.sigma.items():
            two = other.sigma[place]
            sigma[place] = np.maximum(one, two)
            errors[place] = np.where(two > one, other.errors[place], self.errors[place])
        return Rounding(sigma, errors)

    def stored(self, place: str, exact: ArrayLike, fmt: Format) -> Rounding:
        """With the error of storing a leaf of these exact numbers in a coarser format; 0 is stored as it is."""
        exact = np.asarray(exact, dtype=float)
        size = np.where(exact == 0, 0.0, fmt.rounding(exact))
        sigma = np.hypot(self.sigma[place], size)
        return self._rounded(place, exact, np.where(size > 0, fmt.ulp(exact), 0.0), np.sqrt(3) * size, sigma)

    def printed(self, place: str, exact: ArrayLike, half: NumPyArray) -> Rounding:
        """With the error of printing such a leaf, half a unit of the last digit at most: one as large just agrees."""
        return self._rounded(place, np.asarray(exact, dtype=float), 2 * half, half, self.sigma[place] + half / FACTOR)

    def _rounded(
        self, place: str, exact: NumPyArray, unit: NumPyArray, bound: NumPyArray, sigma: NumPyArray
    ) -> Rounding:
        """With another σ at a place, and every run's numbers rounded to a multiple of a unit besides.

        Equal numbers are rounded alike, and nearly equal ones nearly so: their errors add up like n, not √n. So half of
        the runs round to nearest; the others err by up to the bound, each number for itself, for some programs do.
        """
        errors = self.errors[place] * np.where(self.sigma[place] > 0, self.sigma[place], 0.0)
        fresh = np.random.default_rng([len(errors), *place.encode()]).uniform(-1, 1, errors.shape)
        with np.errstate(all="ignore"):
            nearest = np.round((exact + errors[::2]) / unit) * unit - exact
        errors += fresh * bound
        errors[::2] = np.where((unit > 0) & np.isfinite(nearest), nearest, errors[::2])
        in_units = (errors / np.where(sigma > 0, sigma, 1.0)).astype(np.float32)
        return Rounding({**self.sigma, place: sigma}, {**self.errors, place: in_units})


def rounding_errors(
    problem: Problem,
    dtype: DTypeLike | Format | None = None,
    *,
    textbook: bool = False,
    runs: int = RUNS,
    seed: int = 0,
) -> Rounding:
    """The rounding errors of noisy runs and their σ, by place. Arguments and errors as for `rounding_scale`."""
    if runs < 2:
        raise ValueError(f"runs: expected at least 2, got {runs}")
    fmt, rng = get_format(problem.dtype if dtype is None else dtype), np.random.default_rng(seed)
    part = max(2, LARGEST // passes.largest(problem.network, problem.x) - 1)
    sizes = [len(piece) for piece in np.array_split(np.arange(runs), -(-runs // part))]
    parts = [_of_part(problem, NoiseSource(fmt, size, rng), textbook) for size in sizes]
    return parts[0] if len(parts) == 1 else _together(parts, np.sqrt(np.array(sizes) / runs))


def _of_part(problem: Problem, source: NoiseSource, textbook: bool) -> Rounding:
    """The errors of as many runs as the source makes."""
    with np.errstate(all="ignore"):
        one = problem.as_one(source.format.unit_roundoff, 4 / source.format.largest)  # that: the smallest normal number
        noisy = gradients(in_noise(one, source, textbook)).leaves()
        sigma = {place: spread_of(leaf) for place, leaf in noisy.items()}
        errors = {place: _in_units(leaf, sigma[place], source.runs) for place, leaf in noisy.items()}
    return Rounding(sigma, errors)


def _in_units(leaf: Array, sigma: NumPyArray, runs: int) -> NumPyArray:
    """The runs' distances from the noise-free one, in units of σ; 0 where σ is 0 or no number."""
    found = np.zeros((runs, *np.shape(sigma)), dtype=np.float32)
    if isinstance(leaf, Noisy) and len(leaf.data) > 1:
        judged = (sigma > 0) & np.isfinite(sigma)
        deviation = np.where(judged, leaf.data[1:] - leaf.data[0], 0.0)
        np.divide(deviation, np.where(judged, sigma, 1.0), out=found, casting="same_kind")
        np.nan_to_num(found, copy=False)
    return found


def _together(parts: list[Rounding], weights: NumPyArray) -> Rounding:
    """All runs of several parts, whose numbers of runs have these square roots relative to that of all."""
    sigma, errors = {}, {}
    for place in parts[0].sigma:
        total = parts[0].sigma[place] * weights[0]
        for other, weight in zip(parts[1:], weights[1:], strict=True):
            total = np.hypot(total, other.sigma[place] * weight)
        scale = np.where(total > 0, total, 1.0)
        scaled = [p.errors[place] * (p.sigma[place] / scale).astype(np.float32) for p in parts]
        sigma[place], errors[place] = total, np.concatenate(scaled)
    return Rounding(sigma, errors)
