"""Recurrent networks as torch.nn.RNN, GRU and LSTM compute them, layer by layer and one way or both, and their cells.

The inputs are ATen's: input, the first state, and the list of weights that torch keeps, for every layer and each way
W_ih, W_hh, b_ih, b_hh and, of an LSTM that projects its h, W_hr. Derived in the README of this room, "Recurrence".

Shapes: T steps, N sequences, I features, L layers, D ways (2 if bidirectional), H features of the state, P of h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .arguments import whole
from .joining import all_changes
from .of_activation import sided_pullback
from .probe import probe
from .recurrence_mistakes import Variant, of_layers
from .recurrent_gates import GRU, LSTM, Gates, joined, parts, plain
from .recurrent_layout import Options, check_inputs, params_of, weights_of
from .row import Inputs, Operation, Output, Pullback
from .through_time import RULES, SIZES, Rules, Run, Weights, back, in_sizes, push, run, turned


@dataclass(frozen=True, slots=True)
class Layers:
    """A forward pass: of every layer and way its weights and its run, and what comes out on top."""

    weights: tuple[Weights, ...]
    runs: tuple[Run, ...]
    y: Array


def _forward(gates: Gates, inputs: Inputs, options: Options) -> Layers:
    check_inputs(gates, inputs, options)
    x, *states = inputs[: 1 + gates.states]
    weights = weights_of(inputs[1 + gates.states :], options, states[0].shape[2] != states[-1].shape[2])
    h, runs = options.axes(x), []
    for k, w in enumerate(weights):
        way = k % options.ways
        runs.append(run(gates, turned(h) if way else h, tuple(s[k] for s in states), w))
        if way == options.ways - 1:
            h = _both([r.y for r in runs[-options.ways :]])
    return Layers(weights, tuple(runs), h)


def _both(ys: Sequence[Array]) -> Array:
    """The ways beside each other, in the order of the time."""
    first, *reverse = ys
    return joined(first, *map(turned, reverse)) if reverse else first


def _outputs(y: Array, after: Sequence[Any], options: Options) -> tuple[Array, ...]:
    return (options.axes(y), *(np.stack(states) for states in zip(*after, strict=True)))


def _pullback(
    gates: Gates, inputs: Inputs, d: Output, options: Options, rules: Rules = RULES, made: Layers | None = None
) -> tuple[Array, ...]:
    """Of every gradient its leading axes besides: a pair of sizes along the first one (`SIZES`)."""
    made = made or _forward(gates, inputs, options)
    d_y, d_states = options.axes(d[0]), d[1:]
    found: list[tuple[tuple[Any, ...], Weights]] = []
    for layer in reversed(range(options.num_layers)):
        of_ways, d_x = parts(d_y, options.ways), []
        for way in reversed(range(options.ways)):
            k = layer * options.ways + way
            turn = turned if way and rules.turned else _as_it_is
            d_steps = turn(of_ways[way])
            d_last = tuple(s[..., k, :, :] for s in d_states)
            each = [d_steps[..., t, :, :] for t in range(d_steps.shape[-3])]
            d_h, d_first, d_w = back(gates, made.runs[k], made.weights[k], each, d_last, rules)
            d_x.append(turn(d_h))
            found.append((d_first, d_w))
        d_y = d_x[0] if len(d_x) == 1 else d_x[0] + d_x[1]
    found.reverse()
    states = (np.stack(parts, axis=-3) for parts in zip(*(first for first, _ in found), strict=True))
    projected = made.weights[0].w_hr is not None
    return (options.axes(d_y), *states, *params_of([w for _, w in found], options, projected))


def _as_it_is(d: Array) -> Array:
    return d


def _pushforward(gates: Gates, inputs: Inputs, changes: Inputs, options: Options) -> tuple[Array, ...]:
    made = _forward(gates, inputs, options)
    dx, *rest = all_changes(inputs, changes)
    dstates, dparams = rest[: gates.states], rest[gates.states :]
    weights = weights_of(dparams, options, made.weights[0].w_hr is not None)
    dh, of_ways, after = options.axes(dx), [], []
    for k, dw in enumerate(weights):
        way = k % options.ways
        found = push(gates, made.runs[k], made.weights[k], turned(dh) if way else dh, tuple(s[k] for s in dstates), dw)
        of_ways.append(found[0])
        after.append(found[1])
        if way == options.ways - 1:
            dh = _both(of_ways[-options.ways :])
    return _outputs(dh, after, options)


def _sizes(gates: Gates, inputs: Inputs, d: Output, options: Options) -> tuple[Array, ...]:
    pairs = tuple(np.stack([np.abs(part), np.abs(part) * 0]) for part in d)
    made = _in_sizes(gates, _forward(gates, inputs, options), options)
    return tuple(pair[1] for pair in _pullback(gates, inputs, pairs, options, SIZES, made))


def _in_sizes(gates: Gates, made: Layers, options: Options) -> Layers:
    """The forward pass for `SIZES`: what every layer loses is in what the next one takes."""
    runs: list[Run] = []
    lost: Any = 0.0
    for first in range(0, len(made.runs), options.ways):
        of_ways = []
        for way in range(options.ways):
            own = turned(lost) if way and first else lost
            found, of_y = in_sizes(gates, made.runs[first + way], own)
            runs.append(found)
            of_ways.append(of_y)
        lost = _both(of_ways)
    return replace(made, runs=tuple(runs))


def _recurrent(gates: Gates, options: Options) -> Operation:
    options = Options(
        bool(options.has_biases),
        whole(gates.name, "num_layers", options.num_layers, least=1),
        bool(options.bidirectional),
        bool(options.batch_first),
    )

    def value(*inputs: Array) -> tuple[Array, ...]:
        made = _forward(gates, inputs, options)
        return _outputs(made.y, [r.after for r in made.runs], options)

    def pullback(rules: Rules, kind: Gates = gates) -> Pullback:
        return lambda inputs, y, d: _pullback(kind, inputs, d, options, rules)

    return Operation(
        gates.name,
        gates.formula,
        gates.source,
        ("input", "hx", "cx", "params") if gates.states > 1 else ("input", "hx", "params"),
        value,
        pullback(RULES),
        lambda inputs, y, changes: _pushforward(gates, inputs, changes, options),
        probes=_probes(gates, options),
        variadic=True,
        switches=lambda *inputs: kink_switches(gates, _forward(gates, inputs, options).runs),
        conventions=kink_conventions(gates, pullback),
        mistakes={
            what: _finished(pullback(wrong.rules, wrong.gates), wrong, gates.states, options)
            for what, wrong in of_layers(gates, options.bidirectional, options.has_biases).items()
        },
        parameters={
            "has_biases": options.has_biases, "num_layers": options.num_layers,
            "bidirectional": options.bidirectional, "batch_first": options.batch_first,
        },
        textbook_pullback=lambda inputs, y, d: _sizes(gates, inputs, d, options),
    )  # fmt: skip


def _finished(pullback: Pullback, wrong: Variant, states: int, options: Options) -> Pullback:
    """The gradients with those of the biases multiplied by what a mistake has made of them."""
    if wrong.biases == 1:
        return pullback

    def changed(inputs: Inputs, y: Output, d: Output) -> tuple[Any, ...]:
        found: tuple[Any, ...] = pullback(inputs, y, d)
        return (*found[: 1 + states], *(g * wrong.biases if g.ndim == 1 else g for g in found[1 + states :]))

    return changed


def kink_switches(gates: Gates, runs: Sequence[Run]) -> tuple[Array, ...]:
    """The arguments of activations with kinks, of every step."""
    return tuple(
        kept.arguments[k] - at
        for found in runs
        for kept in found.kept
        for k, (row, _) in enumerate(gates.activations)
        for at in row.all_breaks
    )


def kink_conventions(gates: Gates, pullback: Callable[[Rules], Pullback]) -> dict[str, Pullback]:
    """The pullbacks with other slopes at kinks, where the gates have some; torch's is that from the left."""
    if not any(row.kinks for row, _ in gates.activations):
        return {}

    def beside(side: str) -> Rules:
        return Rules(rise=lambda k, row, z, d: sided_pullback(row, side, z, d))

    names = {"right": "the slope from the right", "mean": "the mean of both slopes"}
    return {what: pullback(beside(side)) for side, what in names.items()}


