"""Running sums and products along one axis: their pullbacks run the other way.

Shapes in this file: z, y and d_y (…, M), the axis moved to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import finite, magnitude
from ..functions.basics import zero
from ..functions.recipe import recorded
from .along_axes import PROBES, SQUARE, axes
from .probe import probe
from .row import Inputs, Operation, Pullback

Along = Callable[[Array, Array, Array], Array]


def _running(
    name: str,
    formula: str,
    source: str,
    value: Callable[[Array], Array],
    pullback: Along,
    pushforward: Along,
    dim: int,
    mistakes: dict[str, Along],
    textbook_value: Callable[[Array, Array], Array] | None = None,
    textbook_pullback: Along | None = None,
) -> Operation:
    def moved(f: Callable[..., Array], *arrays: Array) -> Array:
        if not axes(dim, arrays[0], name):  # a single number
            return f(*(a.reshape(1) for a in arrays)).reshape(())
        (axis,) = axes(dim, arrays[0], name)
        return f(*(a.swapaxes(axis, -1) for a in arrays)).swapaxes(axis, -1)

    def of(f: Along) -> Pullback:
        return lambda inputs, y, d: (moved(f, inputs[0], y, d),)

    def pushed(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        return moved(pushforward, inputs[0], y, changes[0])

    sizes: dict[str, Any] = {}
    if textbook_value is not None:
        sizes["textbook_value"] = lambda inputs, y: moved(textbook_value, inputs[0], y)
    if textbook_pullback is not None:
        sizes["textbook_pullback"] = of(textbook_pullback)
    needed = dim + 1 if dim >= 0 else -dim
    return Operation(
        name,
        formula,
        source,
        ("input",),
        lambda x: moved(value, x),
        of(pullback),
        pushed,
        (*PROBES[:1], *SQUARE) if needed <= 2 else ((probe(*(2,) * needed),),),
        parameters={"dim": dim},
        mistakes={what: of(f) for what, f in mistakes.items()},
        **sizes,
    )


def _sums(z: Array) -> Array:
    return np.cumsum(z, axis=-1)


def _reversed_sums(d: Array) -> Array:
    return np.flip(_sums(np.flip(d, -1)), -1)


@recorded
def cumsum(dim: int) -> Operation:
    """Σ_{j ≤ k} x_j along an axis; x_i is in every sum from the i-th on, so d_x runs from the end."""
    return _running(
        "cumsum",
        "y_k = Σ_{j ≤ k} x_j",
        "Blelloch 1990, Prefix sums and their applications",
        _sums,
        lambda z, y, d: _reversed_sums(d),
        lambda z, y, dz: _sums(dz),
        dim,
        {
            "not reversed": lambda z, y, d: _sums(d),
            "the element itself left out": lambda z, y, d: _reversed_sums(d) - d,
        },
    )


def _columns(*arrays: Array) -> list[tuple[Array, ...]]:
    """The arrays column by column, each (…, 1)."""
    return [tuple(a[..., k : k + 1] for a in arrays) for k in range(arrays[0].shape[-1])]


def _products(z: Array) -> Array:
    found = [z[..., :1]]
    for (column,) in _columns(z)[1:]:
        found.append(found[-1] * column)
    return np.concatenate(found, axis=-1)


def _products_pullback(z: Array, y: Array, d: Array) -> Array:
    """d_i = Π_{j<i} z_j · s_i with s_i = d_i + z_{i+1}·s_{i+1}: no division, so right where z is 0."""
    columns = _columns(z, d)
    sums = [columns[-1][1]]
    for (_, d_here), (z_next, _) in zip(columns[-2::-1], columns[:0:-1], strict=True):
        sums.append(d_here + z_next * sums[-1])
    before = np.concatenate([zero(z[..., :1]) + 1, y[..., :-1]], axis=-1)
    return before * np.concatenate(sums[::-1], axis=-1)


def _products_pushforward(z: Array, y: Array, dz: Array) -> Array:
    """dy_k = dy_{k−1}·z_k + y_{k−1}·dz_k."""
    found = [dz[..., :1]]
    for k, (z_here, dz_here) in enumerate(_columns(z, dz)[1:]):
        found.append(found[-1] * z_here + y[..., k : k + 1] * dz_here)
    return np.concatenate(found, axis=-1)


@recorded
def cumprod(dim: int) -> Operation:
    """Π_{j ≤ k} x_j along an axis; the customary Σ d∘y/x rounds what is exact here beside a 0."""
    return _running(
        "cumprod",
        "y_k = Π_{j ≤ k} x_j",
        "Blelloch 1990, Prefix sums and their applications",
        _products,
        _products_pullback,
        _products_pushforward,
        dim,
        {"not reversed": lambda z, y, d: _sums(d * y) / z},
        # Torch multiplies by x and divides by it again, and errs where d_y alone is the gradient.
        textbook_pullback=lambda z, y, d: _products_pullback(magnitude(z), magnitude(y), magnitude(d)),
    )


def _levels(z: Array) -> tuple[list[Array], list[Array]]:
    """m_k, the largest so far, and l_k = log Σ_{j ≤ k} e^(z_j − m_k), between 0 and log k: y_k = m_k + l_k.

    y alone would err by u·|y|, and every exponential of a difference of two with it.
    """
    tops: list[Array] = [z[..., :1]]
    logs: list[Array] = [zero(z[..., :1])]
    for (column,) in _columns(z)[1:]:
        top = np.maximum(tops[-1], column)
        before = np.exp(_gap(tops[-1], top) + logs[-1])
        logs.append(np.log(before + np.exp(_gap(column, top))))
        tops.append(top)
    return tops, logs


def _gap(z: Array, top: Array) -> Array:
    """The difference of two numbers, the first no larger, either of which may be −∞."""
    return finite(z) - finite(top)


def _log_sums(z: Array) -> Array:
    tops, logs = _levels(z)
    return np.concatenate([top + log for top, log in zip(tops, logs, strict=True)], axis=-1)


def _shares(z: Array) -> tuple[list[Array], list[Array]]:
    """e^(z_k − y_k), and e^(y_{k−1} − y_k) from the second on."""
    tops, logs = _levels(z)
    own: list[Array] = [np.exp(_gap(c, top) - log) for (c,), top, log in zip(_columns(z), tops, logs, strict=True)]
    kept: list[Array] = [
        np.exp(_gap(top, after) + (log - log_after))
        for (top, after), (log, log_after) in zip(pairwise(tops), pairwise(logs), strict=True)
    ]
    return own, kept


def _log_sums_pullback(z: Array, y: Array, d: Array) -> Array:
    """d_i = e^(z_i − y_i)·s_i with s_i = d_i + e^(y_i − y_{i+1})·s_{i+1}: no exponential exceeds 1."""
    own, kept = _shares(z)
    columns = [column for (column,) in _columns(d)]
    sums = [columns[-1]]
    for d_here, share in zip(columns[-2::-1], kept[::-1], strict=True):
        sums.append(d_here + share * sums[-1])
    return np.concatenate([a * b for a, b in zip(own, sums[::-1], strict=True)], axis=-1)


def _log_sums_pushforward(z: Array, y: Array, dz: Array) -> Array:
    """dy_k = e^(y_{k−1} − y_k)·dy_{k−1} + e^(z_k − y_k)·dz_k."""
    own, kept = _shares(z)
    found = [dz[..., :1]]
    for (dz_here,), a, b in zip(_columns(dz)[1:], own[1:], kept, strict=True):
        found.append(b * found[-1] + a * dz_here)
    return np.concatenate(found, axis=-1)


@recorded
def logcumsumexp(dim: int) -> Operation:
    """Log Σ_{j ≤ k} e^x_j along an axis."""
    return _running(
        "logcumsumexp",
        "y_k = log Σ_{j ≤ k} e^x_j",
        "Blanchard, Higham & Higham 2021, Accurately computing the log-sum-exp and softmax functions",
        _log_sums,
        _log_sums_pullback,
        _log_sums_pushforward,
        dim,
        {"softmax taken only of each element's own sum": lambda z, y, d: d * np.exp(z - y)},
        lambda z, y: 1 + magnitude(y),
        lambda z, y, d: (1 + magnitude(y)) * _log_sums_pullback(z, y, magnitude(d)),
    )


MAKERS: tuple[Callable[..., Operation], ...] = (cumsum, cumprod, logcumsumexp)
