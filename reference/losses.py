"""The table of losses: one row each, with torch.nn.functional's names, parameters and defaults.

y (N, K) is the network's output and t the target. Every row states the unreduced loss, the gradient of
its sum, and what reduction="mean" divides by: the batch size N for a loss per example, and what torch
divides by for torch's losses. A function of this module makes a row with parameters of its own:
``huber(delta=2.0)``. `LOSSES` holds every row with its default parameters, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from . import formulas as f
from .activations import log_softmax_value, softmax_parts
from .arithmetic import HALF_LOG_2PI, Array, constant, indicator, largest, magnitude, parameter
from .rows import Loss

__all__ = ["LOSSES", "Loss", "get"]

LOWEST_LOG = -100.0
"""torch's binary_cross_entropy limits both logarithms from below: part of the function, so kept here."""


def _elements(y: Array, t: Array) -> int:
    return int(np.prod(y.shape))


def _examples(y: Array, t: Array) -> int:
    return int(y.shape[0])


def _number(row: str, name: str, value: Any, least: float = -np.inf, strict: bool = False) -> None:
    if not isinstance(value, int | float) or not isfinite(value) or value < least or (strict and value == least):
        limit = "" if least == -np.inf else f" {'above' if strict else 'of at least'} {least}"
        raise ValueError(f"{row}: {name} must be a finite number{limit}, got {value!r}")


def _weights(row: str, name: str, values: Any) -> Array:
    """Class weights as a float array of shape (K,), or None."""
    if values is None:
        return None
    array = np.asarray(values)
    if array.dtype.kind != "f" or array.ndim > 2 or not np.all(np.isfinite(array)) or np.any(array < 0):
        raise ValueError(f"{row}: {name} must be an array of finite floating numbers of at least 0, got {values!r}")
    return array


def _scale(array: Array, y: Array) -> Array:
    """The weights in y's arithmetic; 1 where there are none."""
    return 1 if array is None else parameter(array, y)


# ── distances ────────────────────────────────────────────────────────────────────────────────────────


def half_squared_error() -> Loss:
    """½‖t − y‖² per example; mean divides by N. The chapter's E."""
    return Loss(
        "half_squared_error",
        "½‖t − y‖²",
        "the chapter",
        "real",
        lambda y, t: ((y - t) * (y - t)).sum(axis=1) / 2,
        lambda y, t: y - t,
        _examples,
    )


def mse() -> Loss:
    """(y − t)² per element; mean divides by N·K."""
    return Loss(
        "mse",
        "(y − t)²",
        "torch.nn.functional.mse_loss",
        "real",
        lambda y, t: (y - t) * (y - t),
        lambda y, t: 2 * (y - t),
        _elements,
    )


def _difference(y: Array, t: Array) -> tuple[Array, ...]:
    return (y - t,)


def l1() -> Loss:
    """|y − t| per element, 0 at the kink; mean divides by N·K."""
    return Loss(
        "l1",
        "|y − t|",
        "torch.nn.functional.l1_loss",
        "real",
        lambda y, t: magnitude(y - t),
        lambda y, t: np.sign(y - t),
        _elements,
        switches=_difference,
    )


def smooth_l1(beta: float = 1.0) -> Loss:
    """½(y − t)²/beta where |y − t| < beta, else |y − t| − beta/2, per element; mean divides by N·K.

    beta = 0 is `l1`. Raises ValueError if beta is negative.
    """
    _number("smooth_l1", "beta", beta, 0.0)

    def value(y: Array, t: Array) -> Array:
        d = magnitude(y - t)
        return d if beta == 0 else np.where(d < beta, d * d / beta / 2, d - beta / 2)

    def gradient(y: Array, t: Array) -> Array:
        d = y - t
        return np.sign(d) if beta == 0 else np.minimum(np.maximum(d / beta, -1), 1)

    return Loss(
        "smooth_l1",
        "½(y − t)²/β if |y − t| < β else |y − t| − β/2",
        "Girshick 2015, eq. 3",
        "real",
        value,
        gradient,
        _elements,
        switches=_difference if beta == 0 else lambda y, t: (y - t - beta, y - t + beta),
        parameters={"beta": beta},
    )


