"""The functions that customary formulas are made of: out of what exponentials and logarithms give, and no more.

z is (N, K): N examples, K features.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def sigmoid(z: Array) -> Array:
    """1/(1 + e^−z)."""
    return 1 / (1 + np.exp(-z))


def sigmoid_left(z: Array) -> Array:
    """e^z/(1 + e^z)."""
    return np.exp(z) / (1 + np.exp(z))


def softplus(z: Array) -> Array:
    """log(1 + e^z)."""
    return np.log(1 + np.exp(z))


def log_sum_exp(z: Array) -> Array:
    """log Σ e^z along the rows, the largest z taken out first, (N, 1)."""
    peak = z.max(axis=1, keepdims=True)
    return peak + np.log(np.exp(z - peak).sum(axis=1, keepdims=True))


def softmax(z: Array) -> Array:
    """e^z/Σ e^z along the rows."""
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def softmax_shifted(z: Array) -> Array:
    """The same, the largest z subtracted first."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_of_logarithm(z: Array) -> Array:
    """e^(z − log Σ e^z)."""
    return np.exp(z - log_sum_exp(z))


def through_softmax(h: Array, d_h: Array) -> Array:
    """d_z of a softmax h: h(d_h − Σ h·d_h)."""
    return h * (d_h - (h * d_h).sum(axis=1, keepdims=True))
