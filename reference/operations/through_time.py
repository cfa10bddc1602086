"""Recurrent layers through time: forward, backpropagation through time, and the pushforward, one layer one way at once.

Shapes: T steps, N sequences, I fan-in, H features of the state, B blocks of gates, P features of h: H, or fewer where
an LSTM projects it. Every array has the time in front, in the order in which the layer runs: reversed, if it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import Array
from .products import linear
from .recurrent_gates import Gates, Kept, State

LINEAR = linear()


@dataclass(frozen=True, slots=True)
class Weights:
    """Of one layer one way, or their gradients or changes.

    Attributes:
        w_ih: (B·H, I).
        w_hh: (B·H, P).
        b_ih: (B·H,), or None.
        b_hh: (B·H,), or None.
        w_hr: (P, H), or None where h is not projected.
    """

    w_ih: Any
    w_hh: Any
    b_ih: Any = None
    b_hh: Any = None
    w_hr: Any = None


@dataclass(frozen=True, slots=True)
class Run:
    """A forward pass.

    Attributes:
        x: (T, N, I).
        before: the state before every step.
        kept: by the gates, at every step.
        after: the last state.
        y: (T, N, P), h of every step.
    """

    x: Array
    before: tuple[State, ...]
    kept: tuple[Kept, ...]
    after: State
    y: Array


def run(gates: Gates, x: Array, state: State, w: Weights) -> Run:
    """The forward pass from a first state."""
    a = LINEAR.value(x, w.w_ih, w.b_ih)
    before, kept, outputs = [], [], []
    for t in range(x.shape[0]):
        before.append(state)
        kept.append(gates.forward(a[t], LINEAR.value(state[0], w.w_hh, w.b_hh), state))
        h, *rest = kept[-1].state
        state = (h if w.w_hr is None else LINEAR.value(h, w.w_hr), *rest)
        outputs.append(state[0])
    return Run(x, tuple(before), tuple(kept), state, np.stack(outputs))


def turned(x: Array) -> Array:
    """The steps (…, T, N, ·) in reverse."""
    return np.flip(x, -3)


Product: TypeAlias = "Callable[[tuple[Any, ...], Array], tuple[Any, ...]]"


def _pulled(inputs: tuple[Any, ...], d: Array) -> tuple[Any, ...]:
    return LINEAR.pullback(inputs, None, d)


def _sum(terms: Sequence[Array]) -> Array:
    """What every step adds to the gradient of a weight, together; the last step's is the first term."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


@dataclass(frozen=True)
class Rules:
    """How the backward pass computes; the mistakes and the sizes of its terms are the same pass by other rules.

    Attributes:
        rise: (k, row, z, d) ↦ d times the slope of the k-th activation at z.
        product: ((x, weight, bias), d) ↦ the gradients of a linear layer.
        factor: of every factor of the gates.
        carried: of the state's gradient, from one step to the one before.
        added: the terms of all steps to the gradient of W_hh and b_hh, and of a projection.
        seen: of the gradients (T, N, B·H) that the gradients of W_ih and b_ih are made of.
        turned: whether a layer that runs in reverse takes its gradients in reverse.
    """

    rise: Callable[[int, Activation, Array, Array], Array] = lambda k, row, z, d: row.pullback(z, d)
    product: Product = _pulled
    factor: Callable[[Array], Array] = lambda factor: factor
    carried: Callable[[Array], Array] = lambda d: d
    added: Callable[[Sequence[Array]], Array] = _sum
    seen: Callable[[Array], Array] = lambda d: d
    turned: bool = True


RULES = Rules()


def back(
    gates: Gates, found: Run, w: Weights, d_y: Sequence[Array], d_state: State, rules: Rules = RULES
) -> tuple[Array, State, Weights]:
    """Backpropagation through time: from the gradients of every h and of the last state to (d_x, d_state, d_w)."""
    d_a: list[Array] = []
    terms: dict[str, list[Array]] = {"w_hh": [], "b_hh": [], "w_hr": []}
    for t in reversed(range(len(found.kept))):
        kept, (h, *_) = found.kept[t], found.before[t]
        d_h = d_state[0] + d_y[t]
        if w.w_hr is not None:
            d_h, d_projection = rules.product((kept.state[0], w.w_hr), d_h)
            terms["w_hr"].append(d_projection)
        d_of_a, d_b, d_direct = gates.backward(
            [rules.factor(f) for f in kept.factors], (d_h, *d_state[1:]), _rise(gates, kept, rules)
        )
        d_through, d_w, d_bias = rules.product((h, w.w_hh, w.b_hh), d_b)
        direct, *rest = d_direct
        d_h = d_through if direct is None else direct + d_through
        d_state = tuple(rules.carried(d) if t else d for d in (d_h, *rest))
        terms["w_hh"].append(d_w)
        if d_bias is not None:
            terms["b_hh"].append(d_bias)
        d_a.append(d_of_a)
    return _gathered(found, w, d_a[::-1], d_state, terms, rules)


