"""A module as the straight-line program that torch.export makes of it, each call with the place that made it.

The trace goes through Python: a custom autograd.Function shows as what its forward pass calls, a compiled module as the
module that was compiled. `run_decompositions({})` then makes it functional and leaves layers whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node
from torch.utils import _pytree as pytree

from .detaching import Detaching
from .tensors import tensor

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional ones, and those by keyword."""


@dataclass(frozen=True)
class Exported:
    """A traced module.

    Attributes:
        nodes: the calls, in order.
        given: what every placeholder holds: tensors, and for what is no tensor the thing itself.
        leaves: the names of parameters and floating inputs that gradients are taken of, by placeholder.
        outputs: the tensors that the module gives, nodes in the order of `tensors_of`; what is no node is None.
    """

    nodes: tuple[Node, ...]
    given: Mapping[str, Any]
    leaves: Mapping[str, str]
    outputs: tuple[Node | None, ...]


def arguments_of(inputs: Any) -> Arguments:
    """A module's arguments: a tuple positional, a mapping by keyword, anything else alone; arrays become tensors.

    >>> arguments_of({"ids": [0, 2]})
    ((), {'ids': tensor([0, 2])})
    """
    positional, named = inputs if isinstance(inputs, tuple) else (), {}
    if isinstance(inputs, Mapping):
        named = dict(inputs)
    elif not isinstance(inputs, tuple):
        positional = (inputs,)
    return tuple(_as_tensors(v) for v in positional), {name: _as_tensors(v) for name, v in named.items()}


def _as_tensors(value: Any) -> Any:
    if isinstance(value, Tensor) or value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {name: _as_tensors(v) for name, v in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(v, Tensor | Mapping) or hasattr(v, "shape") for v in value):
        return type(value)(_as_tensors(v) for v in value)
    if isinstance(value, list | tuple) or hasattr(value, "__array__"):
        return tensor(value)
    return value


def named_tensors(module: nn.Module, arguments: Arguments) -> dict[str, Tensor]:
    """The tensors among a module's arguments by the arguments' names, as "x", "xs[0]", "state.h"."""
    bound = inspect.signature(module.forward).bind(*arguments[0], **arguments[1])
    found: dict[str, Tensor] = {}
    for parameter in inspect.signature(module.forward).parameters.values():
        value = bound.arguments.get(parameter.name)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            for name, v in (value or {}).items():
                found.update(_named(name, v))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            found.update(_named(parameter.name, value))
        else:
            found.update(_named(parameter.name, value))
    return found


def _named(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, v in value.items():
            yield from _named(f"{name}.{key}", v)
    elif isinstance(value, list | tuple):
        for index, v in enumerate(value):
            yield from _named(f"{name}[{index}]", v)


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors in what a module gives, in order: a tensor, or tuples, lists, mappings and dataclasses of them."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        return [t for v in output.values() for t in tensors_of(v)]
    if isinstance(output, list | tuple):
        return [t for v in output for t in tensors_of(v)]
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return [t for field in dataclasses.fields(output) for t in tensors_of(getattr(output, field.name))]
    return []


def export(module: nn.Module, arguments: Arguments) -> Exported:
    """The module's program on these arguments.

    Raises:
        TypeError: torch.export cannot trace it; its own message is handed on.
    """
    plain = original(module)
    try:
        with _quiet(), torch.random.fork_rng(devices=[]), torch.enable_grad():
            with Detaching():
                program = torch.export.export(_Flat(plain), *arguments, strict=False)
            program = program.run_decompositions({})
    except Exception as error:
        raise TypeError(
            f"module: torch.export cannot trace {type(plain).__name__} on these inputs, so that there is no program to "
            f"judge: {error}"
        ) from error
    return _read(program, plain, arguments)


def original(module: nn.Module) -> nn.Module:
    """The module that torch.compile was given."""
    return getattr(module, "_orig_mod", module)


def plain_name(name: str) -> str:
    """A parameter's name without what torch.compile puts in it.

    >>> plain_name("_orig_mod.layers.0._orig_mod.weight")
    'layers.0.weight'
    """
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


class _Flat(nn.Module):
    """The module with nothing but a tuple of tensors as output, which torch.export takes whatever holds them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.training = module.training

    def forward(self, *positional: Any, **named: Any) -> tuple[Tensor, ...]:
        return tuple(tensors_of(self.module(*positional, **named)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(program: ExportedProgram, module: nn.Module, arguments: Arguments) -> Exported:
    """Placeholders with what they hold and their names, nodes, and outputs."""
    names = {id(p): plain_name(name) for name, p in module.named_parameters()}
    own = dict(module.named_parameters(remove_duplicate=False))
    flat = pytree.tree_flatten(arguments)[0]
    by_identity: dict[int, str] = {}
    for name, t in named_tensors(module, arguments).items():
        by_identity.setdefault(id(t), name)
    given: dict[str, Any] = {}
    leaves: dict[str, str] = {}
    users = iter(flat)
    for spec in program.graph_signature.input_specs:
        place = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            value = next(users)
            given[place] = value
            if isinstance(value, Tensor) and value.is_floating_point() and bool(torch.isfinite(value).all()):
                leaves[place] = by_identity[id(value)]
            continue
        target = (spec.target or "").removeprefix("module.")
        if spec.kind is InputKind.PARAMETER:
            parameter = own[target]
            given[place] = parameter.detach()
            if parameter.requires_grad:
                leaves[place] = names[id(parameter)]
        elif spec.target in program.constants:
            given[place] = program.constants[spec.target]
        else:
            given[place] = program.state_dict[spec.target]
    found = {node.name: node for node in program.graph.nodes}
    outputs = tuple(
        found.get(getattr(spec.arg, "name", ""))
        for spec in program.graph_signature.output_specs
        if spec.kind is OutputKind.USER_OUTPUT
    )
    calls = tuple(node for node in program.graph.nodes if node.op == "call_function")
    return Exported(calls, given, leaves, outputs)


# ── where a call was made ────────────────────────────────────────────────────────────────────────────


def submodule_of(node: Node) -> tuple[str, str]:
    """The path of the submodule that made a call, "" for the module itself, and the name of its class."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else kind.__name__
    return plain_name(str(path).removeprefix("module").removeprefix(".")), name.rpartition(".")[2]


_FRAME = re.compile(r'File "([^"]+)", line (\d+), in \S+(?:\n    (?! *File )(.*))?')


def line_of(node: Node) -> str:
    """The source line that made a call, as 'file.py:12: y = f(x)'; the user's own where torch.nn stands between."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    frames = [frame for frame in frames if frame[0] != __file__]
    own = [frame for frame in frames if "/torch/" not in frame[0]] or frames
    if not own:
        return ""
    file, line, text = own[-1]
    return f"{file}:{line}" + (f": {text.strip()}" if text else "")
