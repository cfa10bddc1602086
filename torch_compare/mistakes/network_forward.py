"""Mistakes in the forward pass of a network of operations: another function in a step, other inputs or weights.

What follows such a step gets other numbers, and the loss is wrong, too. The backward pass is that of the wrong function
(autograd's), or the right one, written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import reference as ref
from reference.network.dependence import depending
from reference.network.graph import forward, has_gradient, inputs_of
from reference.network.unchecked import changed
from reference.operations.gated import gate_of, with_gate
from reference.operations.row import Passes

from .derivatives import other_forms
from .forward import RATES, SAID, Affine, affine, stored_ways
from .mistake import Mistake
from .other_activation import KINKED, activation_kind, same_row

SLOPES = (0.01, 0.1, 0.2)
"""Slopes of leaky rectifiers that are tried in a step; there are many steps."""
EPSILONS = (1e-3, 1e-5, 1e-6, 1e-8, 1e-12)
"""ε of norms in libraries and models: Keras's, torch's, Llama's and JAX's, of older code, BERT's."""
DEEPEST = 8
"""Weights up to which one of them is tried as rounded, and not all of them alone."""
OPTIONAL = {"bias": "bias in the forward pass", "weight": "weight in the forward pass", "attn_mask": "mask not applied"}
"""The mistake that leaves out an optional input, by the input's name."""
Other = tuple[str, str, Passes, bool]
"""Kind, clause, both passes, and whether it is vague."""
Change = Callable[[ref.Problem], ref.Problem]


def forward_mistakes_of(problem: ref.Problem) -> Iterator[Mistake]:
    """Another forward pass: in one step, in all steps of an operation, in the inputs, in the parameters.

    >>> import numpy as np
    >>> net = ref.Network({"w": np.ones((2, 2))}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "gelu", "h")])
    >>> problem = ref.Problem(net, np.ones((1, 2)), np.ones((1, 2)), loss="mse")
    >>> next(m.what for m in forward_mistakes_of(problem) if m.name == "tanh formula for GELU")
    'the forward pass differs, and the backward pass too: gelu_tanh stands for gelu'
    """
    found: dict[tuple[str, str], list[Mistake]] = {}
    values = forward(problem.graph, problem.x).values
    of_row: dict[ref.Operation, list[Other]] = {}
    for index, step in enumerate(problem.graph.steps):
        if step.operation not in of_row:
            of_row[step.operation] = list(_of_row(step.operation))
        for name, what, passes, vague in (*of_row[step.operation], *_of_step(problem, step, values)):
            for mistake in _both(index, step, name, what, passes, vague):
                found.setdefault((step.operation.name, mistake.what), []).append(mistake)
    for (operation, _), same in found.items():
        yield from same if len(same) == 1 or not same[0].vague else ()
        if len(same) > 1:
            yield everywhere(operation, same)
    yield from _inputs(problem)
    yield from _parameters(problem)


def other_passes_of(problem: ref.Problem) -> Iterator[Mistake]:
    """The functions that are known to be computed in a step's place, both passes, in all steps of an operation alike.

    >>> import numpy as np
    >>> net = ref.Network({}, [ref.Step("y", "layer_norm", "x")])
    >>> problem = ref.Problem(net, np.ones((1, 2)), np.ones((1, 2)), loss="mse")
    >>> "n minus 1 for n" in {m.name for m in other_passes_of(problem)}
    True
    """
    found: dict[tuple[str, str], list[Mistake]] = {}
    for index, step in enumerate(problem.graph.steps):
        for name, what, passes, vague in _of_other_passes(step.operation):
            mistake = next(_both(index, step, name, what, passes, vague))
            found.setdefault((step.operation.name, what), []).append(mistake)
    yield from (same[0] if len(same) == 1 else everywhere(operation, same) for (operation, _), same in found.items())


