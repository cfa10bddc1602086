"""Where gradients come from: one name and one function a source, all of the same signature."""

from __future__ import annotations

from collections.abc import Callable

import reference as ref
from reference import differences

from .torch_source import torch_gradients


def _central_difference(problem: ref.Problem) -> ref.Gradients:
    return differences.central_difference(problem).value


SOURCES: dict[str, Callable[[ref.Problem], ref.Gradients]] = {
    "reference": ref.gradients,
    "torch": torch_gradients,
    "central_difference": _central_difference,
    "complex_step": differences.complex_step,
}
"""Each maps a `ref.Problem` to a `ref.Gradients` tree; elements that a source cannot judge are NaN."""
