"""A module as a network of operations: each call of the traced program one step, or a few."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node, map_arg

import reference as ref
from reference.network.graph_checks import RESERVED

from .aten import ATEN, WITHOUT_DERIVATIVE
from .call import Entry, Expression, Lacking, Random, Value, row
from .exported import Exported, arguments_of, export, line_of, submodule_of
from .networks import FORMATS
from .tensors import array

Operations = Mapping[str, Entry | ref.Operation]
"""Further entries, by ATen's names; a row takes the call's tensors in their order."""

_NAMES = {number: name for name, number in FORMATS.items()}
_PASSED_OVER = ("aten._assert_tensor_metadata.default", "aten._assert_async.msg", "aten._assert_scalar.default",
                "aten.sym_constrain_range_for_size.default", "aten.sym_constrain_range.default")  # fmt: skip


class UnknownOperation(TypeError):
    """The table lacks operations that a module calls.

    Attributes:
        operations: their names.
    """

    def __init__(self, calls: Mapping[str, str]) -> None:
        self.operations = tuple(calls)
        listed = "\n".join(f"  {name} {where}" for name, where in calls.items())
        first = self.operations[0]
        super().__init__(
            f"module: the table of operations lacks what it calls:\n{listed}\nGive a row for each, "
            f"operations={{\"{first}\": row}}: a ref.Operation of the call's tensors, or a function of the call's "
            "arguments, by the names of its schema, that gives (row, *tensors); `gradient-oracle operations` lists the table"
        )


@dataclass(frozen=True)
class ModuleNetwork:
    """A module's network, and what belongs to it.

    Attributes:
        network: the network.
        x: its inputs by name.
        base: torch's number type of the steps that state no format.
        numbers: the number type of every output, in the order of the network's output.
        places: the submodule and the source line of every step, by the step's name.
    """

    network: ref.Network
    x: Mapping[str, Any]
    base: torch.dtype
    numbers: tuple[torch.dtype, ...]
    places: Mapping[str, tuple[str, str]]


def network_from_module(module: nn.Module, inputs: Any, *, operations: Operations | None = None) -> ref.Network:
    """Whatever torch.export takes, as a network of operations; see `read_module`.

    Args:
        module: any module in eval mode, or in training mode if nothing in it is random.
        inputs: its arguments: a tuple of positional ones, a mapping of keyword ones, or the only one.
        operations: entries for operations of ATen that the table lacks (`gradient-oracle operations` lists it), by their
            names as ``{"aten.foo.default": row}``: a `ref.Operation` of the call's tensors, or a function of the
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
    module: nn.Module,
    inputs: Any,
    *,
    outputs: Iterable[int] | None = None,
    operations: Operations | None = None,
) -> ModuleNetwork:
    """A module as a network, with its inputs; `outputs` are places among `tensors_of` what it gives.

    Several outputs become one in a row, and so must their cotangents.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    arguments = arguments_of(inputs)
    with torch.inference_mode(False), torch.no_grad():
        program = export(module, arguments)
        return _Reader(program, {**ATEN, **(operations or {})}).read(outputs)


@dataclass
class _Reader:
    """Goes through a program once: every call is run by torch itself, and becomes steps where a gradient goes through."""

    program: Exported
    table: Mapping[str, Entry | ref.Operation]
    steps: list[ref.Step] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: set(RESERVED))

    def read(self, outputs: Iterable[int] | None) -> ModuleNetwork:
        values, made = self._placeholders()
        left = _uses(self.program)
        for node in self.program.nodes:
            name = str(node.target)
            if name not in _PASSED_OVER:
                made[node.name] = _run(node, made)
                values[node.name] = self._translate(node, name, values, made[node.name])
            for used in node.all_input_nodes:
                left[used.name] -= 1
                if not left[used.name]:
                    made.pop(used.name, None)
        if self.lacking:
            raise UnknownOperation(self.lacking)
        return self._network(values, outputs)

    def _placeholders(self) -> tuple[dict[str, Any], dict[str, Any]]:
        values: dict[str, Any] = {}
        leaves = self.program.leaves
        self.base = _base([self.program.given[place] for place in leaves])
        self.leaf_values: dict[str, Tensor] = {}
        for place, value in self.program.given.items():
            if place in leaves:
                name = leaves[place] + ("_" if leaves[place] in RESERVED else "")
                self.leaf_values[name] = value
                self.taken.add(name)
                values[place] = Value(name, tuple(value.shape), value.dtype)
        for place, value in self.program.given.items():
            if place not in leaves:
                values[place] = self._known(place, value)
        return values, dict(self.program.given)

    def _known(self, name: str, data: Any) -> Any:
        """A value that no gradient goes through; what is no tensor as it is."""
        if isinstance(data, Tensor):
            return Value(name, tuple(data.shape), data.dtype, data.detach())
        if isinstance(data, list | tuple):
            return type(data)(self._known(f"{name}[{k}]", part) for k, part in enumerate(data))
        return data

    def _translate(self, node: Node, name: str, values: Mapping[str, Any], data: Any) -> Any:
        if node.target is operator.getitem:
            return values[node.args[0].name][node.args[1]]  # type: ignore[union-attr, index]
        used = [v for n in node.all_input_nodes for v in _flat(values[n.name])]
        if all(v.data is not None for v in used) or not _floats(data) or name in WITHOUT_DERIVATIVE:
            self._refuse_random(node, name)
            return self._known(node.name, data)
        entry = self.table.get(name)
        try:
            if entry is None:
                self._refuse_random(node, name)
                raise Lacking(name)
            return self._steps(node, entry, values, data)
        except Lacking as lacking:
            said = "" if str(lacking) == name else f" (there is no row {lacking} of operations)"
            self.lacking.setdefault(name, _where(node) + said)
            return _unknown(node.name, data)
        except Random as random:
            raise ValueError(f"{name} {_where(node)}: {random}") from None
        except (ValueError, TypeError, IndexError) as error:
            raise type(error)(f"{name} {_where(node)}: {error}") from error

    def _refuse_random(self, node: Node, name: str) -> None:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and "empty" not in name:
            raise ValueError(
                f"{name} {_where(node)}: it draws random numbers, so that the module is no function of its inputs; give them "
                "as an input"
            )

    def _steps(self, node: Node, entry: Entry | ref.Operation, values: Mapping[str, Any], data: Any) -> Any:
        bound = dict(map_arg(_bound(node), lambda n: values[n.name]))
        number = next(t.dtype for t in _tensors(data) if t.is_floating_point())
        if isinstance(entry, ref.Operation):
            tensors = [v for value in bound.values() for v in _flat(value) if isinstance(v, Value)]
            found: Expression = (entry, *tensors)
        else:
            if "out" in inspect.signature(entry).parameters:
                bound["out"] = self._known(node.name, data)
            found = entry(**bound)
        name = self._name(node)
        place = (_path(node), line_of(node))
        if isinstance(data, Tensor):
            return self._emit(found, name, number, place, tuple(data.shape))
        if isinstance(found, tuple):
            names = tuple(self._unique(f"{name}[{k}]") for k in range(len(data)))
            self._add(names, found, number, place)
            return [Value(n, tuple(t.shape), t.dtype) for n, t in zip(names, data, strict=True)]
        several = zip_longest(found, data)
        return [
            self._known(f"{node.name}[{k}]", part) if expression is None
            else self._emit(expression, f"{name}[{k}]" if k else name, part.dtype, place, tuple(part.shape))
            for k, (expression, part) in enumerate(several)
        ]  # fmt: skip

    def _emit(
        self, found: Expression, name: str, number: torch.dtype, place: tuple[str, str], shape: tuple[int, ...]
    ) -> Value:
        """The value of an expression, whose steps are added; a change of the number type is one too."""
        if isinstance(found, Value) and (found.dtype == number or found.data is not None):
            return found
        if isinstance(found, Value):
            found = (row("clone"), found)
        unique = self._unique(name)
        self._add(unique, found, number, place)
        return Value(unique, shape, number)

    def _add(
        self, output: str | tuple[str, ...], found: Expression, number: torch.dtype, place: tuple[str, str]
    ) -> None:
        operation, *operands = found
        first = output if isinstance(output, str) else output[0]
        inputs = [self._operand(x, f"{first}/{k}", number, place) for k, x in enumerate(operands)]
        while inputs and inputs[-1] is None:
            inputs.pop()
        compute = None if number == self.base else _NAMES[number]
        self.steps.append(ref.Step(output, operation, *inputs, compute=compute))
        self.places[first] = place

    def _operand(self, x: Expression, name: str, number: torch.dtype, place: tuple[str, str]) -> str | None:
        """The name of an operand of a step, which is made where it is none yet."""
        if x is None:
            return None
        if isinstance(x, Value):
            if x.data is not None and x.name not in self.constants:
                self.taken.add(x.name)
                self.constants[x.name] = np.asarray(array(x.data))
            return x.name
        if isinstance(x, tuple):
            unique = self._unique(name)
            self._add(unique, x, number, place)
            return unique
        unique = self._unique(name)
        self.constants[unique] = _rounded(x, number)
        return unique

    def _name(self, node: Node) -> str:
        """A step's name: the path of the submodule that made it, and the operation."""
        path = _path(node)
        operation = str(node.target).split(".")[1]
        return f"{path}.{operation}" if path else operation

    def _unique(self, name: str) -> str:
        found, k = name, 2
        while found in self.taken:
            found, k = f"{name}#{k}", k + 1
        self.taken.add(found)
        return found

    # ── the network of it ────────────────────────────────────────────────────────────────────────────

    def _network(self, values: Mapping[str, Any], outputs: Iterable[int] | None) -> ModuleNetwork:
        made = [None if node is None else values.get(node.name) for node in self.program.outputs]
        live = [k for k, v in enumerate(made) if v is not None and v.data is None and v.dtype.is_floating_point]
        if not live:
            raise ValueError("module: its output depends on no parameter and no floating input")
        chosen = [made[k] for k in (live[:1] if outputs is None else outputs)]
        if any(v is None or v.data is not None for v in chosen):
            raise ValueError("module: an output that the loss depends on depends on no parameter and no floating input")
        output = chosen[0].name
        if len(chosen) > 1:
            flat = row("reshape", shape=(-1,))
            output = self._unique("outputs")
            parts = tuple((flat, v) for v in chosen)
            self._add(output, (row("cat"), *parts), self.base, ("", ""))
        elif self.steps and all(output not in step.outputs for step in self.steps):
            output = self._unique("output")
            self._add(output, (row("clone"), chosen[0]), self.base, ("", ""))
        steps, used = _reached(self.steps, output)
        parameters = {name: v for name, v in self.leaf_values.items() if name in used and self._is_parameter(name)}
        inputs = {name: v for name, v in self.leaf_values.items() if name in used and name not in parameters}
        arrays = {name: np.asarray(array(v)) for name, v in self.leaf_values.items() if name in used}
        constants = {name: v for name, v in self.constants.items() if name in used}
        wide = np.result_type(*(a.dtype for a in (*arrays.values(), *constants.values()) if a.dtype.kind == "f"))
        arrays = {name: a.astype(wide) for name, a in arrays.items()}
        constants = {name: a.astype(wide) if a.dtype.kind == "f" else a for name, a in constants.items()}
        network = ref.Network({n: arrays[n] for n in parameters}, steps, tuple(inputs), output, constants)
        places = {step.name: self.places[step.name] for step in steps}
        return ModuleNetwork(network, {n: arrays[n] for n in inputs}, self.base, tuple(v.dtype for v in chosen), places)

    def _is_parameter(self, name: str) -> bool:
        return any(
            leaf == name for place, leaf in self.program.leaves.items() if isinstance(place, str) and place[:2] == "p_"
        )


