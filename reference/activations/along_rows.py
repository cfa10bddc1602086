"""Activations along a row of z (N, K): softmax and its kin, and the gated linear unit.

They state the product with the Jacobian (`jvp`) and with its transpose (`vjp`).
"""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import largest, magnitude
from ..functions import logistic
from ..functions.basics import one_plus_size, zero
from ..functions.recipe import recorded
from ..functions.softmax import log_softmax_value, softmax_parts, softmax_product, without_top
from .row import Activation, Logarithms


def _softmax_product(z: Array, v: Array) -> Array:
    one, y, _, _ = softmax_parts(z)
    return softmax_product(one, y, v)


def _log_softmax_vjp(z: Array, d_y: Array) -> Array:
    """d_y − y·Σ d_y = (1 − yᵢ)d_yᵢ − yᵢ Σ_{j≠i} d_yⱼ."""
    one, y, rest, _ = softmax_parts(z)
    others = (d_y * (1 - one)).sum(axis=1, keepdims=True)
    at_top = rest * d_y - y * others
    return np.where(one > 0, at_top, d_y - y * d_y.sum(axis=1, keepdims=True))


def _log_softmax_jvp(z: Array, dz: Array) -> Array:
    one, y, _, _ = softmax_parts(z)
    relative = dz - (dz * one).sum(axis=1, keepdims=True)
    return relative - (y * relative).sum(axis=1, keepdims=True)


def _log_rest(z: Array) -> Array:
    """log(1 − softmax(z)): at the largest entry the logarithm of what the others have of the sum."""
    one, y, rest, (_, log_sum) = softmax_parts(z)
    _, log_others = without_top(z)
    near = (one > 0) & (rest < 0.5)
    return np.where(near, zero(z) + (log_others - log_sum), np.log1p(-np.where(near, zero(y), y)))


def _logarithms_vjp(z: Array, a: Array, b: Array) -> Array:
    """a through log y, b through log(1 − y); derived in the README of this room."""
    one, y, rest, _ = softmax_parts(z)
    shares, _ = without_top(z)
    c = (1 - one) * (b * y / np.where(one > 0, 1, rest))
    at_top = (one * b * y).sum(axis=1, keepdims=True)
    through_rest = y * c.sum(axis=1, keepdims=True) - c - one * at_top + shares * at_top
    return _log_softmax_vjp(z, a) + through_rest


def _softmax_share(z: Array) -> Array:
    return softmax_parts(z)[0] + without_top(z)[0]


def _glu_halves(z: Array) -> tuple[Array, Array]:
    if z.shape[-1] % 2:
        raise ValueError(f"glu: needs an even number of features, got {z.shape[-1]}")
    half = z.shape[-1] // 2
    return z[..., :half], z[..., half:]


def _glu_vjp(z: Array, d_y: Array) -> Array:
    a, b = _glu_halves(z)
    return np.concatenate([d_y * logistic.sigmoid(b), d_y * a * logistic.sigmoid_derivative(b)], axis=-1)


def _glu_value(z: Array) -> Array:
    a, b = _glu_halves(z)
    return a * logistic.sigmoid(b)


def _glu_jvp(z: Array, dz: Array) -> Array:
    (a, b), (da, db) = _glu_halves(z), _glu_halves(dz)
    return da * logistic.sigmoid(b) + a * logistic.sigmoid_derivative(b) * db


def _spread(z: Array) -> Array:
    """max z − z: a rounding error of the shift by the maximum is this many u."""
    return largest(z)[1] - z


def _shift(z: Array) -> Array:
    """max z − z and |max z|: a rounding error of the shift by the maximum, or by log Σ e^z, is this many u."""
    return _spread(z) + magnitude(largest(z)[1])


def _softmax_cancellation(z: Array) -> Array:
    """yᵢ·(relative error of e^(z − log Σ e^z)), times what Σ y·d_y leaves."""
    return softmax_parts(z)[1] * (1 + _shift(z))


def _softmin_cancellation(z: Array) -> Array:
    return _softmax_cancellation(-z)


@recorded
def softmax() -> Activation:
    """e^zᵢ/Σⱼ e^zⱼ along each row."""
    return Activation(
        "softmax",
        "e^zᵢ/Σⱼ e^zⱼ",
        "Bridle 1990, Probabilistic interpretation of feedforward classification network outputs",
        lambda z: softmax_parts(z)[1],
        vjp=_softmax_product,
        jvp=_softmax_product,
        logarithms=Logarithms(lambda z: (log_softmax_value(z), _log_rest(z)), _logarithms_vjp, _softmax_share),
        textbook_value=_softmax_cancellation,
        textbook_derivative=_softmax_cancellation,
    )


@recorded
def softmin() -> Activation:
    """softmax(−z) along each row."""
    return Activation(
        "softmin",
        "e^−zᵢ/Σⱼ e^−zⱼ",
        "torch.nn.Softmin",
        lambda z: softmax_parts(-z)[1],
        vjp=lambda z, d_y: -_softmax_product(-z, d_y),
        jvp=lambda z, dz: -_softmax_product(-z, dz),
        logarithms=Logarithms(
            lambda z: (log_softmax_value(-z), _log_rest(-z)),
            lambda z, a, b: -_logarithms_vjp(-z, a, b),
            lambda z: _softmax_share(-z),
        ),
        textbook_value=_softmin_cancellation,
        textbook_derivative=_softmin_cancellation,
    )


@recorded
def log_softmax() -> Activation:
    """zᵢ − log Σⱼ e^zⱼ along each row."""
    return Activation(
        "log_softmax",
        "zᵢ − log Σⱼ e^zⱼ",
        "Goodfellow, Bengio & Courville 2016, §6.2.2.3",
        log_softmax_value,
        vjp=_log_softmax_vjp,
        jvp=_log_softmax_jvp,
        textbook_value=lambda z: one_plus_size(z) + magnitude(largest(z)[1]),
        textbook_derivative=lambda z: 1 + _softmax_cancellation(z),
    )


@recorded
def glu() -> Activation:
    """a·σ(b), a and b the two halves of each row."""
    return Activation(
        "glu",
        "a·σ(b), z = [a, b]",
        "Dauphin, Fan, Auli & Grangier 2017, arXiv:1612.08083",
        _glu_value,
        vjp=_glu_vjp,
        jvp=_glu_jvp,
        shrink=2,
        textbook_value=lambda z: magnitude(_glu_value(z)),
        textbook_derivative=lambda z: np.concatenate([zero(z[..., ::2]) + 1, magnitude(_glu_halves(z)[0])], axis=-1),
    )
