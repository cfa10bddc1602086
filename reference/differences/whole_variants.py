"""Variants of a problem on a network of operations, each run from the first step that it changes.

Shapes: E elements, S signed steps, N examples, K the last axis of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import NumPyArray
from ..losses.reduced import in_rows
from ..network import graph
from ..network.gradients import Gradients
from ..network.graph import Network, NetworkTrace, Step
from ..network.problem import Problem
from .one_parameter import Evaluate, Run, in_loss_rows, unreduced_losses

POLYNOMIALS = frozenset(
    {
        "add", "addcmul", "addmm", "alibi", "baddbmm", "bmm", "cat", "channel_shuffle", "chunk", "conv1d", "conv2d",
        "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cumsum", "dropout", "einsum",
        "embedding", "expand", "flatten", "flip", "fold", "gather", "index_select", "lerp", "linear", "matmul", "mean",
        "mul", "neg", "outer", "pad", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat", "reshape", "roll",
        "rotary_embedding", "scatter_add", "select", "slice", "split", "squeeze", "stack", "sub", "sum",
        "take_along_dim", "transpose", "tril", "triu", "unbind", "unfold", "unsqueeze",
    }
)  # fmt: skip
"""Operations that are polynomials of low degree, which extrapolation takes exactly: no step is too long for them."""


def along_leaves(problem: Problem, trace: NetworkTrace, groups: Iterable[tuple[str, NumPyArray]]) -> Evaluate:
    """The variants θₑ + h of elements e of leaves, in the order of the groups (place, indices)."""
    network = _network(problem)
    elements = [(place, int(i)) for place, index in groups for i in index]
    behind = {place: _behind(network, {place}) for place, _ in elements}
    rows = in_loss_rows(problem, trace.output)

    def evaluate(which: NumPyArray, steps: NumPyArray) -> Run:
        chosen = [elements[e] for e in which]
        return _run(
            rows,
            {name for place, _ in chosen for name in _taken(behind[place], {place})},
            [
                [_variant(trace, behind[place], {place: _moved(trace.values[place], i, h)}) for h in row]
                for (place, i), row in zip(chosen, steps, strict=True)
            ],
        )

    return evaluate


def along_tree(problem: Problem, trace: NetworkTrace, direction: Gradients) -> Evaluate:
    """The variants θ + h·direction."""
    along = {place: direction.leaves()[place] for place in problem.leaves()}
    behind = _behind(_network(problem), set(along))
    rows = in_loss_rows(problem, trace.output)

    def evaluate(which: NumPyArray, steps: NumPyArray) -> Run:
        def moved(h: float) -> dict[str, Any]:
            return {place: np.asarray(trace.values[place]) + h * d for place, d in along.items()}

        return _run(
            rows, set(_taken(behind, set(along))), [[_variant(trace, behind, moved(h)) for h in row] for row in steps]
        )

    return evaluate


def _network(problem: Problem) -> Network:
    assert isinstance(problem.network, Network)
    return problem.network


def _behind(network: Network, places: set[str]) -> tuple[Step, ...]:
    """The steps that a change of some leaves reaches."""
    changed, found = set(places), []
    for step in network.steps:
        if changed.intersection(name for name in step.inputs if name is not None):
            changed.update(step.outputs)
            found.append(step)
    return tuple(found)


def _taken(steps: Iterable[Step], places: set[str]) -> list[str]:
    """The values that these steps take and that change: leaves among the places, and what the steps made."""
    made = {*places, *(name for step in steps for name in step.outputs)}
    return [name for step in steps for name in step.inputs if name is not None and name in made]


def _moved(values: NumPyArray, index: int, h: float | complex) -> NumPyArray:
    moved = np.array(values, dtype=np.result_type(values, h))
    moved.flat[index] += h
    return moved


def _variant(trace: NetworkTrace, steps: Iterable[Step], moved: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {**trace.values, **moved}
    for step in steps:
        values.update(graph.made_by(step, values))
    return values


def _run(problem: Problem, watched: set[str], variants: list[list[dict[str, Any]]]) -> Run:
    """The variants (E, S) side by side; the problem's target in rows."""
    network = _network(problem)

    def stacked(f: Callable[[Mapping[str, Any]], Any]) -> NumPyArray:
        return np.stack([np.stack([np.asarray(f(values)) for values in row]) for row in variants])

    output = stacked(lambda values: in_rows(values[network.output]))
    terms = unreduced_losses(problem, output.reshape(-1, *output.shape[2:]))
    return Run(
        {name: stacked(lambda values: values[name]) for name in sorted(watched)},  # noqa: B023  (called at once)
        output,
        terms.reshape(*output.shape[:2], -1),
        stacked(lambda values: step_switches(network, values)),
    )


# ── the pieces of the steps' formulas, and how far one may go on each ────────────────────────────────


def step_switches(network: Network, values: Mapping[str, Any]) -> NumPyArray:
    """The numbers whose signs say which formula of a step applies, one after the other: (M,)."""
    found = [
        np.asarray(switch).ravel()
        for step in network.steps
        for switch in step.operation.switches(*graph.inputs_of(step, values))
    ]
    return np.concatenate([np.zeros(0), *found])


def rooms_of(
    network: Network, trace: NetworkTrace, room: Callable[[Activation, Any], NumPyArray]
) -> dict[int | str, NumPyArray]:
    """How far each value that a step takes may move, by its name: by what `room` says of an activation's argument.

    By half of 1 + |v| and by no more than 1 where a formula is no polynomial, for norms and softmax turn within that.
    """
    rooms: dict[int | str, NumPyArray] = {}
    for step in network.steps:
        row = step.operation
        for name in step.inputs:
            if name is None or not graph.has_gradient(trace.values[name]):
                continue
            v = np.asarray(trace.values[name])
            if row.activation is not None:
                least = room(row.activation, v)
            elif row.name in POLYNOMIALS:
                continue
            else:
                least = np.minimum((1 + np.abs(v)) / 2, 1.0)
            rooms[name] = np.minimum(rooms.get(name, np.inf), least)
    return rooms
