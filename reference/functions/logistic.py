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

from ..arithmetic.dispatch import (
    GELU_CUBIC,
    LOG_SCALE,
    LOG_SCALE_FLOAT16,
    LOG_SCALED_DENSITY,
    LOG_SCALED_DENSITY_FLOAT16,
    SQRT_8_OVER_PI,
    Array,
    Constant,
    constant_parts,
    exp_of_sum,
    indicator,
    is_numpy,
    limited,
    magnitude,
    mills_ratio,
    two_product,
    two_sum,
)

WIDEST = 1024.0
"""exp(−1024) is 0 in every NumPy type up to float64; beyond it |z| changes no exponential."""


def scaled_exp(a: Array, error: Array = 0.0) -> tuple[Array, Array, float]:
    """E, r and 2⁻⁴⁶ with exp(−a − error) = E(1 + r)2⁻⁴⁶, a ≥ 0, error and r ≪ 1: to be multiplied in this order.

    In float16, whose largest number is 2¹⁶, 2⁻¹¹ takes the place of 2⁻⁴⁶.
    """
    half = _is_float16(a)
    return _exp_below(LOG_SCALE_FLOAT16 if half else LOG_SCALE, a, error)


def _exp_below(top: Constant, a: Array, error: Array) -> tuple[Array, Array, float]:
    """E, r and the scale with exp(top − a − error) = E(1 + r)."""
    high, low = constant_parts(top, a)
    s, lost = two_sum(-a, high)
    return *exp_of_sum(s, (lost + low) - error), 2.0 ** (-11 if _is_float16(a) else -46)


def _is_float16(z: Array) -> bool:
    return is_numpy(z) and z.dtype.itemsize == 2


def _over(e: Array, rest: Array) -> Array:
    """(1 + ê)/(1 + rest), ê = e(1 + rest): what divides e in ê/(1 + ê)."""
    return 1 + (e - rest)


def _over_square(e: Array, rest: Array) -> Array:
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
    return scaled * (-8 * np.tanh(z) / _over_square(scaled * small, rest)) * small


# ── gates: z·σ(A(z)) for an odd A, and the same with the normal distribution ─────────────────────────


def silu(z: Array) -> Array:
    """z·σ(z)."""
    a = magnitude(limited(z, WIDEST))
    return _gate(z, a, *scaled_exp(a))


def silu_derivative(z: Array) -> Array:
    """σ(z)(1 + z·σ(−z))."""
    a = magnitude(limited(z, WIDEST))
    return _gate_derivative(z, a, 0.0, *scaled_exp(a))


def silu_second(z: Array) -> Array:
    """σ′(z)(2 − |z| tanh(|z|/2))."""
    a = magnitude(limited(z, WIDEST))
    return _gate_second(a, *two_sum(-a, 2), *scaled_exp(a))


def gelu_tanh(z: Array) -> Array:
    """z·σ(A(z)), A(z) = √(8/π)(z + 0.044715z³): σ(2w) = (1 + tanh w)/2."""
    a, exponent, error, *_ = _gelu_tanh_exponent(z)
    return _gate(z, a, *scaled_exp(exponent, error))


def gelu_tanh_derivative(z: Array) -> Array:
    """σ(A) + z·A′·σ′(A), with zA′ = A + 2·(cubic term)."""
    a, exponent, error, cubic, cubic_low = _gelu_tanh_exponent(z)
    rise, rise_low = two_product(2 * a, cubic)
    a_slope, low = two_sum(exponent, rise)
    low = low + (error + rise_low + 2 * a * cubic_low)
    return _gate_derivative(z, a_slope, low, *scaled_exp(exponent, error))


def gelu_tanh_second(z: Array) -> Array:
    """σ′(A)(2A′ + zA″ − z·A′² tanh(A/2)), with 2A′ + zA″ = 2√(8/π) + 12·(cubic term)/z."""
    a, exponent, error, cubic, cubic_low = _gelu_tanh_exponent(z)
    k, k_low = constant_parts(SQRT_8_OVER_PI, z)
    triple, triple_low = two_sum(2 * cubic, cubic)
    triple_low = triple_low + 3 * cubic_low
    slope, slope_low = two_sum(triple, k)
    slope_low = slope_low + (triple_low + k_low)
    square, square_low = two_product(slope, slope)
    product, product_low = two_product(square, a)
    product_low = product_low + a * (square_low + 2 * slope * slope_low)
    linear, linear_low = two_sum(4 * triple, 2 * k)
    linear_low = linear_low + (4 * triple_low + 2 * k_low)
    bracket, lost = two_sum(linear, -product)
    return _gate_second(product, bracket, lost + (linear_low - product_low), *scaled_exp(exponent, error))


def _gelu_tanh_exponent(z: Array) -> tuple[Array, Array, Array, Array, Array]:
    """|z|; A(|z|) as a sum of two numbers, for an error u·A in the exponent would lose log₂A digits; and 0.0713…·z²."""
    a = magnitude(limited(z, 8 if _is_float16(z) else 24))
    k, k_low = constant_parts(SQRT_8_OVER_PI, z)
    c, c_low = constant_parts(GELU_CUBIC, z)
    square, square_low = two_product(a, a)
    cubic, cubic_low = two_product(square, c)
    cubic_low = cubic_low + (square_low * c + square * c_low)
    slope, slope_low = two_sum(cubic, k)
    exponent, error = two_product(slope, a)
    return a, exponent, error + (slope_low + (cubic_low + k_low)) * a, cubic, cubic_low


