"""A module as a network of operations: each call of the traced program one step, or a few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import reference as ref

from .arguments import arguments_of, copied
from .aten import ATEN
from .call import Value, row
from .exported import Exported, Loss, Place, export
from .tensors import array
from .translation import Steps, Table, translate


@dataclass(frozen=True)
class ModuleNetwork:
    """A module's network, and what belongs to it.

    Attributes:
        network: the network.
        x: its inputs by name.
        base: torch's number type of the steps that state no format.
        places: where the module makes every step, by the step's name.
    """

    network: ref.Network
    x: Mapping[str, Any]
    base: torch.dtype
    places: Mapping[str, Place]


def network_from_module(module: nn.Module, inputs: Any, *, operations: Table | None = None) -> ref.Network:
    """Whatever torch.export takes, as a network of operations.

    Args:
        module: any module in eval mode, or in training mode if nothing in it is random.
        inputs: its arguments: a tuple of positional ones, a mapping of keyword ones, or the only one.
        operations: entries for operations of ATen that the table lacks (`gradient-oracle operations` lists it), by
            their names as ``{"aten.foo.default": row}``: a `ref.Operation` of the call's tensors, or a function of the
            call's arguments by the names of its schema, which gives ``(row, *tensors)``.

    Returns:
        The network of the module's first output of floating numbers. Parameters have torch's names, a shared one
        that of its first place; its inputs are the floating ones by their arguments' names. Everything else (integers,
        masks, buffers, frozen parameters and what depends on them alone) is a constant: another batch of it is
        another network. Calls in another number type than the parameters' have its format.

    Raises:
        TypeError: torch.export cannot trace the module, or the table lacks an operation: the message names it, the
            submodule and the line that called it.
        ValueError: the module is random in training mode.

    >>> module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.GELU())
    >>> net = network_from_module(module, torch.zeros(4, 2))
    >>> [(step.name, step.operation.name) for step in net.steps], net.inputs
    ([('0.linear', 'linear'), ('1.layer_norm', 'layer_norm'), ('2.gelu', 'gelu')], ('input',))
    """
    return read_module(module, inputs, operations=operations).network


def read_module(
    module: nn.Module, inputs: Any, *, outputs: Iterable[int] | None = None, operations: Table | None = None,
    loss: Loss | None = None,
) -> ModuleNetwork:  # fmt: skip
    """A module as a network, with its inputs and where its steps come from; see `network_from_module`.

    Args:
        module: see there.
        inputs: see there.
        outputs: which of the tensors that it gives (`arguments.tensors_of`) are the network's output. Several become
            one in a row, and so must their cotangents.
        operations: see there.
        loss: a number from the module's output, which is then the network's.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    with torch.inference_mode(False), torch.no_grad():
        program = export(module, copied(arguments_of(inputs)), loss)
        found = translate(program, {**ATEN, **(operations or {})})
        return _network(program, found.steps, _output(found.steps, found.outputs, outputs))


def _output(steps: Steps, made: Sequence[Value | None], outputs: Iterable[int] | None) -> str:
    """The name of the network's output."""
    live = [v for v in made if v is not None and v.data is None and v.dtype.is_floating_point]
    chosen = live[:1] if outputs is None else [made[k] for k in outputs]
    first = chosen[0] if chosen else None
    if first is None or any(v not in live for v in chosen):
        raise ValueError("module: its output depends on no parameter and no floating input")
    if len(chosen) > 1:
        flat = row("reshape", shape=(-1,))
        found = (row("cat"), *((flat, v) for v in chosen))
    elif first.name in steps.leaves:
        found = (row("clone"), first)
    else:
        return first.name
    name = steps.unique("output")
    steps.add(name, found, steps.base, Place())
    return name


def _network(program: Exported, found: Steps, output: str) -> ModuleNetwork:
    """The network of the steps that the output depends on, all its numbers in the widest type."""
    used, steps = {output}, []
    for step in reversed(found.steps):
        if used & set(step.outputs):
            steps.append(step)
            used |= {name for name in step.inputs if name is not None}
    leaves = {name: np.asarray(array(leaf)) for name, leaf in found.leaves.items() if name in used}
    constants = {name: values for name, values in found.constants.items() if name in used}
    wide = np.result_type(*(a.dtype for a in (*leaves.values(), *constants.values()) if a.dtype.kind == "f"))
    leaves, constants = (
        {name: a.astype(wide) if a.dtype.kind == "f" else a for name, a in arrays.items()}
        for arrays in (leaves, constants)
    )
    x = {name: leaves.pop(name) for name in program.inputs if name in leaves}
    network = ref.Network(leaves, steps[::-1], tuple(x), output, constants)
    return ModuleNetwork(network, x, found.base, {step.name: found.places[step.name] for step in network.steps})
