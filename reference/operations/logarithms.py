"""Powers of two, logarithms to other bases, and logarithms of sums and of odds, element by element."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.constants import Constant
from ..arithmetic.dispatch import constant, indicator, magnitude, parameter
from ..functions.logistic import sigmoid
from ..functions.parameters import check_number
from ..functions.recipe import recorded
from .by_element import PAIR, by_element
from .functions_of_one import of_one
from .probe import probe
from .row import Operation

_POSITIVE = ((probe(3, low=0.3, high=2.5),),)
_BETWEEN = ((probe(3, low=0.1, high=0.9),),)

LOG_2 = Constant("0.69314718055994530941723212145817656807550013436026", lambda make, pi: np.log(make(Fraction(2))))
LOG_10 = Constant("2.3025850929940456840179914546843642076011014886288", lambda make, pi: np.log(make(Fraction(10))))


@recorded
def exp2() -> Operation:
    """2ˣ."""
    return of_one(
        "exp2",
        "2^x",
        "Abramowitz & Stegun 1972, 4.2.15",
        np.exp2,
        lambda v, y, x: v * (y * constant(LOG_2, x)),
        mistakes={"the factor log 2 left out": (lambda v, y, x: v * y,)},
    )


def _logarithm(name: str, base: Constant, value: Callable[[Array], Array]) -> Operation:
    return of_one(
        name,
        f"log_{name.removeprefix('log')} x",
        "Abramowitz & Stegun 1972, 4.1.18",
        value,
        lambda v, y, x: v / x / constant(base, x),
        _POSITIVE,
        mistakes={"the logarithm of the base left out": (lambda v, y, x: v / x,)},
    )


@recorded
def log2() -> Operation:
    """The logarithm to base 2."""
    return _logarithm("log2", LOG_2, np.log2)


@recorded
def log10() -> Operation:
    """The logarithm to base 10."""
    return _logarithm("log10", LOG_10, np.log10)


@recorded
def logaddexp() -> Operation:
    """log(eᵃ + eᵇ): the larger one plus log(1 + e^−|a − b|); the gradients are σ(a − b) and σ(b − a)."""
    return by_element(
        "logaddexp",
        "log(e^a + e^b)",
        "Blanchard, Higham & Higham 2021, Accurately computing the log-sum-exp and softmax functions",
        ("input", "other"),
        lambda a, b: np.maximum(a, b) + np.log1p(np.exp(-magnitude(a - b))),
        (lambda v, y, a, b: v * sigmoid(a - b), lambda v, y, a, b: v * sigmoid(b - a)),
        PAIR,
        textbook_value=lambda inputs, y: 1 + magnitude(y),
        mistakes={
            "the gradients exchanged": (lambda v, y, a, b: v * sigmoid(b - a), lambda v, y, a, b: v * sigmoid(a - b))
        },
    )


@recorded
def logit(eps: float | None = None) -> Operation:
    """log(x/(1 − x)) of x brought into [eps, 1 − eps] if eps is given; beyond these bounds the gradient is 0.

    Beside ½ it is log(1 + (2x − 1)/(1 − x)), whose numerator is exact.
    """
    if eps is not None:
        check_number("logit", "eps", eps, 0.0)
        if not eps <= 0.5:
            raise ValueError(f"logit: eps must be at most 0.5, got {eps!r}")

    def within(x: Array) -> Array:
        if eps is None:
            return x
        low = parameter(np.asarray(eps), x)
        return np.minimum(np.maximum(x, low), 1 - low)

    def inside(x: Array) -> Array:
        if eps is None:
            return indicator(x == x, x)  # noqa: PLR0124  all of them
        low = parameter(np.asarray(eps), x)
        return indicator((x >= low) & (x <= 1 - low), x)

    def value(x: Array) -> Array:
        x = within(x)
        middle = magnitude(x - 0.5) < 0.25
        near, far = np.where(middle, x, 0.5), np.where(middle, 0.25, x)
        return np.where(middle, np.log1p((2 * near - 1) / (1 - near)), np.log(far) - np.log1p(-far))

    def product(v: Array, y: Array, x: Array) -> Array:
        bounded = within(x)
        return v * inside(x) / (bounded * (1 - bounded))

    return of_one(
        "logit",
        "log(x/(1 − x))",
        "Berkson 1944, Application of the logistic function to bio-assay",
        value,
        product,
        _BETWEEN,
        switches=lambda x: () if eps is None else (x - eps, x - (1 - eps)),
        textbook_value=lambda inputs, y: 1 + magnitude(y),
        parameters={"eps": eps},
        mistakes={"the factor 1 − x left out": (lambda v, y, x: v / x,)},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (exp2, log2, log10, logaddexp, logit)
