"""The evidence: the gradients that were given, and how far from one of them another may be that is still the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np

import reference as ref
from reference.rounding.distance import FACTOR

from .named_factors import Named, constants

BY_NORM = 8.0
"""Correct gradients stay within 0.8 σ by root mean square; wrong ones may have a larger scale of their own. Ten times
that is the first sieve, and their own scale the second."""
FARTHEST = 2.0
"""An element may be so many times as far off as rounding takes it; the sum of the scale and the usual one is halved."""
PLAIN = 0.25
"""The share of that within which a gradient is plainly the one that was given, so that nothing else is tried: 2 σ."""
SMALLEST_SQUARE = 2.0**-900
"""Above it and below its inverse a sum of squares has lost nothing to under- or overflow that counts beside it."""
ROUGHEST = 0.4
"""The largest slack: less than the distance of a factor 2. In FP8, 8 σ are more than the gradient itself, and every
mistake would count as none at all."""


@dataclass(frozen=True)
class Evidence:
    """The gradients that were given, and how far they may stray.

    Attributes:
        problem: the problem, in float64.
        given: arrays by place, in float64.
        noise: place ↦ the usual rounding error of its elements, by norm and relative to the right gradient. A quarter
            of them may err far more, behind units near a kink.
        sigma: place ↦ half the sum of each element's rounding scale and the usual one, relative to the right
            gradient's norm: where all elements have one scale, it is that.
        unit: the unit roundoff of what it was computed in.
        table: the factors that have a name.
        bound: the largest magnitude among the parameters' gradients, if it occurs more than once; else 0.
        norm: of all parameters' gradients together.
    """

    problem: ref.Problem
    given: Mapping[str, Any]
    noise: Mapping[str, float]
    sigma: Mapping[str, Any]
    unit: float
    table: tuple[Named, ...] = field(default=())
    bound: float = 0.0
    norm: float = 0.0

    @cached_property
    def trace(self) -> ref.Trace:
        """Of the right forward pass."""
        return ref.forward(self.problem.mlp, self.problem.x)

    @classmethod
    def of(cls, problem: ref.Problem, given: Mapping[str, Any], expected: Any, scale: Any, unit: float) -> Evidence:
        """The evidence that given arrays are, from the right ones, their rounding scales and the unit roundoff."""
        noise, sigma = {}, {}
        for place in given:
            scales = np.asarray(scale[place], dtype=float) / (norm(expected[place]) or 1.0)
            scales = np.where(np.isfinite(scales), scales, np.inf)
            usual = np.sort(np.ravel(scales))[: -(-3 * scales.size // 4)]
            noise[place] = max(unit, norm(usual) * float(np.sqrt(scales.size / usual.size)))
            rough = min(1.0, ROUGHEST / BY_NORM / noise[place])
            sigma[place] = rough * (scales + noise[place] / np.sqrt(scales.size)) / 2
        arrays = {place: np.asarray(values, dtype=float) for place, values in given.items()}
        named = problem.network.named_parameters()
        parameters = [np.abs(np.ravel(v)) for k, v in arrays.items() if k in named]
        flat = np.concatenate(parameters) if parameters else np.zeros(0)
        largest = float(flat.max(initial=0.0))
        bound = largest if np.sum(flat == largest) > 1 else 0.0
        return cls(problem, arrays, noise, sigma, unit, constants(problem), bound, norm(flat))

    @cached_property
    def _sizes(self) -> dict[str, float]:
        """The norm of every leaf given."""
        return {place: norm(values) for place, values in self.given.items()}

    @cached_property
    def least_noise(self) -> float:
        """Of the parameters' gradients: what the norm over all of them is uncertain by, at the most."""
        return min([noise for place, noise in self.noise.items() if self.is_parameter(place)], default=0.0)

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(self.problem.network.named_parameters())

    def is_parameter(self, place: str) -> bool:
        """Whether a place is that of a parameter of the network, and not of an input or the loss."""
        return place in self._parameters

    def slack(self, place: str) -> float:
        """The relative distance, by norm, up to which a leaf counts as roughly the same."""
        return min(ROUGHEST, BY_NORM * self.noise[place])

    def off(self, place: str, made: Any, floor: float = 0.0) -> Any:
        """How far each element of a leaf that was made is from the one given, in rounding scales; ∞ of another shape.

        Args:
            place: which leaf.
            made: the leaf.
            floor: of the norm of its rounding errors, whatever that of the right one is.
        """
        off = self._off(place, made, floor)
        return np.where(np.isnan(off), np.inf, off)

    def _off(self, place: str, made: Any, floor: float) -> Any:
        """`off`, NaN for what is no number."""
        given = self.given[place]
        if np.shape(given) != np.shape(made):
            return np.array([np.inf])
        size = max(self._sizes[place], norm(made))
        if size == 0:
            return np.zeros(1)
        return np.abs(given - made) / (self.sigma[place] * size + floor / np.sqrt(np.size(given)))

    def away(self, place: str, made: Any, floor: float = 0.0) -> float:
        """How far a leaf that was made is from the one given, by root mean square; ∞ if one element is far off."""
        off = np.ravel(self._off(place, made, floor))
        return float(np.sqrt(off @ off / off.size)) if off.max() <= FARTHEST * FACTOR else np.inf

    def same(self, place: str, made: Any, floor: float = 0.0, share: float = 1.0) -> bool:
        """Whether a leaf that was made is roughly the one that was given; within a share of the slack."""
        return self.away(place, made, floor) <= BY_NORM * share

    def ratio(self, place: str, given: Any, made: Any) -> float:
        """The factor c that brings c·made nearest to what was given at a place, in rounding scales."""
        return ratio(given / self.sigma[place], made / self.sigma[place])

    def parameter(self, place: str) -> Any:
        """The weight or bias that a place is the gradient of."""
        return self.problem.leaves()[place]


def norm(values: Any) -> float:
    """The Euclidean norm of all elements; of huge ones too, whose squares overflow."""
    flat = np.ravel(np.asarray(values, dtype=float))
    with np.errstate(over="ignore", under="ignore"):
        square = float(flat @ flat)
    if SMALLEST_SQUARE < square < 1 / SMALLEST_SQUARE:
        return sqrt(square)
    flat = np.abs(flat)
    peak = float(flat.max(initial=0.0))
    if not 0 < peak < np.inf:
        return peak
    flat /= peak
    return float(np.sqrt(flat @ flat)) * peak


def distance(given: Any, made: Any) -> float:
    """‖given − made‖ relative to the larger of both norms."""
    if np.shape(given) != np.shape(made):
        return float("inf")
    size = max(norm(given), norm(made))
    away = norm(np.asarray(given) - made) / size if size > 0 else 0.0
    return away if np.isfinite(away) else float("inf")


def ratio(a: Any, b: Any) -> float:
    """The factor c that brings c·b nearest to a; not finite if there is none."""
    a, b = np.ravel(np.asarray(a, dtype=float)), np.ravel(np.asarray(b, dtype=float))
    peak = float(np.abs(b).max(initial=0.0))
    return float(a @ (b / peak) / ((b / peak) @ (b / peak)) / peak) if 0 < peak < np.inf else float("nan")
