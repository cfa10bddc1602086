"""Variants of a problem on a network of operations, each run from the first step that it changes.

Shapes: E elements, S signed steps, N examples, K the last axis of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import NumPyArray
from ..arithmetic.variants import Variants
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
    elements = [(place, int(i)) for place, index in groups for i in index]
    behind = {place: _behind(problem.graph, {place}) for place, _ in elements}
    rows, fixed = in_loss_rows(problem, trace.output), _switches_by_step(problem.graph, trace.values)

    def evaluate(which: NumPyArray, steps: NumPyArray) -> Run:
        """Those of one leaf side by side, one leaf after the other: which is in the order of the elements."""
        by_place: dict[str, list[int]] = {}
        for row, e in enumerate(which):
            by_place.setdefault(elements[e][0], []).append(row)
        made = []
        for place, of_leaf in by_place.items():
            changes = {place: _moved(trace.values[place], [elements[which[r]][1] for r in of_leaf], steps[of_leaf])}
            made.append(_variants(trace, behind[place], changes, len(of_leaf) * steps.shape[1]))
        watched = {name for place in by_place for name in _taken(behind[place], {place})}
        return _run(rows, fixed, watched, made, steps.shape[1])

    return evaluate


def along_tree(problem: Problem, trace: NetworkTrace, direction: Gradients) -> Evaluate:
    """The variants θ + h·direction."""
    along = {place: direction.leaves()[place] for place in problem.leaves()}
    behind = _behind(problem.graph, set(along))
    rows, fixed = in_loss_rows(problem, trace.output), _switches_by_step(problem.graph, trace.values)

    def evaluate(which: NumPyArray, steps: NumPyArray) -> Run:
        changes = {
            place: np.asarray(trace.values[place]) + steps.reshape(-1, *(1,) * np.ndim(d)) * d
            for place, d in along.items()
        }
        made = _variants(trace, behind, changes, steps.size)
        return _run(rows, fixed, set(_taken(behind, set(along))), [made], steps.shape[1])

    return evaluate


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


def _moved(values: NumPyArray, index: list[int], steps: NumPyArray) -> NumPyArray:
    """A leaf as often as there are steps (E, S) of its elements, each with its element moved: (E·S, …)."""
    moved = np.empty((steps.size, values.size), dtype=np.result_type(values, steps))
    moved[:] = values.ravel()
    moved[np.arange(steps.size), np.repeat(index, steps.shape[1])] += steps.ravel()
    return moved.reshape(-1, *values.shape)


@dataclass(frozen=True, eq=False, slots=True)
class _Made:
    """Variants of a network side by side.

    Attributes:
        values: by name, as `Variants` what changes.
        count: how many variants there are.
    """

    values: Mapping[str, Any]
    count: int

    def of(self, value: Any) -> NumPyArray:
        """A value of every variant, (count, …)."""
        data = value.data if isinstance(value, Variants) else np.asarray(value)[None]
        return np.broadcast_to(data, (self.count, *data.shape[1:]))


def _variants(trace: NetworkTrace, steps: Iterable[Step], moved: Mapping[str, NumPyArray], count: int) -> _Made:
    values: dict[str, Any] = {**trace.values, **{place: Variants(stack) for place, stack in moved.items()}}
    for step in steps:
        values.update(graph.made_by(step, values))
    return _Made(values, count)


def _run(problem: Problem, fixed: Mapping[Step, NumPyArray], watched: set[str], made: list[_Made], signed: int) -> Run:
    """What was made as one run of so many signed steps each; the problem's target in rows.

    `fixed` holds the switches of every step that has some, at the base point.
    """

    def together(f: Callable[[_Made], NumPyArray]) -> NumPyArray:
        found = np.concatenate([f(one) for one in made])
        return found.reshape(len(found) // signed, signed, *found.shape[1:])

    def switches(one: _Made) -> NumPyArray:
        found = [
            one.of(_switches(step, one.values)) if _changes(step, one.values) else one.of(base)
            for step, base in fixed.items()
        ]
        return np.concatenate([np.zeros((one.count, 0)), *found], axis=1)

    output = together(lambda one: one.of(in_rows(one.values[problem.graph.output])))
    terms = unreduced_losses(problem, output.reshape(-1, *output.shape[2:]))
    return Run(
        {name: together(lambda one: one.of(one.values[name])) for name in sorted(watched)},  # noqa: B023
        output,
        terms.reshape(*output.shape[:2], -1),
        together(switches),
    )


# ── the pieces of the steps' formulas, and how far one may go on each ────────────────────────────────


def step_switches(network: Network, values: Mapping[str, Any]) -> NumPyArray:
    """The numbers whose signs say which formula of a step applies, one after the other: (M,)."""
    return np.concatenate([np.zeros(0), *_switches_by_step(network, values).values()])


def _switches_by_step(network: Network, values: Mapping[str, Any]) -> dict[Step, NumPyArray]:
    """Those of every step that has some, (M,) each."""
    found = {step: _switches(step, values) for step in network.steps}
    return {step: switches for step, switches in found.items() if switches.size}


def _switches(step: Step, values: Mapping[str, Any]) -> Any:
    """Those of one step: (M,), of values or of variants of them."""
    found = [switch.reshape(-1) for switch in step.operation.switches(*graph.inputs_of(step, values))]
    return np.concatenate(found) if found else np.zeros(0)


def _changes(step: Step, values: Mapping[str, Any]) -> bool:
    return any(isinstance(values[name], Variants) for name in step.inputs if name is not None)


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
