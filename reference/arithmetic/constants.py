"""Irrational and decimal constants, exact in every arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Constant:
    """An irrational (or decimal) constant: its digits, and its formula for exact arithmetics.

    Attributes:
        digits: at least 50 significant decimal digits.
        formula: makes the constant from `make`, which turns an int or a `Fraction` into an element of an
            arithmetic, and from that arithmetic's π.
    """

    digits: str
    formula: Callable[[Callable[[Any], Any], Any], Any]
    _parts: dict[np.dtype[Any], tuple[Any, Any]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def exact(self) -> Fraction:
        """The stated digits as a fraction."""
        return Fraction(self.digits)

    def in_dtype(self, dtype: np.dtype[Any]) -> tuple[Any, Any]:
        """The constant as an unevaluated sum of two numbers of one NumPy type, high and low.

        >>> high, low = SQRT_HALF.in_dtype(np.dtype(np.float32))
        >>> high.dtype, bool(abs(low) <= np.spacing(high) / 2)
        (dtype('float32'), True)
        """
        if dtype not in self._parts:
            real = dtype.type(0).real.dtype.type
            high = _nearest(self.exact, real)
            low = _nearest(self.exact - Fraction(*high.as_integer_ratio()), real)
            self._parts[dtype] = (high, low)
        return self._parts[dtype]


def _nearest(value: Fraction, real: type[Any]) -> Any:
    """The number of NumPy type `real` nearest to `value` (no double rounding below float64)."""
    if np.finfo(real).nmant > 52:
        high = real(float(value))
        return high + real(float(value - Fraction(float(value))))
    guess = real(float(value))
    candidates = (np.nextafter(guess, real(-np.inf)), guess, np.nextafter(guess, real(np.inf)))
    return min(candidates, key=lambda c: abs(Fraction(*c.as_integer_ratio()) - value))


SQRT_HALF = Constant(
    "0.70710678118654752440084436210484903928483593768847", lambda make, pi: np.sqrt(make(Fraction(1, 2)))
)
SQRT_HALF_PI = Constant("1.2533141373155002512078826424055226265034933703050", lambda make, pi: np.sqrt(pi / 2))
SQRT_8_OVER_PI = Constant("1.5957691216057307117597842397375274739034345246597", lambda make, pi: np.sqrt(8 / pi))
GELU_CUBIC = Constant(
    "0.071354816272600248776338752279863540995592074770160",
    lambda make, pi: np.sqrt(8 / pi) * make(Fraction("0.044715")),
)
SELU_SCALE = Constant(
    "1.0507009873554804934193349852946", lambda make, pi: make(Fraction("1.0507009873554804934193349852946"))
)
SELU_SCALE_ALPHA = Constant(
    "1.7580993408473768599402175208123193420602458089122",
    lambda make, pi: make(
        Fraction("1.0507009873554804934193349852946") * Fraction("1.6732632423543772848170429916717")
    ),
)
HALF_LOG_2PI = Constant("0.91893853320467274178032973640561763986139747363778", lambda make, pi: np.log(2 * pi) / 2)
LOG_SCALE = Constant("31.88477030575748423319267758707612213147300618057174", lambda make, pi: 46 * np.log(make(2)))
LOG_SCALED_DENSITY = Constant(
    "30.96583177255281149141234785067050449161160870693396", lambda make, pi: np.log(make(2**46) / np.sqrt(2 * pi))
)
"""46 log 2, and the logarithm of 2⁴⁶ times the normal density at 0: the tops from which `functions.logistic.exp_below`
comes down."""
