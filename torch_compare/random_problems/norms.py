"""Random inputs of norms (rows of one number, far from 0, or of many), attention, positions and gated units."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator

from .drawn import Draw, Drawn, row_of
from .numbers import masks, positive, real
from .shapes import Shape, length, shape


def _rows(rng: Generator, size: Shape) -> Any:
    """Normal numbers; sometimes far from 0 beside their spread, or of another scale."""
    values = rng.normal(size=size)
    if rng.random() < 0.2:
        values = values * 10.0 ** rng.uniform(-3, 3)
    return values + 10.0 ** rng.uniform(0, 2) if rng.random() < 0.2 else values


def _maybe(rng: Generator, values: Any) -> Any:
    return values if rng.random() < 0.7 else None


def _eps(rng: Generator) -> float:
    return float(rng.choice([1e-5, 1e-6, 1e-2]))


def _layer_norm(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    last = size[-int(rng.integers(1, len(size) + 1)) :]
    weight, bias = _maybe(rng, real(rng, last)), _maybe(rng, real(rng, last))
    row = row_of(name, None if len(last) == 1 else last, eps=_eps(rng))
    return row, (_rows(rng, size), weight, *(() if name == "rms_norm" else (bias,)))


def _group_norm(rng: Generator, name: str) -> Drawn:
    groups, each = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    size = (length(rng), groups * each, *shape(rng, most=2))
    weight, bias = (_maybe(rng, real(rng, (groups * each,))) for _ in range(2))
    return row_of(name, groups, eps=_eps(rng)), (_rows(rng, size), weight, bias)


def _instance_norm(rng: Generator, name: str) -> Drawn:
    channels = length(rng)
    size = (length(rng), channels, int(rng.integers(2, 5)), *shape(rng, most=1))
    weight, bias = (_maybe(rng, real(rng, (channels,))) for _ in range(2))
    return row_of(name, eps=_eps(rng)), (_rows(rng, size), weight, bias)


def _batch_norm(rng: Generator, name: str) -> Drawn:
    channels, training = length(rng), bool(rng.integers(2))
    size = (int(rng.integers(2, 5)), channels, *shape(rng, most=2))
    running = (None, None) if training else (rng.normal(size=channels), positive(rng, (channels,)))
    weight, bias = (_maybe(rng, real(rng, (channels,))) for _ in range(2))
    return row_of(name, training=training, eps=_eps(rng)), (_rows(rng, size), *running, weight, bias)


def _attention(rng: Generator, name: str) -> Drawn:
    """Attention with any leading axes; sometimes causal, masked either way, of grouped heads, or without any key."""
    length_q, length_k, e, ev = (length(rng) for _ in range(4))
    grouped = rng.random() < 0.3
    heads = int(rng.integers(1, 3))
    leading = (length(rng), heads) if grouped else shape(rng, most=2)
    query_leading = (*leading[:-1], heads * int(rng.integers(1, 3))) if grouped else leading
    query, key = real(rng, (*query_leading, length_q, e)), real(rng, (*leading, length_k, e))
    value = real(rng, (*leading, length_k, ev))
    kind = ("none", "causal", "boolean", "additive")[int(rng.integers(4))]
    mask: Any = None
    if kind == "boolean":
        mask = masks(rng, (length_q, length_k))
    elif kind == "additive":
        mask = rng.normal(size=(length_q, length_k))
    scale = None if rng.random() < 0.6 else float(rng.choice([0.3, 1.0]))
    row = row_of(name, is_causal=kind == "causal", scale=scale, enable_gqa=grouped)
    return row, (query, key, value, mask)


def _rotary(rng: Generator, name: str) -> Drawn:
    pairs, positions = int(rng.integers(1, 4)), length(rng)
    layout = str(rng.choice(["half", "interleaved"]))
    width = pairs * int(rng.integers(1, 3))
    angles = rng.normal(size=(positions, width))
    x = real(rng, (*shape(rng, most=2), positions, 2 * pairs))
    return row_of(name, layout=layout), (x, np.cos(angles), np.sin(angles))


def _alibi(rng: Generator, name: str) -> Drawn:
    heads = length(rng)
    scores = real(rng, (*shape(rng, most=1), heads, length(rng), length(rng)))
    return row_of(name, symmetric=bool(rng.integers(2))), (scores, _maybe(rng, positive(rng, (heads,))))


def _gated(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    more = {"approximate": str(rng.choice(["none", "tanh"]))} if name == "geglu" else {}
    if rng.random() < 0.5:
        return row_of(name, **more), (real(rng, size), real(rng, size))
    packed = str(rng.choice(["gate_first", "gate_last"]))
    return row_of(name, packed=packed, **more), (real(rng, (*size[:-1], 2 * size[-1])),)


NORMS: Mapping[str, Draw] = MappingProxyType({
    "layer_norm": _layer_norm, "rms_norm": _layer_norm, "group_norm": _group_norm, "instance_norm": _instance_norm,
    "batch_norm": _batch_norm, "scaled_dot_product_attention": _attention, "rotary_embedding": _rotary, "alibi": _alibi,
    "swiglu": _gated, "geglu": _gated, "reglu": _gated,
})  # fmt: skip
