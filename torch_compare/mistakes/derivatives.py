"""Wrong derivatives of activations, each as people write it: a term left out, a constant cut short, a part unmasked.

z (N, O) is the pre-activation, h the activation's output, d the gradient of h, all of one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.dispatch import indicator
from reference.functions import logistic
from reference.network.unchecked import changed

from .two_terms import (
    INNER,
    TWO_TERMS,
    Pullback,
    density,
    gelu_tanh_second,
    hyperbolic_of_mish,
    normal,
    tanh_of_gelu,
)


@dataclass(frozen=True)
class WrongDerivative:
    """A way to go back through an activation that is wrong.

    Attributes:
        name: the kind of the mistake.
        what: a clause that says what is done.
        pullback: (z, h, d) ↦ d_z.
    """

    name: str
    what: str
    pullback: Pullback


def _of_two_terms(row: ref.Activation) -> Iterator[WrongDerivative]:
    terms = TWO_TERMS.get(row.name)
    if terms is None:
        return
    if row.name not in ("tanh", "log_softmax"):  # what is left of theirs is d: the derivative is missing
        what = f"{terms.title} of the derivative of {row.name} is missing"
        yield WrongDerivative("derivative term missing", what, terms.weighed(0.0))
    what = f"{terms.title} of the derivative of {row.name} has the wrong sign"
    yield WrongDerivative("sign of a derivative term", what, terms.weighed(-1.0))
    for weight, what in terms.constants:
        yield WrongDerivative("constant cut short", f"in the derivative of {row.name} {what}", terms.weighed(weight))


# ── by activation ────────────────────────────────────────────────────────────────────────────────────


TRUNCATED = (0.8, 0.798, 0.7979, 0.79788, 0.797885, 0.7978846, 0.79788456, 0.7978845608)
"""√(2/π) as people write it; the last is that of the BERT and GPT-2 models' published code."""


def _gelu(row: ref.Activation) -> Iterator[WrongDerivative]:
    missing = "factor in the derivative missing"
    what = "the z before φ(z) in the derivative of gelu is missing"
    yield WrongDerivative(missing, what, lambda z, h, d: d * (normal(z) + density(z)))


def _gelu_tanh(row: ref.Activation) -> Iterator[WrongDerivative]:
    missing = "factor in the derivative missing"

    def with_second(second: Callable[[Any], Any]) -> Pullback:
        return lambda z, h, d: d * ((tanh_of_gelu(z) + 1) / 2 + second(z))

    what = "the 3 of the cubic term's derivative, 1 + 3·0.044715z², is missing"
    yield WrongDerivative(missing, what, with_second(lambda z: gelu_tanh_second(z, threefold=1.0)))
    what = "the cubic term is left out of the inner derivative, √(2/π)(1 + 3·0.044715z²)"
    yield WrongDerivative("derivative term missing", what, with_second(lambda z: gelu_tanh_second(z, threefold=0.0)))
    what = "the √(2/π) of the inner derivative is missing"
    yield WrongDerivative(missing, what, with_second(lambda z: gelu_tanh_second(z) / INNER))


def _with_inner(inner: float) -> Pullback:
    return lambda z, h, d: d * ((tanh_of_gelu(z, inner) + 1) / 2 + gelu_tanh_second(z, inner))


def _silu(row: ref.Activation) -> Iterator[WrongDerivative]:
    what = "the z before σ(z)(1 − σ(z)) in the derivative of silu is missing"
    yield WrongDerivative(
        "factor in the derivative missing",
        what,
        lambda z, h, d: d * (logistic.sigmoid(z) + logistic.sigmoid_derivative(z)),
    )
    what = "the derivative of the sigmoid, σ(1 − σ), stands for that of silu"
    yield WrongDerivative("derivative of the sigmoid", what, lambda z, h, d: d * logistic.sigmoid_derivative(z))


def _mish(row: ref.Activation) -> Iterator[WrongDerivative]:
    def with_factor(factor: Callable[[Any], Any]) -> Pullback:
        def pullback(z: Any, h: Any, d: Any) -> Any:
            slope = logistic.tanh_derivative(logistic.softplus(z))
            return d * (hyperbolic_of_mish(z) + factor(z) * slope)

        return pullback

    missing = "factor in the derivative missing"
    what = "the z before (1 − tanh²)·σ(z) in the derivative of mish is missing"
    yield WrongDerivative(missing, what, with_factor(logistic.sigmoid))
    what = "the inner derivative σ(z) in the derivative of mish is missing"
    yield WrongDerivative(missing, what, with_factor(lambda z: z))


