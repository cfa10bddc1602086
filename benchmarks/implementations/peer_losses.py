"""Every loss of the table in customary formulas, and a whole problem, for a library that differentiates them by itself.

N examples, K the network's outputs, y (N, K) the output, t the target, p the loss's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import reference as ref

from .peer_functions import Library, log_softmax, softplus

Array = Any


def _chosen(t: Array, k: int, number: Any, ignored: int | None = None) -> Array:
    """(N, k): 1 at each example's class; an ignored class has none, whether it is one of the k or not."""
    return ((np.arange(k) == t[:, None]) & (t != ignored)[:, None]).astype(number)


def _weights(p: Mapping[str, Any], number: Any, name: str = "weight") -> Array:
    return 1 if p[name] is None else np.asarray(p[name]).astype(number)


def _smooth_l1(lib: Library, y: Array, t: Array, p: Any) -> Array:
    d = lib.np.abs(y - t)
    beta = p["beta"]
    return d if beta == 0 else lib.np.where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)


def _huber(lib: Library, y: Array, t: Array, p: Any) -> Array:
    d, delta = lib.np.abs(y - t), p["delta"]
    return lib.np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


def _cross_entropy(lib: Library, y: Array, t: Array, p: Any) -> Array:
    k, smoothing = y.shape[1], p["label_smoothing"]
    q = t
    if t.dtype.kind == "i":
        ignored = p["ignore_index"]
        q = _chosen(t, k, float, ignored) * (1 - smoothing) + (t != ignored)[:, None] * smoothing / k
    elif smoothing:
        q = (1 - smoothing) * t.astype(float) + smoothing / k
    q = (q * _weights(p, float)).astype(y.dtype)
    return -(q * log_softmax(lib, y)).sum(axis=1)


def _nll(lib: Library, y: Array, t: Array, p: Any) -> Array:
    return -(_chosen(t, y.shape[1], y.dtype, p["ignore_index"]) * _weights(p, y.dtype) * y).sum(axis=1)


def _bce(lib: Library, y: Array, t: Array, p: Any) -> Array:
    """The logarithms are limited to −100; where the limit acts, none is taken."""

    def log(a: Array) -> Array:
        tiny = a <= math.exp(-100)
        return lib.np.where(tiny, -100 + lib.np.zeros_like(a), lib.np.log(lib.np.where(tiny, lib.np.ones_like(a), a)))

    return -_weights(p, y.dtype) * (t * log(y) + (1 - t) * log(1 - y))


def _bce_with_logits(lib: Library, y: Array, t: Array, p: Any) -> Array:
    positive = _weights(p, y.dtype, "pos_weight")
    return _weights(p, y.dtype) * ((1 - t) * softplus(lib, y) + positive * t * softplus(lib, -y))


def _kl_div(lib: Library, y: Array, t: Array, p: Any) -> Array:
    wide = t.astype(float)
    if p["log_target"]:
        return np.exp(wide).astype(y.dtype) * (t - y)
    return (wide * np.log(np.where(wide > 0, wide, 1))).astype(y.dtype) - t * y


def _poisson_nll(lib: Library, y: Array, t: Array, p: Any) -> Array:
    loss = lib.np.exp(y) - t * y if p["log_input"] else y - t * lib.np.log(y + p["eps"])
    if p["full"]:
        wide = np.where(t > 1, t, 1).astype(float)
        loss = loss + np.where(t > 1, wide * np.log(wide) - wide + np.log(2 * np.pi * wide) / 2, 0).astype(y.dtype)
    return loss


def _gaussian_nll(lib: Library, y: Array, t: Array, p: Any) -> Array:
    v = np.maximum(np.asarray(p["var"], dtype=float), p["eps"])
    constant = np.log(v) + (math.log(2 * math.pi) if p["full"] else 0)
    return 0.5 * (np.asarray(constant).astype(y.dtype) + (y - t) * (y - t) / v.astype(y.dtype))


def _multilabel_soft_margin(lib: Library, y: Array, t: Array, p: Any) -> Array:
    each = (1 - t) * softplus(lib, y) + t * softplus(lib, -y)
    return (_weights(p, y.dtype) * each).sum(axis=1) / y.shape[1]


