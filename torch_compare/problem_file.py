"""Problems as JSON files: every number exactly, nothing but data, read as hostile.

Numbers are written in their shortest decimal form that reads back as the same float64 (which holds
float32 exactly); infinities and NaN have no place in a problem.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref

FORMAT = "gradient-oracle problem 1"
LARGEST_FILE = 64 * 2**20
"""A file of more bytes is refused before it is read."""
_DTYPES = ("float64", "float32")


def encode(problem: ref.Problem) -> dict[str, Any]:
    """The problem as plain data.

    >>> mlp = ref.MLP((ref.Layer(np.array([[0.5]]), None, "tanh"),))
    >>> encode(ref.Problem(mlp, np.array([[2.0]]), np.array([[1.0]]), "mse"))["layers"]
    [{'weight': [[0.5]], 'bias': None, 'activation': {'name': 'tanh', 'parameters': {}}}]
    """
    return {
        "format": FORMAT,
        "dtype": str(problem.dtype),
        "layers": [
            {
                "weight": layer.weight.tolist(),
                "bias": None if layer.bias is None else layer.bias.tolist(),
                "activation": _encode_row(layer.activation),
            }
            for layer in problem.mlp.layers
        ],
        "x": problem.x.tolist(),
        "target": problem.target.tolist(),
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
    dtype = data.get("dtype")
    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}, got {dtype!r}")
    try:
        layers = tuple(
            ref.Layer(
                np.array(layer["weight"], dtype),
                None if layer["bias"] is None else np.array(layer["bias"], dtype),
                _decode_row(layer["activation"], ref.activations, ref.ACTIVATIONS),
            )
            for layer in data["layers"]
        )
        loss = _decode_row(data["loss"], ref.losses, ref.LOSSES)
        target = np.array(data["target"])
        return ref.Problem(
            ref.MLP(layers),
            np.array(data["x"], dtype),
            target.astype(dtype) if target.dtype.kind == "f" else target,
            loss,
            data["reduction"],
        )
    except KeyError as error:
        raise ValueError(f"{error.args[0]}: missing") from None
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _decode_row(data: Any, module: Any, table: Any) -> Any:
    name = data["name"]
    if name not in table:
        raise ValueError(f"no row is named {name!r}")
    parameters: dict[str, Any] = {}
    for key, value in data["parameters"].items():
        if isinstance(value, dict):
            parameters[key] = np.array(value["array"], np.dtype(value["dtype"]))
        else:
            parameters[key] = float("inf") if value == "inf" else value
    return getattr(module, name)(**parameters)


def load(path: str | Path) -> dict[str, Any]:
    """The data of a JSON file.

    Raises:
        ValueError: the file is too large, no JSON, or nested too deep; the message names it.
        OSError: it cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(f"{path}: {size} bytes, more than the {LARGEST_FILE} that are read")
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON that holds a problem: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(data).__name__}")
    return data


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
