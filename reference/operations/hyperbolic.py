"""Trigonometric and hyperbolic functions and their inverses, element by element.

No derivative squares a number that over- or underflows, and none takes a difference of a square from 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.constants import Constant
from ..arithmetic.dispatch import constant, magnitude
from ..functions.basics import zero
from ..functions.recipe import recorded
from .by_element import PAIR, by_element
from .choices import sign_of
from .functions_of_one import of_one
from .probe import probe
from .row import Operation

_TABLE = "Abramowitz & Stegun 1972"
_WITHIN = ((probe(3, low=-0.9, high=0.9),),)
_BEYOND = ((probe(3, low=1.1, high=3.0),),)
PI = Constant("3.1415926535897932384626433832795028841971693993751", lambda make, pi: pi)


@recorded
def tan() -> Operation:
    """Tan x; its derivative is 1 + y²."""
    return of_one(
        "tan",
        "tan x",
        f"{_TABLE}, 4.3.107",
        np.tan,
        lambda v, y, x: v * (1 + y * y),
        mistakes={"1 − y² for 1 + y²": (lambda v, y, x: v * (1 - y * y),)},
    )


@recorded
def sinh() -> Operation:
    """Sinh x."""
    return of_one("sinh", "sinh x", f"{_TABLE}, 4.5.71", np.sinh, lambda v, y, x: v * np.cosh(x))


@recorded
def cosh() -> Operation:
    """Cosh x."""
    return of_one(
        "cosh",
        "cosh x",
        f"{_TABLE}, 4.5.72",
        np.cosh,
        lambda v, y, x: v * np.sinh(x),
        mistakes={"the sign": (lambda v, y, x: -(v * np.sinh(x)),)},
    )


def _root_of_product(x: Array) -> Array:
    """√(1 − x²) as √((1 − x)(1 + x)): both factors keep what x has lost from ±1."""
    return np.sqrt((1 - x) * (1 + x))


@recorded
def asin() -> Operation:
    """Arcsin x."""
    return of_one(
        "asin",
        "arcsin x",
        f"{_TABLE}, 4.4.52",
        np.arcsin,
        lambda v, y, x: v / _root_of_product(x),
        _WITHIN,
        textbook_pullback=lambda inputs, y, d: (_one_less_square(inputs[0], d, 1.5),),
        mistakes={"the root left out": (lambda v, y, x: v / ((1 - x) * (1 + x)),)},
    )


@recorded
def acos() -> Operation:
    """Arccos x."""
    return of_one(
        "acos",
        "arccos x",
        f"{_TABLE}, 4.4.53",
        np.arccos,
        lambda v, y, x: -(v / _root_of_product(x)),
        _WITHIN,
        textbook_pullback=lambda inputs, y, d: (_one_less_square(inputs[0], d, 1.5),),
        mistakes={"the sign": (lambda v, y, x: v / _root_of_product(x),)},
    )


def _one_less_square(x: Array, d: Array, power: float) -> Array:
    """|d|/(1 − x²)^power, 0 for what is no number: what a rounded x² makes of (1 − x²)^(1 − power)."""
    gap = (1 - x) * (1 + x)
    return np.where(gap > 0, magnitude(d) / np.power(np.where(gap > 0, gap, 1), power), zero(d))


def _over_one_plus_square(v: Array, x: Array) -> Array:
    """v/(1 + x²), as (v/x)/(x + 1/x) beyond 1, where x² would overflow."""
    far = magnitude(x) > 1
    outside, inside = np.where(far, x, 1), np.where(far, 0, x)
    return np.where(far, (v / outside) / (outside + 1 / outside), v / (1 + inside * inside))


@recorded
def atan() -> Operation:
    """Arctan x."""
    return of_one(
        "atan",
        "arctan x",
        f"{_TABLE}, 4.4.54",
        np.arctan,
        lambda v, y, x: _over_one_plus_square(v, x),
        mistakes={"1 − x² for 1 + x²": (lambda v, y, x: v / (1 - x * x),)},
    )


@recorded
def asinh() -> Operation:
    """Arsinh x; beyond 1 the derivative 1/√(1 + x²) is 1/(|x|√(1 + 1/x²))."""

    def product(v: Array, y: Array, x: Array) -> Array:
        return v / one_and(x)

    return of_one(
        "asinh",
        "arsinh x",
        f"{_TABLE}, 4.6.37",
        np.arcsinh,
        product,
        mistakes={"the root left out": (lambda v, y, x: v / (1 + x * x),)},
    )


def one_and(x: Array) -> Array:
    """√(1 + x²) without a square that overflows."""
    far = magnitude(x) > 1
    outside, inside = np.where(far, x, 1), np.where(far, 0, x)
    ratio = 1 / outside
    return np.where(far, magnitude(outside) * np.sqrt(1 + ratio * ratio), np.sqrt(1 + inside * inside))


@recorded
def acosh() -> Operation:
    """Arcosh x; its derivative 1/√(x² − 1) is 1/(√(x − 1)√(x + 1))."""
    return of_one(
        "acosh",
        "arcosh x",
        f"{_TABLE}, 4.6.38",
        np.arccosh,
        lambda v, y, x: v / (np.sqrt(x - 1) * np.sqrt(x + 1)),
        _BEYOND,
        textbook_pullback=lambda inputs, y, d: (_square_less_one(inputs[0], d),),
        mistakes={"the root left out": (lambda v, y, x: v / ((x - 1) * (x + 1)),)},
    )


def _square_less_one(x: Array, d: Array) -> Array:
    """|d|·x²/(x² − 1)^(3/2): what a rounded x² makes of 1/√(x² − 1)."""
    gap = np.where(x > 1, (x - 1) / x * ((x + 1) / x), 1)
    return np.where(x > 1, magnitude(d) / (x * gap * np.sqrt(gap)), zero(d))


@recorded
def atanh() -> Operation:
    """Artanh x."""
    return of_one(
        "atanh",
        "artanh x",
        f"{_TABLE}, 4.6.39",
        np.arctanh,
        lambda v, y, x: v / ((1 - x) * (1 + x)),
        _WITHIN,
        textbook_pullback=lambda inputs, y, d: (_one_less_square(inputs[0], d, 2.0),),
        mistakes={"1 + x² for 1 − x²": (lambda v, y, x: v / (1 + x * x),)},
    )


# ── of two ───────────────────────────────────────────────────────────────────────────────────────────


def length(a: Array, b: Array) -> Array:
    """√(a² + b²), the larger one times √(1 + t²), t the smaller one over it."""
    top, low = np.maximum(magnitude(a), magnitude(b)), np.minimum(magnitude(a), magnitude(b))
    t = low / np.where(top == 0, 1, top)
    return top * np.sqrt(1 + t * t)


@recorded
def hypot() -> Operation:
    """√(a² + b²); NaN is its gradient at 0, as torch's."""
    return by_element(
        "hypot",
        "√(a² + b²)",
        "Hull, Fairgrieve & Tang 1994, ACM TOMS 20",
        ("input", "other"),
        length,
        (lambda v, y, a, b: v * (a / y), lambda v, y, a, b: v * (b / y)),
        PAIR,
        mistakes={"the division by the length left out": (lambda v, y, a, b: v * a, lambda v, y, a, b: v * b)},
    )


