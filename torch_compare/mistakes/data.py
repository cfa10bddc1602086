"""Mistakes in what is differentiated: another activation, torch's own formula, other or only some of the examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import place_of
from reference.network.unchecked import changed, unchecked

from ..torch_side.deviations import deviations
from .derivatives import other_forms
from .mistake import Leaves, Mistake
from .other_activation import KINKED, activation_kind, same_row

SLOPES = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5)
"""Slopes of leaky rectifiers that people choose; in the backward pass alone any other is fitted."""


def _with_row(name: str, row: ref.Activation, layer: int | None) -> Callable[[ref.Problem], ref.Problem]:
    """problem ↦ the problem with that row wherever it has one of that name, or in one layer."""

    def change(problem: ref.Problem) -> ref.Problem:
        layers = tuple(
            changed(old, activation=row) if old.activation.name == name and layer in (None, l) else old
            for l, old in enumerate(problem.mlp.layers)
        )
        return problem.replace(network=unchecked(ref.MLP, layers=layers))

    return change


def activation_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """Another activation in place of one of the network's, in both passes."""
    used = {layer.activation.name: layer.activation for layer in problem.mlp.layers if not layer.activation.rowwise}
    for name, row in used.items():
        if name == "identity":
            continue
        others = [other for other in ref.ACTIVATIONS.values() if not other.rowwise and other.name != "identity"]
        if name in KINKED:
            others += [ref.activations.leaky_relu(slope) for slope in SLOPES]
        for other in others:
            if same_row(other, row):
                continue
            kind = activation_kind(row, other)
            vague = kind == "another activation"
            what = f"{_row_title(other, name)} stands for {_row_title(row, other.name)} in both passes"
            yield Mistake(kind, "every layer", what, problem=_with_row(name, other, None), vague=vague)
            layers = [l for l, layer in enumerate(problem.mlp.layers) if layer.activation.name == name]
            for l in layers if not vague and len(layers) > 1 else []:
                yield Mistake(kind, place_of(l), what, problem=_with_row(name, other, l))
        for kind, what, other in other_forms(row):
            what = f"{what}, in both passes"
            yield Mistake(kind, "every layer", what, problem=_with_row(name, other, None), particular=True)


def _row_title(row: ref.Activation, name: str) -> str:
    values = ", ".join(f"{key}={value:g}" for key, value in row.parameters.items())
    return f"{row.name}({values})" if row.name in (name, "leaky_relu") and values else row.name


def batch_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """Examples that do not belong to their targets, or are left out."""
    n = problem.x.shape[0]
    if n == 1:
        return
    orders = {"shifted by 1": np.roll(np.arange(n), 1), "in reverse order": np.arange(n)[::-1]}
    if n > 2:
        orders["shifted by −1"] = np.roll(np.arange(n), -1)
    for title, order in orders.items():
        what = f"the inputs are {title} against the targets: they belong to other examples"
        yield Mistake("stale batch", "batch", what, problem=_reordered(order))
        what = f"the targets are {title} against the inputs: they belong to other examples"
        yield Mistake("stale batch", "batch", what, problem=_reordered(order), leaves=_input_in_order(order))
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
            what = f"only the {title} counts"
            yield Mistake(
                "examples left out", "batch", what, problem=_part(which), leaves=_without_input(which), vague=True
            )


def deviation_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """torch's own formula, if the published list says that it is not the derivative."""
    for row in deviations(problem):
        if row.as_torch is not None:
            what = f"torch's published deviation {row.name} ({row.where}; {row.what})"
            yield Mistake("deviation of torch", "torch", what, problem=row.as_torch)


def _reordered(order: Any) -> Callable[[ref.Problem], ref.Problem]:
    return lambda problem: problem.replace(x=problem.x[order])


def _input_in_order(order: Any) -> Callable[[ref.Problem, Leaves], Leaves]:
    back = np.argsort(order)
    return lambda problem, leaves: leaves | {"input": leaves["input"][back]} if "input" in leaves else leaves


def _part(which: slice) -> Callable[[ref.Problem], ref.Problem]:
    return lambda problem: problem.replace(x=problem.x[which], target=problem.target[which])


def _without_input(which: slice) -> Callable[[ref.Problem, Leaves], Leaves]:
    """The leaves without the input's, which a part of the batch does not have in full."""
    return lambda problem, leaves: {place: leaf for place, leaf in leaves.items() if place != "input"}
