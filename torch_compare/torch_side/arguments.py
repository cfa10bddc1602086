"""What a module takes and gives: its arguments with their names, and the tensors in them, whatever holds them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from reference.network.graph_checks import RESERVED

from .tensors import tensor

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional ones, and those by keyword."""


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


def plain_name(name: str) -> str:
    """A parameter's name without what torch.compile puts in it; with a _ behind it if leaves have that name anyway.

    >>> plain_name("_orig_mod.layers.0._orig_mod.weight"), plain_name("loss")
    ('layers.0.weight', 'loss_')
    """
    found = ".".join(part for part in name.split(".") if part != "_orig_mod")
    return found + "_" * (found in RESERVED)


def named_tensors(module: nn.Module, arguments: Arguments) -> dict[str, Tensor]:
    """The tensors among a module's arguments by the arguments' names, as "x", "xs[0]", "state.h".

    One that a parameter or another leaf has gets a _ behind it.
    """
    others = {*RESERVED, *(plain_name(name) for name, _ in module.named_parameters())}
    return {name + "_" * (name in others): t for name, t in _by_argument(module, arguments).items()}


def _by_argument(module: nn.Module, arguments: Arguments) -> dict[str, Tensor]:
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


def replaced(output: Any, by: Mapping[int, Tensor]) -> Any:
    """What a module gives, with other tensors in it."""
    if isinstance(output, Tensor):
        return by.get(id(output), output)
    found: Any = copy.copy(output)
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        for name in (field.name for field in dataclasses.fields(output)):
            object.__setattr__(found, name, replaced(getattr(output, name), by))
        if isinstance(output, dict):  # a mapping as well, as the outputs of transformers are
            dict.update(found, {name: replaced(v, by) for name, v in output.items()})
        return found
    if isinstance(output, Mapping):
        for name, value in output.items():
            found[name] = replaced(value, by)
        return found
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*(replaced(v, by) for v in output))
    if isinstance(output, list | tuple):
        return type(output)(replaced(v, by) for v in output)
    return output


def copied(value: Any) -> Any:
    """The same with tensors that share nothing with the caller's; one that comes twice is one again."""
    made: dict[int, Tensor] = {}
    return pytree.tree_map_only(Tensor, lambda t: made.setdefault(id(t), t.detach().clone()), value)
