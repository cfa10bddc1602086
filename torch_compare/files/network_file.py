"""Networks of operations as plain data, and back: names, steps and rows; the arrays are stored elsewhere, by name.

>>> w, x = np.ones((1, 2)), np.ones((3, 2))
>>> network = ref.Network({"w": w}, [ref.Step("y", "linear", "x", "w")])
>>> encode_network(ref.Problem(network, x, np.ones((3, 1)), "inner_product"))["steps"]
({'output': 'y', 'operation': {'name': 'linear', 'parameters': {}}, 'inputs': ['x', 'w']},)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS
from reference.arithmetic.names import meant
from reference.network.problem import loss_divisor
from reference.rounding.certified import StepKink
from reference.training.checkpoint import printable

from . import bit_arrays
from .operations_as_data import decode_operation, encode_operation, require_modest
from .rows_as_data import LARGEST_OUTPUTS, UNFIT, decode_loss, encode_row
from .step_sizes import require_small
from .untrusted import DIMENSIONS, LARGEST_NUMBERS, short

LARGEST_STEPS = 2000
LONGEST_NAME = 200
"""Of a value."""
MOST_INPUTS = 200
"""Of a step: as many arrays may be joined at once."""
KEYS = ("dtype", "parameters", "inputs", "constants", "steps", "output", "loss", "reduction", "loss_divided_by")
STEP_KEYS = ("output", "operation", "inputs", "compute", "store")
GRADIENTS = "gradients."
"""What the names of gradients begin with in a safetensors file, and no value's may."""


def is_network(architecture: Any) -> bool:
    """Whether an architecture is that of a network of operations."""
    return isinstance(architecture, dict) and "steps" in architecture


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────


def encode_network(problem: ref.Problem) -> dict[str, Any]:
    """All of a problem but its arrays; a tuple has a line for each of its members.

    Raises:
        ValueError: a row is none of the tables, or a name is none that a file can hold.
    """
    network = problem.graph
    for name in (*problem.arrays(), *network.constants, *(n for step in network.steps for n in step.outputs)):
        _name("a name", name)
    with np.errstate(all="ignore"):
        output = ref.network.graph.forward(network, problem.x).output
        divisor = loss_divisor(problem, output) if problem.reduction == "mean" else 1
    return {
        "dtype": str(problem.dtype),
        "parameters": list(network.parameters),
        "inputs": list(network.inputs),
        "constants": list(network.constants),
        "steps": tuple(map(_encoded_step, network.steps)),
        "output": network.output,
        "loss": encode_row(problem.loss),
        "reduction": problem.reduction,
        "loss_divided_by": float(np.asarray(divisor)),
    }


def _encoded_step(step: ref.Step) -> dict[str, Any]:
    output = step.output if isinstance(step.output, str) else list(step.output)
    data = {"output": output, "operation": encode_operation(step.operation), "inputs": list(step.inputs)}
    formats = {"compute": step.compute, "store": step.store}
    return data | {key: name for key, name in formats.items() if name is not None}


def network_arrays(problem: ref.Problem) -> dict[str, Any]:
    """Every array by its name, constants among them; integers of any width as int64.

    Raises:
        ValueError: an array is of a type that no file holds, of no elements, or of too many dimensions.
    """
    return {name: _storable(name, values) for name, values in {**problem.arrays(), **problem.graph.constants}.items()}


