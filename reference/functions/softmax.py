"""Softmax, its logarithm and its cross-entropy along the last axis, and softmax over what a mask leaves."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import exp_of_sum, finite, indicator, largest, magnitude, two_sum
from .basics import zero
from .elementwise import rowwise
from .logistic import WIDEST


def _exponentials(z: Array, peak: Array) -> Array:
    """exp(z − peak), z not above it: with what the difference loses."""
    bounded = finite(z)
    difference, lost = two_sum(bounded, -(peak if bounded is z else finite(peak)))
    error = lost if isinstance(lost, float) else np.where(difference < -WIDEST, zero(lost), lost)
    e, rest = exp_of_sum(difference, error)
    return e + e * rest


@rowwise
def _softmax_parts(z: Array) -> tuple[Array, ...]:
    """`softmax_parts` in one tuple."""
    top, peak = largest(z)
    e = _exponentials(z, peak)
    one = indicator(top, z)
    others = (e * (1 - one)).sum(axis=-1, keepdims=True)
    at_top = (e * one).sum(axis=-1, keepdims=True)
    total = at_top + others
    rest = np.where(top, zero(e) + others, total - e) / total
    return one, e / total, rest, peak, np.log1p(others + (at_top - 1))


SoftmaxParts: TypeAlias = "tuple[Array, Array, Array, tuple[Array, Array]]"


def softmax_parts(z: Array) -> SoftmaxParts:
    """The parts that softmax and its kin are made of, for z (N, K).

    Returns (top, y, rest, shift): the mask of one largest entry per row (N, K); softmax(z) (N, K);
    1 − y without cancellation at the top (N, K); and log Σ exp z split as (the largest entry, log of the
    sum over exp(z − it)), each (N, 1).
    """
    one, y, rest, peak, log_sum = _softmax_parts(z)
    return one, y, rest, (peak, log_sum)


def softmax_product(one: Array, y: Array, v: Array) -> Array:
    """(diag(y) − y yᵀ)v: yᵢ Σⱼ yⱼ(vᵢ − vⱼ), with v taken relative to its value at the largest entry.

    Args:
        one: 1 at one largest entry of each row, 0 elsewhere, (…, K).
        y: the softmax, (…, K).
        v: what the Jacobian is multiplied by, (…, K).
    """
    return _softmax_product(v, one, y)


@rowwise
def _softmax_product(v: Array, one: Array, y: Array) -> Array:
    relative = v - (v * one).sum(axis=-1, keepdims=True)
    return y * (relative - (y * relative).sum(axis=-1, keepdims=True))


@rowwise
def masked_softmax(z: Array, take: Array | None) -> tuple[Array, Array]:
    """Where one largest entry of each row is, and the softmax, over those that a mask takes (None: all), (…, K) each.

    What it does not take is exactly 0; so is a row of which it takes nothing.

    >>> masked_softmax(np.array([[0.0, 0.0, 900.0], [1.0, 2.0, 3.0]]), np.array([[True, True, False], [False] * 3]))[1]
    array([[0.5, 0.5, 0. ],
           [0. , 0. , 0. ]])
    """
    if take is None:
        top, peak = largest(z)
        e = _exponentials(z, peak)
        return top, e / e.sum(axis=-1, keepdims=True)
    taken = np.where(take, z, z.min(axis=-1, keepdims=True))
    top, peak = largest(taken)
    kept = indicator(take, z)
    e = _exponentials(taken, peak) * kept
    nothing = kept.sum(axis=-1, keepdims=True) == 0
    return top, e / (e.sum(axis=-1, keepdims=True) + indicator(nothing, z))


def without_top(z: Array) -> tuple[Array, Array]:
    """softmax over all entries but the largest, 0 there, (N, K), and log Σ exp over them less the largest, (N, 1).

    With one entry alone: 0 and −∞.
    """
    top, peak = largest(z)
    lowest = -largest(-z)[1]
    others = np.where(top, zero(z) + lowest, z)
    _, second = largest(others)
    e = (1 - indicator(top, z)) * _exponentials(others, second)
    total = e.sum(axis=1, keepdims=True)
    if z.shape[1] == 1:
        return e, total - np.inf
    return e / total, (finite(second) - finite(peak)) + np.log(total)


def log_softmax_value(z: Array) -> Array:
    """z − log Σ exp z; at the largest entry −log(1 + Σ of the others) alone."""
    return log_of_parts(z, softmax_parts(z))


def log_of_parts(z: Array, parts: SoftmaxParts) -> Array:
    """`log_softmax_value` of z, of which the parts are there."""
    _, _, _, (peak, log_sum) = parts
    return (z - peak) - log_sum


@rowwise
def softmax_cross_entropy(y: Array, q: Array, chosen: Array | None) -> tuple[Array, Array]:
    """−Σ q log softmax(y) (N, 1) and softmax(y)·Σq − q (N, K), of y and q (N, K).

    At the largest |q| the gradient is softmax·Σ_{others} q − (1 − softmax)·q, which keeps its digits. Where classes are
    chosen, the others have no term, though their logarithm were −∞; of probabilities 0·∞ is none, as in torch.
    """
    of_y = softmax_parts(y)
    _, softmax, rest, _ = of_y
    terms = q * log_of_parts(y, of_y)
    value = -(terms if chosen is None else np.where(chosen, terms, zero(q))).sum(axis=-1, keepdims=True)
    mask, _ = largest(magnitude(q))
    total = q.sum(axis=-1, keepdims=True)
    others = (q * (1 - indicator(mask, y))).sum(axis=-1, keepdims=True)
    return value, np.where(mask, softmax * others - q * rest, softmax * total - q)
