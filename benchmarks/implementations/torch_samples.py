"""The samples that torch tests its own operations with (OpInfo), as rows of the table of operations and their inputs.

torch's `op_db` holds some 700 operations with sample inputs: shapes, broadcasts, strides, numbers at kinks, options
that people forget. `samples` hands out those of the operations that the table has a row for; `translated` says what a
sample is as a row with inputs by name, from torch's own order and names of arguments.
"""

from __future__ import annotations

import inspect
import sys
import types
import unittest
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

import reference as ref
from reference.operations import MAKERS


class NoCounterpartError(ValueError):
    """A sample that no row states; the message says why."""


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        operation: torch's name, "nn.functional.linear".
        variant: torch's name of the variant, or "".
        row: our name of it.
        function: torch's function.
        arguments: (input, *args).
        options: keyword arguments.
    """

    operation: str
    variant: str
    row: str
    function: Any
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


ORDER: Mapping[str, tuple[str, ...]] = MappingProxyType({
    **{f"adaptive_max_pool{n}d": ("input", "output_size", "return_indices") for n in (1, 2, 3)},
    "batch_norm": ("x", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "cat": ("*tensors", "dim"),
    "cdist": ("x1", "x2", "p", "compute_mode"),
    "clamp": ("input", "min", "max"),
    "diff": ("input", "n", "dim", "prepend", "append"),
    "dropout": ("x", "p", "training"),
    "einsum": ("*operands", "equation"),
    "embedding": ("weight", "input", "padding_idx"),
    "expand": ("input", "*size"),
    "flip": ("input", "*dims"),
    "gather": ("input", "dim", "index"),
    "group_norm": ("x", "num_groups", "weight", "bias", "eps"),
    "index_add": ("input", "dim", "index", "source", "alpha"),
    "index_put": ("input", "*indices", "values", "accumulate"),
    "index_select": ("input", "dim", "index"),
    "instance_norm": ("x", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
    "layer_norm": ("x", "normalized_shape", "weight", "bias", "eps"),
    "lerp": ("input", "end", "weight"),
    "masked_fill": ("input", "mask", "value"),
    "permute": ("input", "*dims"),
    "repeat": ("input", "*repeats"),
    "rms_norm": ("x", "normalized_shape", "weight", "eps"),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale",
                                     "enable_gqa"),
    "scatter_add": ("input", "dim", "index", "src"),
    "stack": ("*tensors", "dim"),
    "std": ("input", "dim", "unbiased", "keepdim"),
    "take_along_dim": ("input", "indices", "dim"),
    "var": ("input", "dim", "unbiased", "keepdim"),
    "where": ("input", "condition", "other"),
})  # fmt: skip
"""The order of arguments, torch's or OpInfo's, where it is not our inputs, then our parameters; a star takes a list."""
RENAMED: Mapping[str, str] = MappingProxyType({
    "linalg.cross": "cross", "linalg.diagonal": "diagonal", "linalg.vector_norm": "vector_norm",
    "msort": "", "split_with_sizes": "split", "true_divide": "div", "view": "reshape", "broadcast_to": "expand",
    "sigmoid": "sigmoid", "masked.softmax": "", "masked.log_softmax": "",
})  # fmt: skip
"""Names of torch's that are rows under another one; "" for those that only look like a row."""
IGNORED: Mapping[str, tuple[Any, ...] | None] = MappingProxyType({
    "inplace": (False, True), "dtype": (None, torch.float64), "training": (True,), "momentum": None,
    "dropout_p": (0.0,), "use_input_stats": (True,), "scale_grad_by_freq": (False,), "sparse": (False,),
    "max_norm": (None,), "rounding_mode": (None,), "sparse_grad": (False,), "memory_format": None,
    "_stacklevel": None, "stable": None, "prepend": (None,), "append": (None,), "decimals": (0,), "output_size": None,
    "running_mean": None, "running_var": None, "return_indices": None, "compute_mode": None,
})  # fmt: skip
"""Arguments of torch's that rows lack, and the values (any for None) that change nothing: the running statistics are
those of instance_norm, which takes the input's own."""


def samples(chosen: Collection[str] = ()) -> Iterator[Sample]:
    """Every sample in float64 of every operation with a derivative whose name is a row's, one of the chosen if any."""
    for info in _op_db():
        name = row_name(info.name)
        if (
            (chosen and name not in chosen)
            or name is None
            or not info.supports_autograd
            or torch.float64 not in info.dtypes
        ):
            continue
        for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
            arguments = (sample.input, *sample.args)
            yield Sample(info.name, info.variant_test_name, name, info.op, arguments, sample.kwargs)


def row_name(operation: str) -> str | None:
    """Our name of an operation of torch's, None if there is no such row.

    >>> row_name("nn.functional.linear"), row_name("linalg.svd"), row_name("true_divide")
    ('linear', None, 'div')
    """
    if operation in RENAMED:
        return RENAMED[operation] or None
    name = operation.removeprefix("nn.functional.").removeprefix("special.")
    return name if name in MAKERS or name in ref.ACTIVATIONS else None


def _op_db() -> list[Any]:
    if "expecttest" not in sys.modules:  # of which torch's tools for tests use the class alone that they derive from
        stand_in = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stand_in
    from torch.testing._internal.common_methods_invocations import op_db  # noqa: PLC0415  (it loads for seconds)

    return list(op_db)


