"""Somebody's gradients as a file, in whatever layout a program of twenty lines writes.

JSON: ``{"case": "...", "dtype": "float32", "accumulate": "float32", "gradients": {"layers[0].weight": [...], ...}}``,
of which all but the gradients may be left out; or that inner object alone. An array is a list of numbers row by row, or
nested by rows; a number is a decimal, one of the words "nan", "inf", "-inf", or its bits as "0x" and 16, 8 or 4 digits.
Or safetensors, with a tensor a place: F64, F32, F16, BF16, F8_E4M3, F8_E5M2, and the same three words as metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS

from ..files import bit_arrays
from ..files.untrusted import parse_json, parse_tensors, read_bytes, short
from .given import Given

_WIDTHS = {18: "float64", 10: "float32", 6: "float16"}
"""The type that bits of so many characters spell, "0x" included; those of bfloat16 have 4 digits, too."""
_WORDS = ("case", "dtype", "accumulate")


@dataclass(frozen=True)
class Result:
    """The gradients in a file, and what it says of them.

    Attributes:
        given: the gradients, by place.
        dtype: the precision that they were computed in, a name in `reference.arithmetic.formats.FORMATS`, if stated.
        accumulate: "float32" or "same": what its products and sums accumulate in, if stated.
        case: the name of the case that they belong to, if stated.
    """

    given: Given
    dtype: str | None
    accumulate: str | None
    case: str | None


def read_result(path: str | Path, problem: ref.Problem) -> Result:
    """The gradients of a problem in a file: safetensors if its name ends so, else JSON.

    Decimals beside a dtype narrower than float64 are rounded to float32, so that nine digits of a float32 are that
    very number. What is missing is not judged.

    Raises:
        ValueError: the file is no result, or does not fit the problem; the message names it, the place and what was
            expected.
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        data = read_bytes(path)
        return _tensors(data, problem) if path.suffix == ".safetensors" else _json(data, problem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _json(data: bytes, problem: ref.Problem) -> Result:
    document = parse_json(data, words=True)
    if not isinstance(document, dict):
        raise ValueError(f"expected an object, got {short(document)}")
    stated: dict[str, str | None] = dict.fromkeys(_WORDS)
    gradients = document
    if "gradients" in document:
        stated = _stated({key: document[key] for key in document if key != "gradients"})
        gradients = document["gradients"]
    if not isinstance(gradients, dict):
        raise ValueError(f"gradients: expected an object, got {short(gradients)}")
    leaves, formats = {}, {}
    for place, shape in _fitting(gradients, problem).items():
        numbers = _flat(place, gradients[place], shape)
        leaves[place], formats[place] = _array(place, numbers, stated["dtype"])
        leaves[place] = leaves[place].reshape(shape)
    return Result(Given(leaves, formats), **stated)


def _tensors(data: bytes, problem: ref.Problem) -> Result:
    tensors, metadata = parse_tensors(data)
    stated = _stated({key: metadata[key] for key in metadata if key in _WORDS})
    leaves, formats = {}, {}
    for place, shape in _fitting(tensors, problem).items():
        if tensors[place].shape != shape:
            raise ValueError(f"{place}: {_expected(shape, tensors[place].shape)}")
        leaves[place], formats[place] = bit_arrays.from_tensor(place, tensors[place])
        if leaves[place].dtype.kind != "f":
            raise ValueError(f"{place}: expected floating numbers, got {tensors[place].dtype}")
    return Result(Given(leaves, formats), **stated)


def _stated(words: dict[str, Any]) -> dict[str, str | None]:
    for key, value in words.items():
        if key not in _WORDS:
            raise ValueError(f"{short(key)}: unknown; there are {', '.join(_WORDS)} and gradients")
        if value is not None and not (isinstance(value, str) and len(value) <= 200 and value.isprintable()):
            raise ValueError(f"{key}: expected a word, got {short(value)}")
    dtype, accumulate = words.get("dtype"), words.get("accumulate")
    if dtype is not None and dtype not in FORMATS:
        raise ValueError(f"dtype: expected one of {', '.join(FORMATS)}, got {short(dtype)}")
    if accumulate not in (None, "float32", "same"):
        raise ValueError(f'accumulate: expected "float32" or "same", got {short(accumulate)}')
    return {key: words.get(key) for key in _WORDS}


def _fitting(given: dict[str, Any], problem: ref.Problem) -> dict[str, tuple[int, ...]]:
    """The shapes of the places that are given, in the problem's order."""
    shapes = problem.gradient_shapes()
    for place in given:
        if place not in shapes:
            raise ValueError(f"{short(place)}: the problem has no such gradient; it has {', '.join(shapes)}")
    if not given:
        raise ValueError("gradients: nothing was given to judge")
    return {place: shape for place, shape in shapes.items() if place in given}


def _flat(place: str, values: Any, shape: tuple[int, ...]) -> list[Any]:
    """The numbers of a list, or of a list of rows, or of a number alone if there is one element."""
    if not isinstance(values, list):
        values = [values]
    if any(isinstance(row, list) for row in values):
        got = (len(values), len(values[0]) if isinstance(values[0], list) else 0)
        if not all(isinstance(row, list) and len(row) == got[1] for row in values):
            raise ValueError(f"{place}: expected numbers, or rows of equal length, got a mixture")
        if got != shape:
            raise ValueError(f"{place}: {_expected(shape, got)}")
        return [number for row in values for number in row]
    if len(values) != prod(shape):
        raise ValueError(f"{place}: expected {prod(shape)} numbers, for shape {shape}, got {len(values)}")
    return values


def _expected(shape: tuple[int, ...], got: tuple[int, ...]) -> str:
    hint = "; weights are stored (fan_out, fan_in)" if len(shape) == 2 and got == shape[::-1] else ""
    return f"expected shape {shape}, got {got}{hint}"


def _array(place: str, numbers: list[Any], dtype: str | None) -> tuple[Any, str]:
    """The array of such numbers, and the name of the format that it was stored in."""
    if not any(isinstance(n, str) and n not in bit_arrays.WORDS for n in numbers):
        wide = dtype in (None, "float64")
        name = "float64" if wide else "float32"
        return bit_arrays.from_decimals(place, numbers, np.dtype(name)), name
    first = next(n for n in numbers if isinstance(n, str) and n not in bit_arrays.WORDS)
    if len(first) not in _WIDTHS:
        raise ValueError(
            f'{place}: expected a number, nan, inf, -inf, or "0x" and 16, 8 or 4 digits, got {short(first)}'
        )
    name = _WIDTHS[len(first)]
    if name == "float16":
        if dtype not in ("float16", "bfloat16"):
            raise ValueError(f"{place}: bits of 4 digits are float16 or bfloat16: say which as dtype")
        name = dtype
    if name == "bfloat16":
        halves = bit_arrays.from_bits(place, numbers, np.dtype(np.uint16))
        return (halves.astype(np.uint32) << 16).view(np.float32), name
    return bit_arrays.from_bits(place, numbers, np.dtype(name)), name
