"""Small functions that several activations and losses are made of, in the arithmetic of their argument."""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array, Term, is_numpy
from ..arithmetic.dispatch import magnitude
from ..arithmetic.symbol import Symbol
from ..arithmetic.variants import Variants


def zero(z: Array) -> Array:
    """0, of the shape and arithmetic of z."""
    return np.zeros_like(z) if _holds_infinities(z) else z * 0


def nothing(z: Array) -> Term:
    """0: the size of an intermediate term where none exceeds the result."""
    return 0.0


def one(z: Array) -> Array:
    """1, of the shape and arithmetic of z."""
    return np.ones_like(z) if _holds_infinities(z) else z * 0 + 1


def _holds_infinities(z: Array) -> bool:
    """Whether 0·z may be NaN, as of NumPy's numbers."""
    return is_numpy(z) or isinstance(z, Variants | Symbol)


def size(z: Array) -> Array:
    """|z|."""
    return magnitude(z)


def one_plus_size(z: Array) -> Array:
    """1 + |z|."""
    return 1 + magnitude(z)
