"""Where torch's gradient is not the derivative of the function that torch documents, and rounding is no excuse.

A published list, found by sweeping every activation and loss of the tables over float64 and float32: tails,
kinks, signed zeros, subnormals. What is not on it: a rounding error u of the customary formula, however
many digits that costs (y(1 − y) in a saturated sigmoid, say), and what is lost where σ(z) or e^z falls below
the type's smallest normal number; the textbook scale covers those. Each row says in which problems torch
deviates, and if it can, what torch computes there instead, so that torch is held against its own formula
and a deviation hides no further mistake.

z is a layer's pre-activation, y the network's output, t the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.dispatch import indicator, magnitude, parameter
from reference.network import passes
from reference.network.graph import NetworkTrace, inputs_of
from reference.network.passes import AnyTrace
from reference.network.unchecked import changed
from reference.operations.of_loss import of_loss

from .deviation_row import AT_LEAST, Deviation
from .operation_deviations import OPERATION_DEVIATIONS

Array = Any


def deviation(problem: ref.Problem) -> Deviation | None:
    """The first row of the lists whose region the problem reaches, or None.

    >>> mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, "identity"),))
    >>> problem = ref.Problem(mlp, np.array([[-800.0]]), np.array([[1.0]]), loss="soft_margin")
    >>> deviation(problem).name, deviation(problem.replace(x=np.array([[-700.0]])))
    ('soft_margin_overflow', None)
    """
    return next(iter(deviations(problem)), None)


def deviations(problem: ref.Problem) -> tuple[Deviation, ...]:
    """Every row of `DEVIATIONS` and `OPERATION_DEVIATIONS` whose region the problem reaches, in the lists' order."""
    with np.errstate(all="ignore"):
        trace = passes.forward(problem.network, problem.x)
        return tuple(row for row in (*DEVIATIONS, *OPERATION_DEVIATIONS) if row.applies(problem, trace))


# ── regions ──────────────────────────────────────────────────────────────────────────────────────────


def _preactivations(problem: ref.Problem, trace: AnyTrace, *names: str) -> Iterator[tuple[ref.Activation, Array]]:
    """The row and z of every layer, or step of a network, whose activation has one of the names."""
    if isinstance(trace, NetworkTrace):
        for step in network_of(problem).steps:
            if step.operation.name in names and step.operation.activation is not None:
                yield step.operation.activation, inputs_of(step, trace.values)[0]
        return
    for layer, z in zip(problem.mlp.layers, trace.preactivations, strict=True):
        if layer.activation.name in names:
            yield layer.activation, z


def network_of(problem: ref.Problem) -> ref.Network:
    """The problem's network of operations."""
    assert isinstance(problem.network, ref.Network)
    return problem.network


def _losses(problem: ref.Problem, trace: AnyTrace, name: str) -> Iterator[tuple[Array, Array]]:
    """Output and target of the problem's loss, and of every step that is a loss, of that name."""
    if problem.loss.name == name:
        yield trace.output, problem.target
    if isinstance(trace, NetworkTrace):
        for step in network_of(problem).steps:
            if step.operation.name == name:
                y, target = inputs_of(step, trace.values)
                yield y, target


def _bce_region(problem: ref.Problem, trace: AnyTrace) -> bool:
    return any(np.any((1 - y) * y < BCE_EPSILON) for y, _ in _losses(problem, trace, "bce"))


def _soft_margin_region(problem: ref.Problem, trace: AnyTrace) -> bool:
    return any(np.any(np.isinf(np.exp(np.asarray(-t * y, y.dtype)))) for y, t in _losses(problem, trace, "soft_margin"))


def _softplus_region(problem: ref.Problem, trace: AnyTrace) -> bool:
    """Whether d_h·e^(βz) or e^(βz) overflows below the threshold, d_h the gradient that comes from behind."""
    found = list(_preactivations(problem, trace, "softplus"))
    if isinstance(trace, NetworkTrace):
        return any(_overflows_below_threshold(row, z, 1.0) for row, z in found)
    if not found:
        return False
    d_h = ref.loss_gradient(problem, trace.output)
    for layer, z in zip(reversed(problem.mlp.layers), reversed(trace.preactivations), strict=True):
        row = layer.activation
        if row.name == "softplus" and _overflows_below_threshold(row, z, np.maximum(magnitude(d_h), 1)):
            return True
        d_h = row.pullback(z, d_h) @ layer.weight
    return False


