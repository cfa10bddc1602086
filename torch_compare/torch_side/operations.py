"""The table of operations in torch: a row's name to torch's function, called with the row's inputs and parameters.

Where the row has torch's name, order of inputs and names of parameters, which is the rule, torch's function stands as
it is. The others have a few lines of torch's operations, by torch's own documentation or by the row's source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor

from .functions import ACTIVATIONS

Output = Tensor | tuple[Tensor, ...]


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch's function, called without the optional inputs at the end that are left out: not all take a None there."""

    def call(*inputs: Tensor | None, **parameters: Any) -> Any:
        count = max((k + 1 for k, x in enumerate(inputs) if x is not None), default=0)
        return function(*inputs[:count], **parameters)

    return call


def _joined(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """What torch calls with one list of tensors."""
    return lambda *tensors, **parameters: function(tensors, **parameters)


# ── the table ────────────────────────────────────────────────────────────────────────────────────────

_OF_TORCH = (
    "add", "matmul", "mul", "reshape",
)  # fmt: skip
_OF_FUNCTIONAL = (
    "linear",
)  # fmt: skip

OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    **ACTIVATIONS,
    **{name: called(getattr(torch, name)) for name in _OF_TORCH},
    **{name: called(getattr(F, name)) for name in _OF_FUNCTIONAL},
    "cat": _joined(torch.cat),
})  # fmt: skip
"""By the row's name: (*inputs, **parameters) ↦ what comes out; an optional input that is left out is None."""

WITHOUT: Mapping[str, str] = MappingProxyType({})
"""Rows that torch has no counterpart of, and why."""
