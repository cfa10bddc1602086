"""A step as a file, so that a program in any language is judged: `gradient-oracle check STEP RESULT`.

STEP, JSON or safetensors, is what `write_step` writes: optimiser and settings, parameters, gradients and state. RESULT
is what the program under test made of it: ``{"params": {"0": [...]}, "state": {"step": 4, "exp_avg": {"0": [...]}}}``,
of which the state, or slots of it, may be left out; numbers row by row, nested or not. Or safetensors, with the tensors
"params.0" and "state.exp_avg.0". A step's file that holds the new parameters too is a RESULT as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np

from reference.arithmetic.formats import FORMATS, STORED
from reference.arithmetic.names import meant
from reference.optimizers import OPTIMIZERS, Optimizer

from ..files import bit_arrays
from ..files.untrusted import parse_json, parse_tensors, read_bytes, read_shape, short, write_tensors
from .step import Stored, labels_of, read_array

FORMAT = "gradient-oracle step 1"
KEYS = ("optimizer", "params", "gradients", "state", "dtype", "given")


@dataclass(frozen=True, eq=False)
class StepFile:
    """What a step's file holds; the arrays go to `check_step` as they are.

    Attributes:
        optimizer: with its settings.
        params: before the step, by label.
        gradients: by label.
        state: before the step; None if there was no step before.
        dtype: the precision that the step is computed in, if stated.
        given: new parameters, or (parameters, state), if the file holds them.
    """

    optimizer: Optimizer
    params: dict[str, Any]
    gradients: dict[str, Any]
    state: dict[str, Any] | None
    dtype: str | None = None
    given: Any = None


def write_step(
    path: str | Path,
    optimizer: Optimizer,
    params: Any,
    gradients: Any,
    state: Any = None,
    given: Any = None,
    dtype: str | None = None,
) -> None:
    """Write a step: safetensors if the path ends so, else JSON.

    Args:
        path: of the file.
        optimizer: of `reference.optimizers`.
        params: before the step, as for `check_step`.
        gradients: likewise.
        state: before the step; None if there was no step before.
        given: the new parameters, or (parameters, state), if there are any yet.
        dtype: the precision that the step is computed in.

    Raises:
        TypeError: an array is no array of floating numbers.
        ValueError: the optimiser is none of the table's.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if optimizer.name not in OPTIMIZERS:
        raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {optimizer.name!r}")
    labels = labels_of(params)
    data: dict[str, Any] = {"params": _named(params, labels), "gradients": _named(gradients, labels), "state": state}
    if given is not None:
        new, after = (
            given if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping) else (given, None)
        )
        data["given"] = {"params": _named(new, labels)} | ({} if after is None else {"state": after})
    arrays: dict[str, Any] = {}
    head = {"format": FORMAT, "optimizer": {"name": optimizer.name, "settings": _plain(optimizer.hyperparameters)}}
    head |= {"dtype": dtype} | {key: _skeleton(value, key, arrays) for key, value in data.items()}
    if path.suffix == ".safetensors":
        flat = {place: array.ravel() for place, array in arrays.items()}
        path.write_bytes(write_tensors(flat, {"step": json.dumps(head, ensure_ascii=False)}))
        return
    for place, array in arrays.items():
        _hold(head, place)["decimal"] = bit_arrays.decimals_of(array)
    path.write_text(json.dumps(head, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _named(values: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(values, Mapping):
        return {str(key): value for key, value in values.items() if value is not None}
    flat = (
        [a for layer in values.layers for a in (layer.weight, layer.bias)]
        if hasattr(values, "layers")
        else list(values)
    )
    return dict(zip(labels, [a for a in flat if a is not None], strict=True))


def _plain(value: Any) -> Any:
    """A setting as JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _skeleton(value: Any, place: str, arrays: dict[str, Any]) -> Any:
    """The tree with a description in the place of every array, which is noted in `arrays`."""
    if isinstance(value, Mapping):
        return {str(key): _skeleton(entry, f"{place}/{key}", arrays) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_skeleton(entry, f"{place}/{index}", arrays) for index, entry in enumerate(value)]
    if value is None or isinstance(value, int | float):
        return value
    array, name = read_array(place, value)
    arrays[place] = np.asarray(array if array.dtype in (np.float64, np.float32) else array.astype(np.float32))
    return {"array": place, "format": name, "shape": list(array.shape)}


def _hold(head: Any, place: str) -> Any:
    for key in place.split("/"):
        head = head[int(key)] if isinstance(head, list) else head[key]
    return head


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


def is_step(path: Path) -> bool:
    """Whether a file says at its beginning that it is a step."""
    try:
        with path.open("rb") as file:
            return FORMAT.encode() in file.read(4096)
    except OSError:
        return False


def read_step(path: str | Path) -> StepFile:
    """The step of a file that `write_step` wrote.

    Raises:
        ValueError: the file is anything else; the message names it, the place and what was expected.
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        head, tensors = _opened(path)
        return _step(head, tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _opened(path: Path) -> tuple[Any, dict[str, Any]]:
    """What a file holds besides its arrays, and its tensors."""
    data = read_bytes(path)
    if path.suffix != ".safetensors":
        return parse_json(data, as_printed=True), {}
    tensors, metadata = parse_tensors(data)
    return parse_json(metadata["step"].encode()) if "step" in metadata else None, tensors


def _step(head: Any, tensors: Mapping[str, Any]) -> StepFile:
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError(f'format: expected "{FORMAT}"')
    for key in head:
        if key not in (*KEYS, "format"):
            raise ValueError(f"{short(key)}: unknown{meant(key, KEYS)}; there are {', '.join(KEYS)}")
    for key in KEYS[:3]:
        if not isinstance(head.get(key), dict) or not head[key]:
            raise ValueError(f"{key}: expected an object, got {short(head.get(key))}")
    dtype = head.get("dtype")
    if dtype is not None and not (isinstance(dtype, str) and dtype in FORMATS):
        raise ValueError(f"dtype: expected one of {', '.join(FORMATS)}, got {short(dtype)}{meant(dtype, FORMATS)}")
    parts = {key: _filled(head.get(key), key, tensors) for key in ("params", "gradients", "state", "given")}
    for key in ("params", "gradients"):
        for label, array in parts[key].items():
            if not isinstance(array, Stored):
                raise ValueError(f"{key}[{short(label)}]: expected an array, got {short(array)}")
    if parts["state"] is not None and not isinstance(parts["state"], dict):
        raise ValueError(f"state: expected an object, got {short(parts['state'])}")
    given = None if parts["given"] is None else _given("given", parts["given"])
    return StepFile(
        _optimizer("optimizer", head["optimizer"]), parts["params"], parts["gradients"], parts["state"], dtype, given
    )


def _given(place: str, value: Any) -> Any:
    if not isinstance(value, dict) or "params" not in value or not set(value) <= {"params", "state"}:
        raise ValueError(f"{place}: expected an object of params and, if it is to be judged, state, got {short(value)}")
    return (value["params"], value["state"]) if value.get("state") is not None else value["params"]


def _optimizer(place: str, data: Any) -> Optimizer:
    if not isinstance(data, dict) or set(data) != {"name", "settings"} or not isinstance(data["settings"], dict):
        raise ValueError(f"{place}: expected an object of name and settings, got {short(data)}")
    if not isinstance(data["name"], str) or data["name"] not in OPTIMIZERS:
        near = meant(data["name"], OPTIMIZERS)
        raise ValueError(f"{place}: name: expected one of {', '.join(OPTIMIZERS)}, got {short(data['name'])}{near}")
    settings = {key: _setting(f"{place}: {short(key)}", value) for key, value in data["settings"].items()}
    try:
        return OPTIMIZERS[data["name"]](**settings)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{place}: {short_text(error)}") from None


def short_text(error: Exception) -> str:
    """The error's text, in characters that a terminal can show."""
    text = str(error).encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 300 else f"{text[:297]}..."


def _setting(place: str, value: Any) -> Any:
    if value in ("inf", "-inf", "nan"):
        return float(value)
    if value is None or isinstance(value, bool | float) or (type(value) is int and abs(value) < 2**31):
        return value
    if isinstance(value, str) and len(value) <= 64:
        return value
    if isinstance(value, list) and len(value) <= 8 and not any(isinstance(entry, list | dict) for entry in value):
        return tuple(_setting(place, entry) for entry in value)
    if isinstance(value, dict) and place.endswith("'others'") and isinstance(value.get("name"), str):
        settings = {key: entry for key, entry in value.items() if key != "name"}
        return _optimizer(place, {"name": value["name"], "settings": settings})
    raise ValueError(f"{place}: expected a number, a word or a list of numbers, got {short(value)}")


def _filled(value: Any, place: str, tensors: Mapping[str, Any]) -> Any:
    """The tree with every array in its place."""
    if isinstance(value, list):
        return tuple(_filled(entry, f"{place}[{index}]", tensors) for index, entry in enumerate(value))
    if not isinstance(value, dict):
        return value
    if not {"array", "format", "shape"} <= set(value):
        return {key: _filled(entry, f"{place}.{key}"[:200], tensors) for key, entry in value.items()}
    name, shape = value["format"], read_shape(place, value["shape"])
    if not isinstance(name, str) or name not in STORED:
        raise ValueError(f"{place}: format: expected one of {', '.join(STORED)}, got {short(name)}")
    if "decimal" in value:
        flat = decimals(place, value["decimal"], name)
    elif isinstance(value["array"], str) and value["array"] in tensors:
        flat, _ = bit_arrays.from_tensor(place, tensors[value["array"]])
    else:
        raise ValueError(f"{place}: decimal: missing, and there is no tensor {short(value['array'])}")
    if flat.size != prod(shape) or flat.dtype.kind != "f":
        raise ValueError(f"{place}: expected {prod(shape)} floating numbers, for shape {shape}, got {flat.size}")
    return Stored(flat.reshape(shape), name)


def decimals(place: str, numbers: Any, name: str) -> Any:
    """Numbers, nested or not, in a row: rounded to float32 if they are stored in nothing finer."""
    flat: list[Any] = []
    waiting = [numbers]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, list):
            waiting.extend(reversed(entry))
        else:
            flat.append(entry)
    return bit_arrays.from_decimals(place, flat, np.dtype(np.float64 if name == "float64" else np.float32))