def everywhere(operation: str, same: list[Mistake]) -> Mistake:
    """One mistake in all steps of an operation, as who writes it once makes it."""

    def change(problem: ref.Problem) -> ref.Problem:
        for mistake in same:
            problem = mistake.problem(problem)
        return problem

    return replace(same[0], where=f"every {operation}", problem=change)


def with_passes(index: int, **passes: Any) -> Change:
    """problem ↦ the problem in which one step has another value or pullback; scales of customary formulas stay."""

    def change(problem: ref.Problem) -> ref.Problem:
        steps = list(problem.graph.steps)
        steps[index] = changed(steps[index], operation=changed(steps[index].operation, **passes))
        return problem.replace(network=changed(problem.graph, steps=tuple(steps)))

    return change


def _both(index: int, step: ref.Step, name: str, what: str, passes: Passes, vague: bool) -> Iterator[Mistake]:
    """The mistake in both passes, and in the forward pass alone."""
    value, pullback = passes
    too = with_passes(index, value=value, pullback=pullback)
    yield Mistake(name, step.name, f"{SAID}, and the backward pass too: {what}", problem=too, vague=vague)
    if not vague:
        alone = with_passes(index, value=value)
        yield Mistake(name, step.name, f"{SAID}, though not the backward pass: {what}", problem=alone)


# ── in a step ────────────────────────────────────────────────────────────────────────────────────────


def _of_other_passes(row: ref.Operation) -> Iterator[Other]:
    for key, passes in row.other_passes.items():
        name, _, how = key.replace("_", " ").partition(", ")
        yield name, f"{name} in {row.name}" + (f", {how}" if how else ""), passes, False


def _of_row(row: ref.Operation) -> Iterator[Other]:
    """What is known of an operation, whatever its inputs."""
    yield from _of_other_passes(row)
    has_epsilon = row.name in ref.operations.MAKERS and row.parameters.get("eps")  # a loss as a step is made otherwise
    for eps in EPSILONS if has_epsilon else ():
        if eps != row.parameters["eps"]:
            other_row = ref.operations.MAKERS[row.name](**{**row.parameters, "eps": eps})
            what = f"{eps:g} stands for {row.parameters['eps']:g} as ε of {row.name}"
            yield "another epsilon", what, (other_row.value, other_row.pullback), False
    inside, gate = row.activation, gate_of(row)
    for activation in (inside, gate):
        if activation is None or activation.rowwise or activation.name == "identity":
            continue
        for kind, what, other in _other_activations(activation):
            assert other.derivative is not None  # they act element by element
            yield kind, what, _passes_of(row if gate else None, other), kind == "another activation"


def _other_activations(row: ref.Activation) -> Iterator[tuple[str, str, ref.Activation]]:
    others = [other for other in ref.ACTIVATIONS.values() if not other.rowwise]
    others += [ref.activations.leaky_relu(slope) for slope in SLOPES] if row.name in KINKED else []
    for other in others:
        if not same_row(other, row):
            given = "".join(f"({key}={value:g})" for key, value in other.parameters.items() if other.name == row.name)
            yield activation_kind(row, other), f"{other.name}{given} stands for {row.name}", other
    yield from other_forms(row)


def _passes_of(unit: ref.Operation | None, other: ref.Activation) -> Passes:
    slope = other.derivative
    assert slope is not None
    if unit is not None:
        return with_gate(unit, other.value, lambda gate, d: d * slope(gate))
    return other.value, lambda inputs, y, d_y: (d_y * slope(inputs[0]),)


