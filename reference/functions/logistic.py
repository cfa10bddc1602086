"""Smooth functions and their derivatives, in forms that keep their digits on the whole range of a type.

Every function here takes z and uses a = |z| and e = exp(−a) ≤ 1, so that nothing overflows and no two
nearly equal numbers are subtracted: σ(z)σ(−z) = e/(1 + e)² where the textbook has y(1 − y). Where a
factor multiplies an exponential that may be subnormal, the product is formed at exp(46 log 2 − a) first and
brought down by 2⁻⁴⁶ last, so that only one rounding happens in the subnormal range (`scaled_exp`).

A budget of 4 ulps is 4 to 8 roundings, so they are counted: factors near 1 are written 1 − x, whose small
x may be rounded at leisure; 1 + 2e + e² is preferred to (1 + e)²; and a known rounding error (`rest`, the
part of an exponent that did not fit) enters where something small is added anyway, never as a factor 1 + r.
"""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array, Term, is_numpy
from ..arithmetic.constants import (
    LOG_SCALE,
    LOG_SCALE_FLOAT16,
    Constant,
)
from ..arithmetic.dispatch import constant_parts, exp_of_sum, limited, magnitude, two_sum

WIDEST = 1024.0
"""exp(−1024) is 0 in every NumPy type up to float64; beyond it |z| changes no exponential."""


def scaled_exp(a: Array, error: Term = 0.0) -> tuple[Array, Term, float]:
    """E, r and 2⁻⁴⁶ with exp(−a − error) = E(1 + r)2⁻⁴⁶, a ≥ 0, error and r ≪ 1: to be multiplied in this order.

    In float16, whose largest number is 2¹⁶, 2⁻¹¹ takes the place of 2⁻⁴⁶.
    """
    half = is_float16(a)
    return exp_below(LOG_SCALE_FLOAT16 if half else LOG_SCALE, a, error)


def exp_below(top: Constant, a: Array, error: Term) -> tuple[Array, Term, float]:
    """E, r and the scale with exp(top − a − error) = E(1 + r)."""
    high, low = constant_parts(top, a)
    s, lost = two_sum(-a, high)
    return *exp_of_sum(s, (lost + low) - error), 2.0 ** (-11 if is_float16(a) else -46)


def is_float16(z: Array) -> bool:
    """Whether these are NumPy's half precision numbers, whose largest is 65504."""
    return is_numpy(z) and z.dtype.itemsize == 2


def over(e: Array, rest: Term) -> Array:
    """(1 + ê)/(1 + rest), ê = e(1 + rest): what divides e in ê/(1 + ê)."""
    return 1 + (e - rest)


def over_square(e: Array, rest: Term) -> Array:
    """(1 + ê)²/(1 + rest), ê = e(1 + rest): what divides e in ê/(1 + ê)²."""
    return 1 + (e * (2 + e) - rest * (1 - e * e))


# ── the logistic function ────────────────────────────────────────────────────────────────────────────


def sigmoid(z: Array) -> Array:
    """σ(z) = 1/(1 + e^−z)."""
    e = np.exp(-magnitude(z))
    return np.where(z < 0, e, 1) / (1 + e)


def sigmoid_derivative(z: Array) -> Array:
    """σ(z)σ(−z) = e/(1 + e)²."""
    e, _ = exp_of_sum(-magnitude(z))
    return e / (1 + e * (2 + e))


def sigmoid_second(z: Array) -> Array:
    """−σ′(z) tanh(z/2)."""
    return -np.tanh(z / 2) * sigmoid_derivative(z)


def softplus(z: Array) -> Array:
    """log(1 + e^z) = max(z, 0) + log(1 + e^−|z|)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-magnitude(z)))


# ── the hyperbolic tangent ───────────────────────────────────────────────────────────────────────────


def tanh_derivative(z: Array) -> Array:
    """sech²z = 4e/(1 + e)², e = exp(−2|z|)."""
    e, _ = exp_of_sum(-2 * magnitude(limited(z, WIDEST)))
    return 4 * e / (1 + e * (2 + e))


def tanh_second(z: Array) -> Array:
    """−2 tanh z sech²z."""
    scaled, rest, small = scaled_exp(2 * magnitude(limited(z, WIDEST)))
    return scaled * (-8 * np.tanh(z) / over_square(scaled * small, rest)) * small


# ── gates: z·σ(A(z)) for an odd A, and the same with the normal distribution ─────────────────────────


# ── mish: z·T(z), T = tanh(softplus(z)) = w(w + 2)/(w² + 2w + 2), w = e^z ────────────────────────────
# On the left w = e. On the right everything is divided by the power of w that leaves e = 1/w: no power
# overflows. Each factor of the leading exponential is 1 at e = 0, and stands as 1 − x(e).
