"""A module as the straight-line program that torch.export makes of it, each call with the place that made it.

The trace goes through Python: a custom autograd.Function shows as what its forward pass calls, a compiled module as the
module that was compiled. `run_decompositions({})` then makes it functional and leaves layers whole.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import GraphModule, Interpreter, Node
from torch.utils import _pytree as pytree

from .arguments import Arguments, named_tensors, plain_name, tensors_of
from .detaching import Detaching, Spans, function_at

Loss = Callable[[Any], Tensor]
"""A number from whatever a module gives."""


@dataclass(frozen=True)
class Exported:
    """A traced module.

    Attributes:
        nodes: the calls, in order.
        given: what every placeholder holds: tensors, and for what is no tensor the thing itself.
        leaves: the names of parameters and floating inputs that gradients are taken of, by placeholder.
        inputs: those of the leaves that are inputs, by name.
        outputs: the tensors that the module gives, nodes in the order of `tensors_of`; what is no node is None.
    """

    nodes: tuple[Node, ...]
    given: Mapping[str, Any]
    leaves: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[Node | None, ...]


def export(module: nn.Module, arguments: Arguments, loss: Loss | None = None) -> Exported:
    """The module's program on these arguments; with a loss of its output, the program of that.

    Raises:
        TypeError: torch.export cannot trace it; what its message says first, and of which line, is handed on.
    """
    plain = original(module)
    try:
        with _quiet(), torch.random.fork_rng(devices=[]), torch.enable_grad():
            with Detaching():
                program = torch.export.export(_Flat(plain, loss), *arguments, strict=False)
            _run_call_by_call(program)
            program = program.run_decompositions({})
    except Exception as error:
        raise TypeError(
            f"module: torch.export cannot trace {type(plain).__name__} on these inputs, so that there is no program to "
            f"judge: {_in_short(str(error))}"
        ) from error
    return _read(program, plain, arguments)


def _run_call_by_call(program: ExportedProgram) -> None:
    """Have the regions under autocast or no_grad hand on where each of their calls was made: else it is lost."""
    for part in program.graph_module.modules():
        if isinstance(part, GraphModule) and part is not program.graph_module:
            part.forward = Interpreter(part).run


def original(module: nn.Module) -> nn.Module:
    """The module that torch.compile was given."""
    return getattr(module, "_orig_mod", module)


class _Flat(nn.Module):
    """The module with nothing but a tuple of tensors as output, which torch.export takes whatever holds them."""

    def __init__(self, module: nn.Module, loss: Loss | None) -> None:
        super().__init__()
        self.module, self.loss = module, loss
        self.training = module.training

    def forward(self, *positional: Any, **named: Any) -> tuple[Tensor, ...]:
        output = self.module(*positional, **named)
        return tuple(tensors_of(output if self.loss is None else self.loss(output)))


def _in_short(message: str) -> str:
    r"""What torch.export says first and the call that it names; the rest is how to look into torch.

    >>> _in_short('No guard.\n\nRun again\n\nThe following call raised this error:\n  File "a.py", line 5\n    if x:')
    'No guard. File "a.py", line 5: if x:'
    """
    first = message.strip().partition("\n\n")[0]
    frame = re.search(r"raised this error:\n *(File .*)\n *(.*)", message)
    return first if frame is None else f"{first} {frame[1]}: {frame[2]}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings, and without the programs that torch prints when it gives up."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _read(program: ExportedProgram, module: nn.Module, arguments: Arguments) -> Exported:
    """Placeholders with what they hold and their names, nodes, and outputs."""
    names = {id(p): plain_name(name) for name, p in module.named_parameters()}
    own = dict(module.named_parameters(remove_duplicate=False))
    by_identity: dict[int, str] = {}
    for name, t in named_tensors(module, arguments).items():
        by_identity.setdefault(id(t), name)
    given: dict[str, Any] = {}
    leaves: dict[str, str] = {}
    users, taken = iter(pytree.tree_flatten(arguments)[0]), []
    for spec in program.graph_signature.input_specs:
        place = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            value = next(users)
            given[place] = value
            taken.append(place)
            if isinstance(value, Tensor) and value.is_floating_point() and bool(torch.isfinite(value).all()):
                leaves[place] = by_identity.get(id(value), place)
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
    inputs = tuple(leaves[place] for place in taken if place in leaves)
    return Exported(calls, given, leaves, inputs, outputs)


# ── where a call was made ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Place:
    """Where a module makes a call.

    Attributes:
        submodule: the path of the submodule, "" for the module itself.
        kind: its class.
        function: the autograd.Function whose forward pass makes it; "" if none does.
        line: the source line, as "file.py:12: y = f(x)": the last one that is not torch's own, if there is one.
    """

    submodule: str = ""
    kind: str = ""
    function: str = ""
    line: str = ""

    def __str__(self) -> str:
        kind = f"{self.kind}, forward of {self.function}" if self.function else self.kind
        where = f"in {self.submodule or 'the module itself'} ({kind})"
        return where + (f", at {self.line}" if self.line else "")

    def name_of(self, operation: str) -> str:
        """A step's name: the submodule, the Function and the operation."""
        return ".".join(filter(None, (self.submodule, self.function, operation)))


_FRAME = re.compile(r'File "([^"]+)", line (\d+), in \S+(?:\n    (?! *File )(.*))?')


def place_of(node: Node, spans: Spans) -> Place:
    """Where a call was made, from what torch.export noted and where forward passes of Functions stand."""
    path, kind = ([*(node.meta.get("nn_module_stack") or {}).values()] or [("", "")])[-1]
    kind = kind if isinstance(kind, str) else kind.__name__
    frames = [frame for frame in _FRAME.findall(node.meta.get("stack_trace") or "") if frame[0] != __file__]
    own = [frame for frame in frames if "/torch/" not in frame[0]] or frames
    line = ""
    if own:
        file, number, text = own[-1]
        line = f"{file}:{number}" + (f": {text.strip()}" if text else "")
    functions = [name for file, number, _ in frames if (name := function_at(file, int(number), spans))]
    return Place(
        plain_name(str(path).removeprefix("module").removeprefix(".")),
        kind.rpartition(".")[2],
        functions[-1] if functions else "",
        line,
    )