def _storable(name: str, values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        if array.dtype == np.uint64 and np.any(array > np.iinfo(np.int64).max):
            raise ValueError(f"{name}: an integer beyond the range of int64")
        array = array.astype(np.int64)
    if array.dtype.name not in bit_arrays.DTYPES:
        raise ValueError(f"{name}: expected one of {', '.join(bit_arrays.DTYPES)}, got {array.dtype}")
    if not array.size or array.ndim > DIMENSIONS:
        raise ValueError(f"{name}: expected at most {DIMENSIONS} dimensions and no length of 0, got {array.shape}")
    return array


def encode_kink(kink: StepKink) -> dict[str, Any]:
    """A number that sits exactly where the formula of a step changes."""
    return {"step": kink.step, "operation": kink.operation, "index": list(kink.index)}


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


def may_be_infinite(architecture: Any, name: str) -> bool:
    """Whether an array may hold infinities, as a mask that is added does: a constant may."""
    constants = architecture.get("constants") if is_network(architecture) else None
    return isinstance(constants, list) and name in constants


def decode_network(architecture: dict[str, Any], arrays: Mapping[str, Any]) -> ref.Problem:
    """The problem of such data and arrays.

    Raises:
        ValueError: they make none, or one that would ask for much memory or time; the message names the place.
    """
    place = "architecture"
    if set(architecture) != set(KEYS):
        other = sorted(set(architecture) ^ set(KEYS), key=lambda key: (key in KEYS, key))[0]
        said = "missing" if other in KEYS else f"unknown{meant(other, KEYS)}"
        raise ValueError(f"{place}: {short(other)}: {said}")
    dtype, steps, reduction = (architecture[key] for key in ("dtype", "steps", "reduction"))
    if dtype not in ("float64", "float32"):
        raise ValueError(f"{place}: dtype: expected float64 or float32, got {short(dtype)}")
    if not isinstance(steps, list) or len(steps) > LARGEST_STEPS:
        raise ValueError(f"{place}: steps: expected a list of at most {LARGEST_STEPS}, got {short(steps)}")
    if reduction not in ("mean", "sum"):
        raise ValueError(f'{place}: reduction: expected "mean" or "sum", got {short(reduction)}')
    left = dict(arrays)
    if "target" not in left:
        raise ValueError("arrays: target: missing")
    target = _typed("target", left.pop("target"), (dtype, "int64"))
    parameters = _taken(architecture, "parameters", left, (dtype,))
    inputs = _taken(architecture, "inputs", left, (dtype, "int64", "bool"))
    constants = _taken(architecture, "constants", left, (dtype, "int64", "bool"))
    if left:
        raise ValueError(f"arrays: {short(min(left))}: no array of this architecture")
    loss, made = decode_loss(f"{place}: loss", architecture["loss"]), _steps(steps)
    _name(f"{place}: output", architecture["output"])
    try:
        network = ref.Network(parameters, made, tuple(inputs), architecture["output"], constants)
    except UNFIT as error:
        raise ValueError(f"{place}: {printable(error)}") from None
    shape = require_small(network, inputs)
    if loss.target == "labels" and shape and shape[-1] > LARGEST_OUTPUTS:
        raise ValueError(f"loss: {loss.name}: more than {LARGEST_OUTPUTS} outputs, every pair of which it compares")
    try:
        with np.errstate(all="ignore"):
            return ref.Problem(network, inputs, target, loss, reduction)
    except UNFIT as error:
        raise ValueError(printable(error)) from None


def _taken(architecture: dict[str, Any], key: str, left: dict[str, Any], dtypes: tuple[str, ...]) -> dict[str, Any]:
    names, found = architecture[key], {}
    if not isinstance(names, list):
        raise ValueError(f"architecture: {key}: expected a list of names, got {short(names)}")
    for index, name in enumerate(names):
        _name(f"architecture: {key}[{index}]", name)
        if name not in left:
            raise ValueError(f"arrays: {short(name)[1:-1]}: missing, or named twice")
        found[name] = _typed(name, left.pop(name), dtypes)
    return found


def _typed(name: str, array: Any, dtypes: tuple[str, ...]) -> Any:
    if array.dtype.name not in dtypes:
        raise ValueError(f"arrays: {short(name)[1:-1]}: expected {' or '.join(dtypes)}, got {array.dtype}")
    return array


def _steps(data: list[Any]) -> list[ref.Step]:
    made, total = [], 0
    for index, step in enumerate(data):
        place = f"architecture: steps[{index}]"
        if not isinstance(step, dict) or not {"output", "operation", "inputs"} <= set(step):
            raise ValueError(f"{place}: expected an object of output, operation and inputs, got {short(step)}")
        if extra := sorted(set(step) - set(STEP_KEYS)):
            raise ValueError(f"{place}: {short(extra[0])}: unknown{meant(extra[0], STEP_KEYS)}")
        inputs, output = step["inputs"], step["output"]
        if not isinstance(inputs, list) or len(inputs) > MOST_INPUTS:
            raise ValueError(f"{place}: inputs: expected a list of at most {MOST_INPUTS} names, got {short(inputs)}")
        for name in inputs:
            if name is not None:
                _name(f"{place}: inputs", name)
        if isinstance(output, list) and not 1 <= len(output) <= MOST_INPUTS:
            raise ValueError(f"{place}: output: expected a name or a list of 1 to {MOST_INPUTS}, got {short(output)}")
        for name in output if isinstance(output, list) else [output]:
            _name(f"{place}: output", name)
        for key in ("compute", "store"):
            if key in step and (not isinstance(step[key], str) or step[key] not in FORMATS):
                near = meant(step[key], FORMATS)
                raise ValueError(f"{place}: {key}: expected one of {', '.join(FORMATS)}, got {short(step[key])}{near}")
        row = decode_operation(f"{place}: operation", step["operation"])
        total += require_modest(place, row.name, row.parameters)
        if total > 4 * LARGEST_NUMBERS:
            raise ValueError(f"{place}: the parameters of all steps ask for about {total} numbers, more than are read")
        try:
            made.append(ref.Step(output, row, *inputs, compute=step.get("compute"), store=step.get("store")))
        except UNFIT as error:
            raise ValueError(f"{place}: {printable(error)}") from None
    return made


def _name(place: str, name: Any) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"{place}: expected a name of at most {LONGEST_NAME} printable letters, got {short(name)}")
    if name.startswith((GRADIENTS, "__")):
        raise ValueError(f'{place}: {short(name)}: no name may begin with "{GRADIENTS}" or "__" in a file')


def decode_kink(place: str, kink: Any) -> StepKink:
    """The kink of such data.

    Raises:
        ValueError: it is none; the message begins with the place.
    """
    if not isinstance(kink, dict) or set(kink) != {"step", "operation", "index"}:
        raise ValueError(f"{place}: expected an object of step, operation and index, got {short(kink)}")
    index = kink["index"]
    if not isinstance(index, list) or len(index) > DIMENSIONS or not all(type(n) is int and n >= 0 for n in index):
        raise ValueError(f"{place}: index: expected at most {DIMENSIONS} integers of at least 0, got {short(index)}")
    for key in ("step", "operation"):
        _name(f"{place}: {key}", kink[key])
    return StepKink(kink["step"], kink["operation"], tuple(index))
