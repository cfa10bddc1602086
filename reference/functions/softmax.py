"""Softmax and its logarithm along the last axis."""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import exp_of_sum, finite, indicator, largest, two_sum
from .basics import zero
from .logistic import WIDEST


def softmax_parts(z: Array) -> tuple[Array, Array, Array, tuple[Array, Array]]:
    """The parts that softmax and its kin are made of, for z (N, K).

    Returns (top, y, rest, shift): the mask of one largest entry per row (N, K); softmax(z) (N, K);
    1 − y without cancellation at the top (N, K); and log Σ exp z split as (the largest entry, log of the
    sum over exp(z − it)), each (N, 1).
    """
    top, peak = largest(z)
    difference, lost = two_sum(finite(z), -finite(peak))
    error: Array = np.where(difference < -WIDEST, zero(lost), lost)
    e, rest = exp_of_sum(difference, error)
    e = e + e * rest
    one = indicator(top, z)
    others = (e * (1 - one)).sum(axis=1, keepdims=True)
    at_top = (e * one).sum(axis=1, keepdims=True)
    total = at_top + others
    rest = np.where(top, zero(e) + others, total - e) / total
    return one, e / total, rest, (peak, np.log1p(others + (at_top - 1)))


def log_softmax_value(z: Array) -> Array:
    """z − log Σ exp z; at the largest entry −log(1 + Σ of the others) alone."""
    _, _, _, (peak, log_sum) = softmax_parts(z)
    return (z - peak) - log_sum
