"""Derivatives of activations that are a sum of two terms: the second is often forgotten, or given another weight.

z (N, O) is the pre-activation, h the activation's output, d the gradient of h, all of one layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np

import reference as ref
from reference.functions import logistic
from reference.network.gradients import place_of

from .mistake import Mistake
from .rules import at_step

Pullback = Callable[[Any, Any, Any], Any]
"""(z, h, d) ↦ the gradient of z, wrong."""
OneTerm = Callable[[Any, Any], Any]
"""(z, d) ↦ one term of the gradient of z."""


@dataclass(frozen=True)
class TwoTerms:
    """The gradient of z as a sum of two terms, the second of which is often forgotten, or given another weight.

    Attributes:
        first: the term that people remember.
        second: the other one.
        title: the second term in words.
        constants: other weights of the second term that people give it, with what they stand for.
    """

    first: OneTerm
    second: OneTerm
    title: str
    constants: tuple[tuple[float, str], ...] = ()

    def weighed(self, weight: float) -> Pullback:
        """The gradient of z in which the second term counts so many times."""
        return lambda z, h, d: self.first(z, d) + self.second(z, d) * weight


# ── derivatives of two terms ─────────────────────────────────────────────────────────────────────────

ROOT = sqrt(2 * pi)
CUBIC = 0.044715
INNER = sqrt(2 / pi)


def normal(z: Any) -> Any:
    """Φ(z), the normal distribution."""
    from scipy.special import erfc  # noqa: PLC0415  (it loads for as long as all of this package)

    return erfc(z * -sqrt(0.5)) / 2


def density(z: Any) -> Any:
    """φ(z) = e^(−z²/2)/√(2π)."""
    return np.exp(z * z * -0.5) / ROOT


def tanh_of_gelu(z: Any, inner: float = INNER) -> Any:
    """The tanh of GELU's tanh form, tanh(√(2/π)(z + 0.044715z³))."""
    return np.tanh((z + z * z * z * CUBIC) * inner)


def gelu_tanh_second(z: Any, inner: float = INNER, threefold: float = 3.0) -> Any:
    """½z(1 − tanh²)·√(2/π)(1 + 3·0.044715z²)."""
    t = tanh_of_gelu(z, inner)
    return z * (1 - t * t) * (z * z * (threefold * CUBIC) + 1) * (inner / 2)


def hyperbolic_of_mish(z: Any) -> Any:
    """The tanh of mish, tanh(log(1 + e^z))."""
    return np.tanh(logistic.softplus(z))


def _softmax(z: Any) -> Any:
    return ref.ACTIVATIONS["softmax"].value(z)


def _dot(z: Any, d: Any) -> Any:
    """y·Σ y·d, y the softmax of z."""
    y = _softmax(z)
    return y * (y * d).sum(axis=1, keepdims=True)


TWO_TERMS: dict[str, TwoTerms] = {
    "gelu": TwoTerms(
        lambda z, d: d * normal(z),
        lambda z, d: d * (z * density(z)),
        "the term z·φ(z)",
        (
            *((c * ROOT, f"{c:g} stands for 1/√(2π)") for c in (0.4, 0.399, 0.398, 0.3989, 0.39894, 0.398942)),
            (0.3989423 * ROOT, "0.3989423 stands for 1/√(2π)"),
            (0.39894228 * ROOT, "0.39894228 stands for 1/√(2π)"),
            (0.3989422804 * ROOT, "0.3989422804 stands for 1/√(2π)"),
            (ROOT, "the 1/√(2π) of the density is missing"),
        ),
    ),
    "gelu_tanh": TwoTerms(
        lambda z, d: d * ((tanh_of_gelu(z) + 1) / 2), lambda z, d: d * gelu_tanh_second(z),
        "the term ½z·(1 − tanh²)·u′(z)"
    ),
    "silu": TwoTerms(
        lambda z, d: d * logistic.sigmoid(z), lambda z, d: d * (z * logistic.sigmoid_derivative(z)),
        "the term z·σ(z)(1 − σ(z))"
    ),
    "mish": TwoTerms(
        lambda z, d: d * hyperbolic_of_mish(z),
        lambda z, d: d * (z * logistic.tanh_derivative(logistic.softplus(z)) * logistic.sigmoid(z)),
        "the term z·(1 − tanh²)·σ(z)",
    ),
    "tanh": TwoTerms(lambda z, d: d, lambda z, d: -d * (np.tanh(z) * np.tanh(z)), "the term −tanh²(z)"),
    "softmax": TwoTerms(lambda z, d: d * _softmax(z), lambda z, d: -_dot(z, d), "the dot product Σ y·d"),
    "softmin": TwoTerms(lambda z, d: -d * _softmax(-z), lambda z, d: _dot(-z, d), "the dot product Σ y·d"),
    "log_softmax": TwoTerms(
        lambda z, d: d, lambda z, d: -_softmax(z) * d.sum(axis=1, keepdims=True), "the term −softmax(z)·Σ d"
    ),
}  # fmt: skip
"""By activation."""


def term_mistake(layer: int, row: ref.Activation, weight: float, uncertainty: float = 0.0) -> Mistake:
    """The second term of one layer's derivative counted another number of times than once.

    Args:
        layer: the index of the layer.
        row: its activation, one of `TWO_TERMS`.
        weight: how many times the second term counts.
        uncertainty: of the weight, see `Mistake`.
    """
    terms = TWO_TERMS[row.name]
    return Mistake(
        "derivative term scaled",
        place_of(layer),
        f"{terms.title} of the derivative of {row.name} counts {weight:.6g} times",
        rules=at_step("slope", lambda p, t, l, d: terms.weighed(weight)(t.preactivations[l], None, d), layer),
        vague=True,
        form="term",
        constant=weight,
        uncertainty=uncertainty,
    )
