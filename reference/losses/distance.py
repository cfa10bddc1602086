"""Losses that measure a distance between output and target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arithmetic.array import Array, refuse_masked, widened
from ..arithmetic.constants import HALF_LOG_2PI
from ..arithmetic.dispatch import constant, magnitude, parameter
from ..functions.parameters import check_number
from ..functions.recipe import recorded
from .common import elements, examples
from .row import Loss


@recorded
def half_squared_error() -> Loss:
    """½‖t − y‖² per example; mean divides by N. The chapter's E."""
    return Loss(
        "half_squared_error",
        "½‖t − y‖²",
        "the chapter",
        "real",
        lambda y, t: ((y - t) * (y - t)).sum(axis=1) / 2,
        lambda y, t: y - t,
        examples,
    )


@recorded
def mse() -> Loss:
    """(y − t)² per element; mean divides by N·K."""
    return Loss(
        "mse",
        "(y − t)²",
        "torch.nn.functional.mse_loss",
        "real",
        lambda y, t: (y - t) * (y - t),
        lambda y, t: 2 * (y - t),
        elements,
    )


def _difference(y: Array, t: Array) -> tuple[Array, ...]:
    return (y - t,)


@recorded
def l1() -> Loss:
    """|y − t| per element, 0 at the kink; mean divides by N·K."""
    return Loss(
        "l1",
        "|y − t|",
        "torch.nn.functional.l1_loss",
        "real",
        lambda y, t: magnitude(y - t),
        lambda y, t: np.sign(y - t),
        elements,
        switches=_difference,
    )


@recorded
def smooth_l1(beta: float = 1.0) -> Loss:
    """½(y − t)²/beta where |y − t| < beta, else |y − t| − beta/2, per element; mean divides by N·K.

    beta = 0 is `l1`. Raises ValueError if beta is negative.
    """
    check_number("smooth_l1", "beta", beta, 0.0)

    def value(y: Array, t: Array) -> Array:
        d = magnitude(y - t)
        return d if beta == 0 else np.where(d < beta, d * d / beta / 2, d - beta / 2)

    def gradient(y: Array, t: Array) -> Array:
        d = y - t
        return np.sign(d) if beta == 0 else np.minimum(np.maximum(d / beta, -1), 1)

    return Loss(
        "smooth_l1",
        "½(y − t)²/β if |y − t| < β else |y − t| − β/2",
        "Girshick 2015, Fast R-CNN, eq. 3",
        "real",
        value,
        gradient,
        elements,
        switches=_difference if beta == 0 else lambda y, t: (y - t - beta, y - t + beta),
        parameters={"beta": beta},
    )


@recorded
def huber(delta: float = 1.0) -> Loss:
    """½(y − t)² where |y − t| ≤ delta, else delta(|y − t| − delta/2), per element; mean divides by N·K."""
    check_number("huber", "delta", delta, 0.0, strict=True)

    def value(y: Array, t: Array) -> Array:
        d = magnitude(y - t)
        return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))

    return Loss(
        "huber",
        "½(y − t)² if |y − t| ≤ δ else δ(|y − t| − δ/2)",
        "Huber 1964, Robust estimation of a location parameter",
        "real",
        value,
        lambda y, t: np.minimum(np.maximum(y - t, -delta), delta),
        elements,
        integers=False,
        switches=lambda y, t: (y - t - delta, y - t + delta),
        parameters={"delta": delta},
    )


@recorded
def gaussian_nll(var: ArrayLike = 1.0, full: bool = False, eps: float = 1e-6) -> Loss:
    """½(log v + (y − t)²/v), v = max(var, eps), per element, + ½log 2π if full; mean divides by N·K.

    var: a number of at least 0, or an array of K of them.
    """
    check_number("gaussian_nll", "eps", eps, 0.0, strict=True)
    refuse_masked("gaussian_nll: var", var)
    given = widened(np.asarray(var))
    if given.dtype.kind not in "fiu" or given.ndim > 1 or not np.all(np.isfinite(given)) or np.any(given < 0):
        raise ValueError(f"gaussian_nll: var must be a number or K numbers, finite and not negative, got {var!r}")
    variance = np.maximum(given.astype(float), eps)

    def value(y: Array, t: Array) -> Array:
        v = parameter(variance, y)
        d = y - t
        half = (np.log(v) + d * d / v) / 2
        return half + constant(HALF_LOG_2PI, y) if full else half

    return Loss(
        "gaussian_nll",
        "½(log v + (y − t)²/v), v = max(var, ε)",
        "Nix & Weigend 1994, Estimating the mean and variance of the target probability distribution",
        "real",
        value,
        lambda y, t: (y - t) / parameter(variance, y),
        elements,
        outputs=given.shape[0] if given.ndim else None,
        parameters={"var": var, "full": full, "eps": eps},
    )
