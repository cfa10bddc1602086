"""Mistakes in the backward pass of a network of operations: in a step's pullback, in a use of a value, at the loss.

Each changes the problem: a step gets another pullback, or the loss another gradient. So it runs in every arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.noisy import Noisy
from reference.losses.reduced import in_rows
from reference.network import passes
from reference.network.dependence import depending
from reference.network.unchecked import changed, unchecked
from reference.operations.gated import gate_of, with_gate

from .backward import diagonal
from .derivatives import wrong_derivatives
from .example_weights import of_sequences
from .loss import loss_mistakes
from .mistake import Mistake
from .network_forward import everywhere, with_passes
from .rules import RIGHT, Rules

Pullback = Callable[[Any, Any, Any], tuple[Any, ...]]
Change = Callable[[ref.Problem], ref.Problem]


def network_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """Every known mistake: at the loss, in one step, in all steps of one operation, at one use of a value.

    >>> import numpy as np
    >>> net = ref.Network({"w": np.ones((2, 2))}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "gelu", "h")])
    >>> problem = ref.Problem(net, np.ones((1, 2)), np.ones((1, 2)), loss="mse")
    >>> ("y", "activation derivative missing") in {(m.where, m.name) for m in network_mistakes(problem)}
    True
    """
    yield from _of_loss(problem)
    found: dict[tuple[str, str], list[Mistake]] = {}
    for index, step in enumerate(problem.graph.steps):
        for name, what, pullback in _of_operation(step.operation):
            mistake = Mistake(name, step.name, what, problem=with_passes(index, pullback=pullback))
            found.setdefault((step.operation.name, name), []).append(mistake)
            yield mistake
    yield from _of_uses(problem)
    for (operation, _), same in found.items():
        if len(same) > 1:
            yield everywhere(operation, same)


# ── in a step ────────────────────────────────────────────────────────────────────────────────────────


def _of_operation(row: ref.Operation) -> Iterator[tuple[str, str, Pullback]]:
    """(kind, clause, pullback) of each mistake that is known of an operation."""
    for key, pullback in row.mistakes.items():
        name = key.replace("_", " ")
        yield name, f"backward through {row.name}: {name}", pullback
    gate = gate_of(row)
    if gate is not None:
        for wrong in wrong_derivatives(gate):
            yield wrong.name, wrong.what, _of_gate(row, gate, wrong.pullback)
    activation = row.activation
    if activation is None or activation.name == "identity":
        return
    for wrong in wrong_derivatives(activation):
        yield wrong.name, wrong.what, _in_rows(wrong.pullback)
    if activation.shrink == 1:
        yield "activation derivative missing", "the activation's derivative is missing", _in_rows(lambda z, h, d: d)
    if activation.name in ("softmax", "softmin", "log_softmax"):
        yield (
            "softmax Jacobian diagonal",
            f"the Jacobian of {activation.name} is taken as diagonal",
            _in_rows(lambda z, h, d: d * diagonal(activation, z, h)),
        )
    if activation.rowwise:
        return
    slope = activation.derivative
    yield (
        "derivative at the output",
        "the activation's derivative is taken at its output, not at its input",
        _in_rows(lambda z, h, d: d * slope(h)),
    )
    yield (
        "derivative applied twice",
        "the activation's derivative is applied twice",
        _in_rows(lambda z, h, d: d * slope(z) * slope(z)),
    )
    yield (
        "value for derivative",
        "the activation's value stands where its derivative belongs",
        _in_rows(lambda z, h, d: d * h),
    )


def _of_gate(row: ref.Operation, gate: ref.Activation, wrong: Callable[[Any, Any, Any], Any]) -> Pullback:
    """The pullback of a gated unit, whose activation has that one."""
    return with_gate(row, gate.value, lambda z, d: wrong(z, gate.value(z), d))[1]


def _in_rows(wrong: Callable[[Any, Any, Any], Any]) -> Pullback:
    """The pullback of arrays of any number of dimensions, from that of rows."""

    def pullback(inputs: Any, y: Any, d_y: Any) -> tuple[Any, ...]:
        (z,) = inputs
        return (wrong(in_rows(z), in_rows(y), in_rows(d_y)).reshape(z.shape),)

    return pullback


# ── at a use of a value ──────────────────────────────────────────────────────────────────────────────


def _of_uses(problem: ref.Problem) -> Iterator[Mistake]:
    """A value that several steps use gets a gradient from each of them: one is lost, or counted twice."""
    network = problem.graph
    wanted = depending(network.steps, problem.leaves())
    uses: dict[str, list[tuple[int, int]]] = {}
    for index, step in enumerate(network.steps):
        for position, name in enumerate(step.inputs):
            if name in wanted and not step.operation.is_data(position):
                uses.setdefault(name, []).append((index, position))
    for name, places in uses.items():
        if len(places) < 2:
            continue
        for index, position in places:
            step = network.steps[index]
            what = f"the gradient that {name} gets from {step.name} ({step.operation.name}) is "
            for kind, text, times in (("branch lost", "left out", 0.0), ("branch added twice", "added twice", 2.0)):
                yield Mistake(
                    kind, name, what + text, problem=with_passes(index, pullback=_scaled(step, position, times))
                )


def _scaled(step: ref.Step, position: int, times: float) -> Pullback:
    right = step.operation.pullback

    def pullback(inputs: Any, y: Any, d_y: Any) -> tuple[Any, ...]:
        found: list[Any] = list(right(inputs, y, d_y))
        found[position] = None if found[position] is None else found[position] * times
        return tuple(found)

    return pullback


# ── at the loss ──────────────────────────────────────────────────────────────────────────────────────


def _of_loss(problem: ref.Problem) -> Iterator[Mistake]:
    """The mistakes of the loss, which sees the output as rows."""
    alone, (sequences, *_) = loss_alone(problem), (*np.shape(problem.target), 1)  # a target may be a number
    for mistake in chain(loss_mistakes(alone), of_sequences(alone, sequences)):
        yield replace(mistake, problem=_at_loss(mistake), rules=_unchanged)


def _unchanged(rules: Rules) -> Rules:
    return rules


def loss_alone(problem: ref.Problem) -> ref.Problem:
    """The loss of the output's rows, as a problem of an MLP that hands them on as they are."""
    output = np.asarray(passes.forward(problem.network, problem.x).output)
    y, target = in_rows(output), np.asarray(problem.target)
    rows = target.reshape(-1) if target.ndim < output.ndim else target.reshape(-1, y.shape[1])
    layer = unchecked(ref.Layer, weight=np.eye(y.shape[1]), bias=None, activation=ref.ACTIVATIONS["identity"])
    mlp = unchecked(ref.MLP, layers=(layer,))
    parts = {"target": rows, "loss": problem.loss, "reduction": problem.reduction}
    return unchecked(ref.Problem, network=mlp, x=y, **parts)


def _at_loss(mistake: Mistake) -> Change:
    def change(problem: ref.Problem) -> ref.Problem:
        alone = loss_alone(_exact(problem))
        other = mistake.problem(alone)
        rules = mistake.rules(RIGHT)
        if rules.d_output is RIGHT.d_output:
            return problem.replace(loss=other.loss, reduction=other.reduction)
        mean = other.reduction == "mean"
        loss = changed(
            other.loss,
            value=lambda y, t: other.loss.value(y, t) / other.loss.divisor(y, t) if mean else other.loss.value(y, t),
            gradient=lambda y, t: rules.d_output(other.replace(target=t), y),
            divisor=lambda y, t: 1,
        )
        return problem.replace(loss=loss)

    return change


def _exact(problem: ref.Problem) -> ref.Problem:
    """The problem in plain floats: a noisy one without its noise."""
    return problem.map(lambda values: values.data[0] if isinstance(values, Noisy) else values)
