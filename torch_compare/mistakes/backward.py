"""Mistakes in the steps of the backward pass through one layer: its slope, its products, its sum.

N examples, I a layer's fan-in, O its fan-out; l is a layer's index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import place_of

from .derivatives import wrong_derivatives
from .mistake import Mistake, told_from
from .other_activation import KINKED, activation_kind, parameters_left_out, same_row
from .rules import Rules, at_step


def _derivative(problem: ref.Problem, l: int, z: Any) -> Any:
    row = problem.mlp.layers[l].activation
    assert row.derivative is not None
    return row.derivative(z)


def _output(trace: ref.Trace, l: int) -> Any:
    """h, the output of layer l."""
    return trace.inputs[l + 1] if l + 1 < len(trace.inputs) else trace.output


# ── through the activation ───────────────────────────────────────────────────────────────────────────


def slope_mistakes(problem: ref.Problem, layer: int) -> Iterator[Mistake]:
    """Mistakes on the way back through the activation of one layer."""
    layers = problem.mlp.layers
    row = layers[layer].activation

    def mistake(name: str, what: str, wrong: Callable[..., Any]) -> Mistake:
        return Mistake(name, place_of(layer), what, rules=at_step("slope", wrong, layer))

    if row.name == "identity":
        return
    for wrong in wrong_derivatives(row):
        pull = wrong.pullback
        own = mistake(wrong.name, wrong.what, lambda p, t, l, d, pull=pull: pull(t.preactivations[l], _output(t, l), d))
        yield replace(own, particular=True)
    if row.shrink == 1:
        yield mistake("activation derivative missing", "the activation's derivative is missing", lambda p, t, l, d: d)
    if row.name in ("softmax", "softmin", "log_softmax"):
        yield mistake(
            "softmax Jacobian diagonal",
            f"the Jacobian of {row.name} is taken as diagonal",
            lambda p, t, l, d: d * diagonal(row, t.preactivations[l], _output(t, l)),
        )
    if row.rowwise:
        return
    yield mistake(
        "derivative at the output",
        "the activation's derivative is taken at its output, not at the pre-activation",
        lambda p, t, l, d: d * _derivative(p, l, _output(t, l)),
    )
    yield mistake(
        "derivative applied twice",
        "the activation's derivative is applied twice",
        lambda p, t, l, d: d * _derivative(p, l, t.preactivations[l]) * _derivative(p, l, t.preactivations[l]),
    )
    yield mistake(
        "value for derivative",
        "the activation's value stands where its derivative belongs",
        lambda p, t, l, d: d * p.mlp.layers[l].activation.value(t.preactivations[l]),
    )
    if row.kinks:
        yield from _mask_mistakes(row, mistake)
    for other in range(len(layers)):
        if other != layer and layers[other].weight.shape[0] == layers[layer].weight.shape[0]:
            yield mistake(
                "derivative of the wrong layer",
                _neighbour("the activation's derivative is taken at the pre-activation of", layer, other),
                lambda p, t, l, d, other=other: d * _derivative(p, l, t.preactivations[other]),
            )


def _neighbour(text: str, layer: int, other: int) -> str:
    """A layer beside this one is named by where it lies, so that the mistake reads the same in every layer."""
    beside = {1: "the layer above", -1: "the layer below"}.get(other - layer, place_of(other))
    return f"{text} {beside}"


def _mask_mistakes(row: ref.Activation, mistake: Callable[..., Mistake]) -> Iterator[Mistake]:
    low = row.derivative(np.array([-1.0]))[0] if row.name in KINKED and row.derivative else 0.0
    yield mistake(
        "mask from the wrong side",
        "the mask is from the wrong side: 1 where the pre-activation is negative",
        lambda p, t, l, d: d * np.where(t.preactivations[l] < 0, 1.0, low),
    )
    yield mistake(
        "mask from the gradient",
        "the mask is made from the sign of the incoming gradient, not of the pre-activation",
        lambda p, t, l, d: d * (d > 0),
    )


def diagonal(row: ref.Activation, z: Any, y: Any) -> Any:
    """The diagonal of the Jacobian: y(1 − y), −y(1 − y) or 1 − y."""
    if row.name == "log_softmax":
        return 1 - np.exp(y)
    return (y - y * y) * (-1 if row.name == "softmin" else 1)


def other_slopes(problem: ref.Problem, layer: int) -> Iterator[Mistake]:
    """The derivative of another activation in the backward pass alone."""
    row = problem.mlp.layers[layer].activation
    if row.rowwise or row.name == "identity":
        return
    for other in ref.ACTIVATIONS.values():
        if other.rowwise or other.name == "identity" or same_row(other, row):
            continue
        kind = activation_kind(row, other)
        left = parameters_left_out(row, other)
        yield Mistake(
            kind,
            place_of(layer),
            f"the backward pass takes the derivative of {row.name} without its {left}"
            if left
            else f"the backward pass takes the derivative of {other.name} for that of {row.name}",
            rules=at_step("slope", lambda p, t, l, d, other=other: d * other.derivative(t.preactivations[l]), layer),
            vague=kind == "another activation",
        )


def early_mistake(problem: ref.Problem, layer: int) -> Mistake | None:
    """Parameter gradients made from d_h: the activation's derivative comes in on the way down only."""
    row = problem.mlp.layers[layer].activation
    if row.name == "identity" or row.shrink > 1:
        return None

    def change(rules: Rules) -> Rules:
        slope, downward = rules.slope, rules.downward

        def late(p: ref.Problem, t: ref.Trace, l: int, d: Any) -> Any:
            return downward(p, t, l, slope(p, t, l, d) if l == layer else d)

        return replace(at_step("slope", lambda p, t, l, d: d, layer)(rules), downward=late)

    what = "weight and bias gradients are made from the gradient of the output, not of the pre-activation"
    return Mistake("gradient before the derivative", place_of(layer), what, rules=change)


