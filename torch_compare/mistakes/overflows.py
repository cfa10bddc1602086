"""Formulas that overflow on the way to a finite gradient, written as people write them, and what becomes of them.

They are run in the floating type of the numbers that were given: what matters is where it ends. z is a pre-activation,
y an output, t a target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref


@dataclass(frozen=True)
class Overflow:
    """A formula of a derivative in which something overflows.

    Attributes:
        formula: as it is written.
        becomes: what it is where it overflows: "∞/∞", "0·∞".
        instead: a formula that does not.
        gradient: (row, z) ↦ a′(z); or (row, y, t) ↦ the gradient of the loss; in the type of z.
        exponent: (row, z) ↦ the argument of the exponential, for the text.
        of: which exponential it is.
    """

    formula: str
    becomes: str
    instead: str
    gradient: Callable[..., Any]
    exponent: Callable[[Any, Any], Any] = lambda row, z: z
    of: str = "e^z"


def _one(z: Any) -> Any:
    return z.dtype.type(1)


def _logistic(z: Any) -> Any:
    return np.exp(z) / (np.exp(z) + _one(z))


def _tanh(z: Any) -> Any:
    up, down = np.exp(z), np.exp(-z)
    return (up - down) / (up + down)


def _beta(row: Any, z: Any) -> Any:
    return z * z.dtype.type(row.parameters.get("beta", 1.0))


def _softplus(z: Any) -> Any:
    return np.log(_one(z) + np.exp(z))


_SIGMOID = ("e^z/(e^z + 1)", "∞/∞", "1/(1 + e^−z)")

ACTIVATIONS: Mapping[str, tuple[Overflow, ...]] = {
    "softplus": (
        Overflow(
            "e^(βz)/(e^(βz) + 1)", "∞/∞", "1/(1 + e^(−βz))",
            lambda row, z: _logistic(_beta(row, z)), _beta, "e^(βz)",
        ),
    ),
    "sigmoid": (
        Overflow(*_SIGMOID, lambda row, z: _logistic(z) * (_one(z) - _logistic(z))),
        Overflow(
            "e^−z/(1 + e^−z)²", "∞/∞", "h(1 − h)",
            lambda row, z: np.exp(-z) / (_one(z) + np.exp(-z)) ** 2, lambda row, z: -z, "e^−z",
        ),
    ),
    "logsigmoid": (
        Overflow(
            "e^−z/(1 + e^−z)", "∞/∞", "1/(1 + e^z)", lambda row, z: _logistic(-z), lambda row, z: -z, "e^−z"
        ),
    ),
    "silu": (Overflow(*_SIGMOID, lambda row, z: _logistic(z) * (_one(z) + z * (_one(z) - _logistic(z)))),),
    "mish": (
        Overflow(
            "log(1 + e^z)", "∞, and z·(1 − tanh²)·σ(z) with σ = e^z/(e^z + 1) is ∞/∞", "1/(1 + e^−z) for σ",
            lambda row, z: np.tanh(_softplus(z)) + z * (_one(z) - np.tanh(_softplus(z)) ** 2) * _logistic(z),
        ),
    ),
    "tanh": (
        Overflow(
            "(e^z − e^−z)/(e^z + e^−z)", "∞/∞", "np.tanh(z), or 1 − 2/(e^(2z) + 1)",
            lambda row, z: _one(z) - _tanh(z) ** 2, lambda row, z: np.abs(z), "e^|z|",
        ),
    ),
    "elu": (
        Overflow(
            "(z > 0) + (z ≤ 0)·α·e^z", "0·∞", "e^min(z, 0)",
            lambda row, z: (z > 0) + (z <= 0) * z.dtype.type(row.parameters["alpha"]) * np.exp(z),
        ),
    ),
    "selu": (
        Overflow("(z > 0) + (z ≤ 0)·α·e^z", "0·∞", "e^min(z, 0)", lambda row, z: (z > 0) + (z <= 0) * np.exp(z)),
    ),
}  # fmt: skip
"""By activation."""


def _softmax(z: Any) -> Any:
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


_EXPONENTIALS = ("e^zᵢ/Σ e^zⱼ", "∞/∞", "e^(zᵢ − m)/Σ e^(zⱼ − m), m the largest")
ALONG_ROWS: Mapping[str, Overflow] = {
    "softmax": Overflow(*_EXPONENTIALS, lambda row, z: _softmax(z)),
    "log_softmax": Overflow(*_EXPONENTIALS, lambda row, z: _softmax(z)),
    "softmin": Overflow(
        "e^−zᵢ/Σ e^−zⱼ", "∞/∞", "e^(m − zᵢ)/Σ e^(m − zⱼ), m the least",
        lambda row, z: _softmax(-z), lambda row, z: -z, "e^−z",
    ),
}  # fmt: skip
"""By activation along rows, where every element of a row with an overflow is lost."""


def _bce_with_logits(row: ref.Loss, y: Any, t: Any) -> Any:
    """(1 + (p − 1)t)·log(1 + e^−y) + (1 − t)y, differentiated as it stands."""
    one = _one(y)
    p = y.dtype.type(1) if row.parameters["pos_weight"] is None else np.asarray(row.parameters["pos_weight"], y.dtype)
    return (one - t) - (one + (p - one) * t) * (np.exp(-y) / (one + np.exp(-y)))


LOSSES: Mapping[str, tuple[Overflow, ...]] = {
    "bce_with_logits": (
        Overflow(
            "e^−y/(1 + e^−y)", "∞/∞", "1/(1 + e^y)", _bce_with_logits, lambda row, y: -y, "e^−y"
        ),
        Overflow(
            "e^y/(e^y + 1)", "∞/∞", "1/(1 + e^−y)", lambda row, y, t: _logistic(y) - t, of="e^y"
        ),
    ),
    "cross_entropy": (
        Overflow(
            "e^yᵢ/Σ e^yⱼ", "∞/∞", "e^(yᵢ − m)/Σ e^(yⱼ − m), m the largest", lambda row, y, t: _softmax(y), of="e^y"
        ),
    ),
    "soft_margin": (
        Overflow(
            "e^−ty/(1 + e^−ty)", "∞/∞", "1/(1 + e^(ty))",
            lambda row, y, t: _logistic(-t * y), lambda row, y: np.abs(y), "e^−ty",
        ),
    ),
    "bce": (
        Overflow(
            "−t/y + (1 − t)/(1 − y)", "0/0", "(y − t)/(y(1 − y)), or bce_with_logits",
            lambda row, y, t: -t / y + (_one(y) - t) / (_one(y) - y), of="",
        ),
    ),
}  # fmt: skip
"""By loss."""
