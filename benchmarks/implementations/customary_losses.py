"""The customary formulas of losses, as textbooks, libraries and students write them, in NumPy (see `customary`).

y (N, K) is the network's output, t the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

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

Array = Any


@dataclass(frozen=True)
class LossForm:
    """One way to write a loss of y.

    Attributes:
        title: how it is written.
        value: (y, t) ↦ the unreduced loss.
        gradient: (y, t) ↦ d_y of its sum.
        reach: |y| up to which it has digits left: beyond, log(1 − σ(y)) is that of what rounding left.
    """

    title: str
    value: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]
    reach: float = 15.0


def _onehot(y: Array, t: Array) -> Array:
    return np.eye(y.shape[1], dtype=y.dtype)[t]


def _cross_entropy(softmax: Callable[[Array], Array]) -> LossForm:
    def chained(y: Array, t: Array) -> Array:
        p = softmax(y)
        return through_softmax(p, -_onehot(y, t) / p)

    title = (
        "−Σ t log p, through the softmax"
        if softmax is softmax_shifted
        else "−Σ t log p of e^(z − logsumexp), through it"
    )
    return LossForm(title, lambda y, t: -np.log((softmax(y) * _onehot(y, t)).sum(axis=1)), chained)


LOSSES: Mapping[str, tuple[LossForm, ...]] = {
    "cross_entropy": (
        LossForm("−Σ t log p, p − t", lambda y, t: -(_onehot(y, t) * np.log(softmax_shifted(y))).sum(axis=1),
                 lambda y, t: softmax_shifted(y) - _onehot(y, t)),
        LossForm("logsumexp y − y_t", lambda y, t: (log_sum_exp(y) - y)[np.arange(len(y)), t],
                 lambda y, t: softmax_of_logarithm(y) - _onehot(y, t)),
        LossForm("log Σe^y − y_t", lambda y, t: np.log(np.exp(y).sum(axis=1)) - y[np.arange(len(y)), t],
                 lambda y, t: softmax(y) - _onehot(y, t)),
        _cross_entropy(softmax_shifted),
        _cross_entropy(softmax_of_logarithm),
    ),
    "bce_with_logits": (
        LossForm("of σ, σ − t", lambda y, t: -(t * np.log(sigmoid(y)) + (1 - t) * np.log(1 - sigmoid(y))),
                 lambda y, t: sigmoid(y) - t, 2.5),
        LossForm("max(y, 0) − ty + log(1 + e^−|y|)",
                 lambda y, t: np.maximum(y, 0) - t * y + np.log(1 + np.exp(-abs(y))),
                 lambda y, t: sigmoid(y) - t),
        LossForm("log(1 + e^y) − ty", lambda y, t: softplus(y) - t * y, lambda y, t: sigmoid_left(y) - t),
    ),
    "soft_margin": (
        LossForm("log(1 + e^−ty), −t/(1 + e^ty)", lambda y, t: np.log(1 + np.exp(-t * y)),
                 lambda y, t: -t / (1 + np.exp(t * y))),
        LossForm("t(σ(ty) − 1)", lambda y, t: np.log(1 + np.exp(-t * y)), lambda y, t: t * (sigmoid(t * y) - 1)),
        LossForm("−log σ(ty), −te/(1 + e)", lambda y, t: -np.log(sigmoid(t * y)),
                 lambda y, t: -t * np.exp(-t * y) / (1 + np.exp(-t * y))),
    ),
    "multilabel_soft_margin": (
        LossForm("of log σ, (σ − t)/K",
                 lambda y, t: -(t * np.log(sigmoid(y)) + (1 - t) * np.log(1 - sigmoid(y))).mean(axis=1),
                 lambda y, t: (sigmoid(y) - t) / y.shape[1], 2.5),
    ),
    "mse": (LossForm("y² − 2ty + t²", lambda y, t: (y - t) ** 2, lambda y, t: 2 * y - 2 * t),),
    "half_squared_error": (
        LossForm("½(t − y)², −(t − y)", lambda y, t: ((t - y) ** 2).sum(axis=1) / 2, lambda y, t: -(t - y)),
    ),
    "kl_div": (
        LossForm("t log t − ty",
                 lambda y, t: np.where(t > 0, t * np.log(np.where(t > 0, t, 1)), 0) - t * y, lambda y, t: -t),
        LossForm("t log(t/e^y)", lambda y, t: t * np.log(t / np.exp(y)), lambda y, t: -t),
    ),
    "poisson_nll": (LossForm("e^y − ty", lambda y, t: np.exp(y) - t * y, lambda y, t: np.exp(y) - t),),
    "gaussian_nll": (LossForm("½(log 1 + (y − t)²)", lambda y, t: (y - t) ** 2 / 2, lambda y, t: y - t),),
    "huber": (
        LossForm("by cases", lambda y, t: np.where(abs(y - t) <= 1, (y - t) ** 2 / 2, abs(y - t) - 0.5),
                 lambda y, t: np.where(abs(y - t) <= 1, y - t, np.sign(y - t))),
    ),
    "smooth_l1": (
        LossForm("by cases", lambda y, t: np.where(abs(y - t) < 1, (y - t) ** 2 / 2, abs(y - t) - 0.5),
                 lambda y, t: np.where(abs(y - t) < 1, y - t, np.sign(y - t))),
    ),
}  # fmt: skip
"""Every loss with more than one way to write it, and those that are smooth."""
