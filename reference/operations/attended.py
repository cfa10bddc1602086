"""The two passes of scaled dot-product attention, on the queries, keys and values of any leading axes.

L queries, S keys, E and Ev features. Derived in the README of this room, "Attention".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arithmetic.array import Array, is_numpy
from ..arithmetic.dispatch import indicator, parameter
from ..functions.softmax import masked_softmax, softmax_product
from .broadcasting import unbroadcast
from .products import sum_of
from .row import Inputs

NAME = "scaled_dot_product_attention"


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of attention.

    Attributes:
        causal: query i sees the keys up to i + offset alone.
        scale: c; None for 1/√E.
        grouped: key and value have fewer heads than query.
        offset: of the last key that query 0 sees.
    """

    causal: bool
    scale: float | None
    grouped: bool
    offset: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Attended:
    """What the passes share.

    Attributes:
        key: K, each head as often as queries use it, (…, S, E).
        value: V, likewise, (…, S, Ev).
        factor: c.
        top: where one largest score of each query is, (…, L, S).
        weights: P, (…, L, S).
    """

    key: Array
    value: Array
    factor: Array
    top: Array
    weights: Array


def attended(inputs: Inputs, options: Options) -> Attended:
    """The attention weights of query, key, value and attn_mask.

    Raises:
        ValueError: their shapes do not fit.
    """
    check(inputs, options)
    query, key, value, *_ = inputs
    if options.grouped:
        key, value = (_repeated(z, query.shape[-3]) for z in (key, value))
    width, scale = query.shape[-1], options.scale
    factor = 1 / np.sqrt(parameter(float(width), query)) if scale is None else parameter(float(scale), query)
    return Attended(key, value, factor, *masked_softmax(*scored(inputs, key, factor, options)))


def scored(inputs: Inputs, key: Array, factor: Array, options: Options) -> tuple[Array, Array | None]:
    """c·Q Kᵀ and what a mask adds, and which of them take part; None: all. Both (…, L, S)."""
    query, _, _, mask = (*inputs, None)[:4]
    scores = (query * factor) @ key.swapaxes(-1, -2)
    take, added = _split(mask)
    scores = scores if added is None else scores + added
    if options.causal:
        seen = np.tri(scores.shape[-2], scores.shape[-1], k=options.offset, dtype=bool)
        take = seen if take is None else take & seen
    return scores, None if take is None else np.broadcast_to(take, scores.shape)


def _split(mask: Array | None) -> tuple[Array | None, Array | None]:
    """Which scores a mask lets take part (None: all), and what it adds to them, 0 where it is −∞."""
    if mask is None or mask.dtype == np.bool_:
        return mask, None
    take = (mask.real if is_numpy(mask) else mask) > -np.inf
    return take, np.where(take, mask, 0.0)


def _repeated(z: Array, heads: int) -> Array:
    """(…, G, S, E) with every head as often as `heads` asks, one copy after the other."""
    copies = heads // z.shape[-3]
    shape = (*z.shape[:-3], z.shape[-3], copies, *z.shape[-2:])
    return np.broadcast_to(np.expand_dims(z, -3), shape).reshape(*z.shape[:-3], heads, *z.shape[-2:])


