"""Gated units: an activation of one array times another, a(gate)∘up.

Derived in the README of this room, "Gated units".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import activations
from ..activations.row import Activation
from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .probe import probe
from .row import Inputs, Operation, Passes, Pullback

PACKED = (None, "gate_first", "gate_last")
_SOURCE = "Shazeer 2020, arXiv:2002.05202, eq. 5 and 6"


@recorded
def swiglu(packed: str | None = None) -> Operation:
    """silu(gate)∘up: Llama's.

    Args:
        packed: None for two inputs, gate and up, of one shape; else the one input x holds both along its last axis, in
            halves: "gate_first", [gate, up], or "gate_last", [up, gate] as of torch's glu.

    >>> swiglu().value(np.array([0.0, 40.0]), np.array([3.0, 0.5]))
    array([ 0., 20.])
    """
    return _gated("swiglu", "silu(gate)·up", activations.get("silu"), packed, {})


@recorded
def geglu(approximate: str = "none", packed: str | None = None) -> Operation:
    """gelu(gate)∘up: Gemma's with "tanh".

    Args:
        approximate: "none" or "tanh", as of gelu.
        packed: as of `swiglu`.
    """
    rows = {"none": "gelu", "tanh": "gelu_tanh"}
    if approximate not in rows:
        raise ValueError(f"geglu: approximate: expected one of {', '.join(rows)}, got {approximate!r}")
    return _gated("geglu", "gelu(gate)·up", activations.get(rows[approximate]), packed, {"approximate": approximate})


@recorded
def reglu(packed: str | None = None) -> Operation:
    """relu(gate)∘up.

    Args:
        packed: as of `swiglu`.
    """
    return _gated("reglu", "relu(gate)·up", activations.get("relu"), packed, {})


def _gated(name: str, formula: str, row: Activation, packed: str | None, parameters: dict[str, object]) -> Operation:
    if packed not in PACKED:
        raise ValueError(f"{name}: packed: expected one of {', '.join(map(str, PACKED))}, got {packed!r}")
    rise = row.derivative
    assert rise is not None  # the three activations act element by element

    def halves(inputs: Inputs) -> tuple[Array, Array]:
        return _halves(name, packed, inputs)

    def whole(gate: Array, up: Array) -> tuple[Array, ...]:
        return _whole(packed, gate, up)

    def back(f: Callable[[Array, Array, Array], tuple[Array, Array]]) -> Pullback:
        return lambda inputs, y, d_y: whole(*f(*halves(inputs), d_y))

    def value(*inputs: Array) -> Array:
        gate, up = halves(inputs)
        return row.value(gate) * up

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        gate, up = halves(inputs)
        dgate, dup = changes if packed is None else halves(changes)
        dy = y * 0 if dgate is None else dgate * rise(gate) * up
        return dy if dup is None else dy + row.value(gate) * dup

    def sided(side: str) -> Pullback:
        """Another slope at the kinks, that from one side."""

        def slope(gate: Array) -> Array:
            found = rise(gate)
            for kink in row.kinks:
                found = np.where(gate == kink.at, kink.left if side == "left" else kink.right, found)
            return found

        return back(lambda gate, up, d: (d * up * slope(gate), d * row.value(gate)))

    probes = (probe(2, 4), probe(2, 4, start=3)) if packed is None else (probe(2, 6),)
    return Operation(
        name,
        formula,
        _SOURCE,
        ("gate", "up") if packed is None else ("x",),
        value,
        back(lambda gate, up, d: (d * up * rise(gate), d * row.value(gate))),
        pushforward,
        probes=(probes,),
        switches=lambda *inputs: tuple(halves(inputs)[0] - at for at in row.all_breaks),
        conventions={f"the slope from the {side}": sided(side) for side in ("left", "right")} if row.kinks else {},
        mistakes={
            "halves_exchanged": back(lambda gate, up, d: (d * row.value(up), d * gate * rise(up))),
            "derivative_of_the_gate_missing": back(lambda gate, up, d: (d * up, d * row.value(gate))),
            "value_of_the_gate_for_its_derivative": back(
                lambda gate, up, d: (d * up * row.value(gate), d * row.value(gate))
            ),
            "gradients_exchanged": back(lambda gate, up, d: (d * row.value(gate), d * up * rise(gate))),
            "gate_for_its_activation": back(lambda gate, up, d: (d * up * rise(gate), d * gate)),
        },
        other_passes={
            "halves_exchanged": (
                lambda *inputs: halves(inputs)[0] * row.value(halves(inputs)[1]),
                back(lambda gate, up, d: (d * row.value(up), d * gate * rise(up))),
            )
        },
        parameters=parameters | {"packed": packed},
        textbook_value=lambda inputs, y: np.abs(halves(inputs)[1]) * row.textbook_value(halves(inputs)[0]),
        textbook_pullback=lambda inputs, y, d_y: whole(*_sizes(row, *halves(inputs), np.abs(d_y))),
    )


def _halves(name: str, packed: str | None, inputs: Inputs) -> tuple[Array, Array]:
    """Gate and up."""
    if packed is None:
        gate, up = inputs
        if tuple(gate.shape) != tuple(up.shape):
            raise ValueError(f"{name}: up: expected the shape of gate {gate.shape}, got {up.shape}")
        return gate, up
    (x,) = inputs
    if not x.ndim or x.shape[-1] % 2:
        raise ValueError(f"{name}: x: expected an even number of features, got shape {x.shape}")
    first, second = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return (first, second) if packed == "gate_first" else (second, first)


def _whole(packed: str | None, gate: Array, up: Array) -> tuple[Array, ...]:
    """What has the layout of the inputs."""
    if packed is None:
        return gate, up
    return (np.concatenate([gate, up] if packed == "gate_first" else [up, gate], axis=-1),)


def gate_of(row: Operation) -> Activation | None:
    """The activation of a gated unit's gate; None of another operation.

    >>> gate_of(geglu("tanh")).name
    'gelu_tanh'
    """
    gates = {"swiglu": "silu", "geglu": "gelu", "reglu": "relu"}
    if row.name not in gates:
        return None
    name = gates[row.name]
    return activations.get("gelu_tanh" if row.parameters.get("approximate") == "tanh" else name)


def with_gate(row: Operation, value: Callable[[Array], Array], product: Callable[[Array, Array], Array]) -> Passes:
    """Both passes of a gated unit with another activation in it.

    Args:
        row: the unit.
        value: gate ↦ a(gate).
        product: (gate, d) ↦ what stands for d ∘ a′(gate).
    """
    name, packed = row.name, row.parameters["packed"]

    def passed(*inputs: Array) -> Array:
        gate, up = _halves(name, packed, inputs)
        return value(gate) * up

    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, ...]:
        gate, up = _halves(name, packed, inputs)
        return _whole(packed, product(gate, d_y * up), d_y * value(gate))

    return passed, pullback


def _sizes(row: Activation, gate: Array, up: Array, size: Array) -> tuple[Array, Array]:
    """|d_y| times the largest terms of the customary formulas of the activation's derivative and value."""
    return size * np.abs(up) * row.textbook_derivative(gate), size * row.textbook_value(gate)


MAKERS: tuple[Callable[..., Operation], ...] = (swiglu, geglu, reglu)
