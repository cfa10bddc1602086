"""Functions of one element, guarded where python-flint's own would lose the enclosure or the answer.

An element is an `arb`, or an `fmpq` where an exact rational number is carried along.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from math import inf, nextafter
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import numpy as np
from flint import arb, fmpq

Element: TypeAlias = "arb | fmpq"
"""One number of a `Ball`: a ball, or an exact rational number where those are carried along."""
Comparison = Callable[[Element, Element], bool]

FAR = 2.0**20
"""From here on erfcx comes from its asymptotic expansion: exp(a²) would leave even arb's range."""
TALLEST = 2**16
"""Rational numbers of more bits than this become balls: squares of squares double their length every time."""
LARGEST_POWER = 64
"""Whole exponents up to this are taken as products, exactly where the factors are."""


def _erf(x: arb) -> arb:
    """Erf; flint gives NaN at ±∞."""
    return x.erf() if x.is_finite() else x.sgn() if x.is_exact() and not x.is_nan() else arb(0, 1)


def _erfc(x: arb) -> arb:
    return x.erfc() if x.is_finite() else 1 - _erf(x)


def _erfcx(x: arb) -> arb:
    """exp(x²)·erfc(x); for large x U(½, ½, x²)/√π (DLMF 7.11.5)."""
    if not x.is_finite():
        return arb(0) if x > 0 else arb("nan")
    square = x * x
    if x > FAR:
        half = arb(0.5)
        return square.hypgeom_u(half, half) / arb.pi().sqrt()
    return square.exp() * x.erfc()


def _log(x: arb) -> arb:
    """The logarithm; flint gives NaN at exactly 0."""
    return arb("-inf") if x.is_zero() else x.log()


def _log1p(x: arb) -> arb:
    return arb("-inf") if x == -1 else x.log1p()


def _trunc(x: arb) -> arb:
    """The whole number towards 0; of a ball around 0 both neighbours of it and 0."""
    if x >= 0:
        return x.floor()
    return x.ceil() if x <= 0 else x.floor().union(x.ceil())


def _rint(x: arb) -> arb:
    """The nearest whole number, an even one of two."""
    above = (x + arb(0.5)).floor()
    tie = above - x == arb(0.5)
    return above - 1 if tie and not (above / 2).is_integer() else above


UNARY: Mapping[np.ufunc, Callable[[arb], arb]] = MappingProxyType({
    np.negative: operator.neg, np.positive: operator.pos, np.absolute: abs, np.exp: arb.exp, np.expm1: arb.expm1,
    np.log: _log, np.log1p: _log1p, np.tanh: arb.tanh, np.sqrt: arb.sqrt,
    np.sin: arb.sin, np.cos: arb.cos, np.tan: arb.tan, np.sinh: arb.sinh, np.cosh: arb.cosh, np.arcsin: arb.asin,
    np.arccos: arb.acos, np.arctan: arb.atan, np.arcsinh: arb.asinh, np.arccosh: arb.acosh, np.arctanh: arb.atanh,
    np.exp2: lambda x: arb(2) ** x, np.log2: lambda x: _log(x) / arb(2).log(),
    np.log10: lambda x: _log(x) / arb(10).log(), np.floor: arb.floor, np.ceil: arb.ceil, np.trunc: _trunc,
    np.rint: _rint,
})  # fmt: skip
OF_SCIPY: Mapping[str, Callable[[arb], arb]] = MappingProxyType({"erf": _erf, "erfc": _erfc, "erfcx": _erfcx})
"""Functions whose ufuncs are SciPy's, by name: it is loaded by what calls them."""


def unary(ufunc: np.ufunc) -> Callable[[arb], arb] | None:
    """What a ufunc of one argument is in balls; None if there is none."""
    return UNARY.get(ufunc) or OF_SCIPY.get(ufunc.__name__)


def function(ufunc: np.ufunc, rational: bool) -> Callable[[Element], Element]:
    """The function of one element that a ufunc stands for."""
    f = cast("Callable[[Element], Element]", unary(ufunc))
    if not rational:
        return f
    if ufunc in (np.negative, np.positive, np.absolute):
        return f
    return lambda x: exactly(f(as_arb(x)))


def as_arb(b: Element | float) -> arb:
    """The element as an `arb`."""
    return b if isinstance(b, arb) else arb(b)


def exactly(b: Element) -> Element:
    """The element as a rational number if it is one for certain."""
    if isinstance(b, fmpq):
        return b if b.height_bits() <= TALLEST else arb(b)
    if not b.is_exact() or not b.is_finite():
        return b
    mantissa, exponent = b.man_exp()
    if abs(exponent) > TALLEST:
        return b
    return fmpq(mantissa << int(exponent)) if exponent >= 0 else fmpq(mantissa, 1 << int(-exponent))


def quotient(x: Element, y: Element) -> Element:
    """x/y; a rational number has no NaN of its own."""
    return arb("nan") if isinstance(y, fmpq) and y == 0 else x / y


def power(x: Element, y: Element) -> Element:
    """x^y; x⁰ is 1, and a whole exponent is taken as repeated multiplication.

    flint takes exp(y·log x) where the midpoint of x is 0 or infinite, which is NaN.
    """
    exponent = exactly(y)
    if not isinstance(exponent, fmpq) or exponent.q != 1 or abs(exponent.p) > LARGEST_POWER:
        return as_arb(x) ** as_arb(y)
    n = int(exponent.p)
    if n < 0:
        return quotient(fmpq(1), power(x, fmpq(-n)))
    if isinstance(x, fmpq) or (x.is_finite() and x.mid() != 0):
        return x**n
    base: Any = abs(x) if n % 2 == 0 else x
    return base * power(abs(x), fmpq(n - 1)) if n > 1 else base if n else arb(1)


def larger(x: Element, y: Element) -> Element:
    """The maximum: comparing and taking one would drop the part of the other that lies above."""
    return x if x >= y else y if y >= x else as_arb(x).max(as_arb(y))


def smaller(x: Element, y: Element) -> Element:
    """The minimum."""
    return x if x <= y else y if y <= x else as_arb(x).min(as_arb(y))


def outward(b: Element) -> tuple[float, float]:
    """The float64 ends of one element, rounded outward."""
    ball = as_arb(b)
    if ball.is_nan():
        return -inf, inf
    return -_float_above(-(ball.lower())), _float_above(ball.upper())


def _float_above(exact: arb) -> float:
    """The smallest float64 that is not below an exact number: `float` alone rounds to nearest."""
    near = float(exact)
    return near if not arb(near) < exact else nextafter(near, inf)


def stored(b: Element) -> tuple[Any, ...]:
    """An element as integers: mantissa and exponent of midpoint and radius, or numerator and denominator."""
    if isinstance(b, fmpq):
        return int(b.p), int(b.q)
    if b.is_nan():
        return ("nan",)
    if not b.is_finite():
        return ("nan",) if not b.is_exact() else ("inf",) if b > 0 else ("-inf",)
    return tuple(int(part) for end in (b.mid(), b.rad()) for part in end.man_exp())


def restored(parts: tuple[Any, ...]) -> Element:
    """The element of `stored`."""
    if len(parts) == 1:
        return arb(parts[0])
    if len(parts) == 2:
        return fmpq(*parts)
    mantissa, exponent, radius, scale = parts
    return arb((mantissa, exponent), (radius, scale))


BINARY: Mapping[np.ufunc, Callable[[Any, Any], Any]] = MappingProxyType({
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.true_divide: operator.truediv,
    np.maximum: larger, np.minimum: smaller, np.power: power,
})  # fmt: skip
