"""Files of strangers: JSON and safetensors, read with every size bounded before anything is allocated for it.

A reader may use `MEMORY` beyond what the process had; `make fuzz` measures it. Nothing in a file is code.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .printed import number

LARGEST_FILE = 32 * 2**20
"""A file of more bytes is refused before it is read: a million gradients as decimals of 20 characters have 22 MB."""
LARGEST_HEADER = 4 * 2**20
"""The same for the header of a safetensors file: a thousand layers have less than 1 MiB."""
LARGEST_NUMBERS = 2**22
"""The values of a JSON file (counted by its commas), the elements of one array, and of all arrays together."""
LARGEST_TREE = 2**18
"""The lists, objects and members of a JSON file: what costs memory beyond the numbers themselves."""
DEEPEST = 16
"""Lists and objects within each other."""
DIMENSIONS = 8
"""Of an array."""
MEMORY = 640 * 2**20
"""The memory that reading any file may take, at the most: 20 times the largest file."""

SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of an element, by the names of the safetensors format."""


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """One array of a safetensors file, still as bytes.

    Attributes:
        dtype: a name in `SIZES`.
        shape: of the array.
        data: its elements, little-endian, row by row.
    """

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def short(value: Any) -> str:
    """As much of a stranger's value as an error message should hold, in characters that a terminal can show.

    >>> short("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    if isinstance(value, list | dict) and len(value) > 8:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = ascii(value[:64]) if isinstance(value, str) else ascii(value) if _is_small(value) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_small(value: Any) -> bool:
    """Whether writing the value out is cheap: no nested container, no integer of thousands of digits."""
    if isinstance(value, int):
        return value.bit_length() < 512
    if isinstance(value, list | dict):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return all(not isinstance(part, list | dict) and _is_small(part) for part in parts)
    return value is None or isinstance(value, float) or (isinstance(value, str) and len(value) < 64)


def read_bytes(path: Path) -> bytes:
    """The whole of a file.

    Raises:
        ValueError: it is no regular file, or larger than `LARGEST_FILE`.
        OSError: it cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > LARGEST_FILE:
        raise ValueError(f"{status.st_size} bytes, more than the {LARGEST_FILE} that are read")
    with path.open("rb") as file:
        return read_stream(file)


def read_stream(file: BinaryIO) -> bytes:
    """The rest of an open file, or of the standard input; ValueError if it is larger than `LARGEST_FILE`."""
    data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"more than the {LARGEST_FILE} bytes that are read")
    return data


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────


def parse_json(data: bytes, *, as_printed: bool = False) -> Any:
    """The value of a JSON text in UTF-8, or in UTF-16 or UTF-32 as a byte-order mark or its zeros tell.

    No object may have a key twice.

    Args:
        data: the text.
        as_printed: whether numbers are read as programs print them: floats as `Decimal`s, which remember their digits;
            NaN and Infinity of Python, and nan, -inf, infinity or nan(ind) of C, all of which JSON does not have, as
            the words nan, inf and -inf.

    Raises:
        ValueError: it is no such text, or larger or deeper than the bounds of this module.

    >>> parse_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: the key 'a' occurs twice in one object
    """
    encoding = json.detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"not JSON: byte {error.start} is no {encoding.upper().removesuffix('-SIG')}") from None
    _require_small(data if encoding.startswith("utf-8") else text.encode("utf-8", "replace"))
    try:
        if not as_printed:
            return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
        try:
            return _as_printed(text)
        except json.JSONDecodeError:
            return _as_printed(_C_WORDS.sub(_in_quotes, text))
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST}") from None


def _as_printed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_constant=_WORDS.get, parse_float=number)


def _require_small(data: bytes) -> None:
    """Count what will cost memory, on the raw bytes: characters within strings count too, so never too few."""
    values, tree = data.count(b",") + 1, data.count(b"[") + data.count(b"{") + data.count(b":")
    if values > LARGEST_NUMBERS:
        raise ValueError(f"about {values} values, more than the {LARGEST_NUMBERS} that are read")
    tree = max(tree, data.count(b"]") + data.count(b"}"))
    if tree > LARGEST_TREE:
        raise ValueError(f"about {tree} lists, objects and members, more than the {LARGEST_TREE} that are read")
    characters = np.frombuffer(data, np.uint8)
    opening = np.flatnonzero((characters == ord("[")) | (characters == ord("{")))
    closing = np.flatnonzero((characters == ord("]")) | (characters == ord("}")))
    depth = np.arange(1, len(opening) + 1) - np.searchsorted(closing, opening)
    if np.any(depth > DEEPEST):
        raise ValueError(f"nested deeper than {DEEPEST}")


