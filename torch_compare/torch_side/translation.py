"""A traced program as steps of a network: every call is run by torch, and becomes steps where a gradient goes through.

What depends on no parameter and no floating input, and whatever is integers or truth values, is what torch makes of it:
a constant. A step computes in the number type of what torch makes, which it states where it is another one than the
parameters'.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node, map_arg

import reference as ref
from reference.network.graph_checks import RESERVED

from .aten import WITHOUT_DERIVATIVE
from .call import Entry, Expression, LackingError, RandomError, Value, row
from .detaching import Spans, forward_passes
from .exported import Exported, Place, place_of
from .networks import FORMATS
from .tensors import array

Table = Mapping[str, Entry | ref.Operation]

NAMES: Mapping[torch.dtype, str] = MappingProxyType({number: name for name, number in FORMATS.items()})
"""The formats of steps by torch's number types."""
_PASSED_OVER = frozenset({
    "aten._assert_tensor_metadata.default", "aten._assert_async.msg", "aten._assert_scalar.default",
    "aten.sym_constrain_range.default", "aten.sym_constrain_range_for_size.default",
})  # fmt: skip


class UnknownOperationError(TypeError):
    """The table lacks operations that a module calls.

    Attributes:
        operations: their names.
    """

    def __init__(self, calls: Mapping[str, str]) -> None:
        self.operations = tuple(calls)
        listed = "\n".join(f"  {name} {where}" for name, where in calls.items())
        super().__init__(
            f"module: the table of operations lacks what it calls:\n{listed}\nGive a row for each, "
            f'operations={{"{self.operations[0]}": row}}: a ref.Operation of the call\'s tensors, or a function of the '
            "call's arguments, by the names of its schema, that gives (row, *tensors); `gradient-oracle operations` "
            "lists the table"
        )


@dataclass
class Steps:
    """The steps of a program as far as it has been read.

    Attributes:
        base: torch's number type of the steps that state no format.
        leaves: parameters and floating inputs by name.
        steps: the steps.
        constants: arrays by name.
        places: where each step was called, by the step's name.
        taken: the names that are taken.
        known: the name of each constant, by that of the value in the program that it is.
        forwards: where forward passes of autograd.Functions stand.
    """

    base: torch.dtype
    leaves: Mapping[str, Tensor]
    steps: list[ref.Step] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: set(RESERVED))
    known: dict[str, str] = field(default_factory=dict)
    forwards: Spans = field(default_factory=forward_passes)

    def unique(self, name: str) -> str:
        """The name, with a number if it is taken."""
        found, k = name, 2
        while found in self.taken:
            found, k = f"{name}#{k}", k + 1
        self.taken.add(found)
        return found

    def value_of(self, found: Expression, name: str, like: Tensor, place: Place) -> Value:
        """The value of an expression, whose steps are added; a change of the number type is a step too."""
        if isinstance(found, Value):
            if found.dtype == like.dtype or found.data is not None:
                return found
            found = (row("clone"), found)
        unique = self.unique(name)
        self.add(unique, found, like.dtype, place)
        return Value(unique, tuple(like.shape), like.dtype)

    def add(self, output: str | tuple[str, ...], found: Expression, number: torch.dtype, place: Place) -> None:
        """The step of an expression, and those of the expressions in it before."""
        operation, *operands = found
        first = output if isinstance(output, str) else output[0]
        inputs = [self._operand(x, f"{first}/{k}", number, place) for k, x in enumerate(operands)]
        while inputs and inputs[-1] is None:
            inputs.pop()
        compute = None if number == self.base else NAMES[number]
        self.steps.append(ref.Step(output, operation, *inputs, compute=compute))
        self.places[first] = place

    def _operand(self, x: Expression, name: str, number: torch.dtype, place: Place) -> str | None:
        if x is None:
            return None
        if isinstance(x, Value):
            return x.name if x.data is None else self._constant(x.name, x.data)
        unique = self.unique(name)
        if isinstance(x, tuple):
            self.add(unique, x, number, place)
        else:
            self.constants[unique] = _rounded(x, number)
        return unique

    def _constant(self, name: str, data: Tensor) -> str:
        """The name that a value of the program has as a constant, which is one from the first step on that takes it."""
        if name not in self.known:
            self.known[name] = self.unique(name)
        unique = self.known[name]
        if unique not in self.constants:
            self.constants[unique] = np.asarray(array(data))
        return unique


@dataclass(frozen=True)
class Translated:
    """A program's steps, and the values of the module's outputs; None for what is no tensor."""

    steps: Steps
    outputs: tuple[Value | None, ...]


def translate(program: Exported, table: Table) -> Translated:
    """Read the program.

    Raises:
        UnknownOperationError: the table lacks operations that a gradient goes through; all of them are named.
        ValueError: a call is random, or an entry of the table refuses its arguments.
    """
    names = program.leaves
    leaves = {names[place]: program.given[place] for place in names}
    steps = Steps(base_of(leaves.values()), leaves)
    steps.known |= {place: place for place in program.given if place not in names}
    steps.taken.update(leaves, steps.known)
    values: dict[str, Any] = {
        place: Value(names[place], tuple(data.shape), data.dtype) if place in names else _known(place, data)
        for place, data in program.given.items()
    }
    made, left = dict(program.given), _uses(program.nodes)
    lacking: dict[str, str] = {}
    for node in program.nodes:
        if str(node.target) not in _PASSED_OVER:
            made[node.name] = _run(node, made)
            try:
                values[node.name] = _read(node, table, values, made[node.name], steps)
            except LackingError as lack:
                lacking.setdefault(str(node.target), f"{place_of(node, steps.forwards)}{lack}")
                values[node.name] = _without_steps(node.name, made[node.name])
        for used in node.all_input_nodes:
            left[used.name] -= 1
            if not left[used.name]:
                made.pop(used.name, None)
    if lacking:
        raise UnknownOperationError(lacking)
    outputs = (None if node is None else values[node.name] for node in program.outputs)
    return Translated(steps, tuple(v if isinstance(v, Value) else None for v in outputs))