# ── products and sums ────────────────────────────────────────────────────────────────────────────────


def weight_mistakes(problem: ref.Problem, layer: int) -> Iterator[Mistake]:
    """Mistakes in the product that a weight's gradient is."""
    layers = problem.mlp.layers
    o, i = layers[layer].weight.shape

    def mistake(name: str, what: str, wrong: Callable[..., Any]) -> Mistake:
        return Mistake(name, place_of(layer, "weight"), what, rules=at_step("weight", wrong, layer))

    if min(o, i) > 1:
        yield mistake(
            "weight gradient transposed",
            "the gradient is transposed" if o == i else "the gradient is transposed: (fan_in, fan_out) in memory",
            lambda p, t, l, d: (t.inputs[l].T @ d).reshape(o, i),
        )
    for other in range(len(layers)):
        if other != layer and layers[other].fan_in == i:
            yield mistake(
                "input of the wrong layer",
                _neighbour("it is made with the input of", layer, other),
                lambda p, t, l, d, other=other: d.T @ t.inputs[other],
            )
    if layer + 1 == len(layers) and layers[layer].width == i:
        yield mistake(
            "input of the wrong layer",
            "it is made with the layer's output, not with its input",
            lambda p, t, l, d: d.T @ t.output,
        )
    if layer and layers[layer - 1].activation.name != "identity" and layers[layer - 1].activation.shrink == 1:
        yield mistake(
            "pre-activation for activation",
            "it is made with the pre-activation of the layer below, not with its output",
            lambda p, t, l, d: d.T @ t.preactivations[l - 1],
        )


