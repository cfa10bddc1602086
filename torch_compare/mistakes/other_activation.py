"""One activation taken for another, or for itself with other parameters: what kind of mistake that is."""

from __future__ import annotations

import reference as ref

KINKED = ("relu", "leaky_relu", "rrelu")
"""Activations that are linear on either side of 0."""


def activation_kind(row: ref.Activation, other: ref.Activation) -> str:
    """The name of the mistake that takes one activation for another, or for itself with other parameters."""
    if {row.name, other.name} == {"gelu", "gelu_tanh"}:
        return "tanh formula for GELU" if row.name == "gelu" else "exact GELU for the tanh formula"
    if {row.name, other.name} <= set(KINKED):
        return "leaky slope"
    return "activation parameter ignored" if row.name == other.name else "another activation"


def same_row(row: ref.Activation, other: ref.Activation) -> bool:
    """Whether two rows are one activation with the same parameters."""
    return (row.name, dict(row.parameters)) == (other.name, dict(other.parameters))


def parameters_left_out(row: ref.Activation, other: ref.Activation) -> str:
    """The parameters of a row that another row of its name, with the defaults, does not have; "" of another name."""
    if row.name != other.name:
        return ""
    changed = [key for key, value in row.parameters.items() if other.parameters.get(key) != value]
    return " and ".join(f"{key} = {row.parameters[key]:g}" for key in changed)