def huber(delta: float = 1.0) -> Loss:
    """½(y − t)² where |y − t| ≤ delta, else delta(|y − t| − delta/2), per element; mean divides by N·K."""
    _number("huber", "delta", delta, 0.0, strict=True)

    def value(y: Array, t: Array) -> Array:
        d = magnitude(y - t)
        return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))

    return Loss(
        "huber",
        "½(y − t)² if |y − t| ≤ δ else δ(|y − t| − δ/2)",
        "Huber 1964, eq. 10",
        "real",
        value,
        lambda y, t: np.minimum(np.maximum(y - t, -delta), delta),
        _elements,
        switches=lambda y, t: (y - t - delta, y - t + delta),
        parameters={"delta": delta},
    )


def gaussian_nll(var: Any = 1.0, full: bool = False, eps: float = 1e-6) -> Loss:
    """½(log v + (y − t)²/v), v = max(var, eps), per element, + ½log 2π if full; mean divides by N·K.

    var: a positive number, or an array that broadcasts to (N, K).
    """
    _number("gaussian_nll", "eps", eps, 0.0, strict=True)
    variance = np.maximum(np.asarray(var, dtype=float), eps)
    if not np.all(np.isfinite(variance)) or np.any(np.asarray(var) < 0):
        raise ValueError(f"gaussian_nll: var must be finite and not negative, got {var!r}")

    def value(y: Array, t: Array) -> Array:
        v = parameter(variance, y)
        d = y - t
        half = (np.log(v) + d * d / v) / 2
        return half + constant(HALF_LOG_2PI, y) if full else half

    return Loss(
        "gaussian_nll",
        "½(log v + (y − t)²/v), v = max(var, ε)",
        "Nix & Weigend 1994, eq. 3",
        "real",
        value,
        lambda y, t: (y - t) / parameter(variance, y),
        _elements,
        parameters={"var": var, "full": full, "eps": eps},
    )


# ── classes ──────────────────────────────────────────────────────────────────────────────────────────


def _chosen(t: Array, columns: int, ignore_index: int | None) -> Array:
    """The mask (N, K) of the entry that each index names; a row of False where it is ignored."""
    mask = np.arange(columns) == np.asarray(t)[:, None]
    return mask if ignore_index is None else mask & (np.asarray(t) != ignore_index)[:, None]


