"""Smooth functions and their derivatives, in forms that keep their digits on the whole range of a type.

Every function here takes z and uses a = |z| and e = exp(−a) ≤ 1, so that nothing overflows and no two
nearly equal numbers are subtracted: σ(z)σ(−z) = e/(1 + e)² where the textbook has y(1 − y). Where a
factor multiplies an exponential that may be subnormal, the product is formed at exp(32 − a) first and
brought down by e⁻³² last, so that only one rounding happens in the subnormal range (`scaled_exp`).
"""

from __future__ import annotations

import numpy as np

from .arithmetic import (
    EXP_MINUS_8,
    EXP_MINUS_32,
    GELU_CUBIC,
    INVERSE_SQRT_2PI,
    SQRT_8_OVER_PI,
    SQRT_HALF,
    SQRT_HALF_PI,
    Array,
    constant,
    constant_parts,
    erfc,
    erfcx,
    is_numpy,
    limited,
    magnitude,
    two_product,
    two_sum,
)

WIDEST = 1024.0
"""exp(−1024) is 0 in every NumPy type up to float64; beyond it |z| changes no exponential."""


def scaled_exp(a: Array, error: Array = 0.0) -> tuple[Array, Array]:
    """exp(32 − a − error), a ≥ 0, error ≪ 1: to be multiplied by factors; and e⁻³², to multiply by last.

    In float16, which e³² overflows, 8 takes the place of 32.
    """
    half = _is_float16(a)
    s, lost = two_sum(-a, 8 if half else 32)
    return np.exp(s) * (1 + (lost - error)), constant(EXP_MINUS_8 if half else EXP_MINUS_32, a)


def _is_float16(z: Array) -> bool:
    return is_numpy(z) and z.dtype.itemsize == 2


# ── the logistic function ────────────────────────────────────────────────────────────────────────────


def sigmoid(z: Array) -> Array:
    """σ(z) = 1/(1 + e^−z)."""
    e = np.exp(-magnitude(z))
    return np.where(z < 0, e, 1) / (1 + e)


def sigmoid_derivative(z: Array) -> Array:
    """σ(z)σ(−z) = e/(1 + e)²."""
    e = np.exp(-magnitude(z))
    d = 1 + e
    return e / (d * d)


def sigmoid_second(z: Array) -> Array:
    """−σ′(z) tanh(z/2)."""
    return -np.tanh(z / 2) * sigmoid_derivative(z)


