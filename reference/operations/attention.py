"""Scaled dot-product attention as torch has it: softmax(c·Q Kᵀ + mask) V. Derived in the README, "Attention"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import largest, zeros
from ..functions.recipe import recorded
from . import attended as passes
from .attended import NAME, Attended, Options, attended
from .attention_mistakes import attention_mistakes, other_attentions
from .probe import probe
from .row import Inputs, Kept, Operation, Unread

_QUERIES = 32
"""That many queries at a time leave out nearly half the keys of a long sequence, and are many enough for a product."""
_SOME = np.array([[True, False], [True, True]])
_LEARNED = np.where(np.eye(2, 3, dtype=bool), -np.inf, probe(2, 3, start=2))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Queries one after the other.

    Attributes:
        queries: which.
        options: those of attention, the offset of the first of these queries.
    """

    queries: slice
    options: Options


def _pieces(inputs: Inputs, options: Options) -> Iterator[tuple[Inputs, _Piece]]:
    """The inputs of so many queries at a time, without the keys that none of these sees.

    All at once where every query may see every key, and where a mask has something to say.
    """
    query, key, value, *mask = inputs
    length = query.shape[-2] if query.ndim > 1 else 0
    if not options.causal or length <= _QUERIES or any(m is not None for m in mask):
        yield inputs, _Piece(slice(None), options)
        return
    for first in range(0, length, _QUERIES):
        queries, keys = slice(first, first + _QUERIES), slice(first + _QUERIES)
        own = query[..., queries, :], key[..., keys, :], value[..., keys, :]
        yield own, _Piece(queries, replace(options, offset=first))


def _joined(found: list[tuple[Array | None, ...]], inputs: Inputs) -> tuple[Array | None, ...]:
    """The gradients of all queries, one piece after the other, and of keys and values, the sum over the pieces."""
    d_query, d_key, d_value, *_ = (list(parts) for parts in zip(*found, strict=True))
    return (
        np.concatenate(d_query, axis=-2), _of_first_keys(d_key, inputs[1]), _of_first_keys(d_value, inputs[2]),
        *(None for _ in inputs[3:]),
    )  # fmt: skip


def _of_first_keys(parts: list[Any], like: Array) -> Array:
    """The sum of gradients of the first keys, each of more keys than the one before, in the shape of `like`."""
    ends = [part.shape[-2] for part in parts]
    blocks: list[Any] = []
    for k, (start, end) in enumerate(pairwise((0, *ends))):
        total = parts[k][..., start:end, :]
        for later in parts[k + 1 :]:
            total = total + later[..., start:end, :]
        blocks.append(total)
    *leading, keys, width = like.shape
    return np.concatenate([*blocks, zeros((*leading, keys - ends[-1], width), like)], axis=-2)


@recorded
def scaled_dot_product_attention(
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False
) -> Operation:
    """softmax(c·Q Kᵀ + mask) V over the last two axes: query (…, L, E), key (…, S, E), value (…, S, Ev).

    attn_mask is broadcast to (…, L, S): truth values, True where a key takes part, which are data; or numbers that are
    added to the scores and have a gradient. Where it is −∞ the weight is exactly 0, and so is the gradient. A query
    that attends to nothing gets zeros, and gives none of its gradient on, as in torch 2.13.

    Args:
        is_causal: query i sees the keys up to i alone, counted from the first of both.
        scale: c; None for 1/√E.
        enable_gqa: key and value have fewer heads (axis −3) than query; each serves as many queries' heads in a row.

    >>> one = np.ones((1, 1))
    >>> scaled_dot_product_attention().value(one, np.array([[1000.0], [-1000.0]]), np.array([[3.0], [5.0]]))
    array([[3.]])
    """
    options = Options(is_causal, scale, enable_gqa)
    if scale is not None and not np.isfinite(scale):
        raise ValueError(f"{NAME}: expected a finite scale, got {scale}")

    def attended_by_pieces(inputs: Inputs) -> tuple[Attended, ...]:
        passes.check(inputs, options)
        return tuple(attended(own, piece.options) for own, piece in _pieces(inputs, options))

    def forward(*inputs: Array | None) -> tuple[Array, tuple[Attended, ...]]:
        parts = attended_by_pieces(inputs)
        values = [passes.value(a) for a in parts]
        return values[0] if len(values) == 1 else np.concatenate(values, axis=-2), parts

    def backward(inputs: Inputs, parts: tuple[Attended, ...], d_y: Array) -> tuple[Array | None, ...]:
        found = [
            passes.pullback(own, d_y[..., piece.queries, :], a, piece.options)
            for (own, piece), a in zip(_pieces(inputs, options), parts, strict=True)
        ]
        return found[0] if len(found) == 1 else _joined(found, inputs)

    heads = 2
    queries = 2 * heads if enable_gqa else heads
    query, key, value = probe(queries, 2, 2), probe(heads, 3, 2, start=8), probe(heads, 3, 1, start=3)
    square = (query, key[:, :2], probe(heads, 2, 2, start=3))
    return Operation(
        NAME,
        "softmax(c·Q Kᵀ + mask) V",
        "Vaswani et al. 2017, arXiv:1706.03762, eq. 1; Ainslie et al. 2023, arXiv:2305.13245 (groups)",
        ("query", "key", "value", "attn_mask"),
        lambda *inputs: forward(*inputs)[0],
        lambda inputs, y, d_y: backward(inputs, attended_by_pieces(inputs), d_y),
        lambda inputs, y, changes: passes.pushforward(inputs, changes, attended(inputs, options), options),
        probes=((query, key, value, _LEARNED), (*square, _SOME)),
        optional=("attn_mask",),
        mistakes=attention_mistakes(options),
        other_passes=other_attentions(options),
        parameters={"is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa},
        textbook_value=lambda inputs, y: _textbook_value(inputs, options),
        textbook_pullback=lambda inputs, y, d_y: _textbook_pullback(inputs, d_y, options),
        kept=Kept(forward, backward),
        unread=Unread(("output",)),
    )


def _error(inputs: Inputs, a: Attended, options: Options) -> Array:
    """P times what a shift by the largest score leaves of relative error, in u: 1 + (max S − S) + |max S|."""
    scores, _ = passes.scored(inputs, a.key, a.factor, options)
    top = largest(np.where(a.weights > 0, scores, scores * 0 - largest(-scores)[1]))[1]
    return a.weights * (1 + np.abs(top - scores) + np.abs(top))


def _textbook_value(inputs: Inputs, options: Options) -> Array:
    a = attended(inputs, options)
    return _error(inputs, a, options) @ np.abs(a.value)


def _textbook_pullback(inputs: Inputs, d_y: Array, options: Options) -> tuple[Array | float, ...]:
    """The same with every term's magnitude: P∘|d_P| and P·Σ P∘|d_P| before they cancel."""
    a = attended(inputs, options)
    size, error = np.abs(d_y), _error(inputs, a, options)
    d_weights = size @ np.abs(a.value).swapaxes(-1, -2)
    of_row = error * (a.weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = error * d_weights + of_row + a.weights * (error * d_weights).sum(axis=-1, keepdims=True)
    positive = replace(a, key=np.abs(a.key), factor=np.abs(a.factor))
    sizes = passes.from_scores(
        (np.abs(inputs[0]), *inputs[1:]),
        d_scores,
        passes.gathered(error.swapaxes(-1, -2) @ size, inputs[2].shape, options),
        positive,
        options,
    )
    return tuple(0.0 if s is None else s for s in sizes)


MAKERS: tuple[Callable[..., Operation], ...] = (scaled_dot_product_attention,)