def _gate(z: Array, a: Array, scaled: Array, rest: Array, small: float) -> Array:
    """z·σ(A) = max(z, 0) − |z|·e/(1 + e), e = exp(−A(|z|))."""
    return np.maximum(z, 0) - scaled * (a / _over(scaled * small, rest)) * small


def _gate_derivative(z: Array, a_slope: Array, low: Array, scaled: Array, rest: Array, small: float) -> Array:
    """k = e(1 + e − aA′)/(1 + e)² on the left, 1 − k on the right; aA′ as a sum of two numbers."""
    e = scaled * small
    bracket, lost = two_sum(-a_slope, 1)
    bracket = bracket + (e + (lost - low + e * rest))
    k = scaled * (bracket / _over_square(e, rest)) * small
    return np.where(z < 0, k, 1 - k)


def _gate_second(product: Array, bracket: Array, lost: Array, scaled: Array, rest: Array, small: float) -> Array:
    """σ′(A)(2A′ + aA″ − p·tanh(A/2)): p, and 2A′ + aA″ − p as a sum; tanh(A/2) = 1 − 2e/(1 + e)."""
    e = scaled * small
    d = _over(e, rest)
    bracket = bracket + (product * (2 * e / d) + lost)
    return scaled * (bracket / _over_square(e, rest)) * small


def gelu(z: Array) -> Array:
    """z·Φ(z) = max(z, 0) − |z|·Q(|z|), Q(a) = 1 − Φ(a) = φ(a)·R(a), R Mills' ratio."""
    a = magnitude(limited(z, 64))
    scaled, rest, small = _scaled_density(a)
    return np.maximum(z, 0) - scaled * (a * mills_ratio(a, rest)) * small


def gelu_derivative(z: Array) -> Array:
    """Φ(z) + z·φ(z): −k on the left, 1 + k on the right, k = φ(a)(a − R(a)), a = |z|."""
    a = magnitude(limited(z, 64))
    scaled, rest, small = _scaled_density(a)
    k = scaled * (a - (mills_ratio(a, rest) - a * rest)) * small
    return np.where(z < 0, -k, 1 + k)


def gelu_second(z: Array) -> Array:
    """φ(z)(2 − z²)."""
    a = magnitude(limited(z, 64))
    scaled, rest, small = _scaled_density(a)
    square, lost = two_product(a, a)
    factor = 2 - square
    return scaled * (factor + (factor * rest - lost)) * small


def _scaled_density(a: Array) -> tuple[Array, Array, float]:
    """E, r and 2⁻⁴⁶ as in `scaled_exp`, for φ(a) = exp(−a²/2)/√(2π): the rounding error of a² would cost a²/2 ulps."""
    square, lost = two_product(a, a)
    return _exp_below(LOG_SCALED_DENSITY_FLOAT16 if _is_float16(a) else LOG_SCALED_DENSITY, square / 2, lost / 2)


# ── mish: z·T(z), T = tanh(softplus(z)) = w(w + 2)/(w² + 2w + 2), w = e^z ────────────────────────────
# On the left w = e. On the right everything is divided by the power of w that leaves e = 1/w: no power
# overflows. Each factor of the leading exponential is 1 at e = 0, and stands as 1 − x(e).


def mish(z: Array) -> Array:
    """z·T(z); T = e(1 − e(1 + e)/D) on the left, D = 2 + 2e + e², and 1 − 2e²/q on the right, q = 1 + 2e + 2e²."""
    bounded = limited(z, WIDEST)
    scaled, e, rest, small = _mish_exponential(bounded)
    d = (e + 2) * e + 2
    left = scaled * (bounded * _less(e * (1 + e) / d, rest)) * small
    right = z - bounded * (2 * e * e / (1 + 2 * e * (1 + e)))
    return np.where(z < 0, left, right)


def mish_derivative(z: Array) -> Array:
    """T + z·T′, T′ = 4w(w + 1)/(w² + 2w + 2)²."""
    bounded = limited(z, WIDEST)
    scaled, e, rest, small = _mish_exponential(bounded)
    up, p, d = 1 + e, 2 + e, 2 + e * (2 + e)
    lost = (e * p - (d - 2) + e * (e - (p - 2))) / d
    flat = _less(e * up / d, rest, (e - (up - 1)) - lost)
    steep = _less(e * (4 + e * (8 + e * (4 + e))) / (d * d), rest, -2 * lost)
    left = scaled * (flat + bounded * steep) * small
    q = 1 + 2 * e * (1 + e)
    right = 1 - e * e * (2 / q - bounded * (4 * (1 + e) / (q * q)))
    return np.where(z < 0, left, right)


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


def _mish_exponential(z: Array) -> tuple[Array, Array, Array, float]:
    """E, e, r and a power of two with e = exp(−|z|) = E(1 + r)·(power of two)."""
    scaled, rest, small = scaled_exp(magnitude(z))
    e = scaled * small
    return scaled, e + e * rest, rest, small


def _less(x: Array, rest: Array, more: Array = 0.0) -> Array:
    """(1 − x(1 + more))(1 + rest); more and rest ≪ 1."""
    return 1 - (x - ((1 - x) * rest - x * more))
