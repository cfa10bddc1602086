"""Backward passes made of replaceable steps: how a pass with a mistake in it is written down.

N examples, I a layer's fan-in, O its fan-out, K the network's outputs; l is a layer's index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import reference as ref

Slope = Callable[[ref.Problem, ref.Trace, int, Any], Any]
"""(problem, trace, l, d_h) ↦ d_z (N, O)."""
Weight = Callable[[ref.Problem, ref.Trace, int, Any], Any]
"""(problem, trace, l, d_z) ↦ d_W (O, I)."""
Downward = Callable[[ref.Problem, ref.Trace, int, Any], Any]
"""(problem, trace, l, d_z) ↦ d_h of the layer below, (N, I)."""


@dataclass(frozen=True)
class Rules:
    """The steps of a backward pass, each of which a mistake may replace.

    Attributes:
        d_output: (problem, output) ↦ d_output (N, K).
        slope: back through an activation.
        weight: a weight's gradient.
        bias: (problem, l, d_z) ↦ d_b (O,).
        downward: back through a weight.
        loss: (problem, output) ↦ the loss.
    """

    d_output: Callable[[ref.Problem, Any], Any] = ref.loss_gradient
    slope: Slope = field(
        default=lambda problem, trace, l, d_h: problem.mlp.layers[l].activation.pullback(trace.preactivations[l], d_h)
    )
    weight: Weight = field(default=lambda problem, trace, l, d_z: d_z.T @ trace.inputs[l])
    bias: Callable[[ref.Problem, int, Any], Any] = field(default=lambda problem, l, d_z: d_z.sum(axis=0))
    downward: Downward = field(default=lambda problem, trace, l, d_z: d_z @ problem.mlp.layers[l].weight)
    loss: Callable[[ref.Problem, Any], Any] = ref.loss_value


RIGHT = Rules()


def at_step(name: str, wrong: Callable[..., Any], layer: int) -> Callable[[Rules], Rules]:
    """rules ↦ rules in which one step is wrong in one layer.

    Args:
        name: of the step, a field of `Rules` that is called with a layer's index.
        wrong: what is done there instead, with the arguments of the step.
        layer: the index of the layer.

    >>> import numpy as np
    >>> mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((4, 2)), np.zeros((4, 1)), "mse")
    >>> detached = at_step("downward", lambda problem, trace, l, d_z: 0 * trace.inputs[l], layer=1)(RIGHT)
    >>> bool(np.any(backward_with(detached, problem).layers[0].weight))
    False
    """

    def change(rules: Rules) -> Rules:
        right = getattr(rules, name)

        def step(*arguments: Any) -> Any:
            index = next(a for a in arguments if isinstance(a, int))
            return (wrong if index == layer else right)(*arguments)

        return replace(rules, **{name: step})

    return change


def backward_with(rules: Rules, problem: ref.Problem, trace: ref.Trace | None = None) -> ref.Gradients:
    """The gradients that a backward pass with these rules makes, in whichever arithmetic the problem is.

    >>> import numpy as np
    >>> mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((4, 2)), np.zeros((4, 1)), "mse")
    >>> right = ref.gradients(problem).layers[0].weight
    >>> bool(np.all(backward_with(RIGHT, problem).layers[0].weight == right))
    True
    """
    if trace is None:
        # a step between the last activation and the loss may only be replaced where the two are apart
        untouched = rules.d_output is RIGHT.d_output and rules.slope is RIGHT.slope
        problem = problem.as_one() if untouched else problem
        trace = ref.forward(problem.mlp, problem.x)
    d_h = rules.d_output(problem, trace.output)
    found: list[ref.LayerGradients] = []
    for index in reversed(range(len(problem.mlp.layers))):
        d_z = rules.slope(problem, trace, index, d_h)
        bias = None if problem.mlp.layers[index].bias is None else rules.bias(problem, index, d_z)
        found.append(ref.LayerGradients(rules.weight(problem, trace, index, d_z), bias))
        d_h = rules.downward(problem, trace, index, d_z)
    return ref.Gradients(tuple(reversed(found)), d_h, rules.loss(problem, trace.output))


def remembered(problem: ref.Problem, trace: ref.Trace) -> Rules:
    """The right rules, which hand out again what the right pass through this trace has made.

    A pass with one mistake in it is the right one down to the mistake. What a step is given tells by its identity
    whether the pass is still the right one.

    >>> mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=0)
    >>> import numpy as np
    >>> problem = ref.Problem(mlp, np.ones((4, 2)), np.zeros((4, 1)), "mse")
    >>> trace = ref.forward(mlp, problem.x)
    >>> once, again = (backward_with(rules, problem, trace) for rules in [remembered(problem, trace)] * 2)
    >>> once.layers[0].weight is again.layers[0].weight
    True
    """
    made: dict[tuple[str, int], tuple[Any, Any]] = {}
    slopes: dict[int, Any] = {}
    d_output, loss = ref.loss_gradient(problem, trace.output), ref.loss_value(problem, trace.output)

    def slope(problem: ref.Problem, trace: ref.Trace, l: int, d_h: Any) -> Any:
        activation, z = problem.mlp.layers[l].activation, trace.preactivations[l]
        if activation.derivative is None:
            return activation.pullback(z, d_h)
        if l not in slopes:
            slopes[l] = activation.derivative(z)
        return d_h * slopes[l]

    def once(name: str, right: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            layer, given = arguments[-2:]
            if (name, layer) not in made:  # the first pass is the right one
                made[name, layer] = given, _fixed(right(*arguments))
            known, result = made[name, layer]
            return result if given is known else right(*arguments)

        return step

    rules = Rules(
        lambda problem, output: d_output,
        once("slope", slope),
        once("weight", RIGHT.weight),
        once("bias", RIGHT.bias),
        once("downward", RIGHT.downward),
        lambda problem, output: loss,
    )
    backward_with(rules, problem, trace)
    return rules


def _fixed(array: Any) -> Any:
    """The array, which nobody may change any more."""
    array.flags.writeable = False
    return array
