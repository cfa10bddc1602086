"""Losses that want the right score above the wrong ones by a margin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import indicator, magnitude, parameter
from ..functions import logistic
from ..functions.basics import one, one_plus_size
from ..functions.parameters import check_number
from ..functions.recipe import recorded
from .common import check_weights, chosen_class, elements, examples, outputs_of, weights_like
from .row import Loss


@recorded
def soft_margin() -> Loss:
    """log(1 + e^(−t·y)) per element, t = ±1; mean divides by N·K."""
    return Loss(
        "soft_margin",
        "log(1 + e^(−t·y))",
        "torch.nn.functional.soft_margin_loss",
        "signs",
        lambda y, t: logistic.softplus(-t * y),
        lambda y, t: -t * logistic.sigmoid(-t * y),
        elements,
        textbook_value=lambda y, t: 1.0,
        textbook_gradient=lambda y, t: 1 + logistic.lost_in_logarithm(-t * y),  # 1: of t(σ(ty) − 1)
    )


@recorded
def multilabel_soft_margin(weight: ArrayLike | None = None) -> Loss:
    """The mean over the K classes of w·((1 − t)·softplus(y) + t·softplus(−y)), per example; mean: N."""
    weights = check_weights("multilabel_soft_margin", "weight", weight)

    def value(y: Array, t: Array) -> Array:
        return (weights_like(weights, y) * ((1 - t) * logistic.softplus(y) + t * logistic.softplus(-y))).sum(
            axis=1
        ) / y.shape[1]

    def gradient(y: Array, t: Array) -> Array:
        return weights_like(weights, y) * ((1 - t) * logistic.sigmoid(y) - t * logistic.sigmoid(-y)) / y.shape[1]

    return Loss(
        "multilabel_soft_margin",
        "(1/K) Σ_c w_c((1 − t_c) log(1 + e^y_c) + t_c log(1 + e^−y_c))",
        "torch.nn.functional.multilabel_soft_margin_loss",
        "probabilities",
        value,
        gradient,
        examples,
        outputs=outputs_of("multilabel_soft_margin", weights),
        parameters={"weight": weight},
        textbook_value=lambda y, t: (
            (magnitude(weights_like(weights, y) * one(y)) * one_plus_size(y)).sum(axis=1) / y.shape[1]
        ),
        textbook_gradient=lambda y, t: (
            magnitude(weights_like(weights, y) * one(y))
            / y.shape[1]
            * (1 + (1 - t) * logistic.lost_in_logarithm(y) + t * logistic.lost_in_logarithm(-y))
        ),
    )


@recorded
def multilabel_margin() -> Loss:
    """(1/K) Σ_{j a label} Σ_{i no label} max(0, 1 − y_j + y_i) per example; mean divides by N.

    A row of t lists label indices up to the first −1. As in torch, a label that is listed twice counts twice.
    """

    def times(t: Array, k: int) -> NumPyArray:
        """How often each class is listed as a label, (N, K)."""
        listed = np.cumprod(np.asarray(t) >= 0, axis=1).astype(bool)
        return np.asarray(((np.asarray(t)[:, :, None] == np.arange(k)) & listed[:, :, None]).sum(axis=1))

    def pairs(y: Array, t: Array) -> tuple[Array, Array]:
        """How often each pair (label j, other i) counts, and 1 − y_j + y_i, both (N, K, K)."""
        label = times(t, y.shape[1])
        counted = np.where(label[:, None, :] > 0, 0, label[:, :, None])
        return parameter(counted, y), 1 - y[:, :, None] + y[:, None, :]

    def value(y: Array, t: Array) -> Array:
        counted, z = pairs(y, t)
        return (counted * np.maximum(z, 0)).sum(axis=2).sum(axis=1) / y.shape[1]

    def gradient(y: Array, t: Array) -> Array:
        counted, z = pairs(y, t)
        active = counted * indicator(z > 0, y)
        return (active.sum(axis=1) - active.sum(axis=2)) / y.shape[1]

    def switches(y: Array, t: Array) -> tuple[Array, ...]:
        counted, z = pairs(y, t)
        return (np.where(counted > 0, z, 1.0),)

    return Loss(
        "multilabel_margin",
        "(1/K) Σ_{j∈t} Σ_{i∉t} max(0, 1 − y_j + y_i)",
        "torch.nn.functional.multilabel_margin_loss",
        "labels",
        value,
        gradient,
        examples,
        switches=switches,
    )


@recorded
def multi_margin(p: int = 1, margin: float = 1.0, weight: ArrayLike | None = None) -> Loss:
    """(1/K) Σ_{i≠t} w_t·max(0, margin − y_t + y_i)^p per example; mean divides by N."""
    weights = check_weights("multi_margin", "weight", weight)
    check_number("multi_margin", "margin", margin)
    if p not in (1, 2):
        raise ValueError(f"multi_margin: p must be 1 or 2, got {p!r}")

    def parts(y: Array, t: Array) -> tuple[Array, Array, Array]:
        """The mask of the others (N, K), margin − y_t + y_i (N, K), and w_t (N, 1)."""
        chosen = chosen_class(t, y.shape[1], None)
        onehot = indicator(chosen, y)
        w = (onehot * weights_like(weights, y)).sum(axis=1, keepdims=True)
        return 1 - onehot, margin - (onehot * y).sum(axis=1, keepdims=True) + y, w

    def value(y: Array, t: Array) -> Array:
        others, z, w = parts(y, t)
        active = others * np.maximum(z, 0)
        return (w * (active if p == 1 else active * active)).sum(axis=1) / y.shape[1]

    def gradient(y: Array, t: Array) -> Array:
        others, z, w = parts(y, t)
        slope = others * w * (indicator(z > 0, y) if p == 1 else 2 * np.maximum(z, 0))
        return (slope - (1 - others) * slope.sum(axis=1, keepdims=True)) / y.shape[1]

    def switches(y: Array, t: Array) -> tuple[Array, ...]:
        others, z, _ = parts(y, t)
        return (np.where(others > 0, z, 1.0),)

    return Loss(
        "multi_margin",
        "(1/K) Σ_{i≠t} w_t·max(0, m − y_t + y_i)^p",
        "torch.nn.functional.multi_margin_loss",
        "indices",
        value,
        gradient,
        examples,
        switches=switches,
        outputs=outputs_of("multi_margin", weights),
        parameters={"p": p, "margin": margin, "weight": weight},
    )


@recorded
def hinge_embedding(margin: float = 1.0) -> Loss:
    """y where t = 1, max(0, margin − y) where t = −1, per element; −1 at the kink; mean: N·K."""
    check_number("hinge_embedding", "margin", margin)
    return Loss(
        "hinge_embedding",
        "y if t = 1 else max(0, m − y)",
        "torch.nn.functional.hinge_embedding_loss",
        "signs",
        lambda y, t: np.where(t > 0, y, np.maximum(margin - y, 0)),
        lambda y, t: np.where(t > 0, one(y), -indicator(margin - y >= 0, y)),
        elements,
        switches=lambda y, t: (np.where(t > 0, 1.0, margin - y),),
        parameters={"margin": margin},
    )
