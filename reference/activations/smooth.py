"""Activations that are smooth everywhere. Their formulas stand in the room `functions`."""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import magnitude, tanh_residual
from ..functions import gates, logistic
from ..functions import mish as mish_functions
from ..functions.basics import nothing, one, one_plus_size, size, zero
from ..functions.recipe import recorded
from .row import Activation, Logarithms


@recorded
def sigmoid() -> Activation:
    """1/(1 + e^−z)."""
    return Activation(
        "sigmoid",
        "1/(1 + e^−z)",
        "Verhulst 1845, Recherches mathématiques sur la loi d'accroissement de la population",
        logistic.sigmoid,
        logistic.sigmoid_derivative,
        logistic.sigmoid_second,
        logarithms=Logarithms(
            lambda z: (-logistic.softplus(-z), -logistic.softplus(z)),
            lambda z, a, b: a * logistic.sigmoid(-z) - b * logistic.sigmoid(z),
            one,
        ),
        textbook_value=logistic.sigmoid,
        textbook_derivative=logistic.sigmoid,
        slope_formula="σ(z)(1 − σ(z))",
    )


@recorded
def logsigmoid() -> Activation:
    """log σ(z) = −log(1 + e^−z)."""

    def second(z: Array) -> Array:
        return -logistic.sigmoid_derivative(z)

    return Activation(
        "logsigmoid",
        "−log(1 + e^−z)",
        "torch.nn.LogSigmoid",
        lambda z: -logistic.softplus(-z),
        lambda z: logistic.sigmoid(-z),
        second,
        textbook_value=one,  # log σ(z), or log(1 + e^−z)
        textbook_derivative=lambda z: 1 + logistic.lost_in_logarithm(-z),
        one_rounding=True,
        slope_formula="σ(−z)",
    )


@recorded
def tanh() -> Activation:
    """tanh z."""
    return Activation(
        "tanh",
        "tanh z",
        "Riccati 1757; DLMF 4.28.4",
        np.tanh,
        logistic.tanh_derivative,
        logistic.tanh_second,
        textbook_value=one,  # of exponentials, (e^z − e^−z)/(e^z + e^−z), or 2σ(2z) − 1
        slope_formula="1 − tanh² z",
    )


@recorded
def tanhshrink() -> Activation:
    """z − tanh z."""

    def derivative(z: Array) -> Array:
        t = np.tanh(z)
        return t * t

    def second(z: Array) -> Array:
        return -logistic.tanh_second(z)

    return Activation(
        "tanhshrink",
        "z − tanh z",
        "torch.nn.Tanhshrink",
        tanh_residual,
        derivative,
        second,
        textbook_value=size,
        # of 1 − 1/cosh² z too: a cosh above 1 errs by 2u, the square by twice as much, the quotient by as much again
        textbook_derivative=lambda z: 1 + 4 * logistic.tanh_derivative(z),
        slope_formula="tanh² z",
    )


@recorded
def silu() -> Activation:
    """z·σ(z)."""
    return Activation(
        "silu",
        "z·σ(z)",
        "Elfwing, Uchibe & Doya 2018, arXiv:1702.03118",
        gates.silu,
        gates.silu_derivative,
        gates.silu_second,
        textbook_value=size,
        textbook_derivative=one_plus_size,
        one_rounding=True,
        slope_formula="σ(z)(1 + z(1 − σ(z)))",
    )


@recorded
def gelu() -> Activation:
    """z·Φ(z), Φ the standard normal distribution."""
    return Activation(
        "gelu",
        "z·Φ(z)",
        "Hendrycks & Gimpel 2016, arXiv:1606.08415, §2",
        gates.gelu,
        gates.gelu_derivative,
        gates.gelu_second,
        textbook_value=size,
        one_rounding=True,
        slope_formula="Φ(z) + z·φ(z)",
    )


@recorded
def gelu_tanh() -> Activation:
    """½z(1 + tanh(√(2/π)(z + 0.044715z³))): torch's gelu(approximate="tanh")."""

    def textbook(z: Array) -> Array:
        """1 − tanh² carries u and is multiplied by ½z·(inner derivative), which it outlives up to |z| = 8."""
        a = np.minimum(magnitude(z), 8)
        return 1 + a * (1 + a * a / 8)

    return Activation(
        "gelu_tanh",
        "½z(1 + tanh(√(2/π)(z + 0.044715z³)))",
        "Hendrycks & Gimpel 2016, arXiv:1606.08415, §2",
        gates.gelu_tanh,
        gates.gelu_tanh_derivative,
        gates.gelu_tanh_second,
        textbook_value=size,
        textbook_derivative=textbook,
        one_rounding=True,
        slope_formula="½(1 + T) + ½z(1 − T²)·√(2/π)(1 + 0.134145z²), T = tanh(√(2/π)(z + 0.044715z³))",
    )


@recorded
def mish() -> Activation:
    """z·tanh(log(1 + e^z))."""
    return Activation(
        "mish",
        "z·tanh(log(1 + e^z))",
        "Misra 2019, arXiv:1908.08681",
        mish_functions.mish,
        mish_functions.mish_derivative,
        mish_functions.mish_second,
        textbook_value=size,
        textbook_derivative=one_plus_size,
        one_rounding=True,
        slope_formula="T + z·σ(z)(1 − T²), T = tanh(log(1 + e^z))",
    )


@recorded
def square() -> Activation:
    """z²."""
    return Activation(
        "square",
        "z²",
        "the chapter; Leshno et al. 1993",
        lambda z: z * z,
        lambda z: 2 * z,
        lambda z: zero(z) + 2,
        textbook_derivative=nothing,
        slope_formula="2z",
    )