def _overflows_below_threshold(row: ref.Activation, z: Array, factor: Array) -> bool:
    scaled = z * row.parameters["beta"]
    return bool(np.any(np.isinf(np.exp(scaled) * factor) & (scaled <= row.parameters["threshold"])))


def _gelu_tanh_region(problem: ref.Problem, trace: AnyTrace) -> bool:
    return any(np.any(np.isinf(z * z)) for _, z in _preactivations(problem, trace, "gelu_tanh"))


def _hardswish_region(problem: ref.Problem, trace: AnyTrace) -> bool:
    return any(np.any(np.isinf(z * 6) & (z > 0)) for _, z in _preactivations(problem, trace, "hardswish"))


def _hardsigmoid_region(problem: ref.Problem, trace: AnyTrace) -> bool:
    inside = any(np.any(np.abs(z) < 3) for _, z in _preactivations(problem, trace, "hardsigmoid"))
    return problem.dtype == np.float64 and inside


def _celu_region(problem: ref.Problem, trace: AnyTrace) -> bool:
    return problem.dtype == np.float64 and any(
        np.any(z <= 0) and _in_float32(row.parameters["alpha"]) != row.parameters["alpha"]
        for row, z in _preactivations(problem, trace, "celu")
    )


# ── torch's own formulas ─────────────────────────────────────────────────────────────────────────────


def _in_float32(value: float) -> float:
    return float(np.float32(value))


BCE_EPSILON = _in_float32(1e-12)
"""torch's EPSILON, a constant of C++ type float in every number type."""
FLOAT32_SIXTH = _in_float32(1 / 6)


def _with_activation(
    problem: ref.Problem, name: str, change: Callable[[ref.Activation], ref.Activation]
) -> ref.Problem:
    if isinstance(problem.network, ref.Network):
        steps = tuple(
            changed(step, operation=_with_slope(step.operation, change(step.operation.activation)))
            if step.operation.name == name and step.operation.activation is not None
            else step
            for step in problem.network.steps
        )
        return problem.replace(network=changed(problem.network, steps=steps))
    layers = (
        ref.Layer(
            layer.weight, layer.bias, change(layer.activation) if layer.activation.name == name else layer.activation
        )
        for layer in problem.mlp.layers
    )
    return problem.replace(network=ref.MLP(tuple(layers)))


def _with_slope(operation: ref.Operation, row: ref.Activation) -> ref.Operation:
    """The operation of an activation, which is not applied row by row, with the derivative of another row."""
    return changed(operation, pullback=lambda inputs, y, d_y: (row.pullback(inputs[0], d_y),), activation=row)


def _bce_as_torch(problem: ref.Problem) -> ref.Problem:
    """The problem with torch's ε in its loss, and in every step that is one."""
    if isinstance(problem.network, ref.Network):
        steps = tuple(
            changed(step, operation=_bce_step_with_epsilon(step.operation)) if step.operation.name == "bce" else step
            for step in problem.network.steps
        )
        problem = problem.replace(network=changed(problem.network, steps=steps))
    return problem.replace(loss=_bce_with_epsilon(problem.loss)) if problem.loss.name == "bce" else problem


def _bce_with_epsilon(loss: ref.Loss) -> ref.Loss:
    weight = loss.parameters["weight"]

    def gradient(y: Array, t: Array) -> Array:
        scale = 1 if weight is None else parameter(weight, y)
        return scale * ((y - t) / np.maximum((1 - y) * y, BCE_EPSILON))

    return changed(loss, gradient=gradient)


def _bce_step_with_epsilon(row: ref.Operation) -> ref.Operation:
    loss = _bce_with_epsilon(ref.losses.bce(row.parameters["weight"]))
    return changed(row, pullback=of_loss(loss, row.parameters["reduction"]).pullback)


def _hardsigmoid_as_torch(problem: ref.Problem) -> ref.Problem:
    def derivative(z: Array) -> Array:
        return indicator(magnitude(z) < 3, z) * FLOAT32_SIXTH

    return _with_activation(problem, "hardsigmoid", lambda row: changed(row, derivative=derivative))


