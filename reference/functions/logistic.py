"""The logistic function, the hyperbolic tangent, their derivatives, and the exponential that they and gates use.

Why they are written as they are: see the README of this room.
"""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array, Term
from ..arithmetic.constants import LOG_SCALE, Constant
from ..arithmetic.dispatch import constant_parts, exp_of_sum, has_room, is_negative, limited, magnitude, two_sum
from ..arithmetic.wide import SAME
from .elementwise import Parts, elementwise

WIDEST = 1024.0
"""exp(−1024) is 0 in every NumPy type up to float64; beyond it |z| changes no exponential."""


# ── the exponential ──────────────────────────────────────────────────────────────────────────────────


def scaled_exp(a: Array, error: Term = 0.0) -> tuple[Array, Term, float]:
    """E, r and 2⁻⁴⁶ with exp(−a − error) = E(1 + r)2⁻⁴⁶, a ≥ 0, error and r ≪ 1: to be multiplied in this order.

    float16 and float32 are evaluated in float64 (see `elementwise`), which holds what is below their range: there the
    factor is 1.
    """
    if has_room(a):
        return *exp_of_sum(-a, -error), SAME
    return exp_below(LOG_SCALE, a, error)


def exp_below(top: Constant, a: Array, error: Term) -> tuple[Array, Term, float]:
    """E, r and 2⁻⁴⁶ with exp(top − a − error) = E(1 + r)."""
    high, low = constant_parts(top, a)
    s, lost = two_sum(-a, high)
    return *exp_of_sum(s, (lost + low) - error), 2.0**-46


def over(e: Array, rest: Term) -> Array:
    """(1 + ê)/(1 + rest), ê = e(1 + rest): what divides e in ê/(1 + ê)."""
    return 1 + (e - rest)


def over_square(e: Array, rest: Term) -> Array:
    """(1 + ê)²/(1 + rest), ê = e(1 + rest): what divides e in ê/(1 + ê)²."""
    return 1 + (e * (2 + e) - (rest - rest * e * e))


# ── the logistic function ────────────────────────────────────────────────────────────────────────────


def _exponential(z: Array) -> Parts:
    """exp(−|z|)."""
    return (exp_of_sum(-magnitude(z))[0],)


@elementwise(_exponential)
def sigmoid(z: Array, e: Array) -> Array:
    """σ(z) = 1/(1 + e^−z)."""
    return np.where(is_negative(z), e, 1) / (1 + e)


def lost_in_logarithm(x: Array) -> Array:
    """max(x, 0): the roundings in exp(x − log(1 + eˣ)), which is σ(x) where log(e⁰ + eˣ) is differentiated."""
    return np.maximum(x, 0)


@elementwise(_exponential)
def sigmoid_derivative(z: Array, e: Array) -> Array:
    """σ(z)σ(−z) = e/(1 + e)²."""
    return e / (1 + e * (2 + e))


@elementwise()
def sigmoid_second(z: Array) -> Array:
    """−σ′(z) tanh(z/2)."""
    return -np.tanh(z / 2) * sigmoid_derivative(z)


@elementwise()
def softplus(z: Array) -> Array:
    """log(1 + e^z) = max(z, 0) + log(1 + e^−|z|)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-magnitude(z)))


# ── the hyperbolic tangent ───────────────────────────────────────────────────────────────────────────


@elementwise()
def tanh_derivative(z: Array) -> Array:
    """sech²z = 4e/(1 + e)², e = exp(−2|z|)."""
    e, _ = exp_of_sum(-2 * magnitude(limited(z, WIDEST)))
    return 4 * e / (1 + e * (2 + e))


@elementwise()
def tanh_second(z: Array) -> Array:
    """−2 tanh z sech²z."""
    scaled, rest, small = scaled_exp(2 * magnitude(limited(z, WIDEST)))
    return scaled * (-8 * np.tanh(z) / over_square(scaled * small, rest)) * small
