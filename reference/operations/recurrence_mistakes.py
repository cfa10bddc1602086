"""What people get wrong in the backward pass of a recurrent network, as other rules or other gates of the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import Array
from .recurrent_gates import Gates, Rise, State, joined, parts
from .through_time import RULES, Rules


@dataclass(frozen=True, slots=True)
class Variant:
    """A wrong backward pass.

    Attributes:
        gates: the unit.
        rules: how it computes.
        biases: what the biases' gradients are multiplied by in the end.
    """

    gates: Gates
    rules: Rules = RULES
    biases: float = 1.0


def of_cell(gates: Gates) -> dict[str, Variant]:
    """The mistakes of one unit, by what is wrong."""
    found = {what: Variant(gates, _without_slope(k)) for k, (_, what) in enumerate(gates.activations)}
    for one, other in _EXCHANGED.get(gates.blocks, ()):
        found[f"the gates {one} and {other} exchanged"] = Variant(_exchanged(gates, one, other))
    if gates.blocks == "rzn":
        found["the reset gate left out of the hidden part of n"] = Variant(
            replace(gates, backward=_without_reset(gates))
        )
    return found


def of_layers(gates: Gates, bidirectional: bool, has_biases: bool) -> dict[str, Variant]:
    """The mistakes of a whole network: those of its units, and of the way through time."""
    found = of_cell(gates) | {
        "the state's gradient not carried through time": Variant(gates, replace(RULES, carried=lambda d: d * 0)),
        "the weights' gradients from the last step alone": Variant(gates, replace(RULES, added=_last, seen=_last_seen)),
    }
    if bidirectional:
        found["the reverse direction's gradients not reversed"] = Variant(gates, replace(RULES, turned=False))
    if has_biases:
        found["both biases' gradients halved"] = Variant(gates, biases=0.5)
    return found


_EXCHANGED = {"ifgo": (("g", "o"), ("i", "f")), "rzn": (("r", "z"),)}


def _without_slope(which: int) -> Rules:
    def rise(k: int, row: Activation, z: Array, d: Array) -> Array:
        return d if k == which else RULES.rise(k, row, z, d)

    return replace(RULES, rise=rise)


def _exchanged(gates: Gates, one: str, other: str) -> Gates:
    """The unit with the gradients of two blocks in each other's place."""
    order = [gates.blocks.index({one: other, other: one}.get(block, block)) for block in gates.blocks]

    def swap(d: Array) -> Array:
        blocks = parts(d, len(order))
        return joined(*(blocks[k] for k in order))

    def backward(factors: Sequence[Array], d_state: State, rise: Rise) -> tuple[Array, Array, State]:
        d_a, d_b, d_rest = gates.backward(factors, d_state, rise)
        return swap(d_a), swap(d_b), d_rest

    return replace(gates, backward=backward)


def _without_reset(gates: Gates) -> Any:
    def backward(factors: Sequence[Array], d_state: State, rise: Rise) -> tuple[Array, Array, State]:
        d_a, _, d_rest = gates.backward(factors, d_state, rise)
        return d_a, d_a, d_rest

    return backward


def _last(terms: Sequence[Array]) -> Array:
    """The backward pass comes to the last step first."""
    return terms[0]


def _last_seen(d: Array) -> Array:
    return np.concatenate([d[:-1] * 0, d[-1:]], axis=0)
