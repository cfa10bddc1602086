"""Somebody's gradients as a file, in whatever layout a program of twenty lines writes.

JSON: ``{"case": "...", "dtype": "float32", "accumulate": "float32", "gradients": {"layers[0].weight": [...], ...}}``,
of which all but the gradients may be left out; or that inner object alone. An array is a list of numbers row by row, or
nested as its dimensions are; a number is a decimal, one of the words "nan", "inf", "-inf", or its bits as "0x" and 16,
8 or 4 digits. What printf writes for what is not finite is read without quotes, too. Or safetensors, with a tensor a
place: F64, F32, F16, BF16, F8_E4M3, F8_E5M2, and the same three words as metadata.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS
from reference.arithmetic.names import meant

from ..files import bit_arrays
from ..files.printed import Print, prints
from ..files.untrusted import holds_tensors, parse_json, parse_tensors, read_bytes, read_stream, short
from .given import Given

_WIDTHS = {18: "float64", 10: "float32", 6: "float16"}
"""The type that bits of so many characters spell, "0x" included; those of bfloat16 have 4 digits, too."""
_WORDS = ("case", "dtype", "accumulate")
STANDARD_INPUT = Path("-")
"""What stands for it on the command line."""


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


def read_result(path: str | Path, problem: ref.Problem, dtype: str | None = None) -> Result:
    """The gradients of a problem in a file: safetensors if its name ends so, else JSON.

    Decimals of a dtype narrower than float64 are rounded to float32, so that nine digits of a float32 are that very
    number; of fewer digits it is kept how far they may be off (`Given.prints`). What is missing is not judged.

    Args:
        path: of the file; "-" is the standard input, which may be either.
        problem: whose gradients they are.
        dtype: what they were computed in, whatever the file says; if neither says it, decimals are of the problem's.

    Raises:
        ValueError: the file is no result, or does not fit the problem; the message names it, the place and what was
            expected.
        OSError: it cannot be read.
    """
    path = Path(path)
    piped = path == STANDARD_INPUT
    try:
        if piped and sys.stdin is None:
            raise ValueError("it is closed")
        data = read_stream(sys.stdin.buffer) if piped else read_bytes(path)
        tensors = holds_tensors(data) if piped else path.suffix == ".safetensors"
        return _tensors(data, problem) if tensors else _json(data, problem, dtype)
    except ValueError as error:
        raise ValueError(f"{'standard input' if piped else path}: {error}") from None


def _json(data: bytes, problem: ref.Problem, dtype: str | None) -> Result:
    document = parse_json(data, as_printed=True)
    if not isinstance(document, dict):
        raise ValueError(f"expected an object, got {short(document)}")
    stated: dict[str, str | None] = dict.fromkeys(_WORDS)
    gradients = document
    if "gradients" in document:
        stated = _stated({key: document[key] for key in document if key != "gradients"})
        gradients = document["gradients"]
    if not isinstance(gradients, dict):
        raise ValueError(f"gradients: expected an object, got {short(gradients)}")
    shapes = _fitting(gradients, problem)
    numbers = {place: _require_numbers(place, _flat(place, gradients[place], shape)) for place, shape in shapes.items()}
    meant = dtype or stated["dtype"]
    leaves, formats, decimals = {}, {}, {}
    for place, found in numbers.items():
        if _has_bits(found):
            leaves[place], formats[place] = _bits(place, found, meant)
        else:
            formats[place] = "float64" if (meant or problem.dtype) == "float64" else "float32"
            leaves[place] = bit_arrays.from_decimals(place, found, np.dtype(formats[place]))
            decimals[place] = found
    prints = _prints(decimals, leaves, meant or str(problem.dtype))
    given = Given(
        {place: leaf.reshape(shapes[place]) for place, leaf in leaves.items()},
        formats,
        {place: replace(found, half=found.half.reshape(shapes[place])) for place, found in prints.items()},
    )
    return Result(given, **stated)


def _prints(decimals: dict[str, list[Any]], leaves: dict[str, Any], dtype: str) -> dict[str, Print]:
    """How the decimals were printed; where they were rounded to float32 besides, that counts as well."""
    found = prints(decimals, "float64" if dtype == "float64" else "float32")
    for place, print_ in found.items():
        read = np.array([np.nan if isinstance(n, str) else float(n) for n in decimals[place]])
        with np.errstate(invalid="ignore"):
            rounding = np.nan_to_num(np.abs(read - leaves[place]), posinf=0.0)
        found[place] = replace(print_, half=print_.half + rounding)
    return found


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
            near = meant(key, (*_WORDS, "gradients"))
            raise ValueError(f"{short(key)}: unknown{near}; there are {', '.join(_WORDS)} and gradients")
        if value is not None and not (isinstance(value, str) and len(value) <= 200 and value.isprintable()):
            raise ValueError(f"{key}: expected a word, got {short(value)}")
    dtype, accumulate = words.get("dtype"), words.get("accumulate")
    if dtype is not None and dtype not in FORMATS:
        raise ValueError(f"dtype: expected one of {', '.join(FORMATS)}, got {short(dtype)}{meant(dtype, FORMATS)}")
    if accumulate not in (None, "float32", "same"):
        raise ValueError(f'accumulate: expected "float32" or "same", got {short(accumulate)}')
    return {key: words.get(key) for key in _WORDS}


def _fitting(given: dict[str, Any], problem: ref.Problem) -> dict[str, tuple[int, ...]]:
    """The shapes of the places that are given, in the problem's order."""
    shapes = problem.gradient_shapes()
    for place in given:
        if place not in shapes:
            raise ValueError(
                f"{short(place)}: the problem has no such gradient{meant(place, shapes)}; it has {', '.join(shapes)}"
            )
    if not given:
        raise ValueError("gradients: nothing was given to judge")
    return {place: shape for place, shape in shapes.items() if place in given}


def _flat(place: str, values: Any, shape: tuple[int, ...]) -> list[Any]:
    """The numbers of a list, or of lists in each other, or of a number alone if there is one element."""
    level, got = values if isinstance(values, list) else [values], []
    while any(isinstance(row, list) for row in level):
        length = len(level[0]) if isinstance(level[0], list) else 0
        if not all(isinstance(row, list) and len(row) == length for row in level):
            raise ValueError(f"{place}: expected numbers, or rows of equal length, got a mixture")
        got.append(length)
        level = [number for row in level for number in row]
    if got and (len(values), *got) != shape:
        raise ValueError(f"{place}: {_expected(shape, (len(values), *got))}")
    if len(level) != prod(shape):
        raise ValueError(f"{place}: expected {prod(shape)} numbers, for shape {shape}, got {len(level)}")
    return level


def _require_numbers(place: str, numbers: list[Any]) -> list[Any]:
    if None in numbers:
        text = 'null, as JavaScript writes NaN and the infinities alike; expected a number, "nan", "inf" or "-inf"'
        raise ValueError(f"{place}: decimal[{numbers.index(None)}]: {text}")
    return numbers


def _expected(shape: tuple[int, ...], got: tuple[int, ...]) -> str:
    hint = "; weights are stored (fan_out, fan_in)" if len(shape) == 2 and got == shape[::-1] else ""
    return f"expected shape {shape}, got {got}{hint}"


def _has_bits(numbers: list[Any]) -> bool:
    return any(isinstance(n, str) and n not in bit_arrays.WORDS for n in numbers)


def _bits(place: str, numbers: list[Any], dtype: str | None) -> tuple[Any, str]:
    """The array of such numbers, and the name of the format that it was stored in."""
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
