"""The trial of an explanation: whether it gives the numbers at hand to within the rounding of the wrong gradients.

That rounding is measured in noisy arithmetic, with as many runs and for as many explanations as a count of numbers
allows, which depends on nothing but the problem's size: the same input has the same trial on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.arithmetic.noise_source import NoiseSource
from reference.network.in_arithmetic import in_noise, spread_of
from reference.rounding.distance import FACTOR, in_scales

from ..mistakes.mistake import Leaves, Mistake, habits, leaves_with
from .evidence import Evidence

RUNS = 16
FEWEST_RUNS = 4
NUMBERS = 8e6
"""Gradients and numbers on the way to them in the noisy runs of all trials together: two seconds or so."""
CONFIRMED = 8
"""So many of the explanations that fit best are tried, of a large network fewer."""
FEWEST_CONFIRMED = 2
BITS = {1: 18.0, 2: 24.0, 3: 30.0}
"""An explanation of so many mistakes has to predict so many bits of how the gradients differ from the right ones: of
2^8 mistakes, or 2^14 pairs, that are tried one would meet one in a thousand random gradients by chance. Each constant
that was fitted takes one number, the one that tells most."""
PARTICULAR = 4.0
"""So many bits less suffice for a mistake that is one of 2^4, those peculiar to the problem's activations and loss."""
CLOSEST = 4.0
"""σ within which rounding lies as a rule: a closer fit tells no more."""
SHARE = 4.0
"""An explanation leaves a fourth of the error at the most, or it explains little."""


@dataclass(frozen=True)
class Trial:
    """A trial of explanations of gradients that are wrong.

    Attributes:
        evidence: what was given.
        expected: the right gradients by place.
        scale: their rounding scale.
        fmt: the format that the gradients were computed in.
        seed: of the noise.
        stored: the format of every leaf that is stored in a coarser one, by place.
    """

    evidence: Evidence
    expected: Mapping[str, Any]
    scale: Mapping[str, Any]
    fmt: Format
    seed: int
    stored: Mapping[str, Format] = field(default_factory=dict)

    @property
    def _size(self) -> int:
        """The numbers in one run."""
        layers, n = self.evidence.problem.mlp.layers, self.evidence.problem.x.shape[0]
        return sum(layer.weight.size + n * sum(layer.weight.shape) for layer in layers)

    @property
    def most(self) -> int:
        """How many explanations are tried."""
        return int(np.clip(NUMBERS // (RUNS * self._size), FEWEST_CONFIRMED, CONFIRMED))

    @property
    def _runs(self) -> int:
        """How many noisy runs there are."""
        return int(np.clip(NUMBERS // (self.most * self._size), FEWEST_RUNS, RUNS))

    @cached_property
    def worst(self) -> float:
        """How far what was given is from the right gradients, in their rounding scales."""
        given = self.evidence.given
        return max(_farthest(leaf, self.expected[k], self.scale[k], self.fmt) for k, leaf in given.items())

    @cached_property
    def _noisy(self) -> tuple[ref.Problem, ref.Trace]:
        """The problem in noisy arithmetic, and its forward pass, which all explanations share that do not change it."""
        source = NoiseSource(self.fmt, self._runs, np.random.default_rng(self.seed))
        noisy = in_noise(self.evidence.problem, source, textbook=True)
        return noisy, ref.forward(noisy.mlp, noisy.x)

    def away(self, mistakes: tuple[Mistake, ...]) -> float:
        """The largest distance from what the mistakes make, in their own rounding scales; ∞ if they explain little."""
        made, allowed = self._made(mistakes)
        given = {place: self.evidence.given[place] for place in made}
        worst = max((_farthest(given[k], made[k], allowed[k], self.fmt) for k in made), default=np.inf)
        if worst > min(FACTOR, self.worst / SHARE):
            return float("inf")
        least = {place: np.maximum(sigma, np.finfo(float).tiny) for place, sigma in allowed.items()}
        told = [np.ravel(np.abs(given[place] - self.expected[place]) / least[place]) for place in made]
        enough = tell_enough(np.concatenate(told) / max(worst, CLOSEST), mistakes, self.fmt)
        return worst if enough else float("inf")

    def _made(self, mistakes: tuple[Mistake, ...]) -> tuple[Leaves, Leaves]:
        """The gradients that the mistakes make, of those that were given, and the rounding scale of each."""
        noisy, exact = leaves_with(mistakes, *self._noisy), leaves_with(mistakes, self.evidence.problem)
        made = {place: exact[place] for place in self.evidence.given if place in exact and place != "loss"}
        uncertainty = max(m.uncertainty for m in mistakes)
        allowed = {
            place: np.maximum(pooled(spread_of(noisy[place]), self._runs), uncertainty * np.abs(leaf))
            for place, leaf in made.items()
        }
        return made, with_storing(allowed, made, self.stored)


def tell_enough(told: Any, mistakes: tuple[Mistake, ...], fmt: Format) -> bool:
    """Whether mistakes predict enough of how the gradients differ from the right ones (see `BITS`).

    Args:
        told: the difference of each element, in units of what the mistakes leave of it.
        mistakes: the explanation.
        fmt: the format that the gradients were computed in.
    """
    bits = np.sort(np.log2(np.clip(told, 1.0, 2.0**fmt.bits)))
    fitted = len({m.habit for m in mistakes if m.uncertainty > 0})
    less = PARTICULAR if all(m.particular for m in mistakes) else 0.0
    return bool(np.sum(bits[: bits.size - fitted]) >= BITS[habits(mistakes)] - less)


def with_storing(scale: Mapping[str, Any], made: Leaves, stored: Mapping[str, Format]) -> Leaves:
    """The rounding scale of each leaf with that of storing it in a coarser format, where it is stored so.

    Storing rounds the numbers that a mistake makes, which may be far larger than the right ones.
    """
    return {
        place: np.hypot(sigma, stored[place].rounding(made[place])) if place in stored else sigma
        for place, sigma in scale.items()
    }


def pooled(sigma: Any, runs: int) -> Any:
    """σ of each element from few runs, pooled with what its row and its column let expect; of many runs as it is.

    The variances of a weight's gradient are nearly a product of one for the unit and one for the input, as the gradient
    of an example is: as many degrees of freedom as the runs lack are taken from that product.

    >>> pooled(np.array([[1.0, 2.0], [2.0, 4.0]]), 4).tolist(), pooled(np.array([0.0, 2.0]), 16).tolist()
    ([[1.0, 2.0], [2.0, 4.0]], [0.0, 2.0])
    """
    if runs >= RUNS or np.size(sigma) < 2:
        return sigma
    variance = np.square(sigma)
    mean = float(np.mean(variance))
    if mean == 0 or not np.isfinite(mean):
        return sigma
    expected = mean
    if np.ndim(variance) == 2:
        expected = variance.mean(axis=1, keepdims=True) * variance.mean(axis=0, keepdims=True) / mean
    return np.sqrt((runs * variance + (RUNS - runs) * expected) / RUNS)


def _farthest(given: Any, expected: Any, scale: Any, fmt: Format) -> float:
    """The largest distance of an element, in rounding scales; 0 if there is no element."""
    ratio = in_scales(given, expected, scale, fmt)
    ratio = np.where(np.isnan(ratio), np.where(np.isfinite(expected), 0.0, np.inf), ratio)
    return float(np.max(ratio, initial=0.0))
