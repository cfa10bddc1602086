"""Named mistakes, planted in a backward pass to show that the check catches each of them.

Every fault is a way to compute gradients that is right but for one thing. A check that let one pass would
prove nothing about the gradients that it accepts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference as ref

from .rules import RIGHT, backward_with


@dataclass(frozen=True)
class Fault:
    """One planted mistake.

    Attributes:
        name: what is wrong, in a few words.
        make: the wrong gradients of a problem.
        activation: what the layers of the problem that it is planted in compute.
        loss: the loss of that problem.
    """

    name: str
    make: Callable[[ref.Problem], ref.Gradients]
    activation: str = "tanh"
    loss: str = "half_squared_error"


MIDDLE = 1
"""Faults of a single layer sit in this one of the three: it has layers above and below it."""


def _in_middle(wrong: Callable[..., Any], right: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that is wrong in the middle layer only. Rules take the layer's index as an int."""

    def rule(*args: Any) -> Any:
        index = next(a for a in args if isinstance(a, int))
        return wrong(*args) if index == MIDDLE else right(*args)

    return rule


def _rules(**changes: Any) -> Callable[[ref.Problem], ref.Gradients]:
    return lambda problem: backward_with(replace(RIGHT, **changes), problem)


def _slope(wrong: Callable[[ref.Problem, ref.Trace, int, Any], Any]) -> Callable[[ref.Problem], ref.Gradients]:
    return _rules(slope=_in_middle(wrong, RIGHT.slope))


def _derivative(problem: ref.Problem, index: int, z: Any) -> Any:
    derivative = problem.mlp.layers[index].activation.derivative
    assert derivative is not None
    return derivative(z)


def _gradients_times(factor: float) -> Callable[[ref.Problem], ref.Gradients]:
    return lambda problem: ref.gradients(problem).map(lambda leaf: factor * leaf)


def _other_network(activation: str) -> Callable[[ref.Problem], ref.Gradients]:
    def make(problem: ref.Problem) -> ref.Gradients:
        layers = tuple(
            ref.Layer(layer.weight, layer.bias, activation if layer.activation.name != "identity" else "identity")
            for layer in problem.mlp.layers
        )
        return ref.gradients(problem.replace(mlp=ref.MLP(layers)))

    return make


def _in_float32(problem: ref.Problem) -> ref.Gradients:
    single = problem.map(lambda values: values.astype(np.float32)).replace(target=problem.target.astype(np.float32))
    return ref.gradients(single).map(lambda leaf: leaf.astype(float))


def _stale_batch(problem: ref.Problem) -> ref.Gradients:
    return ref.gradients(problem.replace(x=np.roll(problem.x, 1, axis=0)))


def _updated_weights(problem: ref.Problem, trace: ref.Trace, index: int, d_z: Any) -> Any:
    """Backward through a weight that the optimiser has already changed."""
    weight = problem.mlp.layers[index].weight
    return d_z @ (weight - 0.01 * np.sign(weight))


def _softmax_twice(problem: ref.Problem, output: Any) -> Any:
    softmax = ref.ACTIVATIONS["softmax"].value
    return ref.loss_gradient(problem, softmax(output))


_WRONG_WEIGHT = _in_middle(lambda p, t, l, d_z: t.inputs[l].T @ d_z, RIGHT.weight)
_STALE_INPUT = _in_middle(lambda p, t, l, d_z: d_z.T @ t.inputs[l + 1], RIGHT.weight)
_NOT_TRANSPOSED = _in_middle(lambda p, t, l, d_z: d_z @ p.mlp.layers[l].weight.T, RIGHT.downward)
_DETACHED = _in_middle(lambda p, t, l, d_z: 0 * d_z @ p.mlp.layers[l].weight, RIGHT.downward)


def _off_by(error: float) -> Callable[[ref.Problem], ref.Gradients]:
    return _slope(lambda p, t, l, d_h: RIGHT.slope(p, t, l, d_h) * (1 + error))


FAULTS: tuple[Fault, ...] = (
    Fault("weight gradient transposed", _rules(weight=_WRONG_WEIGHT)),
    Fault("weight not transposed on the way back", _rules(downward=_NOT_TRANSPOSED)),
    Fault(
        "derivative at the output, not the pre-activation",
        _slope(lambda p, t, l, d_h: d_h * _derivative(p, l, t.inputs[l + 1])),
    ),
    Fault("derivative left out", _slope(lambda p, t, l, d_h: d_h)),
    Fault(
        "derivative of the layer below (stale)",
        _slope(lambda p, t, l, d_h: d_h * _derivative(p, l, t.preactivations[l - 1])),
    ),
    Fault("input of the layer above (stale)", _rules(weight=_STALE_INPUT)),
    Fault("sum where the loss takes the mean", lambda p: ref.gradients(p.replace(reduction="sum"))),
    Fault("mean over elements, not examples", _rules(d_output=lambda p, y: ref.loss_gradient(p, y) / y.shape[1])),
    Fault("bias gradient not summed (last example)", _rules(bias=lambda p, l, d_z: d_z[-1])),
    Fault("bias gradient averaged", _rules(bias=lambda p, l, d_z: d_z.mean(axis=0))),
    Fault("sign", _gradients_times(-1.0)),
    Fault("factor 2", _gradients_times(2.0)),
    Fault("factor 1/2", _gradients_times(0.5)),
    Fault("layers below detached", _rules(downward=_DETACHED)),
    Fault("weight already updated", _rules(downward=_in_middle(_updated_weights, RIGHT.downward))),
    Fault("another batch", _stale_batch),
    Fault("computed in float32", _in_float32),
    Fault("relative error 1e-6 in one derivative", _off_by(1e-6)),
    Fault("relative error 1e-12 in one derivative", _off_by(1e-12)),
    Fault(
        "ReLU mask from the wrong side",
        _slope(lambda p, t, l, d_h: d_h * (t.preactivations[l] < 0)),
        activation="relu",
    ),
    Fault("ReLU mask left out", _slope(lambda p, t, l, d_h: d_h), activation="relu"),
    Fault("tanh formula for GELU", _other_network("gelu_tanh"), activation="gelu"),
    Fault("leaky slope taken as 0", _other_network("relu"), activation="leaky_relu"),
    Fault(
        "softmax Jacobian taken as diagonal",
        _slope(lambda p, t, l, d_h: d_h * t.inputs[l + 1] * (1 - t.inputs[l + 1])),
        activation="softmax",
    ),
    Fault("softmax applied twice", _rules(d_output=_softmax_twice), loss="cross_entropy"),
    Fault("target not subtracted", _rules(d_output=lambda p, y: y / y.shape[0])),
)
"""Every fault; `verify` plants them all before it trusts its own verdicts."""


def bank_problem(activation: str, loss: str, seed: int = 0) -> ref.Problem:
    """The 8-16-16-16 network that faults are planted in: square where a missing transpose must fit."""
    mlp = ref.initialize([8, 16, 16, 16], [activation, activation, "identity"], seed=seed)
    rng = np.random.default_rng(seed + 1)
    layers = tuple(ref.Layer(layer.weight, 0.1 * rng.normal(size=16), layer.activation) for layer in mlp.layers)
    target = rng.integers(0, 16, 8) if loss == "cross_entropy" else rng.normal(size=(8, 16))
    return ref.Problem(ref.MLP(layers), rng.normal(size=(8, 8)), target, loss)
