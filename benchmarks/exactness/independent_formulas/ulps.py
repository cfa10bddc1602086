"""How far a float is from the true value, in units of its last place: rigorous, in balls of 2,600 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, ctx

BITS = 2600

ULPS = 4
"""The goal for every elementary function: 4 units in the last place of the formula's largest term."""

Terms = Callable[[Any], tuple[Any, ...]]
"""A ball z ↦ the terms whose sum is the value."""


def exactly(number: Any) -> arb:
    """The ball of radius 0 at a float, or the ball of a fraction."""
    if isinstance(number, Fraction):
        return arb(number.numerator) / number.denominator
    return arb(float(number))


def unit_in_last_place(size: arb, dtype: type[Any]) -> arb:
    """The spacing of the type's numbers at `size`, that of its subnormals at the least."""
    info = np.finfo(dtype)
    mantissa, exponent = (int(part) for part in abs(size).mid().man_exp())
    leading = exponent + mantissa.bit_length() - 1 if mantissa else info.minexp
    return arb((1, max(leading, int(info.minexp)) - info.nmant))


def error_in_ulps(got: Any, terms: Sequence[Any], dtype: type[Any]) -> float:
    """|got − Σ terms| in units of the last place of the largest term; rigorous from above.

    A sum that rounds beyond the type's largest number asks for an infinity of its sign.
    """
    with ctx.workprec(BITS):
        exact = sum(terms, arb(0))
        info = np.finfo(dtype)
        if abs(exact) >= arb(float(info.max)) + unit_in_last_place(arb(float(info.max)), dtype) / 2:
            return 0.0 if np.isinf(got) and (got > 0) == bool(exact > 0) else float("inf")
        if not np.isfinite(got):
            return float("inf")
        largest = max((abs(t) for t in terms), key=lambda t: float(t.mid().log()) if not t.is_zero() else -np.inf)
        return float((abs(exactly(got) - exact) / unit_in_last_place(largest, dtype)).abs_upper())
