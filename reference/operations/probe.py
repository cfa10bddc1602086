"""Numbers that rows are checked with when they are made: the same every time, and quickly made."""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import NumPyArray

_GOLDEN = (5**0.5 - 1) / 2


def probe(*shape: int, low: float = -1.5, high: float = 1.5, start: int = 0) -> NumPyArray:
    """An array of numbers between low and high, no two alike: the multiples of the golden ratio, mod 1 (Weyl).

    Args:
        shape: of the array.
        low: bound.
        high: bound.
        start: number of the first one, so that two arrays differ.

    >>> probe(2, 2).round(3)
    array([[ 0.354, -0.792],
           [ 1.062, -0.084]])
    """
    size = int(np.prod(shape))
    fractions = (_GOLDEN * np.arange(start + 1, start + size + 1)) % 1
    return (low + (high - low) * fractions).reshape(shape)
