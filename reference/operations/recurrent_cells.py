"""One step of a recurrent network, torch.nn.RNNCell, GRUCell, LSTMCell: (N, I) and a state (N, H) to the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..functions.recipe import recorded
from .arguments import expect
from .joining import all_changes
from .probe import probe
from .recurrence import kink_conventions, kink_switches
from .recurrence_mistakes import of_cell
from .recurrent_gates import GRU, LSTM, Gates, plain
from .row import Inputs, Operation, Output, Pullback
from .through_time import RULES, SIZES, Rules, Run, Weights, back, in_sizes, push, run


def _cell(gates: Gates) -> Operation:
    """The row: a run of one step."""
    name, states = f"{gates.name}_cell", gates.states

    def forward(inputs: Inputs) -> tuple[Run, Weights]:
        _check(name, gates, inputs)
        x, w = inputs[0], Weights(*inputs[1 + states :])
        return run(gates, x.reshape(1, *x.shape), tuple(inputs[1 : 1 + states]), w), w

    def single(state: tuple[Any, ...]) -> Output:
        return state if states > 1 else state[0]

    def gradients(inputs: Inputs, d: Output, kind: Gates, rules: Rules) -> tuple[Any, ...]:
        found, w = forward(inputs)
        found = in_sizes(gates, found)[0] if rules is SIZES else found
        d_state = d if states > 1 else (d,)
        nothing = d_state[0] * 0
        d_x, d_first, d_w = back(kind, found, w, [nothing], d_state, rules)
        of_weights = (d_w.w_ih, d_w.w_hh, d_w.b_ih, d_w.b_hh)[: len(inputs) - 1 - states]
        return (d_x[..., 0, :, :], *d_first, *of_weights)

    def pullback(kind: Gates, rules: Rules) -> Pullback:
        return lambda inputs, y, d: gradients(inputs, d, kind, rules)

    def pushforward(inputs: Inputs, y: Output, changes: Inputs) -> Output:
        found, w = forward(inputs)
        dx, *rest = _changes(inputs, changes)
        return single(push(gates, found, w, dx.reshape(1, *dx.shape), tuple(rest[:states]), Weights(*rest[states:]))[1])

    def sizes(inputs: Inputs, y: Output, d: Output) -> tuple[Any, ...]:
        parts = d if states > 1 else (d,)
        pairs = tuple(np.stack([np.abs(part), np.abs(part) * 0]) for part in parts)
        found = gradients(inputs, single(pairs), gates, SIZES)
        return tuple(0.0 if pair is None else pair[1] for pair in found)

    return Operation(
        name,
        gates.formula,
        gates.source,
        ("input", *("hx", "cx")[:states], "w_ih", "w_hh", "b_ih", "b_hh"),
        lambda *inputs: single(forward(inputs)[0].after),
        pullback(gates, RULES),
        pushforward,
        probes=(_probe(gates), _probe(gates)[:-2]),
        optional=("b_ih", "b_hh"),
        switches=lambda *inputs: kink_switches(gates, [forward(inputs)[0]]),
        conventions=kink_conventions(gates, lambda rules: pullback(gates, rules)),
        mistakes={what: pullback(wrong.gates, wrong.rules) for what, wrong in of_cell(gates).items()},
        textbook_pullback=sizes,
    )


def _changes(inputs: Inputs, changes: Inputs) -> list[Any]:
    """The changes, 0 for what stays as it is, None for what is left out."""
    there = [k for k, x in enumerate(inputs) if x is not None]
    filled = iter(all_changes(tuple(inputs[k] for k in there), tuple(changes[k] for k in there)))
    return [None if x is None else next(filled) for x in inputs]


def _check(name: str, gates: Gates, inputs: Inputs) -> None:
    """Raise ValueError unless the arrays fit together."""
    x, *states = inputs[: 1 + gates.states]
    w_ih, w_hh, *biases = inputs[1 + gates.states :]
    expect(name, x.ndim == 2, "input", "shape (N, I)", x.shape)
    size = states[0].shape[-1]
    for label, h in zip(("hx", "cx"), states, strict=False):
        expect(name, h.shape == (x.shape[0], size), label, f"shape ({x.shape[0]}, {size})", h.shape)
    rows = len(gates.blocks) * size
    shapes = [(rows, x.shape[1]), (rows, size), *[(rows,)] * len(biases)]
    for label, w, shape in zip(("w_ih", "w_hh", "b_ih", "b_hh"), (w_ih, w_hh, *biases), shapes, strict=False):
        expect(name, w is None or w.shape == shape, label, f"shape {shape}", None if w is None else w.shape)


def _probe(gates: Gates) -> Inputs:
    rows = 2 * len(gates.blocks)
    shapes = ((1, 3), *((1, 2),) * gates.states, (rows, 3), (rows, 2), (rows,), (rows,))
    return tuple(probe(*shape, start=4 * k + 9) for k, shape in enumerate(shapes))


@recorded
def rnn_tanh_cell() -> Operation:
    """torch.nn.RNNCell: (input (N, I), hx (N, H), w_ih (H, I), w_hh (H, H), b_ih, b_hh) to h (N, H)."""
    return _cell(plain("tanh"))


@recorded
def rnn_relu_cell() -> Operation:
    """torch.nn.RNNCell with nonlinearity="relu"."""
    return _cell(plain("relu"))


@recorded
def gru_cell() -> Operation:
    """torch.nn.GRUCell: as `rnn_tanh_cell`, with 3·H rows of weights in the order r, z, n."""
    return _cell(GRU)


@recorded
def lstm_cell() -> Operation:
    """torch.nn.LSTMCell: (input, hx, cx, w_ih, w_hh, b_ih, b_hh) to (h, c), with 4·H rows in the order i, f, g, o."""
    return _cell(LSTM)


MAKERS: tuple[Callable[..., Operation], ...] = (rnn_tanh_cell, rnn_relu_cell, gru_cell, lstm_cell)
