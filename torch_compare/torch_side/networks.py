"""A network of operations through torch: every step by torch's function, in the formats that the steps state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

import reference as ref
from reference.arithmetic.formats import Format

from .operations import OPERATIONS, WITHOUT
from .tensors import tensor

FORMATS: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "float64": torch.float64,
        "float32": torch.float32,
        "float16": torch.float16,
        "bfloat16": torch.bfloat16,
        "float8_e4m3": torch.float8_e4m3fn,
        "float8_e5m2": torch.float8_e5m2,
    }
)
"""torch's number types by the names of the formats that steps state."""


def run_network(
    network: ref.Network, x: Mapping[str, Any], number: torch.dtype, leaf: Callable[[Any, torch.dtype], Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output of a network's steps in torch, and the leaves that gradients are taken of, by name.

    A step casts its inputs to the format that it computes in, and its outputs to that which it stores, as
    ``Tensor.to`` does; autograd casts the gradients back on their way.

    Args:
        network: the network.
        x: its inputs by name.
        number: torch's type of the problem's numbers, and of every step that states no format.
        leaf: makes a tensor of a leaf.

    Raises:
        ValueError: torch has no counterpart of a step's operation, or computes in no such format.
    """
    leaves = {name: leaf(values, number) for name, values in network.parameters.items()}
    data = {name: tensor(values, number) for name, values in network.constants.items()}
    for name, values in x.items():
        made = tensor(values, number)
        if made.is_floating_point():
            leaves[name] = leaf(values, number)
        else:
            data[name] = made
    values = {**data, **leaves}
    for index, step in enumerate(network.steps):
        at = f"steps[{index}] ({step.name}, {step.operation.name})"
        compute, store = (_type_of(at, form, number) for form in (step.compute, step.store or step.compute))
        inputs = (None if name is None else _cast(values[name], compute) for name in step.inputs)
        made = _function(at, step.operation)(*inputs, **step.operation.parameters)
        parts = (made,) if isinstance(step.output, str) else tuple(made)
        values |= {name: _cast(part, store) for name, part in zip(step.outputs, parts, strict=True)}
    return values[network.output], leaves


def _function(at: str, row: ref.Operation) -> Callable[..., Any]:
    if row.name not in OPERATIONS:
        why = WITHOUT.get(row.name, f"there is no entry {row.name!r} in the table of torch's operations")
        raise ValueError(f"{at}: torch has no counterpart of the row {row.name!r}: {why}")
    return OPERATIONS[row.name]


def _type_of(at: str, form: str | Format | None, number: torch.dtype) -> torch.dtype:
    if form is None:
        return number
    name = form.name if isinstance(form, Format) else form
    if name not in FORMATS:
        raise ValueError(f"{at}: torch has no number type {name}")
    return FORMATS[name]


def _cast(values: Tensor, number: torch.dtype) -> Tensor:
    return values.to(number) if values.is_floating_point() else values
