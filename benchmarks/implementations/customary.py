"""The customary formulas of activations, as textbooks, libraries and students write them, and gradients by them.

Each loses digits somewhere (e^z − 1 at z ≈ 0, 1 − tanh² in the tails), and each is right: the textbook rounding scale
has to hold them all. They are written for what they are, out of what exponentials and logarithms give.

z (N, K) is a layer's pre-activation, h = a(z): N examples, K features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

import reference as ref
from reference.network.gradients import place_of

from .customary_functions import (
    log_sum_exp,
    sigmoid,
    sigmoid_left,
    softmax,
    softmax_of_logarithm,
    softmax_shifted,
    softplus,
    through_softmax,
)
from .customary_losses import LossForm

Array = Any
_LAMBDA, _ALPHA = 1.0507009873554805, 1.6732632423543773


@dataclass(frozen=True)
class Form:
    """One way to write an activation.

    Attributes:
        title: how it is written.
        value: z ↦ h.
        pullback: (z, h, d_h) ↦ d_z.
        reach: |z| up to which no exponential of it overflows or underflows in float32.
    """

    title: str
    value: Callable[[Array], Array]
    pullback: Callable[[Array, Array, Array], Array]
    reach: float = 40.0


def _elementwise(
    title: str, value: Callable[[Array], Array], derivative: Callable[[Array, Array], Array], reach: float = 40.0
) -> Form:
    return Form(title, value, lambda z, h, d_h: d_h * derivative(z, h), reach)


def _tanh(z: Array) -> Array:
    return (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))


def _tanh_of_double(z: Array) -> Array:
    return (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1)


def _tanh_of_sigmoid(z: Array) -> Array:
    return 2 * sigmoid(2 * z) - 1


def _normal(z: Array) -> Array:
    return (1 + erf(z / z.dtype.type(math.sqrt(2)))) / 2


def _through_jacobian(h: Array, d_h: Array) -> Array:
    return np.stack([(np.diag(p) - np.outer(p, p)) @ d for p, d in zip(h, d_h, strict=True)])


def _through_log_softmax(h: Array, d_h: Array) -> Array:
    return d_h - np.exp(h) * d_h.sum(axis=1, keepdims=True)


def _exponential(scale: float, left: float) -> tuple[Callable[..., Array], ...]:
    """scale·z, or left·(e^z − 1) for z ≤ 0; its slope from z, and its slope from h."""
    return (
        lambda z: np.where(z > 0, scale * z, left * (np.exp(np.minimum(z, 0)) - 1)).astype(z.dtype),
        lambda z, h: np.where(z > 0, scale, left * np.exp(np.minimum(z, 0))).astype(z.dtype),
        lambda z, h: np.where(z > 0, scale, h + left).astype(z.dtype),
    )


def _elu_forms(scale: float = 1.0, left: float = 1.0) -> tuple[Form, ...]:
    value, slope, slope_of_h = _exponential(scale, left)
    return _elementwise("e^z − 1, e^z", value, slope), _elementwise("e^z − 1, h + α", value, slope_of_h)


def _mish_slope(z: Array, h: Array) -> Array:
    """Misra's e^z·ω/δ²."""
    e = np.exp(z)
    omega = 4 * (z + 1) + 4 * e * e + e * e * e + e * (4 * z + 6)
    delta = 2 * e + e * e + 2
    return e * omega / (delta * delta)


def _mish_by_parts(z: Array, h: Array) -> Array:
    t = np.tanh(softplus(z))
    return t + z * (1 - t * t) * sigmoid(z)


def _gelu_slope(z: Array, h: Array) -> Array:
    return _normal(z) + z * np.exp(-z * z / 2) / z.dtype.type(math.sqrt(2 * math.pi))


_ROOT, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu_tanh(z: Array) -> Array:
    return z / 2 * (1 + np.tanh(_ROOT * (z + _CUBIC * z**3)))


def _gelu_tanh_slope(z: Array, h: Array) -> Array:
    t = np.tanh(_ROOT * (z + _CUBIC * z**3))
    return (1 + t) / 2 + z / 2 * (1 - t * t) * _ROOT * (1 + 3 * _CUBIC * z * z)


