"""A loss with parameters, and a target of it, for an output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import reference as ref
from reference import losses as los


def drawn_loss(rng: np.random.Generator, name: str, y: Any, number: np.dtype[Any]) -> ref.Loss:
    """The loss with parameters drawn for half of the problems."""
    if rng.random() < 0.5:
        return los.get(name)
    k = y.shape[1]
    weight = np.round(rng.uniform(0.25, 2, k), 3).astype(number)
    variants: dict[str, Callable[[], ref.Loss]] = {
        "smooth_l1": lambda: los.smooth_l1(float(rng.choice([0.5, 2.0, 0.0]))),
        "huber": lambda: los.huber(float(rng.choice([0.5, 2.0]))),
        "cross_entropy": lambda: los.cross_entropy(weight, label_smoothing=float(rng.choice([0.0, 0.1]))),
        "nll": lambda: los.nll(weight),
        "bce": lambda: los.bce(weight),
        "bce_with_logits": lambda: los.bce_with_logits(
            None if rng.random() < 0.5 else weight, None if rng.random() < 0.5 else weight[::-1].copy()
        ),
        "kl_div": lambda: los.kl_div(log_target=True),
        "poisson_nll": lambda: los.poisson_nll(log_input=False, full=bool(rng.integers(2))),
        "gaussian_nll": lambda: los.gaussian_nll(float(rng.uniform(0.1, 3)), full=True),
        "multilabel_soft_margin": lambda: los.multilabel_soft_margin(weight),
        "multi_margin": lambda: los.multi_margin(int(rng.integers(1, 3)), float(rng.choice([0.5, 1.0])), weight),
        "hinge_embedding": lambda: los.hinge_embedding(0.5),
    }
    return variants[name]() if name in variants else los.get(name)


def drawn_target(rng: np.random.Generator, loss: ref.Loss, y: Any, number: np.dtype[Any], kinks: bool) -> Any:
    """A target of rows y (N, K) that the loss takes; with kinks, some of its numbers are those of y."""
    n, k = y.shape
    if loss.target == "indices" or (loss.target == "classes" and rng.random() < 0.6):
        t = rng.integers(0, k, n)
        if loss.ignore_index is not None and n > 1:
            t[1:][rng.random(n - 1) < 0.15] = loss.ignore_index
        return t
    if loss.target == "classes":
        raw = rng.exponential(size=(n, k))
        return (raw / raw.sum(axis=1, keepdims=True)).astype(number)
    if loss.target == "probabilities":
        soft = rng.random((n, k))
        return np.where(rng.random((n, k)) < 0.6, np.round(soft), soft).astype(number)
    if loss.target == "nonnegative":
        return np.where(rng.random((n, k)) < 0.2, 0.0, rng.exponential(2.0, (n, k))).astype(number)
    if loss.target == "signs":
        return rng.choice([-1.0, 1.0], (n, k)).astype(number)
    if loss.target == "labels":
        t = np.full((n, k), -1)
        for row in t:
            labels = rng.permutation(k)[: rng.integers(0, k + 1)]
            row[: len(labels)] = labels
        return t
    t = (rng.normal(size=(n, k)) * (1 if rng.random() < 0.7 else 10.0 ** rng.uniform(-3, 3))).astype(number)
    if loss.parameters.get("log_target"):
        t = -np.abs(np.clip(t, -30, 30))
    return np.where(rng.random((n, k)) < 0.2, y, t) if kinks else t
