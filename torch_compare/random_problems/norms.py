"""Random inputs of norms: rows that are nearly constant, of one number, far from 0, or of many."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from numpy.random import Generator

from .drawn import Draw, Drawn, row_of
from .numbers import positive, real
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


NORMS: Mapping[str, Draw] = MappingProxyType({
    "layer_norm": _layer_norm, "rms_norm": _layer_norm, "group_norm": _group_norm, "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
})  # fmt: skip
