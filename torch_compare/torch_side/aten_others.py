"""ATen's bags of embeddings, recurrent cells, windows and distances, as rows of `reference.operations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from .call import Entry, Expression, Value, known, row


def _cell(name: str) -> Entry:
    def entry(input: Value, hx: Any, w_ih: Value, w_hh: Value, b_ih: Any, b_hh: Any) -> Expression:
        states = hx if isinstance(hx, list | tuple) else (hx,)
        return (row(f"{name}_cell"), input, *states, w_ih, w_hh, b_ih, b_hh)

    return entry


def _windows(name: str) -> Entry:
    """Images to columns and back; ATen takes every parameter as a pair."""
    return lambda self, **windows: (row(name, **{key: tuple(pair) for key, pair in windows.items()}), self)


def _broadcast_tensors(tensors: Sequence[Value], out: Sequence[Value]) -> Expression:
    made = zip(tensors, out, strict=True)
    return [x if x.shape == y.shape else (row("expand", size=y.shape), x) for x, y in made]


# ── embedding_bag ────────────────────────────────────────────────────────────────────────────────────

_SUM, _MEAN, _MAX = range(3)


def _embedding_bag(
    weight: Value, indices: Value, offsets: Value, scale_grad_by_freq: bool, mode: int, sparse: bool,
    per_sample_weights: Value | None, include_last_offset: bool, padding_idx: int | None = None, *, out: Any,
) -> Expression:  # fmt: skip
    """The sum, the mean or the largest of the rows of a table that a bag names; an empty bag gives 0."""
    if scale_grad_by_freq:
        raise ValueError(
            "embedding_bag: scale_grad_by_freq=True divides the gradient, so that it is none of a function"
        )
    rows = _members(known(indices), known(offsets), include_last_offset, padding_idx)
    if mode == _MAX:
        if not np.all(rows.sum(axis=1)):
            raise ValueError("embedding_bag: a maximum over no row of the table; leave empty bags out")
        return [(row("gather", dim=0), weight, out[3]), None, None, None]
    looked_up: Expression = (row("index_select", dim=0), weight, indices)
    if per_sample_weights is not None:
        looked_up = (row("mul"), looked_up, (row("unsqueeze", dim=-1), per_sample_weights))
    total = (row("matmul"), rows, looked_up)
    counts = np.maximum(rows.sum(axis=1, keepdims=True), 1)
    return [total if mode == _SUM else (row("div"), total, counts), None, None, None]


def _members(indices: Any, offsets: Any, include_last_offset: bool, padding_idx: int | None) -> Any:
    """1. where an index (a column) belongs to a bag (a row), else 0.

    >>> _members(np.array([4, 0, 7]), np.array([0, 1]), False, 7)
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    ends = offsets if include_last_offset else np.append(offsets, len(indices))
    places = np.arange(len(indices))
    inside = (places >= ends[:-1, None]) & (places < ends[1:, None])
    return (inside & (indices != (-1 if padding_idx is None else padding_idx))).astype(float)


OTHERS: Mapping[str, Entry] = MappingProxyType({
    "aten.im2col.default": _windows("unfold"),
    "aten.col2im.default": _windows("fold"),
    **{f"aten.{name}_cell.default": _cell(name) for name in ("rnn_tanh", "rnn_relu", "gru", "lstm")},
    "aten.cosine_similarity.default": lambda x1, x2, dim, eps: (row("cosine_similarity", dim=dim, eps=eps), x1, x2),
    "aten.pairwise_distance.default": lambda x1, x2, p, eps, keepdim: (
        row("pairwise_distance", p=p, eps=eps, keepdim=keepdim), x1, x2),
    "aten.broadcast_tensors.default": _broadcast_tensors,
    "aten.embedding_bag.default": _embedding_bag,
    "aten.embedding_bag.padding_idx": _embedding_bag,
})  # fmt: skip