def _reached(steps: list[ref.Step], output: str) -> tuple[list[ref.Step], set[str]]:
    """The steps that the output depends on, and every name that they use."""
    used, kept = {output}, []
    for step in reversed(steps):
        if used & set(step.outputs):
            kept.append(step)
            used |= {name for name in step.inputs if name is not None}
    return kept[::-1], used


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


def _uses(program: Exported) -> dict[str, int]:
    count: dict[str, int] = {}
    for node in program.nodes:
        for used in node.all_input_nodes:
            count[used.name] = count.get(used.name, 0) + 1
    return count


def _base(leaves: Iterable[Tensor]) -> torch.dtype:
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
    if isinstance(x, float) or (isinstance(x, int) and not isinstance(x, bool)):
        values = values.astype(np.float64 if number == torch.float64 else np.float32)
    return values


def _flat(value: Any) -> list[Any]:
    return (
        [v for part in value for v in _flat(part)]
        if isinstance(value, list | tuple)
        else [value]
        if isinstance(value, Value)
        else []
    )


def _tensors(data: Any) -> list[Tensor]:
    return [data] if isinstance(data, Tensor) else [t for t in data if isinstance(t, Tensor)]


def _floats(data: Any) -> bool:
    return isinstance(data, Tensor | list | tuple) and any(t.is_floating_point() for t in _tensors(data))


def _unknown(name: str, data: Any) -> Any:
    if isinstance(data, Tensor):
        return Value(name, tuple(data.shape), data.dtype)
    return [Value(f"{name}[{k}]", tuple(t.shape), t.dtype) for k, t in enumerate(data)]


def _path(node: Node) -> str:
    return submodule_of(node)[0]


def _where(node: Node) -> str:
    path, kind = submodule_of(node)
    line = line_of(node)
    return f"in {path or 'the module itself'} ({kind})" + (f", at {line}" if line else "")