def _gathered(
    found: Run, w: Weights, d_a: list[Array], d_state: State, terms: dict[str, list[Array]], rules: Rules
) -> tuple[Array, State, Weights]:
    inputs, d = (found.x, w.w_ih, w.b_ih), np.stack(d_a, axis=-3)
    seen = rules.seen(d)
    d_x, d_w, d_bias = rules.product(inputs, d)
    if seen is not d:
        _, d_w, d_bias = rules.product(inputs, seen)
    of_steps = {name: rules.added(given) if given else None for name, given in terms.items()}
    return d_x, d_state, Weights(w_ih=d_w, b_ih=d_bias, **of_steps)


def _rise(gates: Gates, kept: Kept, rules: Rules) -> Callable[[int, Array], Array]:
    return lambda k, d: rules.rise(k, gates.activations[k][0], kept.arguments[k], d)


def push(gates: Gates, found: Run, w: Weights, dx: Array, dstate: State, dw: Weights) -> tuple[Array, State]:
    """The changes of every h (T, N, P) and of the last state."""
    da = LINEAR.pushforward((found.x, w.w_ih, w.b_ih), found.x @ w.w_ih.T, (dx, dw.w_ih, dw.b_ih))
    changes = []
    for t, kept in enumerate(found.kept):
        h = found.before[t][0]
        db = LINEAR.pushforward((h, w.w_hh, w.b_hh), da[t], (dstate[0], dw.w_hh, dw.b_hh))
        dh, *rest = gates.pushforward(kept.factors, da[t], db, dstate, _rise(gates, kept, RULES))
        if w.w_hr is not None:
            dh = LINEAR.pushforward((kept.state[0], w.w_hr), found.y[t], (dh, dw.w_hr))
        dstate = (dh, *rest)
        changes.append(dh)
    return np.stack(changes), dstate


# ── sizes of terms ───────────────────────────────────────────────────────────────────────────────────


def in_sizes(gates: Gates, found: Run, lost: Any = 0.0) -> tuple[Run, Array]:
    """The run for `SIZES`, and what the customary formula of every h loses, in units of u.

    What products are of becomes a pair, too: its size, and what was lost in it. `lost` is that of x.
    """
    of_steps = [gates.lost(kept, h) for kept, (h, *_) in zip(found.kept, found.before, strict=True)]
    before = tuple((_paired(h, of_steps[t - 1] if t else 0.0), *rest) for t, (h, *rest) in enumerate(found.before))
    kept = tuple(replace(one, state=(_paired(one.state[0], 0.0), *one.state[1:])) for one in found.kept)
    return replace(found, x=_paired(found.x, lost), before=before, kept=kept), np.stack(of_steps)


def _paired(x: Array, lost: Any) -> Array:
    return np.stack([np.abs(x), lost + 0 * np.abs(x)])


def _pair(inputs: tuple[Any, ...], d: Array) -> tuple[Any, ...]:
    (x, lost), *rest = inputs
    sizes = [None if a is None else np.abs(a) for a in rest]
    both = [_pulled((x, *sizes), d[k]) for k in range(2)]
    both[1] = (both[1][0], both[1][1] + _pulled((lost, *sizes), d[0])[1], *both[1][2:])
    return tuple(None if a is None else np.stack([a, b]) for a, b in zip(*both, strict=True))


def _risen(k: int, row: Activation, z: Array, d: Array) -> Array:
    slope = np.abs(row.derivative(z))  # type: ignore[misc]
    return np.stack([d[0] * slope, d[1] * slope + d[0] * row.textbook_derivative(z)])


SIZES = Rules(rise=_risen, product=_pair, factor=np.abs)
"""The pass on pairs along a first axis of 2: the size of a gradient, and what the customary slopes (1 − y² of tanh,
y(1 − y) of σ) err by in it, in units of u. A product with a slope s whose terms have the size t takes (p, e) to
(p·|s|, e·|s| + p·t), a product with anything else multiplies both, and one with h has what the customary formula of h
lost besides. The run is that of `in_sizes`."""
