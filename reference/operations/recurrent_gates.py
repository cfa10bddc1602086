"""The gates of recurrent units, the one place of their mathematics: plain (tanh, relu), GRU and LSTM.

A unit takes a = W_ih x + b_ih, b = W_hh h + b_hh and its state to its next state. What stands here is element by
element; the products around it are those of every unit (`through_time`). Derived in the README, "Recurrence".

Shapes in this file: a and b (…, B·H), B blocks of H features, in torch's order; state and all else (…, H).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .. import activations
from ..activations.row import Activation
from ..arithmetic.array import Array

State: TypeAlias = "tuple[Any, ...]"
"""(h,), or (h, c) of an LSTM."""
Rise: TypeAlias = "Callable[[int, Array], Array]"
"""(k, d) ↦ d times the slope of the k-th activation where it was evaluated."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the forward pass of one unit leaves for the other two.

    Attributes:
        state: the next one.
        arguments: of the unit's activations.
        factors: what the passes multiply by besides slopes.
    """

    state: State
    arguments: tuple[Array, ...]
    factors: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Gates:
    """One kind of unit.

    Attributes:
        name: torch's.
        formula: in plain mathematics.
        source: where the unit is defined.
        blocks: a letter for each block of a and b.
        states: how many arrays the state is.
        activations: the rows that the unit applies, and what is left out if the slope of one is forgotten.
        forward: (a, b, state) ↦ what is kept.
        backward: (factors, gradient of the next state, rise) ↦ (d_a, d_b, d_state), d_state without its part through b,
            None where there is no other.
        pushforward: (factors, da, db, change of the state, rise) ↦ change of the next state.
        lost: (kept, h) ↦ the size of the terms that cancel in the customary formula of the next h.
    """

    name: str
    formula: str
    source: str
    blocks: str
    states: int
    activations: tuple[tuple[Activation, str], ...]
    forward: Callable[[Array, Array, State], Kept] = field(repr=False)
    backward: Callable[[Sequence[Array], State, Rise], tuple[Array, Array, State]] = field(repr=False)
    pushforward: Callable[[Sequence[Array], Array, Array, State, Rise], State] = field(repr=False)
    lost: Callable[[Kept, Array], Array] = field(default=lambda kept, h: 0 * np.abs(h), repr=False)


def parts(z: Array, count: int) -> tuple[Array, ...]:
    """The blocks along the last axis, all of one length.

    >>> [p.tolist() for p in parts(np.arange(4), 2)]
    [[0, 1], [2, 3]]
    """
    size = z.shape[-1] // count
    return tuple(z[..., k * size : (k + 1) * size] for k in range(count))


def joined(*blocks: Array) -> Array:
    """Blocks beside each other."""
    return np.concatenate(blocks, axis=-1)


_SIGMOID, _TANH = activations.get("sigmoid"), activations.get("tanh")


# ── h′ = f(a + b) ────────────────────────────────────────────────────────────────────────────────────


def plain(activation: str) -> Gates:
    """The unit of Elman: h′ = f(a + b)."""
    row = activations.get(activation)

    def forward(a: Array, b: Array, state: State) -> Kept:
        s = a + b
        return Kept((row.value(s),), (s,), ())

    def backward(factors: Sequence[Array], d_state: State, rise: Rise) -> tuple[Array, Array, State]:
        d = rise(0, d_state[0])
        return d, d, (None,)

    def pushforward(factors: Sequence[Array], da: Array, db: Array, dstate: State, rise: Rise) -> State:
        return (rise(0, da + db),)

    return Gates(
        f"rnn_{activation}",
        f"h′ = {activation}(W_ih x + b_ih + W_hh h + b_hh)",
        "Elman 1990, Finding structure in time, Cognitive Science 14",
        "h",
        1,
        ((row, f"the derivative of {activation} missing"),),
        forward,
        backward,
        pushforward,
    )


# ── GRU ──────────────────────────────────────────────────────────────────────────────────────────────


def _gru_forward(a: Array, b: Array, state: State) -> Kept:
    """1 − z is σ of the negative argument, the slope of log σ: the difference would lose it where z is close to 1."""
    (a_r, a_z, a_n), (b_r, b_z, b_n), (h,) = parts(a, 3), parts(b, 3), state
    s_r, s_z = a_r + b_r, a_z + b_z
    r, z, rest = _SIGMOID.value(s_r), _SIGMOID.value(s_z), _SIGMOID.value(-s_z)
    s_n = a_n + r * b_n
    n = np.tanh(s_n)
    return Kept((rest * n + z * h,), (s_r, s_z, s_n, s_z), (r, z, h - n, b_n))


def _gru_lost(kept: Kept, h: Array) -> Array:
    """|n| and |z(h − n)|: h′ = n + z(h − n), or (1 − z)n with 1 − z from z, errs by u of them however small h′ is."""
    _, z, gap, _ = kept.factors
    return np.abs(h - gap) + np.abs(z * gap)


def _gru_backward(factors: Sequence[Array], d_state: State, rise: Rise) -> tuple[Array, Array, State]:
    r, z, gap, b_n = factors
    (d_h,) = d_state
    d_n = rise(2, rise(3, d_h))
    d_r, d_z = rise(0, d_n * b_n), rise(1, d_h * gap)
    return joined(d_r, d_z, d_n), joined(d_r, d_z, d_n * r), (d_h * z,)


def _gru_pushforward(factors: Sequence[Array], da: Array, db: Array, dstate: State, rise: Rise) -> State:
    r, z, gap, b_n = factors
    (da_r, da_z, da_n), (db_r, db_z, db_n) = parts(da, 3), parts(db, 3)
    dn = rise(2, da_n + r * db_n + b_n * rise(0, da_r + db_r))
    return (rise(3, dn) + z * dstate[0] + gap * rise(1, da_z + db_z),)


GRU = Gates(
    "gru",
    "h′ = (1 − z)∘n + z∘h; r, z = σ(a + b), n = tanh(a_n + r∘b_n), a = W_ih x + b_ih, b = W_hh h + b_hh",
    "Cho et al. 2014, arXiv:1406.1078, eq. 5–8; b_n inside r∘(…) as torch.nn.GRU has it",
    "rzn",
    1,
    (
        (_SIGMOID, "the reset gate's derivative missing"),
        (_SIGMOID, "the update gate's derivative missing"),
        (_TANH, "the derivative of tanh missing"),
        (activations.get("logsigmoid"), "the factor 1 − z missing"),
    ),
    _gru_forward,
    _gru_backward,
    _gru_pushforward,
    lost=_gru_lost,
)


# ── LSTM ─────────────────────────────────────────────────────────────────────────────────────────────


def _lstm_forward(a: Array, b: Array, state: State) -> Kept:
    s_i, s_f, s_g, s_o = parts(a + b, 4)
    i, f, g, o = _SIGMOID.value(s_i), _SIGMOID.value(s_f), np.tanh(s_g), _SIGMOID.value(s_o)
    c = f * state[1] + i * g
    t = np.tanh(c)
    return Kept((o * t, c), (s_i, s_f, s_g, s_o, c), (i, f, g, o, state[1], t))


def _lstm_backward(factors: Sequence[Array], d_state: State, rise: Rise) -> tuple[Array, Array, State]:
    i, f, g, o, c, t = factors
    d_h, d_c = d_state
    d_c = d_c + rise(4, d_h * o)
    d = joined(rise(0, d_c * g), rise(1, d_c * c), rise(2, d_c * i), rise(3, d_h * t))
    return d, d, (None, d_c * f)


def _lstm_pushforward(factors: Sequence[Array], da: Array, db: Array, dstate: State, rise: Rise) -> State:
    i, f, g, o, c, t = factors
    ds_i, ds_f, ds_g, ds_o = parts(da + db, 4)
    dc = f * dstate[1] + c * rise(1, ds_f) + g * rise(0, ds_i) + i * rise(2, ds_g)
    return t * rise(3, ds_o) + o * rise(4, dc), dc


LSTM = Gates(
    "lstm",
    "c′ = f∘c + i∘g, h′ = o∘tanh c′; i, f, o = σ(s), g = tanh(s), s = W_ih x + b_ih + W_hh h + b_hh",
    "Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000 (the forget gate)",
    "ifgo",
    2,
    (
        (_SIGMOID, "the input gate's derivative missing"),
        (_SIGMOID, "the forget gate's derivative missing"),
        (_TANH, "the derivative of g's tanh missing"),
        (_SIGMOID, "the output gate's derivative missing"),
        (_TANH, "the derivative of c's tanh missing"),
    ),
    _lstm_forward,
    _lstm_backward,
    _lstm_pushforward,
)