def _multilabel_margin(lib: Library, y: Array, t: Array, p: Any) -> Array:
    k = y.shape[1]
    label = np.zeros((t.shape[0], k), dtype=bool)
    for n, row in enumerate(t):
        for index in row:
            if index < 0:
                break
            label[n, index] = True
    counted = (label[:, :, None] & ~label[:, None, :]).astype(y.dtype)
    gaps = lib.np.maximum(1 - y[:, :, None] + y[:, None, :], 0)
    return (counted * gaps).sum(axis=2).sum(axis=1) / k


def _multi_margin(lib: Library, y: Array, t: Array, p: Any) -> Array:
    onehot = _chosen(t, y.shape[1], y.dtype)
    weight = 1 if p["weight"] is None else (onehot * _weights(p, y.dtype)).sum(axis=1, keepdims=True)
    gap = (1 - onehot) * lib.np.maximum(p["margin"] - (onehot * y).sum(axis=1, keepdims=True) + y, 0)
    return (weight * (gap if p["p"] == 1 else gap * gap)).sum(axis=1) / y.shape[1]


def _hinge_embedding(lib: Library, y: Array, t: Array, p: Any) -> Array:
    return lib.np.where(t > 0, y, lib.np.maximum(p["margin"] - y, 0))


LOSSES: Mapping[str, Callable[[Library, Array, Array, Any], Array]] = {
    "half_squared_error": lambda lib, y, t, p: 0.5 * ((y - t) * (y - t)).sum(axis=1),
    "mse": lambda lib, y, t, p: (y - t) * (y - t),
    "l1": lambda lib, y, t, p: lib.np.abs(y - t),
    "smooth_l1": _smooth_l1,
    "huber": _huber,
    "cross_entropy": _cross_entropy,
    "nll": _nll,
    "bce": _bce,
    "bce_with_logits": _bce_with_logits,
    "kl_div": _kl_div,
    "poisson_nll": _poisson_nll,
    "gaussian_nll": _gaussian_nll,
    "soft_margin": lambda lib, y, t, p: softplus(lib, -t * y),
    "multilabel_soft_margin": _multilabel_soft_margin,
    "multilabel_margin": _multilabel_margin,
    "multi_margin": _multi_margin,
    "hinge_embedding": _hinge_embedding,
    "inner_product": lambda lib, y, t, p: y * t,
}

Parameters = list[tuple[Array, Array | None]]
"""(weight (O, I), bias (O,) or None) of every layer."""


def loss_function(lib: Library, problem: ref.Problem, number: Any = None) -> Callable[[Parameters, Array], Array]:
    """(parameters, x) ↦ the problem's loss, in the library's arithmetic.

    Args:
        lib: the library.
        problem: of float64; its numbers are those of `number` already.
        number: the type to compute in; float64 if not given.
    """
    number = np.dtype(np.float64) if number is None else number
    t = np.asarray(problem.target)
    t = t.astype(number) if t.dtype.kind == "f" else t
    outputs = np.zeros((problem.x.shape[0], problem.mlp.layers[-1].width))
    divisor = float(np.asarray(problem.loss.divisor(outputs, problem.target))) if problem.reduction == "mean" else 1.0

    def loss(parameters: Parameters, x: Array) -> Array:
        h = x
        for (weight, bias), layer in zip(parameters, problem.mlp.layers, strict=True):
            z = lib.np.matmul(h, weight.T)
            h = lib.activate(layer.activation, z if bias is None else z + bias)
        total = LOSSES[problem.loss.name](lib, h, t, problem.loss.parameters).sum()
        return total if divisor == 1 else total / divisor

    return loss


def arrays_of(problem: ref.Problem, number: Any = None) -> tuple[Parameters, Array]:
    """The parameters and x of a problem, in a number type."""
    number = np.dtype(np.float64) if number is None else number
    pairs = [
        (np.asarray(layer.weight).astype(number), None if layer.bias is None else np.asarray(layer.bias).astype(number))
        for layer in problem.mlp.layers
    ]
    return pairs, np.asarray(problem.x).astype(number)
