"""Mistakes in the steps of the backward pass: slopes, products, sums, and weights that have moved on.

N examples, I a layer's fan-in, O its fan-out; l is a layer's index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import reference as ref

from .mistakes import Mistake, leaves_with
from .passes import Rules


def _step(name: str, wrong: Callable[..., Any], layer: int | None) -> Callable[[Rules], Rules]:
    """Rules whose step of that name is wrong in one layer, or in all if none is named."""

    def change(rules: Rules) -> Rules:
        right = getattr(rules, name)

        def step(*arguments: Any) -> Any:
            index = next(a for a in arguments if isinstance(a, int))
            return (wrong if layer is None or index == layer else right)(*arguments)

        return replace(rules, **{name: step})

    return change


def _derivative(problem: ref.Problem, l: int, z: Any) -> Any:
    row = problem.mlp.layers[l].activation
    assert row.derivative is not None
    return row.derivative(z)


def _output(trace: ref.Trace, l: int) -> Any:
    """h, the output of layer l."""
    return trace.inputs[l + 1] if l + 1 < len(trace.inputs) else trace.output


def _where(layer: int | None) -> str:
    return "every layer" if layer is None else f"layers[{layer}]"


def slope_mistakes(problem: ref.Problem, layer: int | None) -> Iterator[Mistake]:
    """Mistakes on the way back through the activation of one layer, or of all."""
    layers, at = problem.mlp.layers, _where(layer)
    rows = [layers[l].activation for l in (range(len(layers)) if layer is None else [layer])]

    def mistake(name: str, text: str, wrong: Callable[..., Any]) -> Mistake:
        return Mistake(name, f"{at}: {text}", rules=_step("slope", wrong, layer), layer=layer)

    if all(row.name == "identity" for row in rows):
        return
    rowwise = any(row.rowwise for row in rows)
    if not any(row.shrink > 1 for row in rows):
        yield mistake("activation derivative missing", "the activation's derivative is missing", lambda p, t, l, d: d)
    if layer is not None and rows[0].name in ("softmax", "softmin", "log_softmax"):
        yield mistake(
            "softmax Jacobian diagonal",
            f"the Jacobian of {rows[0].name} is taken as diagonal",
            lambda p, t, l, d: d * _diagonal(p.mlp.layers[l].activation, t.preactivations[l], _output(t, l)),
        )
    if rowwise:
        return
    yield mistake(
        "derivative at the output",
        "the derivative is taken at the activation's output, not at the pre-activation",
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
    if any(row.kinks for row in rows):
        yield mistake(
            "mask from the wrong side",
            "the mask is 1 where the pre-activation is negative and 0 where it is positive",
            lambda p, t, l, d: d * (t.preactivations[l] < 0),
        )
        yield mistake(
            "mask from the gradient",
            "the mask is made from the sign of the incoming gradient, not of the pre-activation",
            lambda p, t, l, d: d * (d > 0),
        )
    if layer is None:
        return
    for other in (layer - 1, layer + 1):
        if 0 <= other < len(layers) and layers[other].weight.shape[0] == layers[layer].weight.shape[0]:
            yield mistake(
                "derivative of the wrong layer",
                f"the derivative is taken at the pre-activation of layers[{other}]",
                lambda p, t, l, d, other=other: d * _derivative(p, l, t.preactivations[other]),
            )


def _diagonal(row: ref.Activation, z: Any, y: Any) -> Any:
    """The diagonal of the Jacobian: y(1 − y), −y(1 − y) or 1 − y."""
    if row.name == "log_softmax":
        return 1 - np.exp(y)
    return (y - y * y) * (-1 if row.name == "softmin" else 1)


def product_mistakes(problem: ref.Problem, layer: int) -> Iterator[Mistake]:
    """Mistakes in the products and the sum of one layer."""
    layers, at = problem.mlp.layers, f"layers[{layer}]"
    weight = layers[layer].weight
    o, i = weight.shape
    place = f"{at}.weight"

    def in_weight(name: str, text: str, wrong: Callable[..., Any]) -> Mistake:
        return Mistake(name, f"{place}: {text}", rules=_step("weight", wrong, layer), layer=layer, leaf=place)

    if min(o, i) > 1:
        yield in_weight(
            "weight gradient transposed",
            "the gradient is transposed" if o == i else "the gradient is transposed, (fan_in, fan_out) in memory",
            lambda p, t, l, d: (t.inputs[l].T @ d).reshape(o, i),
        )
        yield Mistake(
            "weight not transposed",
            f"{at}: on the way back the gradient is multiplied by the weight in the wrong orientation",
            rules=_step("downward", lambda p, t, l, d: d @ p.mlp.layers[l].weight.reshape(i, o).T, layer),
            layer=layer,
        )
    for other in range(len(layers)):
        if other != layer and layers[other].fan_in == i:
            yield in_weight(
                "input of the wrong layer",
                f"it is made with the input of layers[{other}]",
                lambda p, t, l, d, other=other: d.T @ t.inputs[other],
            )
    if layer and layers[layer - 1].activation.name != "identity" and layers[layer - 1].activation.shrink == 1:
        yield in_weight(
            "pre-activation for activation",
            f"it is made with the pre-activation of layers[{layer - 1}], not with its output",
            lambda p, t, l, d: d.T @ t.preactivations[l - 1],
        )
    if layer < len(layers) - 1 and layers[layer].activation.name != "identity" and layers[layer].activation.shrink == 1:
        yield Mistake(
            "gradient before the derivative",
            f"{at}: weight and bias gradients are made from the gradient of the output, not of the pre-activation",
            rules=lambda rules: _early(rules, layer),
            layer=layer,
        )
    if layer:
        yield Mistake(
            "layers below detached",
            f"{at}: nothing is passed on to the layers below it: their gradients are 0",
            rules=_step("downward", lambda p, t, l, d: 0 * (d @ p.mlp.layers[l].weight), layer),
            layer=layer,
        )
    if layers[layer].bias is not None:
        yield from bias_mistakes(problem, layer)


def _early(rules: Rules, layer: int) -> Rules:
    """Rules that make the parameter gradients of a layer from d_h: its slope leaves d_h as it is until it goes down."""
    slope, downward = rules.slope, rules.downward

    def late(p: ref.Problem, t: ref.Trace, l: int, d: Any) -> Any:
        return downward(p, t, l, slope(p, t, l, d) if l == layer else d)

    return replace(_step("slope", lambda p, t, l, d: d, layer)(rules), downward=late)


def bias_mistakes(problem: ref.Problem, layer: int | None) -> Iterator[Mistake]:
    """Mistakes in the sum over the batch that a bias's gradient is, in one layer or in all."""
    if problem.x.shape[0] == 1:
        return
    place = "every bias" if layer is None else f"layers[{layer}].bias"
    for name, text, wrong in (
        ("bias gradient not summed", "only the first example's", lambda p, l, d: d[0]),
        ("bias gradient not summed", "only the last example's", lambda p, l, d: d[-1]),
        ("bias gradient averaged", "the mean over the batch", lambda p, l, d: d.sum(axis=0) / d.shape[0]),
    ):
        yield Mistake(
            name,
            f"{place}: {text}, where the gradient is the sum over the batch",
            rules=_step("bias", wrong, layer),
            layer=layer,
            leaf=None if layer is None else place,
        )


