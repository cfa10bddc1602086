"""Powers, roots, exponentials, logarithms and other smooth functions, element by element.

No derivative is taken from the rounded y where a difference would cancel: expm1′ is eˣ and not y + 1, and a power's is
c·x^(c − 1), right at 0 and for negative numbers with whole exponents.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.constants import Constant
from ..arithmetic.dispatch import constant, exp_of_sum, magnitude
from ..functions.basics import zero
from ..functions.parameters import check_number
from ..functions.powers import exp_of_minus_square, power, power_less_one
from ..functions.recipe import recorded
from .by_element import by_element, scaled
from .probe import probe
from .row import Operation

_TABLE = "Abramowitz & Stegun 1972"
_POSITIVE = ((probe(3, low=0.3, high=2.5),),)
_REAL = ((probe(3),),)

TWO_OVER_SQRT_PI = Constant(
    "1.1283791670955125738961589031215451716881012586580", lambda make, pi: make(Fraction(2)) / np.sqrt(pi)
)


def of_one(
    name: str,
    formula: str,
    source: str,
    value: Callable[[Array], Array],
    product: Callable[[Array, Array, Array], Array],
    probes: tuple[tuple[Any, ...], ...] = _REAL,
    **rest: Any,
) -> Operation:
    """The row of a smooth function: (v, y, x) ↦ v·f′(x) is its product; see `by_element`."""
    return by_element(name, formula, source, ("input",), value, (product,), probes, **rest)


@recorded
def pow(exponent: float | None = None) -> Operation:
    """X^exponent for a number, or X^C for an array C of exponents as the second input.

    The derivative of x^c is c·x^(c − 1), and 0 for c = 0, at x = 0 too. With respect to c it is y·log x, 0 at x = 0 for
    c ≥ 0 (torch's), and there is none where x < 0.
    """
    if exponent is not None:
        check_number("pow", "exponent", exponent)
        return _power_of_number(exponent)

    def to_base(v: Array, y: Array, x: Array, c: Array) -> Array:
        return v * (c * power_less_one(np.where(c == 0, 1, x), c))

    def to_exponent(v: Array, y: Array, x: Array, c: Array) -> Array:
        nothing = (x == 0) & (c >= 0)
        return v * np.where(nothing, zero(y), y * np.log(np.where(nothing, 1, x)))

    return by_element(
        "pow",
        "x^c",
        f"{_TABLE}, 4.2.7",
        ("input", "exponent"),
        np.power,
        (to_base, to_exponent),
        (
            (probe(3, low=0.3, high=2.5), probe(1, start=6)),
            (probe(3, 3, low=0.3, high=2.5), probe(3, start=6)),
        ),
        parameters={"exponent": None},
        mistakes={
            "the logarithm left out of the exponent's gradient": (to_base, lambda v, y, x, c: v * y),
            "the exponent not reduced by 1": (lambda v, y, x, c: v * c * y, to_exponent),
        },
    )


def _power_of_number(c: float) -> Operation:
    def product(v: Array, y: Array, x: Array) -> Array:
        return v * 0 if c == 0 else v * (c * power(x, c, 1))

    return of_one(
        "pow",
        "x^c",
        f"{_TABLE}, 4.2.7",
        lambda x: power(x, c),
        product,
        _REAL if float(c).is_integer() else _POSITIVE,
        parameters={"exponent": c},
        mistakes={
            "the exponent not a factor": (lambda v, y, x: v * power(x, c, 1),),
            "the exponent not reduced by 1": (lambda v, y, x: v * (c * y),),
        } if c not in (0.0, 1.0) else {},
    )  # fmt: skip


@recorded
def exp() -> Operation:
    """Eˣ, its own derivative."""
    return of_one("exp", "e^x", f"{_TABLE}, 4.2.1", _exp, lambda v, y, x: v * y)


def _exp(x: Array) -> Array:
    return exp_of_sum(x)[0]


@recorded
def expm1() -> Operation:
    """Eˣ − 1. Its derivative is eˣ: y + 1 (torch's) has lost it where y is close to −1."""
    return of_one(
        "expm1",
        "e^x − 1",
        f"{_TABLE}, 4.2.1",
        np.expm1,
        lambda v, y, x: v * _exp(x),
        textbook_pullback=scaled(lambda y, x: (1 + magnitude(y),)),
        mistakes={"the derivative taken for y": (lambda v, y, x: v * y,)},
    )


@recorded
def log() -> Operation:
    """Log x."""
    return of_one("log", "log x", f"{_TABLE}, 4.1.1", np.log, lambda v, y, x: v / x, _POSITIVE)


@recorded
def log1p() -> Operation:
    """log(1 + x)."""
    return of_one(
        "log1p",
        "log(1 + x)",
        f"{_TABLE}, 4.1.24",
        np.log1p,
        lambda v, y, x: v / (1 + x),
        ((probe(3, low=-0.7),),),
        mistakes={"divided by x": (lambda v, y, x: v / x,)},
    )


@recorded
def sqrt() -> Operation:
    """√x."""
    return of_one(
        "sqrt",
        "√x",
        f"{_TABLE}, 3.3.4",
        np.sqrt,
        lambda v, y, x: v / (2 * y),
        _POSITIVE,
        mistakes={"the factor 1/2 left out": (lambda v, y, x: v / y,)},
    )


@recorded
def rsqrt() -> Operation:
    """1/√x. Its derivative is −y/(2x): the third power of y, which people take, is the same."""
    return of_one(
        "rsqrt",
        "1/√x",
        f"{_TABLE}, 3.3.4",
        lambda x: 1 / np.sqrt(x),
        lambda v, y, x: -(v * (y / x)) / 2,
        _POSITIVE,
        mistakes={
            "the sign": (lambda v, y, x: v * (y / x) / 2,),
            "the square of y for its third power": (lambda v, y, x: -(v * y * y) / 2,),
        },
    )


@recorded
def reciprocal() -> Operation:
    """1/x; −y² is taken as two products with y, so that v·y² does not overflow where it need not."""
    return of_one(
        "reciprocal",
        "1/x",
        f"{_TABLE}, 3.3.4",
        lambda x: 1 / x,
        lambda v, y, x: -((v * y) * y),
        _POSITIVE,
        mistakes={"the sign": (lambda v, y, x: (v * y) * y,)},
    )


@recorded
def sin() -> Operation:
    """Sin x."""
    return of_one(
        "sin",
        "sin x",
        f"{_TABLE}, 4.3.105",
        np.sin,
        lambda v, y, x: v * np.cos(x),
        mistakes={"the sign": (lambda v, y, x: -(v * np.cos(x)),)},
    )


@recorded
def cos() -> Operation:
    """Cos x."""
    return of_one(
        "cos",
        "cos x",
        f"{_TABLE}, 4.3.106",
        np.cos,
        lambda v, y, x: -(v * np.sin(x)),
        mistakes={"the sign": (lambda v, y, x: v * np.sin(x),)},
    )


def _of_scipy(name: str, x: Array) -> Array:
    from scipy import special  # noqa: PLC0415  (it loads for as long as all of this package)

    f = getattr(special, name)
    half = isinstance(x, np.ndarray) and x.dtype == np.float16  # of which SciPy has no function: it gives wider numbers
    y: Array = f(x, out=np.empty_like(x), casting="same_kind") if half else f(x)
    return y


@recorded
def erf() -> Operation:
    """2/√π ∫₀ˣ exp(−t²) dt; the customary derivative rounds x² before the exponential multiplies that error by it."""
    return of_one(
        "erf",
        "2/√π ∫₀^x e^(−t²) dt",
        f"{_TABLE}, 7.1.1",
        lambda x: _of_scipy("erf", x),
        lambda v, y, x: v * (constant(TWO_OVER_SQRT_PI, x) * exp_of_minus_square(x)),
        textbook_pullback=scaled(lambda y, x: (exp_of_minus_square(x) * (1 + x * x),)),
        mistakes={"the factor 2/√π left out": (lambda v, y, x: v * exp_of_minus_square(x),)},
    )


@recorded
def erfc() -> Operation:
    """1 − erf x, and not as that difference: for large x it is as small as exp(−x²)."""
    return of_one(
        "erfc",
        "2/√π ∫_x^∞ e^(−t²) dt",
        f"{_TABLE}, 7.1.2",
        lambda x: _of_scipy("erfc", x),
        lambda v, y, x: -(v * (constant(TWO_OVER_SQRT_PI, x) * exp_of_minus_square(x))),
        textbook_pullback=scaled(lambda y, x: (exp_of_minus_square(x) * (1 + x * x),)),
        mistakes={"the sign": (lambda v, y, x: v * (constant(TWO_OVER_SQRT_PI, x) * exp_of_minus_square(x)),)},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (
    pow, exp, expm1, log, log1p, sqrt, rsqrt, reciprocal, sin, cos, erf, erfc,
)  # fmt: skip
