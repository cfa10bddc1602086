"""Mistakes in what is differentiated: another activation, other examples, some of the examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import reference as ref
from reference.records import changed, unchecked

from .mistakes import Leaves, Mistake


def _with_row(name: str, row: ref.Activation) -> Callable[[ref.Problem], ref.Problem]:
    """problem ↦ the problem with that row wherever it has one of that name."""

    def change(problem: ref.Problem) -> ref.Problem:
        layers = tuple(
            changed(layer, activation=row) if layer.activation.name == name else layer for layer in problem.mlp.layers
        )
        return problem.replace(mlp=unchecked(ref.MLP, layers=layers))

    return change


def activation_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """Another activation in place of one of the network's: in both passes, or in the backward pass alone."""
    used = {layer.activation.name: layer.activation for layer in problem.mlp.layers if not layer.activation.rowwise}
    for name, row in used.items():
        if name == "identity":
            continue
        others = [other for other in ref.ACTIVATIONS.values() if not other.rowwise and other.name != "identity"]
        others += [ref.activations.leaky_relu(slope) for slope in (0.1, 0.2, 0.25, 0.3)]
        for other in others:
            if (other.name, dict(other.parameters)) == (name, dict(row.parameters)):
                continue
            title = _row_title(other, name)
            kind = _activation_kind(row, other)

            derived = changed(row, derivative=other.derivative)
            yield Mistake(kind, f"{title} stands for {name}", problem=_with_row(name, other))
            text = f"the backward pass takes the derivative of {title} for that of {name}"
            yield Mistake(kind, text, problem=_with_row(name, derived))


def _row_title(row: ref.Activation, name: str) -> str:
    values = ", ".join(f"{key}={value:g}" for key, value in row.parameters.items())
    return f"{row.name}({values})" if row.name in (name, "leaky_relu") and values else row.name


def _activation_kind(row: ref.Activation, other: ref.Activation) -> str:
    if {row.name, other.name} == {"gelu", "gelu_tanh"}:
        return "tanh formula for GELU" if row.name == "gelu" else "exact GELU for the tanh formula"
    if {row.name, other.name} <= {"relu", "leaky_relu", "rrelu"}:
        return "leaky slope"
    return "another activation"


def batch_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """Examples that do not belong to their targets, or are left out."""
    n = problem.x.shape[0]
    if n == 1:
        return

    orders = {"shifted by 1 against the batch": np.roll(np.arange(n), 1), "in reverse order": np.arange(n)[::-1]}
    if n > 2:
        orders["shifted by −1 against the batch"] = np.roll(np.arange(n), -1)
    for title, order in orders.items():
        text = f"the targets belong to other examples: they are {title}"
        yield Mistake("stale batch", text, problem=_reordered(order), leaves=_input_in_order(order))
        yield Mistake("stale batch", text, problem=_reordered(order))
    parts = {
        "first example": slice(0, 1),
        "last example": slice(n - 1, n),
        "first half of the batch": slice(0, n // 2),
        "second half of the batch": slice(n // 2, n),
        "batch but for its first example": slice(1, n),
        "batch but for its last example": slice(0, n - 1),
    }
    for title, which in parts.items():
        if n > 2 or (title.endswith(" example") and "but" not in title):
            yield Mistake("examples left out", f"only the {title} counts", problem=_part(which), leaves=_parameters)


def _reordered(order: Any) -> Callable[[ref.Problem], ref.Problem]:
    return lambda problem: problem.replace(x=problem.x[order])


def _input_in_order(order: Any) -> Callable[[ref.Problem, Leaves], Leaves]:
    back = np.argsort(order)
    return lambda problem, leaves: leaves | {"input": leaves["input"][back]}


def _part(which: slice) -> Callable[[ref.Problem], ref.Problem]:
    return lambda problem: problem.replace(x=problem.x[which], target=problem.target[which])


def _parameters(problem: ref.Problem, leaves: Leaves) -> Leaves:
    """The leaves but for those that a part of the batch has not."""
    return {place: leaf for place, leaf in leaves.items() if place.startswith("layers")}