def updated_weights(problem: ref.Problem, given: Mapping[str, Any], slack: Callable[[str], float]) -> list[Mistake]:
    """Backward through weights that the optimiser has changed already: W − η dW, or W − η sign(dW), η as it fits.

    One layer below the output the gradients are linear in η, which fits it by least squares.

    Args:
        problem: the problem, in float64.
        given: arrays by place.
        slack: place ↦ the relative distance by norm that counts as the same.
    """
    found = []
    index = len(problem.mlp.layers) - 2
    places = [p for p in (f"layers[{index}].weight", f"layers[{index}].bias", "input") if p in given]
    if index < 0 or not places:
        return []
    place = places[0]
    right = leaves_with((), problem)
    for shape in ("gradient", "sign of the gradient"):
        moved = leaves_with((_updated(1.0, shape),), problem)
        along = np.ravel(moved[place] - right[place])
        rest = np.ravel(np.asarray(given[place], dtype=float) - right[place])
        with np.errstate(all="ignore"):
            rate = float(rest @ along / (along @ along))
            left = float(np.linalg.norm(rest - rate * along) / np.linalg.norm(np.ravel(given[place])))
        if np.isfinite(rate) and rate != 0 and left <= slack(place):
            found.append(_updated(rate, shape))
    return found


def _updated(rate: float, shape: str) -> Mistake:
    def downward(p: ref.Problem, t: ref.Trace, l: int, d: Any) -> Any:
        step = d.T @ t.inputs[l]
        return d @ (p.mlp.layers[l].weight - rate * (step if shape == "gradient" else np.sign(step)))

    return Mistake(
        "weights already updated",
        f"the backward pass goes through weights that are updated already, by −{rate:.6g} × the {shape}",
        rules=_step("downward", downward, None),
    )
