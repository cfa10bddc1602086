"""Losses that are minus the logarithm of a likelihood: of classes, of probabilities, of counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arithmetic.array import Array, Term
from ..arithmetic.constants import HALF_LOG_2PI
from ..arithmetic.dispatch import constant, indicator, largest, magnitude, parameter
from ..functions import logistic
from ..functions.basics import one, zero
from ..functions.parameters import check_number
from ..functions.recipe import recorded
from ..functions.softmax import softmax_cross_entropy, softmax_parts
from .common import check_weights, chosen_class, elements, outputs_of, sharing, weights_like
from .row import Loss, OfLogarithms

LOWEST_LOG = -100.0
"""torch's binary_cross_entropy limits both logarithms from below: part of the function, so kept here."""


@recorded
def cross_entropy(weight: ArrayLike | None = None, ignore_index: int = -100, label_smoothing: float = 0.0) -> Loss:
    """−Σ_c q_c log softmax(y)_c per example; t holds class indices (N,) or probabilities (N, K).

    For indices q = (1 − ε)·w_t·onehot(t) + (ε/K)·w, and mean divides by the sum of the weights w_t of the
    examples that are not ignored; for probabilities q = w·((1 − ε)t + ε/K), and mean divides by N.
    """
    weights = check_weights("cross_entropy", "weight", weight)
    check_number("cross_entropy", "label_smoothing", label_smoothing, 0.0)
    if label_smoothing > 1:
        raise ValueError(f"cross_entropy: label_smoothing must not exceed 1, got {label_smoothing!r}")

    def choice(y: Array, t: Array) -> Array | None:
        return None if np.asarray(t).dtype.kind == "f" else chosen_class(t, y.shape[1], ignore_index)

    def distribution(y: Array, t: Array, chosen: Array | None) -> Array:
        w = weights_like(weights, y)
        k = y.shape[1]
        smoothing = parameter(np.array([label_smoothing]), y)
        if chosen is None:
            plain = parameter(t, y)
            return w * (plain if label_smoothing == 0 else (1 - smoothing) * plain + smoothing / k)
        onehot = indicator(chosen, y) * w
        if label_smoothing == 0:
            return onehot
        counted = indicator((np.asarray(t) != ignore_index)[:, None], y)
        return (1 - smoothing) * onehot + counted * (smoothing / k) * w

    def parts(y: Array, t: Array) -> tuple[Any, ...]:
        chosen = choice(y, t)
        return softmax_cross_entropy(y, distribution(y, t, chosen), None if label_smoothing else chosen)

    @sharing(parts)
    def value(y: Array, t: Array, of_row: Array, d_y: Array) -> Array:
        return of_row[:, 0]

    @sharing(parts)
    def gradient(y: Array, t: Array, of_row: Array, d_y: Array) -> Array:
        return d_y

    def divisor(y: Array, t: Array) -> Term:
        if np.asarray(t).dtype.kind == "f":
            return y.shape[0]
        if weights is None:
            return int(np.count_nonzero(np.asarray(t) != ignore_index))
        return (indicator(chosen_class(t, y.shape[1], ignore_index), y) * parameter(weights, y)).sum()

    def sizes(y: Array, t: Array) -> Array:
        return magnitude(distribution(y, t, choice(y, t)))

    def cancellation(y: Array, t: Array) -> Array:
        peak = largest(y)[1]
        return sizes(y, t).sum(axis=1, keepdims=True) * (1 + softmax_parts(y)[1] * ((peak - y) + magnitude(peak)))

    return Loss(
        "cross_entropy",
        "−Σ_c q_c log softmax(y)_c",
        "Goodfellow, Bengio & Courville 2016, §6.2.2.3; label smoothing: Szegedy et al. 2016, §7",
        "classes",
        value,
        gradient,
        divisor,
        ignore_index=ignore_index,
        outputs=outputs_of("cross_entropy", weights),
        parameters={"weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing},
        textbook_value=lambda y, t: (sizes(y, t) * (1 + magnitude(y) + magnitude(largest(y)[1]))).sum(axis=1),
        textbook_gradient=cancellation,
    )


@recorded
def nll(weight: ArrayLike | None = None, ignore_index: int = -100) -> Loss:
    """−w_t·y_t per example, y log-probabilities, t class indices; mean divides by the sum of the weights."""
    weights = check_weights("nll", "weight", weight)

    def onehot(y: Array, t: Array) -> Array:
        return indicator(chosen_class(t, y.shape[1], ignore_index), y) * weights_like(weights, y)

    def divisor(y: Array, t: Array) -> Term:
        return onehot(y, t).sum() if weights is not None else int(np.count_nonzero(np.asarray(t) != ignore_index))

    return Loss(
        "nll",
        "−w_t·y_t",
        "torch.nn.functional.nll_loss",
        "indices",
        lambda y, t: -(onehot(y, t) * y).sum(axis=1),
        lambda y, t: -onehot(y, t),
        divisor,
        ignore_index=ignore_index,
        outputs=outputs_of("nll", weights),
        parameters={"weight": weight, "ignore_index": ignore_index},
    )


def _in_unit_interval(y: Array) -> Array:
    return (y >= 0) & (y <= 1)


@recorded
def bce(weight: ArrayLike | None = None) -> Loss:
    """−w·(t·max(log y, −100) + (1 − t)·max(log(1 − y), −100)) per element; mean divides by N·K.

    The limit −100 is torch's. It is part of the function, so the derivative is 0 where it acts (torch's
    own backward differs there: see the published deviations).
    """
    weights = check_weights("bce", "weight", weight)

    def logs(y: Array) -> tuple[Array, Array]:
        with np.errstate(divide="ignore"):
            return np.log(y), np.log1p(-y)

    def of_logs(log_y: Array, log_rest: Array, t: Array) -> Array:
        p, q = (np.maximum(g, LOWEST_LOG) for g in (log_y, log_rest))
        return -weights_like(weights, log_y) * (t * p + (1 - t) * q)

    def d_logs(log_y: Array, log_rest: Array, t: Array) -> tuple[Array, Array]:
        w = weights_like(weights, log_y)
        d_log_y, d_log_rest = (
            -w * (share * indicator(g > LOWEST_LOG, g)) for share, g in ((t, log_y), (1 - t, log_rest))
        )
        return d_log_y, d_log_rest

    def switches(log_y: Array, log_rest: Array) -> tuple[Array, ...]:
        return log_y - LOWEST_LOG, log_rest - LOWEST_LOG

    def gradient(y: Array, t: Array) -> Array:
        log_y, log_rest = logs(y)
        left, right = log_y > LOWEST_LOG, log_rest > LOWEST_LOG
        safe_y, safe_rest = np.where(left, y, 1), np.where(right, 1 - y, 1)
        apart = indicator(right, y) * ((1 - t) / safe_rest) - indicator(left, y) * (t / safe_y)
        return weights_like(weights, y) * np.where(left & right, (y - t) / (safe_y * safe_rest), apart)

    def term(y: Array, t: Array) -> Array:
        """The larger quotient of (1 − t)/(1 − y) − t/y: the smaller is at most 1, for t and y are probabilities."""
        log_y, log_rest = logs(y)
        both = indicator((log_y > LOWEST_LOG) & (log_rest > LOWEST_LOG), y)
        return magnitude(gradient(y, t)) + magnitude(weights_like(weights, y) * both)

    return Loss(
        "bce",
        "−w(t log y + (1 − t) log(1 − y)), logarithms from −100",
        "torch.nn.functional.binary_cross_entropy",
        "probabilities",
        lambda y, t: of_logs(*logs(y), t),
        gradient,
        elements,
        integers=False,
        domain=_in_unit_interval,
        domain_text="between 0 and 1",
        switches=lambda y, t: switches(*logs(y)),
        outputs=outputs_of("bce", weights),
        logarithms=OfLogarithms(of_logs, d_logs, switches, furthest=-LOWEST_LOG),
        parameters={"weight": weight},
        textbook_gradient=term,
    )


@recorded
def bce_with_logits(weight: ArrayLike | None = None, pos_weight: ArrayLike | None = None) -> Loss:
    """w·((1 − t)·softplus(y) + p·t·softplus(−y)) per element; mean divides by N·K."""
    weights = check_weights("bce_with_logits", "weight", weight)
    positive = check_weights("bce_with_logits", "pos_weight", pos_weight)

    def value(y: Array, t: Array) -> Array:
        return weights_like(weights, y) * (
            (1 - t) * logistic.softplus(y) + weights_like(positive, y) * t * logistic.softplus(-y)
        )

    def gradient(y: Array, t: Array) -> Array:
        return weights_like(weights, y) * (
            (1 - t) * logistic.sigmoid(y) - weights_like(positive, y) * t * logistic.sigmoid(-y)
        )

    def term(y: Array, t: Array) -> Array:
        return magnitude(weights_like(weights, y) * (one(y) + magnitude(weights_like(positive, y) * (one(y) * t))))

    def through_logarithm(y: Array, t: Array) -> Array:
        right = weights_like(positive, y) * (t * logistic.lost_in_logarithm(-y))
        return magnitude(weights_like(weights, y) * ((1 - t) * logistic.lost_in_logarithm(y) + right))

    return Loss(
        "bce_with_logits",
        "w((1 − t) log(1 + e^y) + p·t log(1 + e^−y))",
        "torch.nn.functional.binary_cross_entropy_with_logits",
        "probabilities",
        value,
        gradient,
        elements,
        integers=False,
        outputs=outputs_of("bce_with_logits", weights, positive),
        parameters={"weight": weight, "pos_weight": pos_weight},
        textbook_value=lambda y, t: term(y, t) * (1 + magnitude(y)),
        textbook_gradient=lambda y, t: term(y, t) + through_logarithm(y, t),
    )


@recorded
def kl_div(log_target: bool = False) -> Loss:
    """t(log t − y) per element, 0 at t = 0, y log-probabilities; log_target: e^t(t − y). Mean: N·K."""

    def target(y: Array, t: Array) -> tuple[Array, Array]:
        """The target as a probability and as its logarithm (0 where the probability is 0)."""
        given = parameter(t, y)
        if log_target:
            return np.exp(given), given
        return given, np.log(np.where(t > 0, given, 1))

    def value(y: Array, t: Array) -> Array:
        p, log_p = target(y, t)
        return p * (log_p - y)

    def size(y: Array, t: Array) -> Array:
        p, log_p = target(y, t)
        return p * (1 + magnitude(y) + magnitude(log_p))

    return Loss(
        "kl_div",
        "e^t(t − y)" if log_target else "t(log t − y)",
        "Kullback & Leibler 1951, On information and sufficiency",
        "real" if log_target else "nonnegative",
        value,
        lambda y, t: -target(y, t)[0] + zero(y),
        elements,
        integers=False,
        parameters={"log_target": log_target},
        textbook_value=size,
    )


@recorded
def poisson_nll(log_input: bool = True, full: bool = False, eps: float = 1e-8) -> Loss:
    """e^y − t·y per element, or y − t·log(y + eps) for log_input=False; mean divides by N·K.

    full adds Stirling's t log t − t + ½log(2πt) where t > 1.
    """
    check_number("poisson_nll", "eps", eps, 0.0)

    def value(y: Array, t: Array) -> Array:
        loss = np.exp(y) - t * y if log_input else y - t * np.log(y + eps)
        if not full:
            return loss
        given = parameter(np.where(t > 1, t, 1.0), y)
        stirling = (given + 0.5) * np.log(given) - given + constant(HALF_LOG_2PI, y)
        return loss + indicator(t > 1, y) * stirling

    return Loss(
        "poisson_nll",
        "e^y − t·y" if log_input else "y − t·log(y + ε)",
        "torch.nn.functional.poisson_nll_loss",
        "nonnegative",
        value,
        lambda y, t: np.exp(y) - t if log_input else ((y + eps) - t) / (y + eps),
        elements,
        domain=(lambda y: np.ones(y.shape, dtype=bool)) if log_input else (lambda y: y + eps > 0),
        domain_text="any real number" if log_input else f"above {-eps}",
        parameters={"log_input": log_input, "full": full, "eps": eps},
        textbook_gradient=(lambda y, t: np.exp(y) + t) if log_input else (lambda y, t: 1 + t / (y + eps)),
    )
