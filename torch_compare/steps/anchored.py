"""Parameters in noisy arithmetic whose own roundings are counted instead of drawn.

A step ends in θ − Δ, and Δ is often far below an ulp of θ. The rounding of that difference is no random error: where
every correct implementation rounds to nearest, it is at most half an ulp, and says nothing of Δ. So it is counted here,
and the noise that remains is that of Δ. θ is held in long double for it: on float64's own grid θ − Δ would lose it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.arithmetic.array import NumPyArray
from reference.arithmetic.noise_model import rounded
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy


class Anchored(Noisy):
    """A `Noisy` that may be moved and shrunk without noise; whatever else is made of it is a plain `Noisy`.

    Attributes:
        stored: how often an implementation rounds it to where it is stored: once a sum and once a product.
        scalars: how often a factor of it, 1 − ηλ, is rounded before.

    >>> from reference.arithmetic.formats import get_format
    >>> source = NoiseSource(get_format("bfloat16"), 4, np.random.default_rng(0))
    >>> moved = Anchored(np.array([[1.0]]), source) * 0.99 - 0.001
    >>> moved.data, moved.stored, moved.scalars
    (array([[0.989]]), 2, 1)
    """

    __slots__ = ("scalars", "stored")

    def __init__(self, data: NumPyArray, source: NoiseSource, stored: int = 0, scalars: int = 0) -> None:
        super().__init__(data, source)
        self.stored, self.scalars = stored, scalars

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        first, *others = inputs
        kept = isinstance(first, Anchored) and not any(isinstance(x, Anchored) for x in others)
        if kept and ufunc in (np.add, np.subtract, np.multiply):
            other = others[0].data if isinstance(others[0], Noisy) else np.asarray(others[0])[None]
            shrunk = self.scalars + (ufunc is np.multiply)
            return Anchored(ufunc(self.data, other), self.source, self.stored + 1, shrunk)
        return super().__array_ufunc__(ufunc, method, *map(_with_own_noise, inputs), **kwargs)


def _with_own_noise(x: Any) -> Any:
    """What goes on as a number among others carries the error of its roundings so far."""
    if not isinstance(x, Anchored):
        return x
    data = x.data.astype(np.float64)
    return Noisy(rounded(x.source, data, data != 0) if x.stored else data, x.source)
