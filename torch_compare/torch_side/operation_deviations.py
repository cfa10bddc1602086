"""Where torch's gradient of an operation is none, or not the derivative of what torch documents; see `deviations`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import reference as ref
from reference.network.graph import inputs_of
from reference.network.passes import AnyTrace, forward
from reference.network.unchecked import changed

from .deviation_row import AT_LEAST, Deviation


def _steps(problem: ref.Problem) -> tuple[ref.Step, ...]:
    """The steps of a network of operations; an MLP has none."""
    return problem.network.steps if isinstance(problem.network, ref.Network) else ()


def _bias_alone(problem: ref.Problem, trace: AnyTrace) -> bool:
    """Whether a group norm has a bias and no weight."""
    return any(
        step.operation.name == "group_norm"
        and [name is None for name in (*step.inputs, None, None)[1:3]] == [True, False]
        for step in _steps(problem)
    )


_NORMS = (
    "layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm", "normalize", "vector_norm", "std",
    "local_response_norm",
)  # fmt: skip


def _powers_out_of_range(problem: ref.Problem, trace: AnyTrace) -> bool:
    """Whether the powers that a norm adds up leave the number type's range, and no ε hides it."""
    return any(_leave(problem.dtype, *found) for found in _norm_inputs(problem, trace))


def _norm_inputs(problem: ref.Problem, trace: AnyTrace) -> Iterator[tuple[ref.Operation, Any]]:
    for step in _steps(problem):
        row, parameters = step.operation, step.operation.parameters
        first = row.name in _NORMS and parameters.get("training", True) and parameters.get("ord", 2) not in (1, np.inf)
        if first and parameters.get("p", 2) not in (1, np.inf):
            yield row, inputs_of(step, trace.values)[0]  # type: ignore[union-attr]


def _leave(dtype: Any, row: ref.Operation, x: Any) -> bool:
    if row.name == "std" and dtype == np.float32:
        return False  # torch adds them up in float64
    with np.errstate(all="ignore"):
        power = np.abs(x) ** np.asarray(row.parameters.get("ord", row.parameters.get("p", 2)), x.dtype)
    added = row.parameters.get("eps", row.parameters.get("k", 0.0)) ** (2 if row.name == "normalize" else 1)
    too_small = np.any(x != 0) and power.max(initial=0) + added < np.finfo(dtype).tiny / np.finfo(dtype).eps
    return bool(np.any(np.isinf(power)) or too_small)


def _below_the_cut(step: ref.Step, trace: AnyTrace) -> Any:
    """Where an atan2 step is given −0 and a negative number."""
    a, b = inputs_of(step, trace.values)[:2]  # type: ignore[union-attr]
    return (a == 0) & np.signbit(a) & (b < 0)


def _on_the_cut(problem: ref.Problem, trace: AnyTrace) -> bool:
    return any(step.operation.name == "atan2" and bool(np.any(_below_the_cut(step, trace))) for step in _steps(problem))


def _cut_as_torch(problem: ref.Problem) -> ref.Problem:
    """The problem whose atan2 takes −0 for a number below the cut."""
    network, trace = problem.graph, forward(problem.network, problem.x)

    def change(step: ref.Step) -> ref.Step:
        if step.operation.name != "atan2":
            return step
        row, turn = step.operation, 2 * np.pi * _below_the_cut(step, trace)
        return changed(step, operation=changed(row, value=lambda a, b: row.value(a, b) - turn))

    return problem.replace(network=changed(network, steps=tuple(map(change, network.steps))))


def _other_places(problem: ref.Problem, trace: AnyTrace) -> bool:
    """Whether torch interpolates somewhere from other elements than those that the factor says."""
    for step in _steps(problem):
        if step.operation.name == "interpolate":
            old = np.shape(inputs_of(step, trace.values)[0])[2:]  # type: ignore[union-attr]
            new = np.shape(trace.values[step.outputs[0]])[2:]  # type: ignore[union-attr]
            if any(
                _elsewhere(step.operation.parameters, k, n, o) for k, (n, o) in enumerate(zip(old, new, strict=True))
            ):
                return True
    return False


