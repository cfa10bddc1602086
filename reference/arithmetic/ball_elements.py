"""Functions of one element, guarded where python-flint's own would lose the enclosure or the answer.

An element is an `arb`, or an `fmpq` where an exact rational number is carried along.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import inf, nextafter
from typing import Any, TypeAlias, cast

import numpy as np
from flint import arb, fmpq, fmpq_mat
from scipy import special

Element: TypeAlias = "arb | fmpq"
"""One number of a `Ball`: a ball, or an exact rational number where those are carried along."""
Comparison = Callable[[Element, Element], bool]

FAR = 2.0**20
"""From here on erfcx comes from its asymptotic expansion: exp(a²) would leave even arb's range."""


def function(ufunc: np.ufunc, rational: bool) -> Callable[[Element], Element]:
    """The function of one element that a ufunc stands for."""
    f = cast("Callable[[Element], Element]", UNARY[ufunc])
    if not rational:
        return f
    if ufunc in (np.negative, np.positive, np.absolute):
        return f
    return lambda x: exactly(f(as_arb(x)))


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


UNARY: dict[np.ufunc, Callable[[arb], arb]] = {
    np.negative: operator.neg, np.positive: operator.pos, np.absolute: abs, np.exp: arb.exp, np.expm1: arb.expm1,
    np.log: _log, np.log1p: _log1p, np.tanh: arb.tanh, np.sqrt: arb.sqrt,
    special.erf: _erf, special.erfc: _erfc, special.erfcx: _erfcx,
}  # fmt: skip

COMPLEMENTS: dict[np.ufunc, tuple[Comparison, Comparison]] = {
    np.greater: (operator.gt, operator.le),
    np.greater_equal: (operator.ge, operator.lt),
    np.less: (operator.lt, operator.ge),
    np.less_equal: (operator.le, operator.gt),
    np.equal: (operator.eq, operator.ne),
    np.not_equal: (operator.ne, operator.eq),
}
"""For each comparison: what certainly holds, and what certainly contradicts it. Both may be False at once."""


def decided(
    ufunc: np.ufunc, left: Sequence[Element], right: Sequence[Element], ceilings: dict[int, arb]
) -> tuple[list[bool], list[bool]]:
    """Where a comparison certainly holds, and where it may; ceilings are what elements on the left are below."""
    holds, fails = COMPLEMENTS[ufunc]
    certain = list(map(holds, left, right))
    possible = [c or not fails(x, y) for c, x, y in zip(certain, left, right, strict=True)]
    for i, ceiling in ceilings.items() if ufunc is np.greater else ():
        possible[i] = certain[i] or not ceiling < right[i]
    return certain, possible


def reaching_down(ufunc: np.ufunc, x: arb) -> arb | None:
    """What the logarithm of a number in x is below, for x a ball that holds 0 (−1 for log1p); None if unknown."""
    top = x.upper() if ufunc is np.log else (x + 1).upper()
    return top.log() if top > 0 else None


TALLEST = 2**16
"""Rational numbers of more bits than this become balls: squares of squares double their length every time."""


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


def rational_product(
    product: list[Element], left: list[Element], right: list[Element], shape: tuple[int, ...]
) -> list[Element]:
    """The entries of a product of matrices, exact where the row and the column hold rational numbers only."""
    n, m = shape
    k = len(left) // n
    rows = [i for i in range(n) if all(isinstance(e, fmpq) for e in left[i * k : (i + 1) * k])]
    columns = [j for j in range(m) if all(isinstance(e, fmpq) for e in right[j::m])]
    entries = list(map(exactly, product))
    if rows and columns:
        a = fmpq_mat(len(rows), k, cast("list[fmpq]", [e for i in rows for e in left[i * k : (i + 1) * k]]))
        b = fmpq_mat(k, len(columns), cast("list[fmpq]", [right[r * m + j] for r in range(k) for j in columns]))
        for (i, j), e in zip(((i, j) for i in rows for j in columns), (a * b).entries(), strict=True):
            entries[i * m + j] = exactly(e)
    return entries


def quotient(x: Element, y: Element) -> Element:
    """x/y; a rational number has no NaN of its own."""
    return arb("nan") if isinstance(y, fmpq) and y == 0 else x / y


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


def is_nan(b: Element) -> bool:
    """Whether nothing is known of the element."""
    return isinstance(b, arb) and bool(b.is_nan())


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