def bias_mistakes(problem: ref.Problem, layer: int) -> Iterator[Mistake]:
    """Mistakes in the sum over the batch that a bias's gradient is."""
    n, o = problem.x.shape[0], problem.mlp.layers[layer].weight.shape[0]
    if problem.mlp.layers[layer].bias is None:
        return

    def mistake(name: str, what: str, wrong: Callable[..., Any]) -> Mistake:
        return Mistake(name, place_of(layer, "bias"), what, rules=at_step("bias", wrong, layer))

    if n > 1:
        for which, example in (("first", 0), ("last", -1)):
            what = f"only the {which} example's, where the gradient is the sum over the batch"
            yield mistake("bias gradient not summed", what, lambda p, l, d, example=example: d[example])
        what = "the mean over the batch, where the gradient is the sum"
        yield mistake("bias gradient averaged", what, lambda p, l, d: d.sum(axis=0) / d.shape[0])
    if o > 1:
        what = "one sum over examples and outputs stands for the bias of every output"
        yield mistake("one bias gradient for all", what, lambda p, l, d: d.sum(axis=0) * 0 + d.sum())
    if o == n > 1:
        what = "the sum is over the outputs, not over the examples"
        yield mistake("bias summed over the outputs", what, lambda p, l, d: d.sum(axis=1))


def downward_mistakes(problem: ref.Problem, layer: int) -> Iterator[Mistake]:
    """Mistakes on the way back through a weight."""
    o, i = problem.mlp.layers[layer].weight.shape
    if min(o, i) > 1:
        yield Mistake(
            "weight not transposed",
            place_of(layer),
            "on the way back the gradient is multiplied by the weight in the wrong orientation",
            rules=at_step("downward", lambda p, t, l, d: d @ p.mlp.layers[l].weight.reshape(i, o).T, layer),
        )
    yield Mistake(
        "layers below detached",
        place_of(layer),
        "nothing is passed on to the layers below: their gradients are 0",
        rules=at_step("downward", lambda p, t, l, d: 0 * (d @ p.mlp.layers[l].weight), layer),
    )


UPDATES: dict[str, Callable[[Any], Any]] = {
    "the gradient": lambda step: step,
    "the gradient's sign": np.sign,
    "Adam's first step": lambda step: step / (np.abs(step) + 1e-8),
}
"""Directions in which an optimiser moves a weight, by their names. Adam's first step: m̂/(√v̂ + ε) = g/(|g| + ε), with
the ε of Kingma & Ba 2015, algorithm 1."""


def update_mistake(layer: int, rate: float, along: str, uncertainty: float = 0.0) -> Mistake:
    """Backward through a weight that the optimiser has changed already."""

    def downward(p: ref.Problem, t: ref.Trace, l: int, d: Any) -> Any:
        return d @ (p.mlp.layers[l].weight - rate * UPDATES[along](d.T @ t.inputs[l]))

    return Mistake(
        "weights already updated",
        place_of(layer),
        f"the backward pass goes through a weight that is updated already, by {-rate:+.6g} × {along}",
        rules=at_step("downward", downward, layer),
        form=along,
        constant=rate,
        uncertainty=uncertainty,
    )


def leaky_mistake(layer: int, slope: float, uncertainty: float = 0.0, right: float = 0.0) -> Mistake:
    """Another slope below 0, in the backward pass alone, than the right one."""
    return Mistake(
        "leaky slope",
        place_of(layer),
        f"the backward pass takes the slope {told_from(slope, right, uncertainty)} below 0",
        rules=at_step("slope", lambda p, t, l, d: d * np.where(t.preactivations[l] > 0, 1.0, slope), layer),
        form="leaky",
        constant=slope,
        uncertainty=uncertainty,
    )


def flow_factor(layer: int, depth: int, like: Mistake) -> Mistake:
    """A factor that everything has from this layer down."""
    c = like.constant

    def change(rules: Rules) -> Rules:
        def slope(p: ref.Problem, t: ref.Trace, l: int, d: Any) -> Any:
            return rules.slope(p, t, l, d) * c if l == layer else rules.slope(p, t, l, d)

        return replace(rules, slope=slope)

    where = "every gradient" if layer == depth - 1 else f"every gradient from {place_of(layer)} down"
    return Mistake(
        like.name, where, like.what, rules=change, vague=like.vague, form="factor", constant=c,
        uncertainty=like.uncertainty, also=like.also,
    )  # fmt: skip
