"""Problems as JSON files: every number exactly, nothing but data, read as a stranger's.

Numbers are written in their shortest decimal form that reads back as the same float64 (which holds
float32 exactly); infinities and NaN have no place in a problem.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import place_of

from . import bit_arrays
from .bit_arrays import from_decimals
from .network_file import decode_network, encode_network, is_network, may_be_infinite, network_arrays
from .rows_as_data import LARGEST_DEPTH, make_problem, make_row
from .untrusted import parse_json, read_bytes, short

FORMAT = "gradient-oracle problem 1"
_DTYPES = ("float64", "float32")


def encode(problem: ref.Problem) -> dict[str, Any]:
    """The problem as plain data; the arrays of a network of operations as `bit_arrays` spells them.

    >>> mlp = ref.MLP((ref.Layer(np.array([[0.5]]), None, "tanh"),))
    >>> encode(ref.Problem(mlp, np.array([[2.0]]), np.array([[1.0]]), "mse"))["layers"]
    [{'weight': [[0.5]], 'bias': None, 'activation': {'name': 'tanh', 'parameters': {}}}]
    """
    if isinstance(problem.network, ref.Network):
        arrays = {name: bit_arrays.encode(values) for name, values in network_arrays(problem).items()}
        return {"format": FORMAT, "network": encode_network(problem), "arrays": arrays}
    return {
        "format": FORMAT,
        "dtype": str(problem.dtype),
        "layers": [
            {
                "weight": np.asarray(layer.weight).tolist(),
                "bias": None if layer.bias is None else np.asarray(layer.bias).tolist(),
                "activation": _encode_row(layer.activation),
            }
            for layer in problem.mlp.layers
        ],
        "x": np.asarray(problem.x).tolist(),
        "target": np.asarray(problem.target).tolist(),
        "loss": _encode_row(problem.loss),
        "reduction": problem.reduction,
    }


def _encode_row(row: ref.Activation | ref.Loss) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return {"array": value.tolist(), "dtype": str(value.dtype)}
        return "inf" if value == float("inf") else value

    return {"name": row.name, "parameters": {k: plain(v) for k, v in row.parameters.items()}}


def decode(data: Any) -> ref.Problem:
    """The problem of such data.

    Raises:
        ValueError: something is missing, of the wrong kind or unknown; the message says where.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f'format: expected "{FORMAT}"')
    if "network" in data:
        return _network(data["network"], _member("", data, "arrays"))
    dtype = data.get("dtype")
    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}, got {short(dtype)}")
    layers = _member("", data, "layers")
    if not isinstance(layers, list) or not 1 <= len(layers) <= LARGEST_DEPTH:
        raise ValueError(f"layers: expected a list of 1 to {LARGEST_DEPTH}, got {short(layers)}")
    made = []
    for index, layer in enumerate(layers):
        place = place_of(index)
        bias = _member(place, layer, "bias")
        made.append(
            (
                _array(f"{place}.weight", _member(place, layer, "weight"), dtype),
                None if bias is None else _array(f"{place}.bias", bias, dtype),
                _decode_row(
                    f"{place}.activation", _member(place, layer, "activation"), ref.activations, ref.ACTIVATIONS
                ),
            )
        )
    loss = _decode_row("loss", _member("", data, "loss"), ref.losses, ref.LOSSES)
    target = _array("target", _member("", data, "target"), dtype, integers=True)
    x = _array("x", _member("", data, "x"), dtype)
    return make_problem(made, x, target, loss, _member("", data, "reduction"))


def _network(network: Any, arrays: Any) -> ref.Problem:
    for place, part in (("network", network), ("arrays", arrays)):
        if not isinstance(part, dict):
            raise ValueError(f"{place}: expected an object, got {short(part)}")
    if not is_network(network):
        raise ValueError("network: steps: missing")
    decoded = {
        name: bit_arrays.decode(short(name)[1:-1], values, finite=not may_be_infinite(network, name))
        for name, values in arrays.items()
    }
    return decode_network(network, decoded)


def _member(place: str, data: Any, key: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{place}: expected an object, got {short(data)}")
    if key not in data:
        raise ValueError(f"{place}.{key}: missing" if place else f"{key}: missing")
    return data[key]


def _array(place: str, values: Any, dtype: str, *, integers: bool = False) -> Any:
    """An array of a list of numbers or of rows of them; of integers only if they may stay so."""
    if not isinstance(values, list) or not values:
        raise ValueError(f"{place}: expected a list of numbers, got {short(values)}")
    rows = values if isinstance(values[0], list) else [values]
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise ValueError(f"{place}: expected numbers, or rows of equal length")
    flat = [number for row in rows for number in row]
    kind = np.dtype(np.int64 if integers and all(type(n) is int for n in flat) else dtype)
    array = from_decimals(place, flat, kind)
    return array.reshape(len(rows), len(rows[0])) if rows is values else array


def _decode_row(place: str, data: Any, module: Any, table: Any) -> Any:
    name, parameters = _member(place, data, "name"), _member(place, data, "parameters")
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{place}: no row is named {short(name)}")
    if not isinstance(parameters, dict):
        raise ValueError(f"{place}: parameters: expected an object, got {short(parameters)}")
    return make_row(
        place, getattr(module, name), {key: _parameter(f"{place}: {short(key)}", v) for key, v in parameters.items()}
    )


def _parameter(place: str, value: Any) -> Any:
    if value == "inf":
        return float("inf")
    if value is None or isinstance(value, bool | float) or (type(value) is int and abs(value) < 2**31):
        return value
    if isinstance(value, dict) and value.get("dtype") in _DTYPES and isinstance(value.get("array"), int | float):
        return from_decimals(place, [value["array"]], np.dtype(value["dtype"])).reshape(())
    if isinstance(value, dict) and value.get("dtype") in _DTYPES:
        return _array(place, value.get("array"), value["dtype"])
    raise ValueError(f"{place}: expected a number, or an object of array and dtype, got {short(value)}")


def load(path: str | Path) -> dict[str, Any]:
    """The data of a JSON file.

    Raises:
        ValueError: the file is too large, no JSON, or nested too deep; the message names it.
        OSError: it cannot be read.
    """
    try:
        data = parse_json(read_bytes(Path(path)))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON that holds a problem: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path}: expected a JSON object, got {short(data)}")
    return data