def _read(node: Node, table: Table, values: Mapping[str, Any], data: Any, steps: Steps) -> Any:
    """What a call makes, a value for each tensor; its steps are added."""
    if node.target is operator.getitem:
        return values[node.args[0].name][node.args[1]]  # type: ignore[union-attr, index]
    name = str(node.target)
    used = [v for n in node.all_input_nodes for v in _values(values[n.name])]
    constant = all(v.data is not None for v in used) or not _floats(data) or name in WITHOUT_DERIVATIVE
    random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    try:
        if random and (constant or name not in table) and "empty" not in name:
            raise RandomError("it draws random numbers, so that the module is no function; give them as an input")
        if constant:
            return _known(node.name, data)
        if name not in table:
            raise LackingError("")
        return _with_steps(node, table[name], values, data, steps)
    except LackingError as lack:
        raise LackingError(f" (there is no row {lack} of operations)" if str(lack) else "") from None
    except (ValueError, TypeError, IndexError) as error:
        raise type(error)(f"{name} {place_of(node, steps.forwards)}: {error}") from error


def _with_steps(node: Node, entry: Entry | ref.Operation, values: Mapping[str, Any], data: Any, steps: Steps) -> Any:
    bound = dict(map_arg(_bound(node), lambda n: values[n.name]))
    if isinstance(entry, ref.Operation):
        found: Expression = (entry, *(v for value in bound.values() for v in _values(value)))
    else:
        if "out" in inspect.signature(entry).parameters:
            bound["out"] = _known(node.name, data)
        found = entry(**bound)
    place = place_of(node, steps.forwards)
    name = place.name_of(str(node.target).split(".")[1])
    if isinstance(data, Tensor):
        return steps.value_of(found, name, data, place)
    if isinstance(found, tuple):
        names = tuple(steps.unique(f"{name}[{k}]") for k in range(len(data)))
        steps.add(names, found, data[0].dtype, place)
        return [Value(n, tuple(t.shape), t.dtype) for n, t in zip(names, data, strict=True)]
    return [
        _known(f"{node.name}[{k}]", part) if expression is None
        else steps.value_of(expression, f"{name}[{k}]" if k else name, part, place)
        for k, (expression, part) in enumerate(zip_longest(found, data))
    ]  # fmt: skip


def _known(name: str, data: Any) -> Any:
    """A value that no gradient goes through; what is no tensor as it is."""
    if isinstance(data, Tensor):
        return Value(name, tuple(data.shape), data.dtype, data.detach())
    if isinstance(data, list | tuple):
        return type(data)(_known(f"{name}[{k}]", part) for k, part in enumerate(data))
    return data


def _without_steps(name: str, data: Any) -> Any:
    """The values of a call that the table lacks, so that all that it lacks is found."""
    if isinstance(data, Tensor):
        return Value(name, tuple(data.shape), data.dtype)
    return [_without_steps(f"{name}[{k}]", part) for k, part in enumerate(data)]


def _run(node: Node, made: Mapping[str, Any]) -> Any:
    """What torch makes of a call."""
    arguments, named = map_arg((node.args, dict(node.kwargs)), lambda n: made[n.name])
    target: Callable[..., Any] = node.target  # type: ignore[assignment]
    return target(*arguments, **named)


def _bound(node: Node) -> dict[str, Any]:
    """A call's arguments by the names of the schema, what is left out as its default."""
    schema = node.target._schema  # type: ignore[union-attr]
    names = [argument.name for argument in schema.arguments]
    found = {argument.name: argument.default_value for argument in schema.arguments if argument.has_default_value()}
    found |= dict(zip(names, node.args, strict=False)) | node.kwargs
    return {name: found[name] for name in names}


def _uses(nodes: Iterable[Node]) -> dict[str, int]:
    count: dict[str, int] = {}
    for node in nodes:
        for used in node.all_input_nodes:
            count[used.name] = count.get(used.name, 0) + 1
    return count


def base_of(leaves: Iterable[Tensor]) -> torch.dtype:
    """The number type of most numbers."""
    count: dict[torch.dtype, int] = {}
    for leaf in leaves:
        count[leaf.dtype] = count.get(leaf.dtype, 0) + leaf.numel()
    if not count:
        raise ValueError("module: it has no parameter that requires a gradient, and no floating input")
    return max(count, key=lambda number: count[number])


def _rounded(x: Any, number: torch.dtype) -> Any:
    """A number as the kernels take it: in float64 for float64, else in float32, where half precision computes too."""
    values = np.asarray(x)
    if isinstance(x, int | float) and not isinstance(x, bool):
        values = values.astype(np.float64 if number == torch.float64 else np.float32)
    return values


def _values(value: Any) -> list[Value]:
    if isinstance(value, Value):
        return [value]
    return [v for part in value for v in _values(part)] if isinstance(value, list | tuple) else []


def _floats(data: Any) -> bool:
    """Whether there is a floating number in it: an empty tensor, as the rest of a whole rotation, has none."""
    if isinstance(data, list | tuple):
        return any(map(_floats, data))
    return isinstance(data, Tensor) and data.is_floating_point() and data.numel() > 0