def cross_entropy(weight: Any = None, ignore_index: int = -100, label_smoothing: float = 0.0) -> Loss:
    """−Σ_c q_c log softmax(y)_c per example; t holds class indices (N,) or probabilities (N, K).

    For indices q = (1 − ε)·w_t·onehot(t) + (ε/K)·w, and mean divides by the sum of the weights w_t of the
    examples that are not ignored; for probabilities q = w·((1 − ε)t + ε/K), and mean divides by N.
    """
    weights = _weights("cross_entropy", "weight", weight)
    _number("cross_entropy", "label_smoothing", label_smoothing, 0.0)
    if label_smoothing > 1:
        raise ValueError(f"cross_entropy: label_smoothing must not exceed 1, got {label_smoothing!r}")

    def distribution(y: Array, t: Array) -> Array:
        w = _scale(weights, y)
        k = y.shape[1]
        smoothing = parameter(np.array([label_smoothing]), y)
        if np.asarray(t).dtype.kind == "f":
            plain = parameter(t, y)
            return w * (plain if label_smoothing == 0 else (1 - smoothing) * plain + smoothing / k)
        chosen = _chosen(t, k, ignore_index)
        onehot = indicator(chosen, y) * w
        if label_smoothing == 0:
            return onehot
        counted = indicator((np.asarray(t) != ignore_index)[:, None], y)
        return (1 - smoothing) * onehot + counted * (smoothing / k) * w

    def value(y: Array, t: Array) -> Array:
        return -(distribution(y, t) * log_softmax_value(y)).sum(axis=1)

    def gradient(y: Array, t: Array) -> Array:
        """softmax(y)·Σq − q; at the largest q as Σ_{others} q − (1 − softmax)·Σq, which keeps its digits."""
        q = distribution(y, t)
        _, softmax, rest, _ = softmax_parts(y)
        mask, _ = largest(q)
        total = q.sum(axis=1, keepdims=True)
        others = (q * (1 - indicator(mask, y))).sum(axis=1, keepdims=True)
        return np.where(mask, others - rest * total, softmax * total - q)

    def divisor(y: Array, t: Array) -> Any:
        if np.asarray(t).dtype.kind == "f":
            return y.shape[0]
        if weights is None:
            return int(np.sum(np.asarray(t) != ignore_index))
        return (indicator(_chosen(t, y.shape[1], ignore_index), y) * parameter(weights, y)).sum()

    def total(y: Array, t: Array) -> Array:
        return distribution(y, t).sum(axis=1)

    def cancellation(y: Array, t: Array) -> Array:
        spread = largest(y)[1] - y
        return total(y, t)[:, None] * (1 + softmax_parts(y)[1] * spread)

    return Loss(
        "cross_entropy",
        "−Σ_c q_c log softmax(y)_c",
        "Goodfellow, Bengio & Courville 2016, §6.2.2.3; label smoothing: Szegedy et al. 2016, §7",
        "classes",
        value,
        gradient,
        divisor,
        ignore_index=ignore_index,
        parameters={"weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing},
        textbook_value=lambda y, t: (distribution(y, t) * (1 + magnitude(y))).sum(axis=1),
        textbook_gradient=cancellation,
    )


def nll(weight: Any = None, ignore_index: int = -100) -> Loss:
    """−w_t·y_t per example, y log-probabilities, t class indices; mean divides by the sum of the weights."""
    weights = _weights("nll", "weight", weight)

    def onehot(y: Array, t: Array) -> Array:
        return indicator(_chosen(t, y.shape[1], ignore_index), y) * _scale(weights, y)

    def divisor(y: Array, t: Array) -> Any:
        return onehot(y, t).sum() if weights is not None else int(np.sum(np.asarray(t) != ignore_index))

    return Loss(
        "nll",
        "−w_t·y_t",
        "torch.nn.functional.nll_loss",
        "indices",
        lambda y, t: -(onehot(y, t) * y).sum(axis=1),
        lambda y, t: -onehot(y, t),
        divisor,
        ignore_index=ignore_index,
        parameters={"weight": weight, "ignore_index": ignore_index},
    )


def _in_unit_interval(y: Array) -> Array:
    return (y >= 0) & (y <= 1)


def bce(weight: Any = None) -> Loss:
    """−w·(t·max(log y, −100) + (1 − t)·max(log(1 − y), −100)) per element; mean divides by N·K.

    The limit −100 is torch's. It is part of the function, so the derivative is 0 where it acts (torch's
    own backward differs there: see the published deviations).
    """
    weights = _weights("bce", "weight", weight)

    def logs(y: Array) -> tuple[Array, Array]:
        with np.errstate(divide="ignore"):
            return np.log(y), np.log1p(-y)

    def value(y: Array, t: Array) -> Array:
        log_y, log_rest = (np.maximum(g, LOWEST_LOG) for g in logs(y))
        return -_scale(weights, y) * (t * log_y + (1 - t) * log_rest)

    def gradient(y: Array, t: Array) -> Array:
        log_y, log_rest = logs(y)
        left, right = log_y > LOWEST_LOG, log_rest > LOWEST_LOG
        safe_y, safe_rest = np.where(left, y, 1), np.where(right, 1 - y, 1)
        apart = indicator(right, y) * ((1 - t) / safe_rest) - indicator(left, y) * (t / safe_y)
        return _scale(weights, y) * np.where(left & right, (y - t) / (safe_y * safe_rest), apart)

    return Loss(
        "bce",
        "−w(t log y + (1 − t) log(1 − y)), logarithms from −100",
        "torch.nn.functional.binary_cross_entropy",
        "probabilities",
        value,
        gradient,
        _elements,
        domain=_in_unit_interval,
        domain_text="between 0 and 1",
        switches=lambda y, t: tuple(g - LOWEST_LOG for g in logs(y)),
        parameters={"weight": weight},
    )


def bce_with_logits(weight: Any = None, pos_weight: Any = None) -> Loss:
    """w·((1 − t)·softplus(y) + p·t·softplus(−y)) per element; mean divides by N·K."""
    weights = _weights("bce_with_logits", "weight", weight)
    positive = _weights("bce_with_logits", "pos_weight", pos_weight)

    def value(y: Array, t: Array) -> Array:
        return _scale(weights, y) * ((1 - t) * f.softplus(y) + _scale(positive, y) * t * f.softplus(-y))

    def gradient(y: Array, t: Array) -> Array:
        return _scale(weights, y) * ((1 - t) * f.sigmoid(y) - _scale(positive, y) * t * f.sigmoid(-y))

    def term(y: Array, t: Array) -> Array:
        return _scale(weights, y) * (1 + _scale(positive, y) * t)

    return Loss(
        "bce_with_logits",
        "w((1 − t) log(1 + e^y) + p·t log(1 + e^−y))",
        "torch.nn.functional.binary_cross_entropy_with_logits",
        "probabilities",
        value,
        gradient,
        _elements,
        parameters={"weight": weight, "pos_weight": pos_weight},
        textbook_value=lambda y, t: term(y, t) * (1 + magnitude(y)),
        textbook_gradient=term,
    )


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
        return p * (magnitude(y) + magnitude(log_p))

    return Loss(
        "kl_div",
        "e^t(t − y)" if log_target else "t(log t − y)",
        "Kullback & Leibler 1951, eq. 2.4",
        "real" if log_target else "nonnegative",
        value,
        lambda y, t: -target(y, t)[0] + 0 * y,
        _elements,
        parameters={"log_target": log_target},
        textbook_value=size,
    )


def poisson_nll(log_input: bool = True, full: bool = False, eps: float = 1e-8) -> Loss:
    """e^y − t·y per element, or y − t·log(y + eps) for log_input=False; mean divides by N·K.

    full adds Stirling's t log t − t + ½log(2πt) where t > 1.
    """
    _number("poisson_nll", "eps", eps, 0.0)

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
        _elements,
        domain=(lambda y: np.ones(y.shape, dtype=bool)) if log_input else (lambda y: y + eps > 0),
        domain_text="any real number" if log_input else f"above {-eps}",
        parameters={"log_input": log_input, "full": full, "eps": eps},
        textbook_gradient=(lambda y, t: 0.0) if log_input else (lambda y, t: 1 + t / (y + eps)),
    )


