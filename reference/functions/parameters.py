"""Checks of the numbers that activations and losses are made with."""

from __future__ import annotations

from math import isfinite

import numpy as np


def check_finite(row: str, **parameters: float) -> None:
    """Raise ValueError naming the first parameter that is not a finite number."""
    for name, value in parameters.items():
        if not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"{row}: {name} must be a finite number, got {value!r}")


def check_number(row: str, name: str, value: object, least: float = -np.inf, strict: bool = False) -> None:
    """Raise ValueError unless the value is a finite number in range."""
    if not isinstance(value, int | float) or not isfinite(value) or value < least or (strict and value == least):
        limit = "" if least == -np.inf else f" {'above' if strict else 'of at least'} {least}"
        raise ValueError(f"{row}: {name} must be a finite number{limit}, got {value!r}")
