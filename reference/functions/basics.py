"""Small functions that rows of several kinds are made of."""

from __future__ import annotations

from math import isfinite

import numpy as np

from ..arithmetic.dispatch import Array, is_numpy, magnitude


def zero(z: Array) -> Array:
    """0, of the shape and arithmetic of z."""
    return np.zeros_like(z) if is_numpy(z) else z * 0


def nothing(z: Array) -> Array:
    """No intermediate term exceeds the result."""
    return 0.0


def one(z: Array) -> Array:
    """1, of the shape and arithmetic of z."""
    return np.ones_like(z) if is_numpy(z) else z * 0 + 1


def size(z: Array) -> Array:
    """|z|."""
    return magnitude(z)


def one_plus_size(z: Array) -> Array:
    """1 + |z|."""
    return 1 + magnitude(z)


def check_finite(row: str, **parameters: float) -> None:
    """Raise ValueError naming the first parameter that is not a finite number."""
    for name, value in parameters.items():
        if not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"{row}: {name} must be a finite number, got {value!r}")
