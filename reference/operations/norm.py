"""The value, pullback and pushforward that layer, RMS, group, instance and batch norm share.

They differ in which numbers make a row, and in how a weight lies on x: a `Norm` says both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.constants import Constant
from .broadcasting import unbroadcast
from .standardized import Standardized, root_of, standardized

Triple = tuple[Array | None, Array | None, Array | None]
"""Gradients of x, weight and bias."""


@dataclass(frozen=True, eq=False)
class Norm:
    """Which numbers are standardised together.

    Attributes:
        name: the operation's, for its errors.
        rows: x ↦ (R, n), one row for the numbers of one mean.
        unrow: (rows, shape of x) ↦ the same numbers in that shape.
        view: (weight, number of x's dimensions) ↦ the weight as it is broadcast against x.
        check: (x, weight, bias) ↦ None, or a ValueError.
        eps: ε.
        centre: whether the mean is taken away.
        root: √ε; None if it is 0.
    """

    name: str
    rows: Callable[[Array], Array]
    unrow: Callable[[Array, tuple[int, ...]], Array]
    view: Callable[[Array, int], Array]
    check: Callable[[Array, Array | None, Array | None], None]
    eps: float
    centre: bool
    root: Constant | None


def norm(
    name: str,
    rows: Callable[[Array], Array],
    unrow: Callable[[Array, tuple[int, ...]], Array],
    view: Callable[[Array, int], Array],
    check: Callable[[Array, Array | None, Array | None], None],
    eps: float,
    *,
    centre: bool = True,
) -> Norm:
    """A `Norm`, its ε checked.

    Raises:
        ValueError: ε is negative or not finite.
    """
    if not 0 <= eps < np.inf:
        raise ValueError(f"{name}: expected a finite eps ≥ 0, got {eps}")
    return Norm(name, rows, unrow, view, check, eps, centre, root_of(eps) if eps else None)


def value(n: Norm, x: Array, weight: Array | None, bias: Array | None) -> Array:
    """y = x̂ ∘ weight + bias, of the shape of x."""
    return forward(n, x, weight, bias)[0]


def forward(n: Norm, x: Array, weight: Array | None, bias: Array | None) -> tuple[Array, Standardized]:
    """The value, and the rows that it was made of."""
    n.check(x, weight, bias)
    s = standardized(n.rows(x), n.root, centre=n.centre)
    return scaled(n, n.unrow(s.values, x.shape), weight, bias), s


def scaled(n: Norm, y: Array, weight: Array | None, bias: Array | None) -> Array:
    """Y ∘ weight + bias, of what is there."""
    y = y if weight is None else y * n.view(weight, y.ndim)
    return y if bias is None else y + n.view(bias, y.ndim)


def pullback(n: Norm, x: Array, weight: Array | None, bias: Array | None, d_y: Array) -> Triple:
    """d_x = Jᵀ(d_y ∘ weight), d_weight = Σ d_y ∘ x̂, d_bias = Σ d_y, over all that a weight was copied to."""
    return backward(n, standardized(n.rows(x), n.root, centre=n.centre), x, weight, bias, d_y)


def backward(n: Norm, s: Standardized, x: Array, weight: Array | None, bias: Array | None, d_y: Array) -> Triple:
    """The pullback, from the rows that the value was made of."""
    d_x = n.unrow(s.product(n.rows(scaled(n, d_y, weight, None))), x.shape)
    d_weight = None if weight is None else gathered(n, d_y * n.unrow(s.values, x.shape), weight)
    return d_x, d_weight, None if bias is None else gathered(n, d_y, bias)


def gathered(n: Norm, d: Array, weight: Array) -> Array:
    """The sum over everything that an element of the weight was copied to, of the weight's shape."""
    return unbroadcast(d, n.view(weight, d.ndim).shape).reshape(*weight.shape)


def pushforward(n: Norm, x: Array, weight: Array | None, changes: Triple) -> Array:
    """dy = (J dx) ∘ weight + x̂ ∘ dweight + dbias."""
    dx, dw, db = changes
    s = standardized(n.rows(x), n.root, centre=n.centre)
    normal = n.unrow(s.values, x.shape)
    dy = normal * 0 if dx is None else scaled(n, n.unrow(s.product(n.rows(dx)), x.shape), weight, None)
    if dw is not None:
        dy = dy + normal * n.view(dw, x.ndim)
    return dy if db is None else dy + n.view(db, x.ndim)


# ── the customary formula: what is known to be got wrong, and how large its terms are ────────────────


def _deviation(x: Array) -> Array:
    """The mean of each row, (R, 1), as it is customarily computed."""
    return x.sum(axis=-1, keepdims=True) / x.shape[-1]


def sizes(n: Norm, x: Array) -> tuple[Array, Array, Array]:
    """|x̂|, |mean|/√(var + ε) and 1/√(var + ε), the last two (R, 1): a rounding error of the mean is u·|mean|."""
    rows = n.rows(x)
    s = standardized(rows, n.root, centre=n.centre)
    off = np.abs(_deviation(rows)) / s.scale / s.root if n.centre else s.root * 0
    return np.abs(s.values), off, 1 / s.scale / s.root


def textbook_value(n: Norm, x: Array, weight: Array | None, bias: Array | None) -> Array:
    """|x̂| and |mean|/√(var + ε), times |weight|, and |bias|: what a mean taken once leaves."""
    normal, off, _ = sizes(n, x)
    size = n.unrow(normal + off, x.shape)
    return scaled(n, size, None if weight is None else np.abs(weight), None if bias is None else np.abs(bias))


def textbook_pullback(n: Norm, x: Array, weight: Array | None, bias: Array | None, d_y: Array) -> Triple:
    """The three terms of d_x before they cancel, each with the error of x̂; and Σ|d_y|·(error of x̂)."""
    normal, off, inverse = sizes(n, x)
    size = np.abs(d_y)
    g = n.rows(scaled(n, size, None if weight is None else np.abs(weight), None))
    terms = g + _deviation(g) + (normal + off) * _deviation(g * (normal + off)) + off * g
    d_x = n.unrow(terms * inverse, x.shape)
    d_weight = None if weight is None else gathered(n, size * n.unrow(normal + off, x.shape), weight)
    return d_x, d_weight, None if bias is None else gathered(n, size, bias)
