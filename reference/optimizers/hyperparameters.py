"""Checks of hyperparameters: every error names the optimiser, the hyperparameter and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

FINITE = float(np.finfo(float).max)
"""The largest finite number: the bound of what must be finite."""
BELOW_ONE = 1 - 2.0**-53
"""The largest number below 1: the bound of what must be less than 1."""


def numbers(*values: Any) -> tuple[Any, ...]:
    """NumPy's scalars as Python's own numbers, which leave the type of an array that meets them alone.

    >>> import numpy as np
    >>> numbers(np.float64(0.5), 3)
    (0.5, 3)
    """
    return tuple(v.item() if isinstance(v, np.generic) else v for v in values)


def require(name: str, **ranges: tuple[Any, float, float]) -> None:
    """Check hyperparameters: each is (value, lowest, highest), the bounds included.

    A bound of `FINITE` asks for any finite number on that side; what may be infinite has an infinite bound.

    Raises:
        TypeError: one is no number.
        ValueError: one lies outside; the message names it and the range.

    >>> require("sgd", lr=(np.inf, 0.0, FINITE))
    Traceback (most recent call last):
    ...
    ValueError: sgd: lr must be a finite number of at least 0.0, got inf
    """
    for key, (value, low, high) in ranges.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{name}: {key} must be a number, got {value!r}")
        if not low <= value <= high:
            if FINITE in (-low, high):
                least = "" if low == -FINITE else f" of at least {low}"
                raise ValueError(f"{name}: {key} must be a finite number{least}, got {value}")
            raise ValueError(f"{name}: {key} must lie between {low} and {high}, got {value}")


def require_pair(name: str, key: str, pair: Any, low: float, high: float) -> tuple[Any, Any]:
    """The two numbers of a hyperparameter such as betas, each checked to lie between low and high.

    Raises:
        TypeError: it is no pair of numbers.
        ValueError: one of them lies outside.

    >>> require_pair("adam", "betas", (0.9, 2.0), 0.0, BELOW_ONE)
    Traceback (most recent call last):
    ...
    ValueError: adam: betas[1] must lie between 0.0 and 0.9999999999999999, got 2.0
    """
    if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str) or len(pair) != 2:
        raise TypeError(f"{name}: {key} must be a pair of numbers, got {pair!r}")
    first, second = numbers(*pair)
    require(name, **{f"{key}[0]": (first, low, high), f"{key}[1]": (second, low, high)})
    return first, second
