"""Mish and its derivatives: z·T(z), T = tanh(softplus(z)) = w(w + 2)/(w² + 2w + 2), w = eᶻ.

With e = exp(−|z|): on the left w = e; on the right everything is divided by the power of w that leaves e = 1/w, so
that no power overflows. Each factor of the leading exponential is 1 at e = 0, and stands as 1 − x(e).
"""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array, Term
from ..arithmetic.dispatch import exp_of_sum, indicator, is_negative, limited, magnitude, two_product, two_sum
from .elementwise import Parts, elementwise
from .logistic import WIDEST, scaled_exp


def _mish_parts(z: Array) -> Parts:
    """z within bounds; E, e, r and a power of two with e = exp(−|z|) = E(1 + r)·(power of two)."""
    bounded = limited(z, WIDEST)
    scaled, rest, small = scaled_exp(magnitude(bounded))
    e = scaled * small
    return bounded, scaled, e + e * rest, rest, small


@elementwise(_mish_parts)
def mish(z: Array, bounded: Array, scaled: Array, e: Array, rest: Term, small: float) -> Array:
    """z·T(z); T = e(1 − e(1 + e)/D) on the left, D = 2 + 2e + e², and 1 − 2e²/q on the right, q = 1 + 2e + 2e²."""
    d = (e + 2) * e + 2
    left = scaled * (bounded * _less(e * (1 + e) / d, rest)) * small
    right = z - bounded * (2 * e * e / (1 + 2 * e * (1 + e)))
    return np.where(is_negative(z), left, right)


@elementwise(_mish_parts)
def mish_derivative(z: Array, bounded: Array, scaled: Array, e: Array, rest: Term, small: float) -> Array:
    """T + z·T′, T′ = 4w(w + 1)/(w² + 2w + 2)²."""
    up, p, d = 1 + e, 2 + e, 2 + e * (2 + e)
    lost = (e * p - (d - 2) + e * (e - (p - 2))) / d
    flat = _less(e * up / d, rest, (e - (up - 1)) - lost)
    steep = _less(e * (4 + e * (8 + e * (4 + e))) / (d * d), rest, -2 * lost)
    left = scaled * (flat + bounded * steep) * small
    q = 1 + 2 * e * (1 + e)
    right = 1 - e * e * (2 / q - bounded * (4 * (1 + e) / (q * q)))
    return np.where(is_negative(z), left, right)


@elementwise()
def mish_second(z: Array) -> Array:
    """2T′ + z·T″ = 4w[2(w + 1)/D² + z(2 + 2w − 3w² − 2w³)/D³], D = w² + 2w + 2.

    With k = 1 on the left and 2 on the right it is 4eᵏ[2(1 + e)/D² − |z|n/D³], D = 3 − k + 2e + ke²,
    n = 2 + (k + 1)e − (4 − k)e² − 2e³. D is held as a sum of two numbers, for its error counts three times.
    """
    a = magnitude(limited(z, WIDEST))
    k = 1 + indicator(z >= 0, z)
    scaled, rest, small = scaled_exp(k * a)
    e, _ = exp_of_sum(-a)
    p, p_low = two_sum(2 + 0 * e, k * e)
    c, c_low = two_product(e, p)
    d, d_low = two_sum(3 - k, c)
    d_low = (d_low + (c_low + e * p_low)) / d
    square, square_low = two_product(d, d)
    square_low = square_low / square + 2 * d_low
    cube, cube_low = two_product(square, d)
    up, up_low = two_sum(1 + 0 * e, e)
    n, n_low = two_sum(2 + 0 * e, e * ((k + 1) - e * ((4 - k) + 2 * e)))
    steep = 2 * up / square
    bent = a * (n / cube)
    correction = steep * (up_low / up - square_low + rest)
    correction = correction - bent * (n_low / n - square_low - cube_low / cube - d_low + rest)
    return scaled * (4 * ((steep + correction) - bent)) * small


def _less(x: Array, rest: Term, more: Term = 0.0) -> Array:
    """(1 − x(1 + more))(1 + rest); more and rest ≪ 1."""
    return 1 - (x - ((1 - x) * rest - x * more))