def _elsewhere(parameters: Any, axis: int, n: int, count: int) -> bool:
    mode, factors = parameters["mode"], parameters["scale_factor"]
    by_length = factors is None or bool(parameters["recompute_scale_factor"])
    given = np.ravel(1.0 if by_length else factors)
    step = n / count if by_length else 1 / float(given[axis % len(given)])
    if not mode.startswith("nearest"):
        return count == n and step != 1 and not parameters["align_corners"]
    middle = 0.5 if mode == "nearest-exact" else 0.0
    places, scale = np.arange(count) + middle, np.float32(step)
    found = [np.minimum((places.astype(scale.dtype) * scale).astype(int), n - 1)]
    if mode == "nearest" and count in (n, 2 * n):
        found.append(np.arange(count) * n // count)
    row = ref.operations.interpolate(**{**parameters, **_of_one_axis(parameters, axis)})
    exact = row.value(np.arange(float(n)).reshape(1, 1, n))[0, 0]
    return any(not np.array_equal(exact, other) for other in found)


def _of_one_axis(parameters: Any, axis: int) -> dict[str, Any]:
    """The parameter that is given for each axis, for one of them."""
    both = {key: parameters[key] for key in ("size", "scale_factor") if parameters[key] is not None}
    return {key: np.ravel(value).tolist()[axis % np.size(value)] for key, value in both.items()}


def _products_out_of_range(problem: ref.Problem, trace: AnyTrace) -> bool:
    """Whether a running product of numbers that are not 0 leaves the range in which the type keeps all its digits."""
    for step in _steps(problem):
        if step.operation.name != "cumprod":
            continue
        with np.errstate(all="ignore"):
            (x,) = inputs_of(step, trace.values)  # type: ignore[union-attr]
            size = np.abs(step.operation.value(np.where(x == 0, 1, x).astype(problem.dtype)))
        limits = np.finfo(problem.dtype)
        if np.any((size < limits.tiny / limits.eps) | np.isinf(size)):
            return True
    return False


OPERATION_DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "group_norm_bias_alone",
        "group_norm with a bias and no weight, in every number type",
        "the backward pass raises; the forward pass is right",
        "RuntimeError: tensor does not have a device",
        "2.13",
        "aten/src/ATen/native/group_norm.cpp, native_group_norm_backward",
        _bias_alone,
    ),
    Deviation(
        "norm_powers_out_of_range",
        "layer, RMS, group, instance, batch and local response norm, normalize, vector_norm, std in float64: elements "
        "whose squares (of vector_norm and normalize: whose powers) overflow; or all so small that they underflow, "
        "ε (or k) no larger",
        "adds up x² (or |x|ᵖ) as they are; one divided by the largest element beforehand stays in range",
        "all of it: beyond 1.3e154 in float64 and 1.8e19 in float32 the gradients are 0 or NaN; below 1e−162 and 1e−23 "
        "0, infinite or NaN",
        AT_LEAST,
        "aten/src/ATen/native/cpu/layer_norm_kernel.cpp, LayerNormKernelImplInternal; "
        "ReduceOpsKernel.cpp, norm_kernel_tensor_iterator_impl; SharedReduceOps.h, NormTwoOps and WelfordOps",
        _powers_out_of_range,
    ),
    Deviation(
        "interpolate_other_places",
        "interpolate by a scale_factor that leaves a length as it is (with nearest: or doubles it); nearest and "
        "nearest-exact of lengths whose quotient float32 rounds across a whole number, as 2 to 82",
        "copies there whatever the factor says, in the backward pass alone of nearest in 1 and 3 dimensions and of "
        "bicubic, in both passes of linear, bilinear, trilinear; computes the place of the nearest element in float32",
        "all of it: gradients go to other elements than the values came from",
        AT_LEAST,
        "aten/src/ATen/native/UpSample.h, compute_source_index_and_lambda and nearest_idx; PyTorch issue 65200",
        _other_places,
    ),
    Deviation(
        "atan2_signed_zero",
        "atan2 of −0 and a negative number",
        "tells −0 from 0, as IEEE 754 does; there is one 0 among real numbers, and its angle is π",
        "a value of −π, where it is π; the gradients are the same",
        AT_LEAST,
        "C11, F.10.1.4",
        _on_the_cut,
        _cut_as_torch,
    ),
    Deviation(
        "products_out_of_range",
        "cumprod where the running product of the numbers that are not 0 underflows or overflows",
        "divides the sums of d_y∘y by x, so that what y lost is lost; Π z_j · s_i, without a division, keeps it",
        "all of it: from a product of 1e−308 (1e−38 in float32) on the gradient of an element of the order of 1 is 0",
        AT_LEAST,
        "aten/src/ATen/native/ReduceOps.cpp, cumprod_backward",
        _products_out_of_range,
    ),
)
"""Found by drawing every row of the table of operations at random, 12 problems each, in four number types;
the norms' by ``python -m benchmarks operations``."""