# ── translation ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Translated:
    """A sample as a row.

    Attributes:
        row: made with the sample's parameters.
        inputs: the tensors (or numbers) by the names of the row's inputs; a list where it takes any number.
    """

    row: ref.Operation
    inputs: Mapping[str, Any]


def translated(sample: Sample) -> Translated:
    """The row and its inputs.

    Raises:
        NoCounterpartError: the row has no such argument, or the sample has complex numbers.

    >>> x = torch.ones(2, 3)
    >>> found = translated(Sample("sum", "", "sum", torch.sum, (x,), {"dim": 1}))
    >>> found.row.parameters["dim"], list(found.inputs)
    (1, ['input'])
    """
    name = sample.row
    given = _named(name, sample.arguments) | dict(sample.options)
    if name in ("std", "var"):
        _unbiased(given)
    if name in ref.ACTIVATIONS and name not in MAKERS:
        return _activation(name, given)
    names = _input_names(name)
    aliases = {"self": names[0], "input": names[0], "indices": "index" if "index" in names else "indices"}
    inputs: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    accepted = inspect.signature(MAKERS[name]).parameters
    for key, value in given.items():
        own = aliases[key] if key in aliases and key not in names and key not in accepted else key
        if own in names and (isinstance(value, torch.Tensor | list | tuple) or own not in accepted):
            inputs[own] = value
        elif own in accepted:
            parameters[own] = _parameter(value)
        elif not _says_nothing(own, value):
            raise NoCounterpartError(f"{own}={_short(value)}")
    if name == "rms_norm" and parameters.get("eps") is None:
        parameters["eps"] = float(np.finfo(np.float64).eps)  # torch's, of the type
    row = _made(name, parameters)
    if "input" in inputs and "input" not in row.inputs:  # known only once the row is made
        inputs[row.inputs[0]] = inputs.pop("input")
    return Translated(row, {key: x for key, x in inputs.items() if x is not None})


def _named(name: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Positional arguments by their names."""
    order = list(ORDER.get(name) or (*_input_names(name), *(_accepted(name))))
    found: dict[str, Any] = {}
    values = list(arguments)
    while values:
        if not order:
            raise NoCounterpartError(f"{len(arguments)} arguments")
        key = order.pop(0)
        value = values.pop(0)
        found[key.removeprefix("*")] = tuple(value) if key.startswith("*") and isinstance(value, list) else value
    return found


def _unbiased(given: dict[str, Any]) -> None:
    """torch's older option as the correction; alone it stands where the axis does."""
    if isinstance(given.get("dim"), bool):
        given["unbiased"] = given.pop("dim")
    if "unbiased" in given:
        given["correction"] = int(given.pop("unbiased"))
    if given.get("correction", 1) is None:
        del given["correction"]


def _accepted(name: str) -> tuple[str, ...]:
    if name in MAKERS:
        return tuple(inspect.signature(MAKERS[name]).parameters)
    return tuple(key for key in (*ref.ACTIVATIONS[name].parameters, "dim"))


def _input_names(name: str) -> tuple[str, ...]:
    """The inputs of a row, the optional ones among them, whatever its parameters are."""
    if name in ref.OPERATIONS:
        return ref.OPERATIONS[name].inputs
    return _INPUTS.get(name, ("input",))


_INPUTS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "einsum": ("operands",), "masked_fill": ("input", "mask"), "gather": ("input", "index"),
    "scatter_add": ("input", "index", "src"), "index_add": ("input", "index", "source"),
    "index_select": ("input", "index"), "group_norm": ("x", "weight", "bias"), "rms_norm": ("x", "weight"),
    "rotary_embedding": ("x", "cos", "sin"),
})  # fmt: skip
"""Inputs of rows that need parameters."""


def _activation(name: str, given: Mapping[str, Any]) -> Translated:
    parameters = dict(given)
    x = parameters.pop("input")
    if name == "rrelu" and parameters.pop("training", False):
        raise NoCounterpartError("training=True, slopes drawn at random")
    if parameters.pop("approximate", "none") == "tanh":
        name = "gelu_tanh"
    row = ref.ACTIVATIONS[name]
    dim = parameters.pop("dim", -1)
    for key in [key for key, value in parameters.items() if key not in row.parameters and _says_nothing(key, value)]:
        del parameters[key]
    if unknown := parameters.keys() - row.parameters.keys():
        raise NoCounterpartError(f"{sorted(unknown)[0]}={_short(parameters[sorted(unknown)[0]])}")
    made = getattr(ref.activations, name)(**parameters) if parameters else row
    return Translated(ref.operations.of_activation(made, -1 if dim is None else dim), {"input": x})


def _made(name: str, parameters: Mapping[str, Any]) -> ref.Operation:
    try:
        return MAKERS[name](**parameters)
    except (TypeError, ValueError) as error:
        raise NoCounterpartError(str(error)) from None


def _says_nothing(key: str, value: Any) -> bool:
    harmless = IGNORED.get(key, ())
    return harmless is None or any(value is one or value == one for one in harmless)


def _parameter(value: Any) -> Any:
    if isinstance(value, torch.Size | list):
        return tuple(value)
    return value.item() if isinstance(value, np.generic) else value


def _short(value: Any) -> str:
    return type(value).__name__ if isinstance(value, torch.Tensor) else str(value)[:40]
