"""Random numbers for operations: of every scale, with zeros, equal elements and signed zeros among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

Shape = tuple[int, ...]
_CHANCE = 0.15
"""Of each special kind of numbers."""


def real(rng: Generator, size: Shape) -> Any:
    """Normal numbers, sometimes of another scale, rounded to halves (so that some are equal), or with zeros in them."""
    values = np.asarray(rng.normal(size=size))
    if rng.random() < _CHANCE:
        values = values * 10.0 ** rng.uniform(-3, 2)
    if rng.random() < _CHANCE:
        values = np.round(2 * values) / 2
    if rng.random() < _CHANCE:
        values = np.where(rng.random(size) < 0.3, rng.choice([0.0, -0.0]), values)
    return values


def positive(rng: Generator, size: Shape) -> Any:
    """Positive numbers between about 0.05 and 20, sometimes of another scale."""
    values = np.exp(rng.normal(size=size))
    return values * 10.0 ** rng.uniform(-3, 3) if rng.random() < _CHANCE else values


def away_from_zero(rng: Generator, size: Shape) -> Any:
    """Numbers of both signs that may be divided by."""
    return positive(rng, size) * rng.choice([-1.0, 1.0], size)


def masks(rng: Generator, size: Shape) -> Any:
    """Truth values; sometimes all of them alike."""
    share = float(rng.choice([0.0, 0.5, 0.5, 0.8, 1.0]))
    return np.asarray(rng.random(size) < share)