# ── margins ──────────────────────────────────────────────────────────────────────────────────────────


def soft_margin() -> Loss:
    """log(1 + e^(−t·y)) per element, t = ±1; mean divides by N·K."""
    return Loss(
        "soft_margin",
        "log(1 + e^(−t·y))",
        "torch.nn.functional.soft_margin_loss",
        "signs",
        lambda y, t: f.softplus(-t * y),
        lambda y, t: -t * f.sigmoid(-t * y),
        _elements,
        textbook_value=lambda y, t: 1.0,
    )


def multilabel_soft_margin(weight: Any = None) -> Loss:
    """The mean over the K classes of w·((1 − t)·softplus(y) + t·softplus(−y)), per example; mean: N."""
    weights = _weights("multilabel_soft_margin", "weight", weight)

    def value(y: Array, t: Array) -> Array:
        return (_scale(weights, y) * ((1 - t) * f.softplus(y) + t * f.softplus(-y))).sum(axis=1) / y.shape[1]

    def gradient(y: Array, t: Array) -> Array:
        return _scale(weights, y) * ((1 - t) * f.sigmoid(y) - t * f.sigmoid(-y)) / y.shape[1]

    return Loss(
        "multilabel_soft_margin",
        "(1/K) Σ_c w_c((1 − t_c) log(1 + e^y_c) + t_c log(1 + e^−y_c))",
        "torch.nn.functional.multilabel_soft_margin_loss",
        "probabilities",
        value,
        gradient,
        _examples,
        parameters={"weight": weight},
        textbook_gradient=lambda y, t: _scale(weights, y) * (0 * y + 1) / y.shape[1],
    )


