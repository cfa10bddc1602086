"""Powers and exp(−z²), with the part of the exponent that a number of the type cannot hold."""

from __future__ import annotations

from typing import cast

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..arithmetic.dispatch import exp_of_sum, limited, parameter, two_product, two_sum
from ..arithmetic.variants import Variants
from .elementwise import elementwise

GONE = 32.0
"""exp(−32²) is 0 in every NumPy type up to float64."""


def power(z: Array, exponent: float, less: int = 0) -> Array:
    """z^(exponent − less), for an exponent that is the exact value of a float.

    z^(c + r) = z^c·(1 + r·log z) to first order: c is the number of z's type next to the exponent, r what it lost. A
    whole exponent has no r, and z may be negative.

    >>> power(np.array([2.0, -3.0]), 4.0, less=1)
    array([  8., -27.])
    """
    if isinstance(z, Variants):
        return z.each(lambda values: power(values, exponent, less))
    if not is_numpy(z):
        return np.power(z, parameter(np.asarray(exponent), z) - less)
    near, lost = (float(part) for part in two_sum(np.float64(exponent), np.float64(-less)))  # type: ignore[arg-type]
    high = parameter(np.asarray(near), z)
    low = (near - float(cast(NumPyArray, high))) + lost
    y = np.power(z, high)
    return y if low == 0 else y * (1 + low * np.log(np.where(z.real > 0, z, 1)))


def power_less_one(z: Array, exponent: Array) -> Array:
    """z^(exponent − 1), for an exponent that is an array."""
    if isinstance(z, Variants):
        return z.each(power_less_one, exponent)
    if isinstance(exponent, Variants):
        return exponent.each(lambda exponents, values: power_less_one(values, exponents), z)
    if not is_numpy(z) or not is_numpy(exponent):
        return np.power(z, exponent - 1)
    high, low = two_sum(exponent, -1.0)
    y = np.power(z, high)
    return np.where(low == 0, y, y * (1 + low * np.log(np.where(z.real > 0, z, 1))))


@elementwise()
def exp_of_minus_square(z: Array) -> Array:
    """exp(−z²): a rounded square would cost z² roundings.

    >>> exp_of_minus_square(np.array([0.0, 0.5, 40.0])).round(6)
    array([1.      , 0.778801, 0.      ])
    """
    near = limited(z, GONE)
    square, lost = two_product(near, near)
    e, rest = exp_of_sum(-square, -lost)
    return e + e * rest