def _probes(gates: Gates, options: Options) -> tuple[Inputs, ...]:
    """Two steps of one sequence; of an LSTM a second one that projects its h."""
    return tuple(_probe(gates, options, p) for p in ((2, 1) if gates.states > 1 else (2,)))


def _probe(gates: Gates, options: Options, p: int) -> Inputs:
    count, rows = options.num_layers * options.ways, 2 * len(gates.blocks)
    params = []
    for k in range(count):
        fan_in = 2 if k < options.ways else p * options.ways
        shapes = [(rows, fan_in), (rows, p), *([(rows,)] * 2 * options.has_biases), *([(p, 2)] * (p < 2))]
        params += [probe(*shape, start=5 * k + 3 * j) for j, shape in enumerate(shapes)]
    x = probe(*((1, 2) if options.batch_first else (2, 1)), 2)
    states = [probe(count, 1, n, start=7 + n) for n in (p, 2)[: gates.states]]
    return (x, *states, *params)


# ── the rows ─────────────────────────────────────────────────────────────────────────────────────────


@recorded
def rnn_tanh(
    has_biases: bool = True, num_layers: int = 1, bidirectional: bool = False, batch_first: bool = False
) -> Operation:
    """torch.nn.RNN: (input, hx, *params) to (output, h_n).

    Args:
        has_biases: whether params has b_ih and b_hh.
        num_layers: L; hx is (L·D, N, H).
        bidirectional: every layer runs the other way besides, with weights of its own.
        batch_first: input and output are (N, T, ·), not (T, N, ·).
    """
    return _recurrent(plain("tanh"), Options(has_biases, num_layers, bidirectional, batch_first))


@recorded
def rnn_relu(
    has_biases: bool = True, num_layers: int = 1, bidirectional: bool = False, batch_first: bool = False
) -> Operation:
    """torch.nn.RNN with nonlinearity="relu"; the arguments of `rnn_tanh`."""
    return _recurrent(plain("relu"), Options(has_biases, num_layers, bidirectional, batch_first))


@recorded
def gru(
    has_biases: bool = True, num_layers: int = 1, bidirectional: bool = False, batch_first: bool = False
) -> Operation:
    """torch.nn.GRU, gates in the order r, z, n; the arguments of `rnn_tanh`."""
    return _recurrent(GRU, Options(has_biases, num_layers, bidirectional, batch_first))


@recorded
def lstm(
    has_biases: bool = True, num_layers: int = 1, bidirectional: bool = False, batch_first: bool = False
) -> Operation:
    """torch.nn.LSTM, gates in the order i, f, g, o: (input, hx, cx, *params) to (output, h_n, c_n).

    It projects h (torch's proj_size) if hx has fewer features than cx. The arguments are those of `rnn_tanh`.
    """
    return _recurrent(LSTM, Options(has_biases, num_layers, bidirectional, batch_first))


MAKERS: tuple[Callable[..., Operation], ...] = (rnn_tanh, rnn_relu, gru, lstm)