def softplus(z: Array) -> Array:
    """log(1 + e^z) = max(z, 0) + log(1 + e^−|z|)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-magnitude(z)))


# ── the hyperbolic tangent ───────────────────────────────────────────────────────────────────────────


def tanh_derivative(z: Array) -> Array:
    """sech²z = 4e²/(1 + e²)², e = exp(−|z|)."""
    e = np.exp(-2 * magnitude(limited(z, WIDEST)))
    d = 1 + e
    return 4 * e / (d * d)


def tanh_second(z: Array) -> Array:
    """−2 tanh z sech²z."""
    return -2 * np.tanh(z) * tanh_derivative(z)


# ── gates: z·σ(A(z)) for an odd A, and the same with the normal distribution ─────────────────────────


def silu(z: Array) -> Array:
    """z·σ(z)."""
    a = magnitude(limited(z, WIDEST))
    return _gate(z, a, a, 0.0)


def silu_derivative(z: Array) -> Array:
    """σ(z)(1 + z·σ(−z))."""
    a = magnitude(limited(z, WIDEST))
    return _gate_derivative(z, a, a, 0.0)


def silu_second(z: Array) -> Array:
    """σ′(z)(2 − |z| tanh(|z|/2))."""
    a = magnitude(limited(z, WIDEST))
    return _sigmoid_derivative_times(a, 0.0, 2 - a * np.tanh(a / 2), a)


def gelu_tanh(z: Array) -> Array:
    """z·σ(A(z)), A(z) = √(8/π)(z + 0.044715z³): σ(2w) = (1 + tanh w)/2."""
    a, exponent, error = _gelu_tanh_exponent(z)
    return _gate(z, a, exponent, error)


def gelu_tanh_derivative(z: Array) -> Array:
    """σ(A) + z·A′·σ′(A)."""
    a, exponent, error = _gelu_tanh_exponent(z)
    slope = constant(SQRT_8_OVER_PI, z) + 3 * constant(GELU_CUBIC, z) * (a * a)
    return _gate_derivative(z, a * slope, exponent, error)


def gelu_tanh_second(z: Array) -> Array:
    """σ′(A)(2A′ + zA″ − z·A′² tanh(A/2)), with 2A′ + zA″ = 2√(8/π) + 12·(cubic term)·z²."""
    a, exponent, error = _gelu_tanh_exponent(z)
    k, cubic = constant(SQRT_8_OVER_PI, z), constant(GELU_CUBIC, z)
    square = a * a
    slope = k + 3 * cubic * square
    bracket = 2 * k + 12 * cubic * square - a * slope * slope * np.tanh(exponent / 2)
    return _sigmoid_derivative_times(exponent, error, bracket, a)


def _gelu_tanh_exponent(z: Array) -> tuple[Array, Array, Array]:
    """|z| and A(|z|) as a sum of two numbers: an error u·A in the exponent would lose log₂A digits."""
    a = magnitude(limited(z, 12 if _is_float16(z) else 24))
    k, k_low = constant_parts(SQRT_8_OVER_PI, z)
    c, c_low = constant_parts(GELU_CUBIC, z)
    square, square_low = two_product(a, a)
    cubic, cubic_low = two_product(square, c)
    slope, slope_low = two_sum(cubic, k)
    slope_low = slope_low + (cubic_low + square_low * c + square * c_low + k_low)
    exponent, error = two_product(slope, a)
    return a, exponent, error + slope_low * a


def _gate(z: Array, a: Array, exponent: Array, error: Array) -> Array:
    """z·σ(A) = max(z, 0) − |z|·e/(1 + e), e = exp(−A(|z|))."""
    scaled, small = scaled_exp(exponent, error)
    return np.maximum(z, 0) - scaled * (a / (1 + scaled * small)) * small


def _gate_derivative(z: Array, a_slope: Array, exponent: Array, error: Array) -> Array:
    """k = e(1 + e − aA′)/(1 + e)² on the left, 1 − k on the right."""
    scaled, small = scaled_exp(exponent, error)
    d = 1 + scaled * small
    k = scaled * ((d - a_slope) / (d * d)) * small
    return np.where(z < 0, k, 1 - k)


def _sigmoid_derivative_times(exponent: Array, error: Array, factor: Array, z: Array) -> Array:
    """σ′(A)·factor."""
    scaled, small = scaled_exp(exponent, error)
    d = 1 + scaled * small
    return scaled * (factor / (d * d)) * small


def gelu(z: Array) -> Array:
    """z·Φ(z) = max(z, 0) − |z|·Q(|z|), Q(a) = 1 − Φ(a) = φ(a)·R(a)."""
    a = magnitude(limited(z, 64))
    near = a * (erfc(a * constant(SQRT_HALF, z)) / 2)
    return np.maximum(z, 0) - np.where(a < 1, near, _density_times(a, a * mills_ratio(a)))


def gelu_derivative(z: Array) -> Array:
    """Φ(z) + z·φ(z): −k on the left, 1 + k on the right, k = φ(a)(a − R(a)), a = |z|."""
    a = magnitude(limited(z, 64))
    k = _density_times(a, a - mills_ratio(a))
    return np.where(z < 0, -k, 1 + k)


def gelu_second(z: Array) -> Array:
    """φ(z)(2 − z²)."""
    a = magnitude(limited(z, 64))
    return _density_times(a, 2 - a * a)


def mills_ratio(a: Array) -> Array:
    """R(a) = (1 − Φ(a))/φ(a) = √(π/2)·erfcx(a/√2), a ≥ 0."""
    return constant(SQRT_HALF_PI, a) * erfcx(a * constant(SQRT_HALF, a))


def _density_times(a: Array, factor: Array) -> Array:
    """φ(a)·factor, φ the normal density: the rounding error of a² would cost a²/2 ulps."""
    square, lost = two_product(a, a)
    scaled, small = scaled_exp(square / 2, lost / 2)
    return scaled * (factor * constant(INVERSE_SQRT_2PI, a)) * small


# ── mish: z·T(z), T = tanh(softplus(z)) = w(w + 2)/(w² + 2w + 2), w = e^z ────────────────────────────
# On the right everything is divided by the power of w that leaves e = 1/w: no power overflows.


def mish(z: Array) -> Array:
    """z·T(z)."""
    scaled, e, small = _mish_exponential(z)
    bounded = limited(z, WIDEST)
    left = scaled * (bounded * ((e + 2) / ((e + 2) * e + 2))) * small
    right = z * ((1 + 2 * e) / (1 + 2 * e * (1 + e)))
    return np.where(z < 0, left, right)


def mish_derivative(z: Array) -> Array:
    """T + z·T′, T′ = 4w(w + 1)/(w² + 2w + 2)²."""
    scaled, e, small = _mish_exponential(z)
    bounded = limited(z, WIDEST)
    d = (e + 2) * e + 2
    left = scaled * ((e + 2) / d + bounded * (4 * (e + 1) / (d * d))) * small
    q = 1 + 2 * e * (1 + e)
    right = (1 + 2 * e) / q + bounded * e * (4 * e * (1 + e) / (q * q))
    return np.where(z < 0, left, right)


def mish_second(z: Array) -> Array:
    """2T′ + z·T″ = 4w[2(w + 1)D + z(2 + 2w − 3w² − 2w³)]/D³, D = w² + 2w + 2."""
    scaled, e, small = _mish_exponential(z)
    bounded = limited(z, WIDEST)
    d = (e + 2) * e + 2
    left_bracket = 2 * (e + 1) * d + bounded * (2 + e * (2 - e * (3 + 2 * e)))
    left = scaled * (4 * left_bracket / (d * d * d)) * small
    q = 1 + 2 * e * (1 + e)
    right_bracket = 2 * (1 + e) * q + bounded * (e * (e * (2 * e + 2) - 3) - 2)
    right = e * (4 * right_bracket / (q * q * q)) * e
    return np.where(z < 0, left, right)


def _mish_exponential(z: Array) -> tuple[Array, Array, Array]:
    scaled, small = scaled_exp(magnitude(limited(z, WIDEST)))
    return scaled, scaled * small, small
