"""Where gradients come from: one name and one function a source, all of the same signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

import reference as ref
from reference import differences
from reference.differences.multiprecision import multiprecision_difference
from reference.rounding.certified import certified_gradients

from ..torch_side import extras


def _torch(problem: ref.Problem) -> ref.Gradients:
    with extras.named():
        from ..torch_side.gradients import torch_gradients  # noqa: PLC0415  (the other sources need no torch)
    return torch_gradients(problem)


def _central_difference(problem: ref.Problem) -> ref.Gradients:
    return differences.central_difference(problem).value


def _certified(problem: ref.Problem) -> ref.Gradients:
    """The float64 nearest to each exact gradient; NaN if none is proved."""
    found = certified_gradients(problem)
    return found.map(lambda leaf: np.where(leaf.resolved, leaf.nearest, np.nan))


def _multiprecision_difference(problem: ref.Problem) -> ref.Gradients:
    found = multiprecision_difference(problem).value
    return found.map(lambda ball: np.array([float(b) for b in ball.flat]).reshape(ball.shape))


SOURCES: Mapping[str, Callable[[ref.Problem], ref.Gradients]] = MappingProxyType(
    {
        "reference": ref.gradients,
        "torch": _torch,
        "central_difference": _central_difference,
        "complex_step": differences.complex_step,
        "multiprecision_difference": _multiprecision_difference,
        "certified": _certified,
    }
)
"""Each maps a `ref.Problem` to a `ref.Gradients` tree; elements that a source cannot judge are NaN.

Central differences are right to their own error bar, not to rounding: `verify` holds them against it, while `check`,
which knows no bar, calls them wrong, and NaN too. Differences visit every number: minutes for large networks."""
