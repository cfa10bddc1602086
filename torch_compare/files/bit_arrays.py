"""Arrays as IEEE bits and as shortest decimals: two spellings of the same numbers, and each checks the other.

>>> encode(np.array([1.0, -0.1]))["bits"], encode(np.array([1.0, -0.1]))["decimal"]
(['0x3ff0000000000000', '0xbfb999999999999a'], [1.0, -0.1])
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .untrusted import Tensor, read_shape, short

Array = Any

DTYPES = ("float64", "float32", "int64", "bool")
"""The types that arrays of a case may have: int64, in two's complement, for indices; bool, 0 or 1, for masks."""
WORDS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
"""Numbers that JSON does not have."""
_STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U8": "u1", "BOOL": "?"}


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────


def bits_of(array: Array) -> list[str]:
    """The bits of each element as hexadecimal, the sign first: 16 digits for 8 bytes, 8 for 4, 2 for a truth value.

    >>> bits_of(np.array([1.0], np.float32))
    ['0x3f800000']
    """
    width = array.dtype.itemsize
    unsigned = np.ascontiguousarray(array).view(f"u{width}").ravel().tolist()
    return [f"0x{value:0{2 * width}x}" for value in unsigned]


def decimals_of(array: Array) -> list[Any]:
    """The shortest decimal that reads back as each element; an infinity or NaN as its word."""

    def shortest(value: Any) -> Any:
        number = float(str(value)) if array.dtype == np.float32 else value.item()
        return int(number) if number is True or number is False else number if np.isfinite(number) else str(number)

    return [shortest(value) for value in array.ravel()]


def encode(array: Array) -> dict[str, Any]:
    """An array of `DTYPES` as plain data: dtype, shape, bits and decimal."""
    array = np.asarray(array)
    return {
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "bits": bits_of(array),
        "decimal": decimals_of(array),
    }


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


def decode(place: str, data: Any, *, finite: bool = True) -> Array:
    """The array of such data.

    Args:
        place: what error messages call it.
        data: of a JSON file.
        finite: whether infinities and NaN are refused.

    Raises:
        ValueError: it is none; the message names place, key and index.
    """
    if not isinstance(data, dict) or set(data) != {"dtype", "shape", "bits", "decimal"}:
        raise ValueError(f"{place}: expected an object of dtype, shape, bits and decimal, got {short(data)}")
    if data["dtype"] not in DTYPES:
        raise ValueError(f"{place}: dtype: expected one of {', '.join(DTYPES)}, got {short(data['dtype'])}")
    shape = read_shape(place, data["shape"])
    return decode_both(place, data, np.dtype(data["dtype"]), shape, finite=finite)


def decode_both(place: str, data: Any, dtype: np.dtype[Any], shape: tuple[int, ...], *, finite: bool = True) -> Array:
    """The array that both `data["bits"]` and `data["decimal"]` spell; see `decode`."""
    count = prod(shape)
    for key in ("bits", "decimal"):
        if not isinstance(data[key], list) or len(data[key]) != count:
            found = f"{len(data[key])} of them" if isinstance(data[key], list) else short(data[key])
            raise ValueError(f"{place}: {key}: expected a list of {count}, for shape {list(shape)}, got {found}")
    values = from_bits(place, data["bits"], dtype)
    decimals = from_decimals(place, data["decimal"], dtype)
    apart = values.view(f"u{dtype.itemsize}") != decimals.view(f"u{dtype.itemsize}")
    if np.any(apart & ~(np.isnan(values) & np.isnan(decimals))):
        at = int(np.argmax(apart))
        raise ValueError(f"{place}[{at}]: its bits say {values[at]}, its decimal {decimals[at]}")
    if finite:
        require_finite(place, values)
    return values.reshape(shape)


def require_finite(place: str, values: Array) -> None:
    """Raise ValueError naming the first element that is infinite or NaN."""
    bad = ~np.isfinite(values.ravel())
    if np.any(bad):
        at = int(np.argmax(bad))
        raise ValueError(f"{place}[{at}]: expected a finite number, got {values.ravel()[at]}")