def _sigmoid(row: ref.Activation) -> Iterator[WrongDerivative]:
    yield WrongDerivative(
        "gradient in one term only",
        "the gradient of the output multiplies one term of σ − σ² only: d·h − h²",
        lambda z, h, d: d * h - h * h,
    )
    what = "h(1 − h), a formula of the output, is taken at the pre-activation: z(1 − z)"
    yield WrongDerivative("output's formula at the pre-activation", what, lambda z, h, d: d * (z * (1 - z)))
    what = "the factor h of h(1 − h) is missing"
    yield WrongDerivative("factor in the derivative missing", what, lambda z, h, d: d * (1 - h))


def _tanh(row: ref.Activation) -> Iterator[WrongDerivative]:
    yield WrongDerivative(
        "gradient in one term only",
        "the gradient of the output multiplies one term of 1 − h² only: d − h²",
        lambda z, h, d: d - h * h,
    )
    what = "1 − h², a formula of the output, is taken at the pre-activation: 1 − z²"
    yield WrongDerivative("output's formula at the pre-activation", what, lambda z, h, d: d * (1 - z * z))
    what = "h is not squared: 1 − h stands for 1 − h²"
    yield WrongDerivative("square in the derivative missing", what, lambda z, h, d: d * (1 - h))


def _softsign(row: ref.Activation) -> Iterator[WrongDerivative]:
    what = "1 + |z| is not squared: 1/(1 + |z|) stands for 1/(1 + |z|)²"
    yield WrongDerivative("square in the derivative missing", what, lambda z, h, d: d / (np.abs(z) + 1))


def _softmax_kin(row: ref.Activation) -> Iterator[WrongDerivative]:
    other = ref.ACTIVATIONS["log_softmax" if row.name == "softmax" else "softmax"]
    what = f"the formula of {other.name} stands for that of {row.name}"
    yield WrongDerivative("softmax's formula for its kin", what, _of(other))
    if row.name == "log_softmax":
        what = "the output stands where its exponential belongs: d − h·Σ d for d − e^h·Σ d"
        yield WrongDerivative("value for derivative", what, lambda z, h, d: d - h * d.sum(axis=1, keepdims=True))


OWN: dict[str, Callable[[ref.Activation], Iterator[WrongDerivative]]] = {
    "gelu": _gelu, "gelu_tanh": _gelu_tanh, "silu": _silu, "mish": _mish, "sigmoid": _sigmoid, "tanh": _tanh,
    "softsign": _softsign, "softmax": _softmax_kin, "softmin": _softmax_kin, "log_softmax": _softmax_kin,
}  # fmt: skip
"""Further wrong derivatives, by activation."""


# ── of every activation ──────────────────────────────────────────────────────────────────────────────


def _unmasked(row: ref.Activation) -> Iterator[WrongDerivative]:
    """The slope of the piece between two kinks continued beyond one of them, or both."""
    if len(row.kinks) != 2 or row.name in ("hardshrink", "softshrink"):
        return
    low, high = (kink.at for kink in row.kinks)
    middle: Callable[[Any], Any] = {
        "hardsigmoid": lambda z: z * 0 + 1 / 6,
        "hardswish": lambda z: (z * 2 + 3) / 6,
    }.get(row.name, lambda z: z * 0 + 1)

    def masked(still: Callable[[Any], Any]) -> Pullback:
        def pullback(z: Any, h: Any, d: Any) -> Any:
            outside = indicator(still(z), z)
            return d * ((1 - outside) * middle(z) + outside * row.derivative(z))  # type: ignore[misc]

        return pullback

    kind, goes_on = "saturated part not masked", "is not masked: the slope of the middle goes on there"
    yield WrongDerivative(kind, f"the saturated part {goes_on}", lambda z, h, d: d * middle(z))
    yield WrongDerivative(kind, f"the saturated part above {high:g} {goes_on}", masked(lambda z: z <= low))
    yield WrongDerivative(kind, f"the saturated part below {low:g} {goes_on}", masked(lambda z: z >= high))


