"""The factors that have a name on a network of operations: lengths that its steps add over, and its steps' constants.

A step adds up as many numbers as it has of one input, or of the output, for each of another: a mean over all of 30
elements, or what comes back to each of 3 channels from 4·5·5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.network.graph import forward

Meaning = tuple[float, str, str, str]
"""The value, the kind of mistake, what number it is, and what was done."""
OF_E = ("softmax", "softmin", "exp", "log", "attention", "cross_entropy", "bce", "nll", "kl_div")
"""Parts of the names of operations that take powers of e, or logarithms: fast ones take those of 2."""
SUMS = ("sum", "mean", "var", "std", "pool", "loss", "entropy", "kl_div", "logsumexp")
"""Parts of the names of operations whose outputs are sums, or means, over axes of the first input."""
PRODUCTS = ("mul", "div", "true_divide")
"""Operations that multiply by a constant."""
NO_FACTORS = ("eps", "p", "momentum", "label_smoothing")
"""Parameters of operations that multiply nothing."""


def batch_size(problem: ref.Problem) -> int:
    """The length of the first axis that an input of a network has; 1 if none has an axis."""
    return next((np.shape(x)[0] for x in problem.x.values() if np.ndim(x)), 1)


def of_steps(problem: ref.Problem) -> Iterator[Meaning]:
    """Factors of the steps of a network.

    >>> net = ref.Network({"w": np.ones((2, 2))}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "mean", "h")])
    >>> problem = ref.Problem(net, np.ones((3, 2)), np.ones(()), loss="inner_product")
    >>> [round(value, 3) for value, *_ in of_steps(problem)]
    [3, 0.333, 6, 0.167, 2, 0.5]
    """
    values = forward(problem.graph, problem.x).values
    lengths = {batch_size(problem): "the batch size"}
    for step in problem.graph.steps:
        for length, title in _lengths(step, values):
            lengths.setdefault(length, title)
    for length, title in lengths.items():
        yield length, "sum for mean", f"{length} is {title}", "a sum for a mean, or multiplied by it"
        yield 1 / length, "mean for sum", f"1/{length}, and {length} is {title}", "a mean for a sum, or divided by it"
    for step in problem.graph.steps:
        yield from _attention(step, values)
        yield from _dropout(step)
        yield from _constants(step, values)
    if any(part in step.operation.name for step in problem.graph.steps for part in OF_E):
        done = "powers or logarithms of 2 stand for those of e"
        yield 1 / float(np.log(2)), "logarithm base", "log₂ e", done
        yield float(np.log(2)), "logarithm base", "ln 2", done


def _said(step: ref.Step) -> str:
    return f"the step {step.name} ({step.operation.name})"


def _lengths(step: ref.Step, values: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """How many numbers a step adds up to one, forward or for a vector on the way back; the axes that it sums over."""
    y, *inputs = [values[name] for name in (step.name, *step.inputs) if name is not None]
    sizes = [(np.size(y), np.size(vector)) for vector in inputs[1:] if np.ndim(vector) == 1]
    sums = bool(inputs) and any(part in step.operation.name for part in SUMS)
    if sums:
        sizes.append((np.size(inputs[0]), np.size(y)))
    for many, few in sizes:
        if few and many > few and many % few == 0:
            yield many // few, f"how many numbers {_said(step)} adds up to one"
    if sums and np.size(y) < np.size(inputs[0]):
        for length in np.shape(inputs[0]):
            yield length, f"the length of an axis of what {_said(step)} takes"


def _attention(step: ref.Step, values: Mapping[str, Any]) -> Iterator[Meaning]:
    if "attention" not in step.operation.name or step.inputs[0] is None:
        return
    width = np.shape(values[step.inputs[0]])[-1]
    root, what = float(np.sqrt(width)), f"{width} is the width of the queries of {_said(step)}"
    yield root, "scale of attention", f"√{width}, and {what}", "the division by it is left out"
    yield 1 / root, "scale of attention", f"1/√{width}, and {what}", "divided by it twice"


def _dropout(step: ref.Step) -> Iterator[Meaning]:
    p = step.operation.parameters.get("p")
    if step.operation.name != "dropout" or not isinstance(p, float) or not 0 < p < 1:
        return
    kept, what = 1 - p, f"of {_said(step)}"
    yield kept, "scale of dropout", f"1 − p {what}", "the division by it is left out"
    yield 1 / kept, "scale of dropout", f"1/(1 − p) {what}", "divided by 1 − p once too often"
    yield kept**2, "scale of dropout", f"(1 − p)² {what}", "multiplied by 1 − p, not divided"


def _constants(step: ref.Step, values: Mapping[str, Any]) -> Iterator[Meaning]:
    """Numbers that a step multiplies by, as its parameters or as inputs of one number."""
    found = [v for k, v in step.operation.parameters.items() if isinstance(v, float) and k not in NO_FACTORS]
    if step.operation.name in PRODUCTS:
        found += [float(np.ravel(values[n])[0]) for n in step.inputs if n is not None and np.size(values[n]) == 1]
    for value in found:
        if np.isfinite(value) and abs(value) not in (0.0, 1.0):
            what = f"{value:g} is a constant of {_said(step)}"
            yield value, "constant of a step", what, "it counts once too often, or the division by it is left out"
            yield 1 / value, "constant of a step", f"1/{value:g}, and {what}", "it is left out, or divided by too often"