@recorded
def atan2() -> Operation:
    """The angle of (b, a): arctan(a/b), and of the other half plane; its gradients are b/(a² + b²) and −a/(a² + b²)."""

    def to_first(v: Array, y: Array, a: Array, b: Array) -> Array:
        r = length(a, b)
        return v * ((b / r) / r)

    def to_second(v: Array, y: Array, a: Array, b: Array) -> Array:
        r = length(a, b)
        return -(v * ((a / r) / r))

    return by_element(
        "atan2",
        "the angle of (b, a)",
        f"{_TABLE}, 4.4.54",
        ("input", "other"),
        _angle,
        (to_first, to_second),
        PAIR,
        mistakes={
            "the sign of other's gradient": (to_first, lambda v, y, a, b: -to_second(v, y, a, b)),
            "the two inputs exchanged": (to_second, to_first),
        },
    )


def _angle(a: Array, b: Array) -> Array:
    """arctan(a/b) where |a| ≤ |b|, ±π beside it where b is negative; ±π/2 − arctan(b/a) elsewhere."""
    steep, pi = magnitude(a) > magnitude(b), constant(PI, a)
    up, flat = np.where(steep, a, 1), np.where(steep | (b == 0), 1, b)
    half_turn = np.where(b < 0, np.where(a < 0, -pi, pi), zero(a))
    across = np.arctan(np.where(steep, 0, a) / flat) + half_turn
    return np.where(steep, sign_of(up) * pi / 2 - np.arctan(np.where(steep, b, 0) / up), across)


MAKERS: tuple[Callable[..., Operation], ...] = (
    tan, sinh, cosh, asin, acos, atan, asinh, acosh, atanh, hypot, atan2,
)  # fmt: skip
