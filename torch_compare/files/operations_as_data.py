"""Rows of the table of operations as plain data, and back: a name and parameters, nothing that runs.

A parameter is null, a truth value, an integer, a text, a list of these, or an array as `bit_arrays` spells it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.operations import MAKERS

from . import bit_arrays
from .image_sizes import ASKED
from .rows_as_data import encode_row, make_row, number_parameter
from .untrusted import DIMENSIONS, LARGEST_NUMBERS, short

LONGEST_TEXT = 100
LONGEST_LIST = 2 * DIMENSIONS
"""Of a parameter: two numbers for each dimension, as `pad` has."""
_AXES = re.compile(r".*dim.*|source|destination")
"""Parameters that count axes."""


def encode_operation(row: ref.Operation) -> dict[str, Any]:
    """Name and parameters, those that were left out as well.

    Raises:
        ValueError: the row is none of the tables.

    >>> encode_operation(ref.operations.transpose(0, 1))
    {'name': 'transpose', 'parameters': {'dim0': 0, 'dim1': 1}}
    """
    data: dict[str, Any] = {"name": row.name, "parameters": {}}
    call = row.call
    if call is not None and row.name in MAKERS and call.maker is MAKERS[row.name]:
        data["parameters"] = {key: _encoded(value) for key, value in call.arguments().items()}
        return data
    made_of = None if call is None else call.arguments().get("row")
    if isinstance(made_of, ref.Activation | ref.Loss):
        besides = {key: value for key, value in row.parameters.items() if key in ("dim", "reduction")}
        data["parameters"] = encode_row(made_of)["parameters"] | besides
        if decode_operation("operation", data) == row:
            return data
    raise ValueError(f"{row.name}: a row of your own, not that of the tables, and a file holds no code")


def _encoded(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, tuple):
        return [_encoded(part) for part in value]
    array = np.asarray(value)
    if array.dtype.kind in "iu":
        return array.item() if not array.ndim else bit_arrays.encode(array.astype(np.int64))
    kept = array.dtype in (np.float64, np.float32, np.bool_)
    return bit_arrays.encode(array if kept else array.astype(np.float64))


def decode_operation(place: str, data: Any) -> ref.Operation:
    """The operation of such data.

    Raises:
        ValueError: there is no such row, it has no such parameters, or they ask for much memory; the message begins
            with the place.

    >>> decode_operation("steps[0]", {"name": "transpose", "parameters": {"dim0": 0, "dim1": 1}}).name
    'transpose'
    """
    if not isinstance(data, dict) or set(data) != {"name", "parameters"}:
        raise ValueError(f"{place}: expected an object of name and parameters, got {short(data)}")
    name, parameters = data["name"], data["parameters"]
    if not isinstance(name, str) or name not in {*MAKERS, *ref.ACTIVATIONS, *ref.LOSSES}:
        raise ValueError(f"{place}: name: no row is named {short(name)}")
    if not isinstance(parameters, dict):
        raise ValueError(f"{place}: parameters: expected an object, got {short(parameters)}")
    given = {key: _parameter(f"{place}: {short(key)}", value) for key, value in parameters.items()}
    require_modest(place, name, given)
    if name in ref.ACTIVATIONS:
        dim = given.pop("dim", -1)
        made = make_row(place, getattr(ref.activations, name), given)
        return make_row(place, lambda: ref.operations.of_activation(made, dim), {})
    if name in ref.LOSSES:
        reduction = given.pop("reduction", "mean")
        loss = make_row(place, getattr(ref.losses, name), given)
        return make_row(place, lambda: ref.operations.of_loss(loss, reduction), {})
    return make_row(place, MAKERS[name], given)


def _parameter(place: str, value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT or not value.isprintable():
            raise ValueError(f"{place}: expected at most {LONGEST_TEXT} printable letters, got {short(value)}")
        return value
    if isinstance(value, list):
        if len(value) > LONGEST_LIST or any(isinstance(part, list | dict) for part in value):
            raise ValueError(f"{place}: expected a list of at most {LONGEST_LIST} numbers, got {short(value)}")
        return tuple(_parameter(place, part) for part in value)
    return number_parameter(place, value)


# ── what a row costs to be made ──────────────────────────────────────────────────────────────────────


def require_modest(place: str, name: str, parameters: Mapping[str, Any]) -> int:
    """About how many numbers the row's check of itself takes: its probes are as large as its parameters ask for.

    Raises:
        ValueError: more than `LARGEST_NUMBERS`, or more axes than `DIMENSIONS`; the message begins with the place.
    """
    axes, singles, lists = 2, 2, 0
    for key, value in parameters.items():
        whole = [n for n in (value if isinstance(value, tuple) else (value,)) if isinstance(n, int)]
        if _AXES.fullmatch(key):
            axes = max([axes, len(whole), *(n + 1 if n >= 0 else -n for n in whole)])
        elif isinstance(value, tuple):
            lists += _OF_LISTS.get(name, _product)(whole)
        elif isinstance(value, str) and name == "einsum":
            axes = max(axes, *map(len, re.split("[,>-]", value.replace("...", "."))))
        else:
            singles += sum(map(abs, whole))
    if axes > DIMENSIONS:
        raise ValueError(f"{place}: expected at most {DIMENSIONS} axes, got {axes}")
    size = ASKED[name](parameters) if name in ASKED else singles * 3**axes + lists + _of_windows(name, parameters)
    if size > LARGEST_NUMBERS:
        raise ValueError(f"{place}: parameters that ask for about {size} numbers, more than the {LARGEST_NUMBERS} read")
    return int(size)


def _of_windows(name: str, parameters: Mapping[str, Any]) -> float:
    """The elements of all windows at the probe of a row of pooling, or the probe of interpolation and what it makes."""

    def numbers(key: str, axes: int, default: float) -> list[float]:
        given = parameters.get(key)
        flat = [default if n is None else abs(n) for n in np.ravel(np.array(given, dtype=object)).tolist()]
        return [float(n) if isinstance(n, int | float) else default for n in flat] * (axes if len(flat) == 1 else 1)

    if "_pool" in name:
        axes = int(name[-2])
        kernel, windows = numbers("kernel_size", axes, 1), numbers("output_size", axes, 1)
        steps = zip(kernel, numbers("stride", axes, 1), numbers("dilation", axes, 1), strict=False)
        lengths = [2 * d * k + 2 * s for k, s, d in steps]
        return prod(kernel) * prod(lengths) + prod(4 * n for n in windows)
    if name != "interpolate":
        return 0.0
    factors = [f for f in numbers("scale_factor", 3, 1) if f > 0]
    return prod((2 / f + 5) * max(1.0, f) for f in factors) + prod(5 * n for n in numbers("size", 3, 1))


def _product(whole: list[int]) -> int:
    return 2 * prod(max(abs(n), 1) for n in whole)


_OF_LISTS: Mapping[str, Callable[[list[int]], int]] = MappingProxyType({
    "pad": lambda pad: 2 * (2 * max(map(abs, pad), default=0) + 4) ** (len(pad) // 2),
    "repeat": lambda repeats: 3 ** len(repeats) * prod(max(abs(n), 1) for n in repeats),
    "roll": lambda shifts: 4 ** len(shifts),
    "split": lambda sections: 4 * sum(map(abs, sections)),
})  # fmt: skip
"""The numbers of a row's probes, where they are not those of a shape among its parameters."""
