"""Functions of one `arb`, guarded where python-flint's own would lose the enclosure or the answer."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb
from scipy import special

FAR = 2.0**20
"""From here on erfcx comes from its asymptotic expansion: exp(a²) would leave even arb's range."""


def _erf(x: Any) -> Any:
    """Erf; flint gives NaN at ±∞."""
    return x.erf() if x.is_finite() else x.sgn() if x.is_exact() and not x.is_nan() else arb(0, 1)


def _erfc(x: Any) -> Any:
    return x.erfc() if x.is_finite() else 1 - _erf(x)


def _erfcx(x: Any) -> Any:
    """exp(x²)·erfc(x); for large x U(½, ½, x²)/√π (DLMF 7.11.5)."""
    if not x.is_finite():
        return arb(0) if x > 0 else arb("nan")
    square = x * x
    if x > FAR:
        half = arb(0.5)
        return square.hypgeom_u(half, half) / arb.pi().sqrt()
    return square.exp() * x.erfc()


def _log(x: Any) -> Any:
    """The logarithm; flint gives NaN at exactly 0."""
    return arb("-inf") if x.is_zero() else x.log()


def _log1p(x: Any) -> Any:
    return arb("-inf") if x == -1 else x.log1p()


UNARY: dict[Any, Callable[[Any], Any]] = {
    np.negative: operator.neg, np.positive: operator.pos, np.absolute: abs, np.exp: arb.exp, np.expm1: arb.expm1,
    np.log: _log, np.log1p: _log1p, np.tanh: arb.tanh, np.sqrt: arb.sqrt,
    special.erf: _erf, special.erfc: _erfc, special.erfcx: _erfcx,
}  # fmt: skip

COMPLEMENTS: dict[Any, tuple[Callable[[Any, Any], bool], Callable[[Any, Any], bool]]] = {
    np.greater: (operator.gt, operator.le),
    np.greater_equal: (operator.ge, operator.lt),
    np.less: (operator.lt, operator.ge),
    np.less_equal: (operator.le, operator.gt),
    np.equal: (operator.eq, operator.ne),
    np.not_equal: (operator.ne, operator.eq),
}
"""For each comparison: what certainly holds, and what certainly contradicts it. Both may be False at once."""


def reaching_down(ufunc: Any, x: Any) -> Any:
    """What the logarithm of a number in x is below, for x a ball that holds 0 (−1 for log1p); None if unknown."""
    top = x.upper() if ufunc is np.log else (x + 1).upper()
    return top.log() if top > 0 else None


_SPECIAL_NUMBERS = {"nan": "nan", "inf": "inf", "-inf": "-inf"}


def stored(b: Any) -> tuple[Any, ...]:
    """An `arb` as integers: mantissa and exponent of midpoint and radius."""
    if b.is_nan():
        return ("nan",)
    if not b.is_finite():
        return ("nan",) if not b.is_exact() else ("inf",) if b > 0 else ("-inf",)
    return tuple(int(part) for end in (b.mid(), b.rad()) for part in end.man_exp())


def restored(parts: tuple[Any, ...]) -> Any:
    """The `arb` of `stored`."""
    if len(parts) == 1:
        return arb(parts[0])
    mantissa, exponent, radius, scale = parts
    middle = arb((mantissa, exponent))
    return middle if radius == 0 else arb(middle, arb((radius, scale)))