_WORDS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
_C_WORDS = re.compile(
    r'"(?:[^"\\]|\\.)*+"|(?<![\w.])([+-]?)(nan(?:\([a-z0-9_]{0,20}\))?|inf(?:inity)?)(?![\w.(])', re.IGNORECASE
)
"""A string, which stays as it is; or what printf and C++'s streams write for what is not finite (C17, §7.21.6.1)."""


def _in_quotes(found: re.Match[str]) -> str:
    sign, word = found[1], found[2]
    if word is None:
        return found[0]
    return '"nan"' if word[0] in "nN" else '"-inf"' if sign == "-" else '"inf"'


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {short(twice)} occurs twice in one object")
    return made


# ── safetensors ──────────────────────────────────────────────────────────────────────────────────────


def holds_tensors(data: bytes) -> bool:
    """Whether the bytes begin as a safetensors file does: the length of a header, and its brace.

    >>> holds_tensors(write_tensors({}, {})), holds_tensors(b'{"loss": {}}')
    (True, False)
    """
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= LARGEST_HEADER


def parse_tensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file by name, and its metadata.

    The format: eight bytes, the length of the header, little-endian; the header, JSON; the tensors' bytes, without
    gaps or overlaps (huggingface/safetensors, "Format").

    Raises:
        ValueError: the file is anything else, or larger than the bounds of this module.
    """
    if len(data) < 8:
        raise ValueError(f"not a safetensors file: {len(data)} bytes, too few for the length of a header")
    length = int.from_bytes(data[:8], "little")
    if length > LARGEST_HEADER:
        raise ValueError(f"not a safetensors file, or a header of {length} bytes, more than the {LARGEST_HEADER} read")
    if length > len(data) - 8:
        raise ValueError(f"not a whole safetensors file: a header of {length} bytes, {len(data) - 8} bytes left for it")
    header = parse_json(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError(f"header: expected a JSON object, got {short(header)}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("__metadata__: expected an object of strings")
    body = memoryview(data)[8 + length :]
    tensors, spans = {}, []
    for name, entry in header.items():
        dtype, shape, begin, end = _entry(short(name), entry, len(body))
        tensors[name] = Tensor(dtype, shape, body[begin:end])
        spans.append((begin, end))
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise ValueError(f"tensors overlap or leave a gap at byte {at} of the data")
        at = end
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes behind the last tensor")
    if sum(prod(t.shape) for t in tensors.values()) > LARGEST_NUMBERS:
        raise ValueError(f"more than {LARGEST_NUMBERS} numbers")
    return tensors, metadata


def _entry(name: str, entry: Any, size: int) -> tuple[str, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name}: expected an object of dtype, shape and data_offsets, got {short(entry)}")
    dtype, offsets = entry["dtype"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise ValueError(f"{name}: dtype: expected one of {', '.join(SIZES)}, got {short(dtype)}")
    shape = read_shape(name, entry["shape"])
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(o) is int for o in offsets)):
        raise ValueError(f"{name}: data_offsets: expected two integers, got {short(offsets)}")
    begin, end = offsets
    if not 0 <= begin <= end <= size:
        raise ValueError(f"{name}: data_offsets: expected two places within {size} bytes, got {short(offsets)}")
    if end - begin != prod(shape) * SIZES[dtype]:
        raise ValueError(f"{name}: {end - begin} bytes for {dtype} of shape {shape}")
    return dtype, shape, begin, end


def read_shape(place: str, value: Any) -> tuple[int, ...]:
    """A shape of at most `DIMENSIONS`.

    Raises:
        ValueError: it is none, has a side of 0, or more elements than `LARGEST_NUMBERS`.
    """
    if not isinstance(value, list) or len(value) > DIMENSIONS or not all(type(n) is int and n >= 1 for n in value):
        raise ValueError(f"{place}: shape: expected at most {DIMENSIONS} integers of at least 1, got {short(value)}")
    if prod(value) > LARGEST_NUMBERS:
        raise ValueError(f"{place}: shape: more than the {LARGEST_NUMBERS} numbers that are read")
    return tuple(value)


def write_tensors(arrays: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file, the same bytes for the same arrays whatever library is installed.

    The arrays keep their order; they are float64, float32, int64, uint8 or bool. The header is padded with blanks to a
    multiple of eight bytes.
    """
    names = {
        np.dtype(np.float64): "F64",
        np.dtype(np.float32): "F32",
        np.dtype(np.int64): "I64",
        np.dtype(np.uint8): "U8",
        np.dtype(np.bool_): "BOOL",
    }
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, at = [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
        parts.append(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)