def from_bits(place: str, texts: list[Any], dtype: np.dtype[Any]) -> Array:
    """The numbers of hexadecimal texts, "0x" and two digits a byte.

    Raises:
        ValueError: a text is none; the first one is named.
    """
    digits = 2 * dtype.itemsize
    for at, text in enumerate(texts):
        if not (isinstance(text, str) and len(text) == digits + 2 and text[:2] == "0x"):
            raise ValueError(f'{place}: bits[{at}]: expected "0x" and {digits} hexadecimal digits, got {short(text)}')
    try:
        data = bytes.fromhex("".join(text[2:] for text in texts))
    except ValueError:
        data = b""
    if len(data) != len(texts) * dtype.itemsize:
        at = next(i for i, text in enumerate(texts) if not all(c in "0123456789abcdefABCDEF" for c in text[2:]))
        raise ValueError(f'{place}: bits[{at}]: expected "0x" and {digits} hexadecimal digits, got {short(texts[at])}')
    if dtype.kind == "b":
        require_truth(place, np.frombuffer(data, np.uint8))
    return np.frombuffer(data, dtype.newbyteorder(">")).astype(dtype)


def require_truth(place: str, values: Array) -> None:
    """Raise ValueError naming the first byte of truth values that is neither 0 nor 1."""
    if np.any(values > 1):
        at = int(np.argmax(values > 1))
        raise ValueError(f"{place}[{at}]: expected 0 or 1 for a truth value, got {values[at]}")


def from_decimals(place: str, numbers: list[Any], dtype: np.dtype[Any]) -> Array:
    """The numbers of decimals (JSON's numbers, or the words nan, inf and -inf), rounded to the type.

    Raises:
        ValueError: one is no number, or beyond the type's range; the first one is named.
    """
    exact = dtype.kind in "ib"
    for at, number in enumerate(numbers):
        if type(number) is not int and (exact or not (isinstance(number, float) or _is_word(number))):
            expected = "an integer" if exact else "a number, or one of nan, inf, -inf"
            raise ValueError(f"{place}: decimal[{at}]: expected {expected}, got {short(number)}")
    try:
        if exact:
            whole = np.array(numbers, np.int64).reshape(len(numbers))
            if dtype.kind == "b":
                require_truth(place, whole.view(np.uint64))
            return whole.astype(dtype)
        wide = np.array([WORDS[n] if isinstance(n, str) else n for n in numbers], np.float64)
    except OverflowError:
        raise ValueError(f"{place}: decimal: an integer beyond the range of {dtype}") from None
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = wide.astype(dtype)
    given = np.array([isinstance(n, str) for n in numbers], dtype=bool)
    lost = np.isinf(values) & ~given
    if np.any(lost):
        at = int(np.argmax(lost))
        raise ValueError(f"{place}: decimal[{at}]: beyond the range of {dtype}")
    return values


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value in WORDS


# ── tensors ──────────────────────────────────────────────────────────────────────────────────────────


def from_tensor(place: str, tensor: Tensor) -> tuple[Array, str]:
    """The array of a tensor and the name of its format; formats that NumPy does not have come back as float32.

    Raises:
        ValueError: the tensor holds no floating numbers, nor int64, uint8 or bool; the message begins with the place.

    >>> from_tensor("loss", Tensor("F8_E4M3", (3,), memoryview(bytes([0x38, 0x7E, 0xFF]))))
    (array([  1., 448.,  nan], dtype=float32), 'float8_e4m3')
    """
    if tensor.dtype in _STORED:
        if tensor.dtype == "BOOL":
            require_truth(place, np.frombuffer(tensor.data, np.uint8))
        array = np.frombuffer(tensor.data, _STORED[tensor.dtype])
        array = array.astype(array.dtype.newbyteorder("="))
    elif tensor.dtype == "BF16":
        array = (np.frombuffer(tensor.data, "<u2").astype(np.uint32) << 16).view(np.float32)
    elif tensor.dtype == "F8_E5M2":
        array = (np.frombuffer(tensor.data, "u1").astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    elif tensor.dtype == "F8_E4M3":
        array = _E4M3[np.frombuffer(tensor.data, "u1")]
    else:
        raise ValueError(f"{place}: expected floating numbers, got {tensor.dtype}")
    names = {"BF16": "bfloat16", "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3"}
    return array.reshape(tensor.shape), names.get(tensor.dtype, array.dtype.name)


def _e4m3() -> Array:
    """The 256 numbers of FP8 E4M3 (Micikevicius et al. 2022, table 1): bias 7, no infinities, one NaN of each sign."""
    code = np.arange(256)
    exponent, fraction = code >> 3 & 15, code & 7
    size = np.where(exponent == 0, np.ldexp(fraction, -9), np.ldexp(8.0 + fraction, exponent - 10))
    size = np.where(code & 127 == 127, np.nan, size)
    return np.where(code < 128, size, -size).astype(np.float32)


_E4M3 = _e4m3()
