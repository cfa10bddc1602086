"""Where torch's gradient of an operation is none, or not the derivative of what torch documents; see `deviations`."""

from __future__ import annotations

import reference as ref
from reference.network.passes import AnyTrace

from .deviation_row import Deviation


def _bias_alone(problem: ref.Problem, trace: AnyTrace) -> bool:
    """Whether a group norm has a bias and no weight."""
    steps = problem.network.steps if isinstance(problem.network, ref.Network) else ()
    return any(
        step.operation.name == "group_norm"
        and [name is None for name in (*step.inputs, None, None)[1:3]] == [True, False]
        for step in steps
    )


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
)
"""Found by drawing every row of the table of operations at random, 12 problems each, in four number types."""
