"""What a program made of a step's file, and the verdict on it."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from reference.arithmetic.formats import FORMATS

from ..files import bit_arrays
from ..files.untrusted import parse_json, parse_tensors, read_bytes, short
from .check_step import StepVerdict, check_step
from .step import Stored
from .step import read_step as read_arguments
from .step_file import FORMAT, StepFile, decimals, is_step, read_step


def judge_step(case: Path, result: Path, *, dtype: str | None = None, diagnose: bool = True) -> StepVerdict:
    """The verdict on a result of a step's file.

    Raises:
        ValueError: a file is not what it should be; the message names it, the place and what was expected.
        OSError: one cannot be read.
    """
    step = read_step(case)
    try:
        stated, given = _read_result(result, step)
        return check_step(
            step.optimizer,
            step.params,
            step.gradients,
            step.state,
            given,
            dtype or stated or step.dtype,
            diagnose=diagnose,
        )
    except (ValueError, TypeError) as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(result)) else f"{result}: {text}") from None


def _read_result(path: Path, step: StepFile) -> tuple[str | None, Any]:
    """The precision that is stated, and what is given as `check_step` takes it."""
    if is_step(path):
        found = read_step(path)
        if found.given is None:
            raise ValueError("given: missing: this step's file holds no new parameters")
        return found.dtype, found.given
    arguments = read_arguments(step.optimizer, step.params, step.gradients, step.state)
    formats = arguments.formats
    shapes = {place: value.shape for place, value in arguments.start.items() if hasattr(value, "shape")}
    if path.suffix == ".safetensors":
        document: Any = _nested(path)
    else:
        document = parse_json(read_bytes(path), as_printed=True)
    if not isinstance(document, dict) or not isinstance(document.get("params"), dict | list):
        raise ValueError(f"expected an object of params, and state, or a file of {FORMAT!r}, got {short(document)}")
    for key in document:
        if key not in ("params", "state", "dtype"):
            raise ValueError(f"{short(key)}: unknown; there are params, state, dtype")
    dtype = document.get("dtype")
    if dtype is not None and not (isinstance(dtype, str) and dtype in FORMATS):
        raise ValueError(f"dtype: expected one of {', '.join(FORMATS)}, got {short(dtype)}")

    def array(place: str, value: Any) -> Any:
        """Numbers as an array of the shape and format that stand in this place of the step."""
        if isinstance(value, Stored) or place not in shapes:
            return value
        name = formats.get(place, formats[f"params[{arguments.labels[0]}]"])
        flat = decimals(place, value, name)
        if flat.size != prod(shapes[place]):
            raise ValueError(
                f"{place}: expected {prod(shapes[place])} numbers, for shape {shapes[place]}, got {flat.size}"
            )
        return Stored(flat.reshape(shapes[place]), name)

    def slot(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {label: array(f"{key}[{label}]", entry) for label, entry in value.items()}
        if isinstance(value, list) and f"{key}[{arguments.labels[0]}]" in shapes:
            if len(value) != len(arguments.labels):
                raise ValueError(f"{key}: expected {len(arguments.labels)} arrays, one per parameter, got {len(value)}")
            return [array(f"{key}[{label}]", entry) for label, entry in zip(arguments.labels, value, strict=True)]
        return value

    params = slot("params", document["params"])
    state = document.get("state")
    if state is None:
        return dtype, params
    if not isinstance(state, dict):
        raise ValueError(f"state: expected an object, got {short(state)}")
    return dtype, (params, {key: slot(key, value) for key, value in state.items()})


def _nested(path: Path) -> dict[str, Any]:
    """Tensors called "params.0", "state.exp_avg.0", as the JSON form has them."""
    tensors, metadata = parse_tensors(read_bytes(path))
    document: dict[str, Any] = {key: metadata[key] for key in ("dtype",) if key in metadata}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        array, stored = bit_arrays.from_tensor(short(name), tensor)
        value = Stored(array, stored) if array.dtype.kind == "f" else array.item() if array.size == 1 else None
        if part == "params" and rest:
            document.setdefault("params", {})[rest] = value
        elif part == "state" and rest:
            key, _, label = rest.partition(".")
            slots = document.setdefault("state", {})
            if not label:
                slots[key] = value.values.item() if isinstance(value, Stored) and value.values.size == 1 else value
            elif isinstance(slots.setdefault(key, {}), dict):
                slots[key][label] = value
        else:
            raise ValueError(f"{short(name)}: expected a tensor called params.LABEL, state.SLOT.LABEL or state.step")
    return document
