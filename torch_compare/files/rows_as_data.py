"""Rows of the tables of activations and losses as plain data, and back: a name and parameters, nothing that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import numpy as np

import reference as ref
from reference.training.checkpoint import printable

from . import bit_arrays
from .untrusted import short

UNFIT = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What a row raises of parameters or inputs that are none of its own."""
LARGEST_DEPTH = 1000
"""Layers of a problem in a file, at the most."""
LARGEST_OUTPUTS = 2**10
"""multilabel_margin compares every pair of outputs: more of them are refused, lest a small file ask for much memory."""


def encode_row(row: ref.Activation | ref.Loss) -> dict[str, Any]:
    """Name and parameters; a float or an array as `bit_arrays.encode` spells it, all else as it is.

    Raises:
        ValueError: the row is none of the tables.

    >>> encode_row(ref.losses.huber(delta=2.0))["parameters"]["delta"]["bits"]
    ['0x4000000000000000']
    """
    table: Mapping[str, Any] = ref.ACTIVATIONS if isinstance(row, ref.Activation) else ref.LOSSES
    if row.name not in table:
        raise ValueError(f"no row of the tables is named {row.name!r}, and a file holds no code")

    def plain(value: Any) -> Any:
        if value is None or isinstance(value, bool | int):
            return value
        array = np.asarray(value)
        return bit_arrays.encode(array if array.dtype in (np.float64, np.float32) else array.astype(np.float64))

    return {"name": row.name, "parameters": {key: plain(value) for key, value in row.parameters.items()}}


def decode_activation(place: str, data: Any) -> ref.Activation:
    """The activation of such data.

    Raises:
        ValueError: there is no such row, or it has no such parameters; the message begins with the place.
    """
    return _decode(place, data, ref.activations, ref.ACTIVATIONS)


def decode_loss(place: str, data: Any) -> ref.Loss:
    """The loss of such data; raises as `decode_activation`."""
    return _decode(place, data, ref.losses, ref.LOSSES)


def _decode(place: str, data: Any, module: Any, table: Mapping[str, Any]) -> Any:
    if not isinstance(data, dict) or not {"name", "parameters"} <= set(data):
        raise ValueError(f"{place}: expected an object of name and parameters, got {short(data)}")
    name, parameters = data["name"], data["parameters"]
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{place}: name: no row is named {short(name)}")
    if not isinstance(parameters, dict):
        raise ValueError(f"{place}: parameters: expected an object, got {short(parameters)}")
    if not parameters:
        return table[name]
    given = {key: number_parameter(f"{place}: {short(key)}", value) for key, value in parameters.items()}
    return make_row(place, getattr(module, name), given)


def number_parameter(place: str, value: Any) -> Any:
    """None, a truth value, an integer of 32 bits, or the number or array that `bit_arrays` spells.

    Raises:
        ValueError: it is none; the message begins with the place.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) >= 2**31:
            raise ValueError(f"{place}: expected an integer of 32 bits, got {short(value)}")
        return value
    array = bit_arrays.decode(place, value, finite=False)
    return array if array.ndim else array.item()


def make_row(place: str, maker: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    """The row that a function of the tables makes of such parameters.

    Raises:
        ValueError: it makes none; the message begins with the place.
    """
    for key, value in parameters.items():
        if isinstance(value, float) and isfinite(value) and value != 0 and not 1e-100 <= abs(value) <= 1e100:
            raise ValueError(f"{place}: {short(key)}: expected a number between 1e-100 and 1e100 in size, got {value}")
    try:
        with np.errstate(all="ignore"):
            return maker(**parameters)
    except UNFIT as error:
        raise ValueError(f"{place}: {printable(error)}") from None


def make_problem(
    layers: list[tuple[Any, Any, ref.Activation]], x: Any, target: Any, loss: ref.Loss, reduction: Any
) -> ref.Problem:
    """The problem of a file's arrays and rows.

    Raises:
        ValueError: they make none; the message says where, or it would ask for too much memory.
    """
    width = layers[-1][0].shape[0] if layers else 1
    if loss.target == "labels" and width > LARGEST_OUTPUTS:
        raise ValueError(f"loss: {loss.name}: more than {LARGEST_OUTPUTS} outputs, every pair of which it compares")
    try:
        with np.errstate(all="ignore"):
            made = tuple(ref.Layer(weight, bias, activation) for weight, bias, activation in layers)
            return ref.Problem(ref.MLP(made), x, target, loss, reduction)
    except (TypeError, ValueError) as error:
        raise ValueError(printable(error)) from None
