"""Random inputs of recurrent networks and their cells."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from numpy.random import Generator

from .drawn import Draw, Drawn, row_of
from .numbers import real
from .shapes import length

BLOCKS: Mapping[str, int] = MappingProxyType({"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4})
"""Blocks of H rows in W_ih and W_hh."""


def _layers(rng: Generator, name: str) -> Drawn:
    layers, ways = (int(rng.integers(1, 3)) for _ in range(2))
    biases, batch_first = bool(rng.integers(2)), bool(rng.integers(2))
    t, n, i, h = (length(rng) for _ in range(4))
    p = int(rng.integers(1, h)) if name == "lstm" and h > 1 and rng.random() < 0.3 else h
    rows, params = BLOCKS[name] * h, []
    for k in range(layers * ways):
        shapes = [(rows, i if k < ways else p * ways), (rows, p), *[(rows,)] * (2 * biases), *[(p, h)] * (p < h)]
        params += [0.5 * real(rng, shape) for shape in shapes]
    states = [real(rng, (layers * ways, n, width)) for width in ((p, h) if name == "lstm" else (h,))]
    x = real(rng, (n, t, i) if batch_first else (t, n, i))
    row = row_of(name, has_biases=biases, num_layers=layers, bidirectional=ways > 1, batch_first=batch_first)
    return row, (x, *states, *params)


def _cell(rng: Generator, name: str) -> Drawn:
    n, i, h = (length(rng) for _ in range(3))
    kind = name.removesuffix("_cell")
    rows = BLOCKS[kind] * h
    shapes = [(n, i), *[(n, h)] * (1 + (kind == "lstm")), (rows, i), (rows, h), *[(rows,)] * (2 * int(rng.integers(2)))]
    return row_of(name), tuple(real(rng, shape) for shape in shapes)


RECURRENT: Mapping[str, Draw] = MappingProxyType(
    dict.fromkeys(BLOCKS, _layers) | dict.fromkeys([f"{name}_cell" for name in BLOCKS], _cell)
)
