"""Gates with their derivatives: z·σ(A(z)) for an odd A (SiLU, GELU by tanh), and z·Φ(z) (GELU)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arithmetic.array import Array, Term
from ..arithmetic.constants import GELU_CUBIC, LOG_SCALED_DENSITY, SQRT_8_OVER_PI
from ..arithmetic.dispatch import constant_parts, is_negative, limited, magnitude, two_product, two_sum
from .elementwise import Parts, elementwise
from .logistic import WIDEST, exp_below, over, over_square, scaled_exp
from .mills_ratio import mills_ratio

# ── with the logistic function: z·σ(A(z)) ────────────────────────────────────────────────────────────


def _silu_parts(z: Array) -> Parts:
    """|z|; exp(−|z|) as in `scaled_exp`."""
    a = magnitude(limited(z, WIDEST))
    return a, *scaled_exp(a)


@elementwise(_silu_parts)
def silu(z: Array, a: Array, *e: Any) -> Array:
    """z·σ(z)."""
    return _gate(z, a, *e)


@elementwise(_silu_parts)
def silu_derivative(z: Array, a: Array, *e: Any) -> Array:
    """σ(z)(1 + z·σ(−z))."""
    return _gate_derivative(z, a, 0.0, *e)


@elementwise(_silu_parts)
def silu_second(z: Array, a: Array, *e: Any) -> Array:
    """σ′(z)(2 − |z| tanh(|z|/2))."""
    bracket, lost = two_sum(-a, 2)
    return _gate_second(a, bracket, lost, *e)


def _gelu_tanh_parts(z: Array) -> Parts:
    """|z|; A(|z|), and 0.0713…·z², as sums of two numbers; exp(−A) as in `scaled_exp`.

    An error u·A in the exponent would lose log₂A digits.
    """
    a = magnitude(limited(z, 24))
    k, k_low = constant_parts(SQRT_8_OVER_PI, z)
    c, c_low = constant_parts(GELU_CUBIC, z)
    square, square_low = two_product(a, a)
    cubic, cubic_low = two_product(square, c)
    cubic_low = cubic_low + (square_low * c + square * c_low)
    slope, slope_low = two_sum(cubic, k)
    exponent, error = two_product(slope, a)
    error = error + (slope_low + (cubic_low + k_low)) * a
    return a, exponent, error, cubic, cubic_low, *scaled_exp(exponent, error)


@elementwise(_gelu_tanh_parts)
def gelu_tanh(z: Array, a: Array, exponent: Array, error: Term, cubic: Array, cubic_low: Term, *e: Any) -> Array:
    """z·σ(A(z)), A(z) = √(8/π)(z + 0.044715z³): σ(2w) = (1 + tanh w)/2."""
    return _gate(z, a, *e)


@elementwise(_gelu_tanh_parts)
def gelu_tanh_derivative(
    z: Array, a: Array, exponent: Array, error: Term, cubic: Array, cubic_low: Term, *e: Any
) -> Array:
    """σ(A) + z·A′·σ′(A), with zA′ = A + 2·(cubic term)."""
    rise, rise_low = two_product(2 * a, cubic)
    a_slope, low = two_sum(exponent, rise)
    low = low + (error + rise_low + 2 * (a * cubic_low))
    return _gate_derivative(z, a_slope, low, *e)


@elementwise(_gelu_tanh_parts)
def gelu_tanh_second(z: Array, a: Array, exponent: Array, error: Term, cubic: Array, cubic_low: Term, *e: Any) -> Array:
    """σ′(A)(2A′ + zA″ − z·A′² tanh(A/2)), with 2A′ + zA″ = 2√(8/π) + 12·(cubic term)/z."""
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
    return _gate_second(product, bracket, lost + (linear_low - product_low), *e)


def _gate(z: Array, a: Array, scaled: Array, rest: Term, small: float) -> Array:
    """z·σ(A) = max(z, 0) − |z|·e/(1 + e), e = exp(−A(|z|))."""
    return np.maximum(z, 0) - scaled * (a / over(scaled * small, rest)) * small


def _gate_derivative(z: Array, a_slope: Array, low: Term, scaled: Array, rest: Term, small: float) -> Array:
    """k = e(1 + e − aA′)/(1 + e)² on the left, 1 − k on the right; aA′ as a sum of two numbers."""
    e = scaled * small
    bracket, lost = two_sum(-a_slope, 1)
    bracket = bracket + (e + (lost - low + e * rest))
    k = scaled * (bracket / over_square(e, rest)) * small
    return np.where(is_negative(z), k, 1 - k)


def _gate_second(product: Array, bracket: Array, lost: Term, scaled: Array, rest: Term, small: float) -> Array:
    """σ′(A)(2A′ + aA″ − p·tanh(A/2)): p, and 2A′ + aA″ − p as a sum; tanh(A/2) = 1 − 2e/(1 + e)."""
    e = scaled * small
    d = over(e, rest)
    bracket = bracket + (product * (2 * e / d) + lost)
    return scaled * (bracket / over_square(e, rest)) * small


# ── with the normal distribution: z·Φ(z) ─────────────────────────────────────────────────────────────


def _density_parts(z: Array) -> Parts:
    """|z|; φ(z) as in `scaled_exp`."""
    a = magnitude(limited(z, 64))
    return a, *_scaled_density(a)


def _gelu_parts(z: Array) -> Parts:
    """R(|z|)(1 + r), R Mills' ratio and r what φ(z) lacks; |z|, and φ(z) as in `scaled_exp`."""
    a, scaled, rest, small = _density_parts(z)
    return mills_ratio(a, rest), a, scaled, rest, small


@elementwise(_gelu_parts)
def gelu(z: Array, mills: Array, a: Array, scaled: Array, rest: Term, small: float) -> Array:
    """z·Φ(z) = max(z, 0) − |z|·Q(|z|), Q(a) = 1 − Φ(a) = φ(a)·R(a), R Mills' ratio."""
    return np.maximum(z, 0) - scaled * (a * mills) * small


@elementwise(_gelu_parts)
def gelu_derivative(z: Array, mills: Array, a: Array, scaled: Array, rest: Term, small: float) -> Array:
    """Φ(z) + z·φ(z): −k on the left, 1 + k on the right, k = φ(a)(a − R(a)), a = |z|."""
    k = scaled * (a - (mills - a * rest)) * small
    return np.where(is_negative(z), -k, 1 + k)


@elementwise(_density_parts)
def gelu_second(z: Array, a: Array, scaled: Array, rest: Term, small: float) -> Array:
    """φ(z)(2 − z²)."""
    square, lost = two_product(a, a)
    factor = 2 - square
    return scaled * (factor + (factor * rest - lost)) * small


def _scaled_density(a: Array) -> tuple[Array, Term, float]:
    """E, r and 2⁻⁴⁶ as in `scaled_exp`, for φ(a) = exp(−a²/2)/√(2π): the rounding error of a² would cost a²/2 ulps."""
    square, lost = two_product(a, a)
    return exp_below(LOG_SCALED_DENSITY, square / 2, lost / 2)