def _parameters_ignored(row: ref.Activation) -> Iterator[WrongDerivative]:
    """The row with one of its parameters as torch has it by default."""
    plain = ref.ACTIVATIONS.get(row.name)
    for key, value in row.parameters.items():
        if plain is None or value == plain.parameters.get(key):
            continue
        try:
            other = getattr(ref.activations, row.name)(**(dict(row.parameters) | {key: plain.parameters[key]}))
        except ValueError:
            continue  # the default contradicts another parameter
        what = f"{key}={value:g} is ignored: the derivative is that of {row.name} with {key}={plain.parameters[key]:g}"
        yield WrongDerivative("activation parameter ignored", what, _of(other))


def _of(other: ref.Activation) -> Pullback:
    """The pullback of another row."""
    return lambda z, h, d: other.pullback(z, d)


def other_forms(row: ref.Activation) -> Iterator[tuple[str, str, ref.Activation]]:
    """(kind, clause, row): an activation with a constant cut short, or by another formula, its derivative too."""
    if row.name == "gelu_tanh":
        for inner in TRUNCATED:
            yield "constant cut short", f"{inner:.10g} stands for √(2/π) in gelu_tanh", _gelu_tanh_with(row, inner)
    if row.name in ("gelu", "gelu_tanh"):
        yield "sigmoid formula for GELU", f"z·σ(1.702z) stands for {row.name}", _quick_gelu(row)
    if row.name == "selu":
        for scale, alpha in SELU:
            what = f"{scale:.10g} and {alpha:.10g} stand for the λ and α of selu"
            yield "constant cut short", what, _selu_with(row, scale, alpha)
    if row.name == "softplus" and np.isfinite(row.parameters["threshold"]):
        beta, threshold = row.parameters["beta"], row.parameters["threshold"]
        formula, scaled = ("log(1 + e^z)", "z") if beta == 1 else (f"log(1 + e^({beta:g}z))/{beta:g}", f"{beta:g}z")
        what = f"softplus is without its threshold: {formula} stands for z where {scaled} > {threshold:g}"
        yield "threshold of softplus left out", what, ref.activations.softplus(beta, np.inf)


def _gelu_tanh_with(row: ref.Activation, inner: float) -> ref.Activation:
    pull = _with_inner(inner)
    return changed(
        row, value=lambda z: z * ((tanh_of_gelu(z, inner) + 1) / 2), derivative=lambda z: pull(z, None, z * 0 + 1)
    )


def _quick_gelu(row: ref.Activation) -> ref.Activation:
    """z·σ(1.702z), Hendrycks & Gimpel 2016, §2."""

    def derivative(z: Any) -> Any:
        return logistic.sigmoid(z * 1.702) + z * 1.702 * logistic.sigmoid_derivative(z * 1.702)

    return changed(row, value=lambda z: z * logistic.sigmoid(z * 1.702), derivative=derivative)


SELU = ((1.05, 1.67), (1.0507, 1.6733), (1.0507, 1.67326), (1.0507009, 1.6732632))
"""Decimals of λ and α that people write."""


def _selu_with(row: ref.Activation, scale: float, alpha: float) -> ref.Activation:
    return changed(
        row,
        value=lambda z: np.where(z > 0, z * scale, np.expm1(np.minimum(z, 0)) * (scale * alpha)),
        derivative=lambda z: np.where(z > 0, z * 0 + scale, np.exp(np.minimum(z, 0)) * (scale * alpha)),
    )


def wrong_derivatives(row: ref.Activation) -> Iterator[WrongDerivative]:
    """The usual wrong derivatives of one activation, the most particular first.

    >>> [wrong.name for wrong in wrong_derivatives(ref.ACTIVATIONS["hardsigmoid"])][0]
    'saturated part not masked'
    """
    yield from _unmasked(row)
    yield from _of_two_terms(row)
    if row.name in OWN:
        yield from OWN[row.name](row)
    yield from _parameters_ignored(row)
    for name, what, other in other_forms(row):
        yield WrongDerivative(name, f"in the backward pass {what}", _of(other))
    if row.shrink == 1:
        what = "the gradient of the output is multiplied in twice"
        yield WrongDerivative("upstream gradient applied twice", what, lambda z, h, d: row.pullback(z, d) * d)
    if not row.rowwise:
        what = "the gradient of the pre-activation is multiplied by the pre-activation besides"
        yield WrongDerivative("pre-activation multiplied in", what, lambda z, h, d: row.pullback(z, d) * z)