def _celu_as_torch(problem: ref.Problem) -> ref.Problem:
    def change(row: ref.Activation) -> ref.Activation:
        alpha = row.parameters["alpha"]
        inverse = 1 / _in_float32(alpha)

        def derivative(z: Array) -> Array:
            return np.where(z > 0, 1 + 0 * z, alpha * inverse * np.exp(np.minimum(z, 0) * inverse))

        return changed(row, derivative=derivative)

    return _with_activation(problem, "celu", change)


# ── the list ─────────────────────────────────────────────────────────────────────────────────────────

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "soft_margin_overflow",
        "soft_margin where e^(−t·y) overflows: t·y < −709.78 in float64, < −88.72 in float32",
        "z/(1 + z) with z = e^(−t·y) is inf/inf; the forward pass gives inf",
        "NaN, where the derivative is −t",
        AT_LEAST,
        "aten/src/ATen/native/Loss.cpp, soft_margin_loss_backward_out",
        _soft_margin_region,
    ),
    Deviation(
        "softplus_overflow",
        "softplus where e^(βz), or it times the gradient from behind, overflows while βz ≤ threshold: with thresholds "
        "above about 709 in float64, 88 in float32",
        "d_h·z/(z + 1) with z = e^(βz) is inf/inf or inf; the forward pass gives inf where e^(βz) overflows",
        "NaN or infinity, where the derivative is 1",
        "2.9.1 or earlier",
        "pytorch#171249; aten/src/ATen/native/cpu/Activation.cpp, softplus_backward_kernel",
        _softplus_region,
    ),
    Deviation(
        "gelu_tanh_overflow",
        'gelu(approximate="tanh") where z² overflows: |z| > 1.34e154 in float64, > 1.84e19 in float32',
        "1 − tanh² = 0 is multiplied by an infinite inner derivative",
        "NaN, where the derivative is 0 or 1",
        AT_LEAST,
        "aten/src/ATen/native/cpu/Activation.cpp, GeluBackwardKernelImpl",
        _gelu_tanh_region,
    ),
    Deviation(
        "hardswish_overflow",
        "hardswish where 6z overflows: z > 3.0e307 in float64, > 5.7e37 in float32",
        "the forward pass multiplies by min(max(z + 3, 0), 6) before it divides by 6",
        "an infinite value, where it is z; the layers and the loss behind it get inf or NaN",
        AT_LEAST,
        "aten/src/ATen/native/cpu/Activation.cpp, hardswish_kernel",
        _hardswish_region,
    ),
    Deviation(
        "bce_epsilon",
        "bce where y(1 − y) < 1e−12: y within 1e−12 of 0 or 1, or equal to them",
        "(y − t)/max(y(1 − y), ε), ε = 1e−12 as a float32: ε is not part of the forward pass, and the limit −100 "
        "of its logarithms not part of the backward pass",
        "any: at y = t = 0 torch has 0 and the derivative is 1; at y = 0, t = 1 it is −1e12 against 0. Behind a "
        "sigmoid at z = 40, t = 0, where y rounds to 1, torch has 0 and a loss of 100; the derivative is 1, "
        "the loss 40",
        "1.12.1 or earlier",
        "pytorch#103316; aten/src/ATen/native/Loss.cpp, binary_cross_entropy_backward_out_cpu",
        _bce_region,
        _bce_as_torch,
    ),
    Deviation(
        "hardsigmoid_float32_sixth",
        "hardsigmoid in float64, |z| < 3",
        "the slope is 1.0f/6.0f, a constant of C++ type float",
        "relative error 3.0e−8",
        AT_LEAST,
        "aten/src/ATen/native/cpu/Activation.cpp, hardsigmoid_backward_kernel",
        _hardsigmoid_region,
        _hardsigmoid_as_torch,
    ),
    Deviation(
        "celu_float32_alpha",
        "celu in float64, z ≤ 0, alpha not a float32 number (0.1 or 0.3, not 2 or 0.5)",
        "the backward pass divides by alpha.toFloat()",
        "relative error up to 6.0e−8·(1 + |z/alpha|); the slope at 0 is not 1",
        AT_LEAST,
        "tools/autograd/derivatives.yaml, celu",
        _celu_region,
        _celu_as_torch,
    ),
)
"""Those that leave no finite number behind stand first: where two apply, torch's result is theirs."""
