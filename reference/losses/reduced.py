"""A loss of an output with any leading axes, reduced: its value and its gradient.

The losses take rows, (N, K) and their targets. Here the last axis of an output holds its features, and all axes before
it number the examples, as torch's losses over tokens do.
"""

from __future__ import annotations

from ..arithmetic.array import Array, Term, typed_like, with_room
from .common import together
from .row import Loss

REDUCTIONS = ("mean", "sum", "none")


def in_rows(y: Array) -> Array:
    """An output as the losses take it, (N, K): all axes but the last number the examples."""
    return y if y.ndim == 2 else y.reshape(-1, y.shape[-1] if y.ndim else 1)


def target_in_rows(target: Array, y: Array) -> Array:
    """The target of an output y as the losses take it: (N, K), or (N,) of indices."""
    if y.ndim == 2:
        return target
    return target.reshape(-1) if target.ndim < y.ndim else in_rows(target)


def value_and_gradient(loss: Loss, y: Array, target: Array, reduction: str) -> tuple[Array, Array]:
    """`reduced` and `gradient`; what the row's two formulas share is computed once."""
    rows, t = in_rows(y), target_in_rows(target, y)
    unreduced, d_y = together(loss.value, loss.gradient, rows, t)
    count = _count(loss, rows, t, reduction)
    return _reduced(unreduced, y, reduction, count), _scaled(d_y, y, reduction, count)


def reduced(loss: Loss, y: Array, target: Array, reduction: str) -> Array:
    """The loss of an output (…, K): a number; with reduction "none" one for each example (…,) or element (…, K).

    >>> import numpy as np
    >>> from .table import LOSSES
    >>> reduced(LOSSES["mse"], np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]]), "mean")
    np.float64(2.5)
    """
    rows, t = in_rows(y), target_in_rows(target, y)
    return _reduced(loss.value(rows, t), y, reduction, _count(loss, rows, t, reduction))


def _count(loss: Loss, rows: Array, t: Array, reduction: str) -> Term:
    """What a sum is divided by."""
    return loss.divisor(rows, t) if reduction == "mean" else 1


def _reduced(unreduced: Array, y: Array, reduction: str, count: Term) -> Array:
    if reduction == "none":
        return unreduced if y.ndim == 2 else unreduced.reshape(y.shape[: y.ndim - 2 + unreduced.ndim])
    if reduction == "sum":
        return unreduced.sum()
    return typed_like(with_room(unreduced).sum() / count, unreduced)


def gradient(loss: Loss, y: Array, target: Array, reduction: str) -> Array:
    """The gradient of the reduced loss with respect to the output, of its shape; of "none", of the sum."""
    rows, t = in_rows(y), target_in_rows(target, y)
    return _scaled(loss.gradient(rows, t), y, reduction, _count(loss, rows, t, reduction))


def _scaled(d_y: Array, y: Array, reduction: str, count: Term) -> Array:
    if reduction == "mean":
        d_y = typed_like(with_room(d_y) / count, d_y)
    return d_y if y.ndim == 2 else d_y.reshape(y.shape)


def divisor(loss: Loss, y: Array, target: Array) -> Term:
    """What reduction="mean" divides the sum of the unreduced losses by."""
    return loss.divisor(in_rows(y), target_in_rows(target, y))
