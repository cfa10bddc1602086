"""Activations made of smooth pieces that meet at a point or two."""

from __future__ import annotations

from math import inf, isfinite, nextafter
from sys import float_info

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.constants import SELU_SCALE, SELU_SCALE_ALPHA
from ..arithmetic.dispatch import (
    constant,
    exp_of_sum,
    finite,
    indicator,
    is_negative,
    limited,
    magnitude,
    two_product,
    two_sum,
)
from ..functions import logistic
from ..functions.basics import one, size, zero
from ..functions.elementwise import elementwise
from ..functions.parameters import check_finite
from ..functions.recipe import recorded
from .row import Activation, Kink


@recorded
def hardswish() -> Activation:
    """z·min(max(z + 3, 0), 6)/6; 0 at −3 and 1 at 3."""

    def derivative(z: Array) -> Array:
        inner = indicator((z > -3) & (z < 3), z)
        middle = np.minimum(np.maximum(z, -3), 3)
        return inner * ((2 * middle + 3) / 6) + indicator(z >= 3, z)

    return Activation(
        "hardswish",
        "z·min(max(z + 3, 0), 6)/6",
        "Howard et al. 2019, arXiv:1905.02244, §5.2",
        lambda z: np.maximum(z, -3) * (np.minimum(np.maximum(z + 3, 0), 6) / 6),
        derivative,
        lambda z: indicator((z > -3) & (z < 3), z) / 3,
        kinks=(Kink(-3.0, 0.0, 0.0, -0.5), Kink(3.0, 1.0, 1.5, 1.0)),
        shift=3.0,
        textbook_value=size,
        slope_formula="0 if z ≤ −3 else 1 if z ≥ 3 else (2z + 3)/6",
    )


def _exponential_left(z: Array) -> Array:
    return np.exp(np.minimum(z, 0))


def _left(z: Array, size: float) -> Array:
    """The size of e^z and of 1 in size·(e^z − 1), of which the customary formula for z ≤ 0 takes the difference."""
    return np.where(z > 0, zero(z), zero(z) + size)


@recorded
def elu(alpha: float = 1.0) -> Activation:
    """z if z > 0 else alpha·(e^z − 1); the left slope alpha at 0. Any finite alpha, negative ones too."""
    check_finite("elu", alpha=alpha)

    def derivative(z: Array) -> Array:
        right = is_negative(-z) if alpha == 1 else z > 0  # only with another α is there a kink between the two
        return np.where(right, one(z), alpha * _exponential_left(z))

    return Activation(
        "elu",
        "z if z > 0 else α(e^z − 1)",
        "Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289",
        lambda z: np.where(is_negative(z), alpha * np.expm1(np.minimum(z, 0)), z),
        derivative,
        lambda z: np.where(z > 0, zero(z), alpha * _exponential_left(z)),
        kinks=() if alpha == 1 else (Kink(0.0, alpha, alpha, 1.0),),
        breaks=(0.0,),
        textbook_value=lambda z: _left(z, abs(alpha)),
        textbook_derivative=lambda z: _left(z, abs(alpha)),
        parameters={"alpha": alpha},
        one_rounding=True,
        slope_formula="1 if z > 0 else α·e^z",
    )


@recorded
def celu(alpha: float = 1.0) -> Activation:
    """max(0, z) + min(0, alpha·(e^(z/alpha) − 1)). Raises ValueError if alpha is 0."""
    check_finite("celu", alpha=alpha)
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0")

    def exponent(z: Array) -> tuple[Array, Array]:
        """z/α as a sum of two numbers, for z of the sign where the exponential counts."""
        left = limited(np.minimum(z, 0), logistic.WIDEST * abs(alpha))
        if alpha == 1:
            return left, zero(left)
        q = left / alpha
        product, lost = two_product(q, zero(q) + alpha)
        return q, ((left - product) - lost) / alpha

    def value(z: Array) -> Array:
        q, q_low = exponent(z)
        return np.where(is_negative(z), alpha * np.expm1(q) * (1 + q_low) + alpha * q_low, z)

    def exponential(z: Array) -> Array:
        e, rest = exp_of_sum(*exponent(z))
        return e + e * rest

    return Activation(
        "celu",
        "max(0, z) + min(0, α(e^(z/α) − 1))",
        "Barron 2017, arXiv:1704.07483",
        value,
        lambda z: np.where(is_negative(-z), one(z), exponential(z)),
        lambda z: np.where(z > 0, zero(z), exponential(z) / alpha),
        breaks=(0.0,),
        textbook_value=lambda z: _left(z, abs(alpha)),
        parameters={"alpha": alpha},
        one_rounding=True,
        slope_formula="1 if z > 0 else e^(z/α)",
    )