def _of_step(problem: ref.Problem, step: ref.Step, values: Any) -> Iterator[Other]:
    """What depends on which inputs the step has: one that may be left out, a branch, a constant."""
    row, given = step.operation, inputs_of(step, values)
    for position, name in enumerate(step.inputs):
        title = row.name_of(position)
        if name is None or title not in row.optional or title not in OPTIONAL:
            continue
        what = f"{row.name} without its {'mask' if title == 'attn_mask' else title}"
        left_out = _without(row, position)
        yield OPTIONAL[title], what, left_out, False
        if has_gradient(given[position]):
            own = _with_gradient_of(row, left_out, position)
            yield OPTIONAL[title], f"{what}, whose gradient is taken as if it were there", own, False
    if row.name in ("add", "sub", "mul", "div", "addcmul") and len(given) == 2:
        wanted = depending(problem.graph.steps, problem.leaves())
        for position, name in enumerate(step.inputs):
            other = given[1 - position]
            if values[step.name].shape == np.shape(other) and (position == 1 or row.name in ("add", "mul")):
                kind = "branch left out" if name in wanted else "constant left out"
                yield kind, f"{row.name} leaves out {name}", _alone(1 - position), False


def _without(row: ref.Operation, position: int) -> Passes:
    """Both passes without an optional input, whose gradient is 0."""

    def less(inputs: Any) -> tuple[Any, ...]:
        return tuple(None if k == position else x for k, x in enumerate(inputs))

    return lambda *inputs: row.value(*less(inputs)), lambda inputs, y, d_y: row.pullback(less(inputs), y, d_y)


def _with_gradient_of(row: ref.Operation, passes: Passes, position: int) -> Passes:
    """The same, but for the gradient of that input, which is taken as if it were there."""
    value, pullback = passes

    def own(inputs: Any, y: Any, d_y: Any) -> tuple[Any, ...]:
        right = row.pullback(inputs, y, d_y)
        return tuple(right[k] if k == position else d for k, d in enumerate(pullback(inputs, y, d_y)))

    return value, own


def _alone(kept: int) -> Passes:
    """One of two inputs, handed on as it is."""
    return lambda *inputs: inputs[kept], lambda inputs, y, d_y: tuple(d_y if k == kept else None for k in range(2))


# ── inputs and parameters ────────────────────────────────────────────────────────────────────────────


def _inputs(problem: ref.Problem) -> Iterator[Mistake]:
    """Inputs that are scaled otherwise; their gradient is that of the inputs that are used."""
    for name, x in problem.x.items():
        if has_gradient(x):
            for one in affine(np.asarray(x, dtype=float)):
                yield Mistake("inputs scaled", name, f"{SAID}: {one.done}", problem=_with_input(name, one))


def _with_input(name: str, one: Affine) -> Change:
    return lambda problem: problem.replace(x={**problem.x, name: one.of(problem.x[name])})


def _parameters(problem: ref.Problem) -> Iterator[Mistake]:
    """Parameters that are rounded to a coarser format, or of before or after a step of gradient descent."""
    weights = {name: w for name, w in problem.graph.parameters.items() if w.ndim > 1}
    for title, kept in stored_ways():
        rounded = {name: kept(w) for name, w in weights.items()}
        other = {name: w for name, w in rounded.items() if np.any(w != weights[name])}
        done = f"{SAID}, and the backward pass too: {{}} rounded to {title}"
        if other:
            every = done.format("its weights are")
            yield Mistake("quantised weights", "every weight", every, problem=_with_parameters(other))
        for name, w in other.items() if len(weights) <= DEEPEST and len(other) > 1 else ():
            yield Mistake("quantised weights", name, done.format("it is"), problem=_with_parameters({name: w}))
    right = ref.gradients(problem).leaves()
    for rate in RATES:
        for sign, when in ((-1, "newer"), (1, "older")):
            moved = {name: w + right[name] * (sign * rate) for name, w in problem.graph.parameters.items()}
            done = f"{SAID}: the parameters are {when} by a step of gradient descent with learning rate {rate:g}"
            yield Mistake("stale weights", "every parameter", done, problem=_with_parameters(moved))


def _with_parameters(other: dict[str, Any]) -> Change:
    return lambda problem: problem.replace(
        network=changed(problem.graph, parameters={**problem.graph.parameters, **other})
    )