def _glu(z: Array) -> Array:
    a, b = np.split(z, 2, axis=1)
    return a * sigmoid(b)


def _through_glu(z: Array, h: Array, d_h: Array) -> Array:
    a, b = np.split(z, 2, axis=1)
    s = sigmoid(b)
    return np.concatenate([d_h * s, d_h * a * s * (1 - s)], axis=1)


ACTIVATIONS: Mapping[str, tuple[Form, ...]] = {
    "sigmoid": (
        _elementwise("1/(1 + e^−z), h(1 − h)", sigmoid, lambda z, h: h * (1 - h)),
        _elementwise("e^z/(1 + e^z), h − h²", sigmoid_left, lambda z, h: h - h * h),
        _elementwise("e^−z/(1 + e^−z)²", sigmoid, lambda z, h: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    ),
    "tanh": (
        _elementwise("tanh, 1 − h²", np.tanh, lambda z, h: 1 - h * h),
        _elementwise("(e^z − e^−z)/(e^z + e^−z)", _tanh, lambda z, h: 1 - h * h),
        _elementwise("(e^2z − 1)/(e^2z + 1)", _tanh_of_double, lambda z, h: 1 - h * h),
        _elementwise("2σ(2z) − 1", _tanh_of_sigmoid, lambda z, h: 1 - h * h),
        _elementwise("2σ(2z) − 1, 4σ(1 − σ)", _tanh_of_sigmoid, lambda z, h: 4 * sigmoid(2 * z) * (1 - sigmoid(2 * z))),
        _elementwise("1/cosh²", _tanh, lambda z, h: 1 / np.cosh(z) ** 2),
    ),
    "tanhshrink": (_elementwise("z − tanh z, tanh²", lambda z: z - np.tanh(z), lambda z, h: np.tanh(z) ** 2),
                   _elementwise("1 − (1 − tanh²)", lambda z: z - np.tanh(z), lambda z, h: 1 - (1 - np.tanh(z) ** 2)),
                   _elementwise("(z − h)²", lambda z: z - np.tanh(z), lambda z, h: (z - h) ** 2)),
    "logsigmoid": (
        _elementwise("log σ(z), 1 − σ", lambda z: np.log(sigmoid(z)), lambda z, h: 1 - sigmoid(z)),
        _elementwise("−log(1 + e^−z), σ(−z)", lambda z: -np.log(1 + np.exp(-z)), lambda z, h: sigmoid(-z)),
        _elementwise("z − log(1 + e^z), 1 − e^h", lambda z: z - softplus(z), lambda z, h: 1 - np.exp(h)),
    ),
    "softplus": (
        _elementwise("log(1 + e^z), σ", softplus, lambda z, h: sigmoid(z), 19.0),
        _elementwise("log(1 + e^z), e^z/(1 + e^z)", softplus, lambda z, h: sigmoid_left(z), 19.0),
        _elementwise("log(1 + e^z), 1 − e^−h", softplus, lambda z, h: 1 - np.exp(-h), 19.0),
        _elementwise("log1p(e^z)", lambda z: np.log1p(np.exp(z)), lambda z, h: sigmoid(z), 19.0),
    ),
    "elu": _elu_forms(),
    "celu": _elu_forms(),
    "selu": _elu_forms(_LAMBDA, _LAMBDA * _ALPHA),
    "silu": (
        _elementwise("zσ, σ + zσ(1 − σ)", lambda z: z * sigmoid(z),
                     lambda z, h: sigmoid(z) + z * sigmoid(z) * (1 - sigmoid(z))),
        _elementwise("z/(1 + e^−z), h + σ(1 − h)", lambda z: z / (1 + np.exp(-z)),
                     lambda z, h: h + sigmoid(z) * (1 - h)),
        _elementwise("zσ, σ(1 + z(1 − σ))", lambda z: z * sigmoid(z),
                     lambda z, h: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
        _elementwise("zσ, σ(1 + z − h)", lambda z: z * sigmoid(z), lambda z, h: sigmoid(z) * (1 + z - h)),
    ),
    "gelu": (
        _elementwise("zΦ(z), Φ + zφ", lambda z: z * _normal(z), _gelu_slope),
        _elementwise("½z(1 + erf(z/√2))", lambda z: z / 2 * (1 + erf(z / z.dtype.type(math.sqrt(2)))), _gelu_slope),
    ),
    "gelu_tanh": (_elementwise("½z(1 + tanh(…))", _gelu_tanh, _gelu_tanh_slope),),
    "mish": (
        _elementwise("z·tanh(log(1 + e^z)), by parts", lambda z: z * np.tanh(softplus(z)), _mish_by_parts),
        _elementwise("e^z·ω/δ²", lambda z: z * np.tanh(softplus(z)), _mish_slope, 20.0),
    ),
    "softsign": (
        _elementwise("z/(1 + |z|), 1/(1 + |z|)²", lambda z: z / (1 + abs(z)), lambda z, h: 1 / (1 + abs(z)) ** 2),
        _elementwise("(1 − |h|)²", lambda z: z / (1 + abs(z)), lambda z, h: (1 - abs(h)) ** 2),
    ),
    "softmax": (
        Form("e^z/Σe^z", softmax, lambda z, h, d_h: through_softmax(h, d_h)),
        Form("shifted, Jacobian", softmax_shifted, lambda z, h, d_h: _through_jacobian(h, d_h)),
        Form("e^(z − logsumexp z)", softmax_of_logarithm, lambda z, h, d_h: through_softmax(h, d_h)),
    ),
    "softmin": (Form("softmax(−z)", lambda z: softmax_of_logarithm(-z), lambda z, h, d_h: -through_softmax(h, d_h)),),
    "log_softmax": (
        Form("log softmax", lambda z: np.log(softmax_shifted(z)), lambda z, h, d_h: _through_log_softmax(h, d_h)),
        Form("z − logsumexp z", lambda z: z - log_sum_exp(z), lambda z, h, d_h: _through_log_softmax(h, d_h)),
        Form("z − log Σe^z", lambda z: z - np.log(np.exp(z).sum(axis=1, keepdims=True)),
             lambda z, h, d_h: d_h - softmax(z) * d_h.sum(axis=1, keepdims=True)),
    ),
    "glu": (Form("aσ(b), aσ(1 − σ)", _glu, _through_glu),),
}  # fmt: skip
"""Every activation whose customary formulas lose digits, with the ways to write it."""


def customary_gradients(
    problem: ref.Problem, forms: Mapping[int, Form], loss: LossForm | None = None
) -> dict[str, Array]:
    """Gradients by place, and the loss, in the problem's own precision, by these formulas.

    Args:
        problem: what to differentiate.
        forms: how the activation of a layer is written, by its index; the oracle's own way elsewhere.
        loss: how the loss is written; the oracle's own way if not given.
    """
    h: Array = problem.x
    zs, hs = [], [h]
    for l, layer in enumerate(problem.mlp.layers):
        z = h @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        h = forms[l].value(z) if l in forms else layer.activation.value(z)
        zs.append(z)
        hs.append(h)
    row = problem.loss if loss is None else loss
    divisor = (
        np.dtype(problem.dtype).type(problem.loss.divisor(h, problem.target)) if problem.reduction == "mean" else 1
    )
    leaves: dict[str, Array] = {"loss": np.asarray(row.value(h, problem.target).sum() / divisor)}
    d_h = row.gradient(h, problem.target) / divisor
    for l in reversed(range(len(zs))):
        layer = problem.mlp.layers[l]
        d_z = forms[l].pullback(zs[l], hs[l + 1], d_h) if l in forms else layer.activation.pullback(zs[l], d_h)
        leaves[place_of(l, "weight")] = d_z.T @ hs[l]
        if layer.bias is not None:
            leaves[place_of(l, "bias")] = d_z.sum(axis=0)
        d_h = d_z @ layer.weight
    return leaves | {"input": d_h}