@recorded
def selu() -> Activation:
    """λz if z > 0 else λα(e^z − 1), λ and α the decimals that torch states; the left slope λα at 0."""
    scale, scale_alpha = (float(c.exact) for c in (SELU_SCALE, SELU_SCALE_ALPHA))
    return Activation(
        "selu",
        "λz if z > 0 else λα(e^z − 1)",
        "Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515",
        lambda z: np.where(
            is_negative(z), constant(SELU_SCALE_ALPHA, z) * np.expm1(np.minimum(z, 0)), constant(SELU_SCALE, z) * z
        ),
        lambda z: np.where(
            z > 0, zero(z) + constant(SELU_SCALE, z), constant(SELU_SCALE_ALPHA, z) * _exponential_left(z)
        ),
        lambda z: np.where(z > 0, zero(z), constant(SELU_SCALE_ALPHA, z) * _exponential_left(z)),
        kinks=(Kink(0.0, scale_alpha, scale_alpha, scale),),
        textbook_value=lambda z: _left(z, scale_alpha),
        textbook_derivative=lambda z: _left(z, scale_alpha),
        one_rounding=True,
        slope_formula="λ if z > 0 else λα·e^z",
    )


def _last_at_most(threshold: float, beta: float) -> float:
    """The largest z whose product with beta, rounded, is at most the threshold.

    Where the product underflows there may be 2^62 such numbers above threshold/beta: too many to try in turn.

    >>> _last_at_most(20.0, 1.0), _last_at_most(0.0, 2.0**-74) == 2.0**-1001
    (20.0, True)
    >>> _last_at_most(20.0, 2.296875) == nextafter(20 / 2.296875, 0)
    True
    """
    low = threshold / beta
    while low * beta > threshold:  # the quotient was rounded up
        low = nextafter(low, -inf)
    above, step = nextafter(low, inf), nextafter(abs(low), inf) - abs(low)
    while above * beta <= threshold and above < float_info.max:
        low, above, step = above, min(low + step, float_info.max), 2 * step
    while nextafter(low, inf) < above:
        middle = low / 2 + above / 2
        middle = middle if low < middle < above else nextafter(low, inf)
        low, above = (middle, above) if middle * beta <= threshold else (low, middle)
    return low


@recorded
def softplus(beta: float = 1.0, threshold: float = 20.0) -> Activation:
    """log(1 + e^(beta·z))/beta, and z itself where beta·z > threshold, as torch defines it.

    threshold=math.inf gives the smooth function. Raises ValueError unless beta > 0.
    """
    check_finite("softplus", beta=beta)
    if beta <= 0 or np.isnan(threshold):
        raise ValueError(f"softplus: beta must be positive and threshold a number, got {beta!r} and {threshold!r}")

    def exponential(z: Array) -> Array:
        """exp(−|βz|)."""
        if beta == 1:
            return exp_of_sum(-magnitude(z))[0]
        x, low = two_product(limited(z, 2 * logistic.WIDEST / beta), zero(z) + beta)
        e, rest = exp_of_sum(-magnitude(x), np.where(is_negative(x), low, -low))
        return e + e * rest

    def parts(z: Array) -> tuple[Array, Array]:
        """Where βz > threshold, as the type of z rounds it; exp(−|βz|)."""
        widest = max(2 * logistic.WIDEST, 2 * threshold if isfinite(threshold) else 0)
        return limited(z, widest / beta) * beta > threshold, exponential(z)

    @elementwise(parts, widen=False)
    def value(z: Array, linear: Array, e: Array) -> Array:
        return np.where(linear, z, np.maximum(z, 0) + np.log1p(e) / beta)

    @elementwise(parts, widen=False)
    def derivative(z: Array, linear: Array, e: Array) -> Array:
        return np.where(linear, one(z), np.where(is_negative(z), e, 1) / (1 + e))

    @elementwise(parts, widen=False)
    def second(z: Array, linear: Array, e: Array) -> Array:
        return np.where(linear, zero(z), beta * e / (1 + e * (2 + e)))

    kinks: tuple[Kink, ...] = ()
    if threshold < 36 * 2:
        at = _last_at_most(threshold, beta)
        left = 1 / (1 + np.exp(-threshold))
        kinks = (Kink(at, float(left), float(left), 1.0, jump=-float(np.log1p(np.exp(-threshold)) / beta)),)
    return Activation(
        "softplus",
        "log(1 + e^(βz))/β, z where βz > threshold",
        "Dugas et al. 2001, Incorporating second-order functional knowledge; threshold: torch.nn.Softplus",
        value,
        derivative,
        second,
        kinks=kinks,
        textbook_value=one if beta == 1 else lambda z: 1 / beta + beta * magnitude(z) * value(z),  # log(1 + e^(βz))
        textbook_derivative=lambda z: 1 + np.where(beta * z > threshold, 0, logistic.lost_in_logarithm(beta * z)),
        parameters={"beta": beta, "threshold": threshold},
        one_rounding=True,
        slope_formula="σ(βz), 1 where βz > threshold",
    )


@recorded
def softsign() -> Activation:
    """z/(1 + |z|)."""

    def derivative(z: Array) -> Array:
        d = 1 + magnitude(z)
        return 1 / d / d

    def second(z: Array) -> Array:
        d, lost = two_sum(magnitude(finite(z)), 1)
        q = -2 * np.sign(z) / d / d / d
        return q - q * (3 * lost / d)

    return Activation(
        "softsign",
        "z/(1 + |z|)",
        "Bergstra, Desjardins, Lamblin & Bengio 2009, Quadratic polynomials learn better image features",
        lambda z: finite(z) / (1 + magnitude(finite(z))),
        derivative,
        second,
        breaks=(0.0,),
        textbook_derivative=lambda z: 2 / (1 + magnitude(z)),
        slope_formula="1/(1 + |z|)²",
    )
