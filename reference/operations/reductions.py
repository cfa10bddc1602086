"""Sums, means, extrema and products along any axes.

Shapes in this file: z (…, M), the reduced axes as one at the end; y and d_y (…, 1).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import indicator, largest, magnitude
from ..functions.basics import zero
from ..functions.recipe import recorded
from ..functions.softmax import softmax_parts
from .along_axes import Dim, RowPullback, reduction
from .row import Operation


def _total(z: Array) -> Array:
    return z.sum(axis=-1, keepdims=True)


def _spread(d: Array, z: Array) -> Array:
    return np.broadcast_to(d, z.shape)


@recorded
def sum(dim: Dim = None, keepdim: bool = False) -> Operation:
    """Σ x along axes: each element gets the whole gradient."""
    return reduction(
        "sum",
        "Σᵢ xᵢ",
        "Magnus & Neudecker 1988",
        _total,
        lambda z, y, d: _spread(d, z),
        lambda z, y, dz: _total(dz),
        dim,
        keepdim,
        {"dim": dim, "keepdim": keepdim},
        mistakes={"the mean's gradient for the sum's": lambda z, y, d: _spread(d / z.shape[-1], z)},
    )


@recorded
def mean(dim: Dim = None, keepdim: bool = False) -> Operation:
    """Σ x/N along axes."""
    return reduction(
        "mean",
        "Σᵢ xᵢ/N",
        "Magnus & Neudecker 1988",
        lambda z: _total(z) / z.shape[-1],
        lambda z, y, d: _spread(d / z.shape[-1], z),
        lambda z, y, dz: _total(dz) / z.shape[-1],
        dim,
        keepdim,
        {"dim": dim, "keepdim": keepdim},
        mistakes={"the sum's gradient for the mean's": lambda z, y, d: _spread(d, z)},
    )


# ── extrema ──────────────────────────────────────────────────────────────────────────────────────────


def best_of_others(z: Array) -> Array:
    """For each element the largest of all others (…, M): z is one of the largest where it is no less.

    A ball that is no exact number is not known to be equal to itself, so the largest is compared with the second.

    >>> best_of_others(np.array([1.0, 3.0, 2.0]))
    array([3., 2., 3.])
    """
    top, _ = largest(z)
    peak = np.where(top, z, zero(z)).sum(axis=-1, keepdims=True)
    second = np.where(top, -np.inf, z).max(axis=-1, keepdims=True)
    return np.where(top, second, peak)


def even_shares(z: Array) -> Array:
    """What part of a gradient each element gets (…, M), if equal largest ones share it evenly.

    >>> even_shares(np.array([1.0, 3.0, 3.0]))
    array([0. , 0.5, 0.5])
    """
    among = indicator(z >= best_of_others(z), z)
    return among / _total(among)


def _first(z: Array) -> Array:
    return indicator(largest(z)[0], z)


def _last(z: Array) -> Array:
    return np.flip(_first(np.flip(z, -1)), -1)


def _whole(z: Array) -> Array:
    return indicator(z >= best_of_others(z), z)


def extremum(
    name: str,
    formula: str,
    size: Callable[[Array], Array],
    slope: Callable[[Array], Array],
    value: Callable[[Array], Array],
    dim: Dim,
    keepdim: bool,
    parameters: dict[str, object],
) -> Operation:
    """The row of a largest element: of size(z), whose derivative is `slope`.

    Args:
        name: torch's name.
        formula: in plain mathematics.
        size: z ↦ what is largest at the chosen element.
        slope: z ↦ ∂y/∂z there.
        value: z (…, M) ↦ y (…, 1).
        dim: the axes.
        keepdim: whether they stay.
        parameters: of the row.
    """

    def by(shares: Callable[[Array], Array]) -> RowPullback:
        return lambda z, y, d: d * (slope(z) * shares(size(z)))

    return reduction(
        name,
        formula,
        f"torch.{name}",
        value,
        by(even_shares),
        lambda z, y, dz: _total(slope(z) * even_shares(size(z)) * dz),
        dim,
        keepdim,
        parameters,
        switches=lambda z: (size(z) - best_of_others(size(z)),),
        conventions={"all to the first of equal ones": by(_first), "all to the last of equal ones": by(_last)},
        mistakes={
            "the whole gradient to each of equal ones": by(_whole),
            "the gradient shared among all elements": by(lambda s: (zero(s) + 1) / s.shape[-1]),
        },
    )


def _one(z: Array) -> Array:
    return zero(z) + 1


def _highest(name: str, dim: Dim, keepdim: bool, parameters: dict[str, object]) -> Operation:
    return extremum(
        name, "maxᵢ xᵢ", lambda z: z, _one, lambda z: z.max(axis=-1, keepdims=True), dim, keepdim, parameters
    )


def _lowest(name: str, dim: Dim, keepdim: bool, parameters: dict[str, object]) -> Operation:
    return extremum(
        name, "minᵢ xᵢ", lambda z: -z, _one, lambda z: z.min(axis=-1, keepdims=True), dim, keepdim, parameters
    )


@recorded
def amax(dim: Dim = (), keepdim: bool = False) -> Operation:
    """The largest along axes; equal ones share the gradient evenly."""
    return _highest("amax", dim, keepdim, {"dim": dim, "keepdim": keepdim})


@recorded
def amin(dim: Dim = (), keepdim: bool = False) -> Operation:
    """The smallest along axes; equal ones share the gradient evenly."""
    return _lowest("amin", dim, keepdim, {"dim": dim, "keepdim": keepdim})


@recorded
def max() -> Operation:
    """The largest of all; equal ones share the gradient evenly."""
    return _highest("max", None, False, {})


@recorded
def min() -> Operation:
    """The smallest of all; equal ones share the gradient evenly."""
    return _lowest("min", None, False, {})


# ── of exponentials, of products ─────────────────────────────────────────────────────────────────────


def _softmax(z: Array) -> Array:
    return softmax_parts(z.reshape(-1, z.shape[-1]))[1].reshape(*z.shape)


def _logsumexp(z: Array) -> Array:
    *_, (peak, log_sum) = softmax_parts(z.reshape(-1, z.shape[-1]))
    return (peak + log_sum).reshape(*z.shape[:-1], 1)


@recorded
def logsumexp(dim: Dim = None, keepdim: bool = False) -> Operation:
    """Log Σ eˣ along axes; its derivative is softmax, 0 where x = −∞. dim has no default in torch."""
    return reduction(
        "logsumexp",
        "log Σᵢ e^xᵢ",
        "Blanchard, Higham & Higham 2021, Accurately computing the log-sum-exp and softmax functions",
        _logsumexp,
        lambda z, y, d: d * _softmax(z),
        lambda z, y, dz: _total(_softmax(z) * dz),
        dim,
        keepdim,
        {"dim": dim, "keepdim": keepdim},
        mistakes={
            "softmax not normalised": lambda z, y, d: d * np.exp(z),
            "normalised by the number of elements": lambda z, y, d: _spread(d / z.shape[-1], z),
        },
        textbook_value=lambda z, y: 1 + magnitude(largest(z)[1]),
        textbook_pullback=lambda z, y: _softmax(z) * (1 + (largest(z)[1] - z) + magnitude(largest(z)[1])),
    )


def _running(z: Array) -> list[Array]:
    """1, z₁, z₁z₂, …: the products of all before each, and at the end of all (…, 1)."""
    products = [zero(z[..., :1]) + 1]
    for k in range(z.shape[-1]):
        products.append(products[-1] * z[..., k : k + 1])
    return products


def _others(z: Array) -> Array:
    """Π of all others for each element, without a division: where one is 0, its derivative is not."""
    before = np.concatenate(_running(z)[:-1], axis=-1)
    after = np.flip(np.concatenate(_running(np.flip(z, -1))[:-1], axis=-1), -1)
    return before * after


@recorded
def prod(dim: Dim = None, keepdim: bool = False) -> Operation:
    """Π x along axes; the derivative is the product of the others, also where an element is 0."""
    return reduction(
        "prod",
        "Πᵢ xᵢ",
        "Magnus & Neudecker 1988",
        lambda z: _running(z)[-1],
        lambda z, y, d: d * _others(z),
        lambda z, y, dz: _total(_others(z) * dz),
        dim,
        keepdim,
        {"dim": dim, "keepdim": keepdim},
        mistakes={"the product of all for that of the others": lambda z, y, d: d * y + zero(z)},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (sum, mean, amax, amin, max, min, logsumexp, prod)
