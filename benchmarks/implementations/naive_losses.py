"""The losses of the naive network, each with the mistakes that are made at a loss.

y (N, K) is the network's output; N examples, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import reference as ref

Array = Any
On = Callable[[str], Any]
"""The name of a mistake ↦ whether it is switched on."""


def loss_and_gradient(
    problem: ref.Problem, target: Array, y: Array, on: On, total: Callable[[Array], Array] = np.sum
) -> tuple[Array, Array]:
    """The loss and its gradient with respect to the output.

    Args:
        problem: whose loss it is.
        target: the problem's, in the type of y.
        y: the output, (N, K).
        on: says which mistakes are switched on.
        total: adds up the losses of examples and elements.

    Raises:
        ValueError: the loss is none of those that are written down here.
    """
    row = problem.loss
    if row.name in ("mse", "half_squared_error"):
        difference = y - target
        if on("target not subtracted"):
            difference = y
        if row.name == "mse":
            each, d_y, divisor = difference**2, 2 * difference, float(y.size)
        else:
            each, d_y, divisor = difference**2 / 2, difference, float(len(y))
    elif row.name == "bce_with_logits":
        each, d_y = _binary(row, target, y, on)
        divisor = float(y.size)
    elif row.name == "cross_entropy":
        each, d_y, divisor = _cross_entropy(row, target, y, on)
    else:
        raise ValueError(f"loss: the naive network has no {row.name}")
    if problem.reduction == "sum":
        divisor = 1.0
    value = total(each) / divisor
    return value, d_y / _divisor(y, divisor, on)


def _divisor(y: Array, right: float, on: On) -> float:
    wrong = {
        "sum over examples and elements": 1.0,
        "sum over examples": right / len(y),
        "sum over elements": right / y.shape[1],
        "mean over examples": right * len(y),
        "mean over elements": right * y.shape[1],
        "mean over examples and elements": right * y.size,
        "mean over all examples": float(len(y)),
    }
    for name, value in wrong.items():
        if on(name):
            return value
    return right


def _binary(row: ref.Loss, target: Array, y: Array, on: On) -> tuple[Array, Array]:
    weight, positive = (
        np.asarray(1.0 if row.parameters[k] is None else row.parameters[k]) for k in ("weight", "pos_weight")
    )
    if on("class weights ignored"):
        weight = positive = np.asarray(1.0)
    weight, positive = weight.astype(y.dtype), positive.astype(y.dtype)
    p = 1 / (1 + np.exp(-y))
    each = -weight * (positive * target * np.log(p) + (1 - target) * np.log(1 - p))
    d_y = weight * ((1 - target) * p - positive * target * (1 - p))
    if on("sigmoid applied twice"):
        d_y = weight * (1 / (1 + np.exp(-p)) - target)
    if on("sigmoid derivative applied again"):
        d_y = d_y * p * (1 - p)
    return each, d_y


def _cross_entropy(row: ref.Loss, target: Array, y: Array, on: On) -> tuple[Array, Array, float]:
    n, k = y.shape
    weights = row.parameters["weight"]
    weights = np.ones(k) if weights is None else np.asarray(weights, dtype=float)
    smoothing = row.parameters["label_smoothing"]
    counted = target != row.parameters["ignore_index"]
    divisor = float(sum(weights[t] for t, c in zip(target, counted, strict=True) if c))
    if on("class weights ignored"):
        weights = np.ones(k)
    if on("class weights ignored throughout"):
        weights, divisor = np.ones(k), float(counted.sum())
    if on("label smoothing ignored"):
        smoothing = 0.0
    q = np.zeros((n, k))
    for i in range(n):
        if not counted[i]:
            continue
        if on("label smoothing over the other classes"):
            q[i] = weights * smoothing / (k - 1)
            q[i, target[i]] = weights[target[i]] * (1 - smoothing)
        else:
            q[i] = weights * smoothing / k
            q[i, target[i]] += weights[target[i]] * (1 - smoothing)
    q = q.astype(y.dtype)
    p = softmax(y)
    each = -(q * np.log(p)).sum(axis=1)
    twice = on("softmax applied twice")
    d_y = (softmax(p) if twice else p) * q.sum(axis=1, keepdims=True) - q
    if on("ignored examples not zeroed"):
        d_y = d_y + p * ~counted[:, None]
    if on("softmax applied twice in both passes"):
        d_p = softmax(p) * q.sum(axis=1, keepdims=True) - q
        each = -(q * np.log(softmax(p))).sum(axis=1)
        d_y = np.array([(np.diag(p[i]) - np.outer(p[i], p[i])) @ d_p[i] for i in range(n)])
    if on("softmax Jacobian of the loss diagonal"):
        d_y = -(q / p) * p * (1 - p)
    return each, d_y, divisor


def softmax(y: Array) -> Array:
    """exp(y)/Σ exp(y) along the rows, the largest y subtracted first."""
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