def multilabel_margin() -> Loss:
    """(1/K) Σ_{j a label} Σ_{i no label} max(0, 1 − y_j + y_i) per example; mean divides by N.

    A row of t lists label indices up to the first −1.
    """

    def is_label(t: Array, k: int) -> Array:
        listed = np.cumprod(np.asarray(t) >= 0, axis=1).astype(bool)
        return ((np.asarray(t)[:, :, None] == np.arange(k)) & listed[:, :, None]).any(axis=1)

    def pairs(y: Array, t: Array) -> tuple[Array, Array]:
        """Which (label j, other i) count, and 1 − y_j + y_i, both (N, K, K)."""
        label = is_label(t, y.shape[1])
        return label[:, :, None] & ~label[:, None, :], 1 - y[:, :, None] + y[:, None, :]

    def value(y: Array, t: Array) -> Array:
        counted, z = pairs(y, t)
        return (indicator(counted, y) * np.maximum(z, 0)).sum(axis=2).sum(axis=1) / y.shape[1]

    def gradient(y: Array, t: Array) -> Array:
        counted, z = pairs(y, t)
        active = indicator(counted, y) * indicator(z > 0, y)
        return (active.sum(axis=1) - active.sum(axis=2)) / y.shape[1]

    def switches(y: Array, t: Array) -> tuple[Array, ...]:
        counted, z = pairs(y, t)
        return (np.where(counted, z, 1.0),)

    return Loss(
        "multilabel_margin",
        "(1/K) Σ_{j∈t} Σ_{i∉t} max(0, 1 − y_j + y_i)",
        "torch.nn.functional.multilabel_margin_loss",
        "labels",
        value,
        gradient,
        _examples,
        switches=switches,
    )


def multi_margin(p: int = 1, margin: float = 1.0, weight: Any = None) -> Loss:
    """(1/K) Σ_{i≠t} w_t·max(0, margin − y_t + y_i)^p per example; mean divides by N."""
    weights = _weights("multi_margin", "weight", weight)
    _number("multi_margin", "margin", margin)
    if p not in (1, 2):
        raise ValueError(f"multi_margin: p must be 1 or 2, got {p!r}")

    def parts(y: Array, t: Array) -> tuple[Array, Array, Array]:
        """The mask of the others (N, K), margin − y_t + y_i (N, K), and w_t (N, 1)."""
        chosen = _chosen(t, y.shape[1], None)
        onehot = indicator(chosen, y)
        w = (onehot * _scale(weights, y)).sum(axis=1, keepdims=True)
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
        _examples,
        switches=switches,
        parameters={"p": p, "margin": margin, "weight": weight},
    )


def hinge_embedding(margin: float = 1.0) -> Loss:
    """y where t = 1, max(0, margin − y) where t = −1, per element; −1 at the kink; mean: N·K."""
    _number("hinge_embedding", "margin", margin)
    return Loss(
        "hinge_embedding",
        "y if t = 1 else max(0, m − y)",
        "torch.nn.functional.hinge_embedding_loss",
        "signs",
        lambda y, t: np.where(t > 0, y, np.maximum(margin - y, 0)),
        lambda y, t: np.where(t > 0, 0 * y + 1, -indicator(margin - y >= 0, y)),
        _elements,
        switches=lambda y, t: (np.where(t > 0, 1.0, margin - y),),
        parameters={"margin": margin},
    )


_MAKERS: tuple[Callable[[], Loss], ...] = (
    half_squared_error, mse, l1, smooth_l1, huber, cross_entropy, nll, bce, bce_with_logits, kl_div,
    poisson_nll, gaussian_nll, soft_margin, multilabel_soft_margin, multilabel_margin, multi_margin,
    hinge_embedding,
)  # fmt: skip

LOSSES: dict[str, Loss] = {row.name: row for row in (make() for make in _MAKERS)}
"""Every row with its default parameters, by name."""


def get(row: str | Loss) -> Loss:
    """The row itself, or the row of that name.

    Raises:
        ValueError: no row has that name (the message lists those that exist).
        TypeError: neither a name nor a row.

    >>> get("mse").formula
    '(y − t)²'
    """
    if isinstance(row, Loss):
        return row
    if not isinstance(row, str):
        raise TypeError(f"loss: expected a name or a row, got {type(row).__name__}")
    if row not in LOSSES:
        raise ValueError(f"loss: no row is named {row!r}; there are {', '.join(sorted(LOSSES))}")
    return LOSSES[row]