def gathered(d: Array, shape: tuple[int, ...], options: Options) -> Array:
    """The gradient of keys or values: the sum over the queries' heads that share one, and over broadcast axes."""
    if options.grouped:
        heads = shape[-3]
        d = d.reshape(*d.shape[:-3], heads, d.shape[-3] // heads, *d.shape[-2:]).sum(axis=-3)
    return unbroadcast(d, shape)


def check(inputs: Inputs, options: Options) -> None:
    """Raise unless the shapes of query, key, value and attn_mask fit."""
    (query, key, value, mask), grouped = (*inputs, None)[:4], options.grouped
    least = 3 if grouped else 2
    for name, z in (("query", query), ("key", key), ("value", value)):
        if z.ndim < least or 0 in z.shape:
            axes = "(…, heads, length, features)" if grouped else "(…, length, features)"
            raise ValueError(f"{NAME}: {name}: expected shape {axes}, none of them 0, got {z.shape}")
    if key.shape[-1] != query.shape[-1]:
        raise ValueError(f"{NAME}: key: expected {query.shape[-1]} features as query has, got shape {key.shape}")
    if value.shape[-2] != key.shape[-2]:
        raise ValueError(f"{NAME}: value: expected {key.shape[-2]} rows as key has, got shape {value.shape}")
    for name, z in (("key", key), ("value", value)) if grouped else ():
        if query.shape[-3] % z.shape[-3]:
            heads = query.shape[-3]
            raise ValueError(f"{NAME}: {name}: expected a divisor of query's {heads} heads, got shape {z.shape}")
    batch = slice(None, -3) if grouped else slice(None, -2)
    try:
        leading = np.broadcast_shapes(query.shape[:-2], *(() if grouped else (key.shape[:-2], value.shape[:-2])))
        np.broadcast_shapes(query.shape[batch], key.shape[batch], value.shape[batch])
    except ValueError:
        raise ValueError(
            f"{NAME}: key, value: expected leading axes as query's {query.shape}, got {key.shape} and {value.shape}"
        ) from None
    if mask is not None:
        if is_numpy(mask) and mask.dtype.kind in "iu":
            raise TypeError(f"{NAME}: attn_mask: expected truth values or floating numbers, got {mask.dtype}")
        scores = (*leading, query.shape[-2], key.shape[-2])
        try:
            fits = np.broadcast_shapes(mask.shape, scores)[-2:] == scores[-2:]
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{NAME}: attn_mask: expected what is broadcast to {scores}, got shape {mask.shape}")


# ── the two passes ───────────────────────────────────────────────────────────────────────────────────


def value(a: Attended) -> Array:
    """P V, (…, L, Ev)."""
    return a.weights @ a.value


def pullback(inputs: Inputs, d_y: Array, a: Attended, options: Options) -> tuple[Array | None, ...]:
    """d_V = Pᵀ d_y; d_P = d_y Vᵀ; d_S = (diag P − P Pᵀ) d_P by rows; d_Q = c·d_S K, d_K = c·d_Sᵀ Q, d_mask = d_S."""
    d_value = gathered(a.weights.swapaxes(-1, -2) @ d_y, inputs[2].shape, options)
    return from_scores(inputs, through_softmax(a, d_y @ a.value.swapaxes(-1, -2)), d_value, a, options)


def through_softmax(a: Attended, v: Array) -> Array:
    """(diag P − P Pᵀ) v by rows, (…, L, S)."""
    return softmax_product(indicator(a.top, a.weights), a.weights, v)


def from_scores(
    inputs: Inputs, d_scores: Array, d_value: Array, a: Attended, options: Options
) -> tuple[Array | None, ...]:
    """All gradients, from those of the scores and of the values."""
    query, key, _, *mask = inputs
    return (
        unbroadcast((d_scores @ a.key) * a.factor, query.shape),
        gathered(d_scores.swapaxes(-1, -2) @ (query * a.factor), key.shape, options),
        d_value,
        *(None if m is None or m.dtype == np.bool_ else unbroadcast(d_scores, m.shape) for m in mask),
    )


def pushforward(inputs: Inputs, changes: Inputs, a: Attended, options: Options) -> Array:
    """dS = c·(dQ Kᵀ + Q dKᵀ) + dmask; dP = (diag P − P Pᵀ) dS by rows; dy = dP V + P dV."""
    query, (dq, dk, dv, dm) = inputs[0], (*changes, None)[:4]
    if options.grouped:
        dk, dv = (None if dz is None else _repeated(dz, query.shape[-3]) for dz in (dk, dv))
    terms = [
        None if dq is None else (dq * a.factor) @ a.key.swapaxes(-1, -2),
        None if dk is None else (query * a.factor) @ dk.swapaxes(-1, -2),
        dm,
    ]
    d_weights = through_softmax(a, sum_of(terms, a.weights))
    return d_weights @ a.value if dv is None else d_weights @ a.value + a.weights @ dv
