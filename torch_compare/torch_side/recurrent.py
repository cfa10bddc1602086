"""Recurrent networks and their cells in torch: the functions that torch.nn.RNN, GRU, LSTM and their cells call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor


def _layers(function: Callable[..., Any], states: int) -> Callable[..., Any]:
    """One of torch's functions (input, hx, params, has_biases, num_layers, dropout, train, …), without dropout."""

    def call(
        x: Tensor, *given: Tensor, has_biases: bool, num_layers: int, bidirectional: bool, batch_first: bool
    ) -> tuple[Tensor, ...]:
        state: Any = given[0] if states == 1 else given[:states]
        options = (has_biases, num_layers, 0.0, False, bidirectional, batch_first)
        return tuple(function(x, state, given[states:], *options))

    return call


def _lstm_cell(x: Tensor, hx: Tensor, cx: Tensor, *weights: Tensor | None) -> tuple[Tensor, ...]:
    return tuple(torch.lstm_cell(x, (hx, cx), *weights))  # type: ignore[arg-type]


RECURRENT: Mapping[str, Callable[..., Any]] = MappingProxyType({
    **{name: _layers(getattr(torch, name), 1) for name in ("rnn_tanh", "rnn_relu", "gru")},
    "lstm": _layers(torch.lstm, 2),
    **{name: getattr(torch, name) for name in ("rnn_tanh_cell", "rnn_relu_cell", "gru_cell")},
    "lstm_cell": _lstm_cell,
})  # fmt: skip
"""By the row's name."""
