"""Training in one safetensors file: a network, an optimiser's state and what else is wanted, bit for bit.

Arrays are the file's tensors, under their place ("layers[0].weight", "state.exp_avg[1]"); the tree that holds them is
JSON in its metadata, beside a checksum of all. Nothing in the file is code. It is read as hostile: its size is bounded
before it is opened, and every array that it names is checked before it is believed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from ..activations.row import name_and_parameters
from ..arithmetic.array import NumPyArray
from ..network.gradients import place_of
from ..network.mlp import MLP, Layer
from ..network.unchecked import unchecked
from ..optimizers.state import State
from .whole_file import checksum, digest, write_whole

__all__ = ["FORMAT", "LARGEST_FILE", "LARGEST_HEADER", "load", "save"]

FORMAT = "gradient-oracle checkpoint 1"
LARGEST_FILE = 2**30
"""A file of more bytes is refused before it is opened, and not written either."""
LARGEST_HEADER = 16 * 2**20
"""The same for the part of it that is JSON: a network of 1,000 layers has less than 1 MiB."""
_CHECKSUM = "sha256"
"""The tree's last entry; files of before it was written have none, and are read unproved."""
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "C64": np.complex64, "BOOL": np.bool_,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8,
}  # fmt: skip
"""NumPy's types that a safetensors file can hold."""


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────


def save(path: str | os.PathLike[str], mlp: MLP, state: State, extra: Any = None) -> None:
    """Write a checkpoint. A file of that name is replaced at the end, in one step: an interruption leaves it whole.

    Args:
        path: of the file.
        mlp: the network; its activations are recorded by name and parameters.
        state: the optimiser's: a dictionary of what `extra` may hold.
        extra: a tree of dictionaries with string keys, lists, tuples, arrays, NumPy scalars, integers, floats,
            strings, booleans and None; an integer comes back as an integer, a float as the same float.

    Raises:
        TypeError: something in a tree is none of these, or an array's type has no place in a safetensors file
            (complex128, longdouble, objects); the message names its place.
        ValueError: the file would have more than `LARGEST_FILE` bytes.
        OSError: it cannot be written.

    >>> import tempfile, reference as ref
    >>> mlp = ref.initialize([2, 1], activations=["tanh"], seed=0)
    >>> file = Path(tempfile.mkdtemp()) / "training.safetensors"
    >>> save(file, mlp, {"step": 3}, extra={"seed": 7, "lr": 0.1})
    >>> load(file, mlp)[1:]
    ({'step': 3}, {'seed': 7, 'lr': 0.1})
    """
    path = Path(path)
    tensors: dict[str, NumPyArray] = {}
    tree = {
        key: _encode(key, value, tensors)
        for key, value in (("layers", [_plain_layer(la) for la in mlp.layers]), ("state", state), ("extra", extra))
    }
    document = {"format": FORMAT, **tree}
    # One entry, for safetensors writes several in any order, and the same training is to be the same file.
    proof = checksum(document, {place: digest(stored) for place, stored in tensors.items()})
    data = to_bytes(tensors, {"checkpoint": json.dumps(document | {_CHECKSUM: proof}, allow_nan=False)})
    _require_size(path, len(data), int.from_bytes(data[:8], "little"))
    write_whole(path, data)


def _plain_layer(layer: Layer) -> dict[str, Any]:
    return {"weight": layer.weight, "bias": layer.bias, "activation": _activation(layer)}


def _activation(layer: Layer) -> str:
    return name_and_parameters(layer.activation.name, layer.activation.parameters)


def _below(place: str, key: Any) -> str:
    """The place of an entry: no two entries of a tree have the same."""
    return f"{place}.{key}" if isinstance(key, str) and key.isidentifier() else f"{place}[{key!r}]"


def _encode(place: str, value: Any, tensors: dict[str, NumPyArray]) -> Any:
    """The value as JSON; what JSON cannot say exactly is an object whose one key says what it is."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.newbyteorder("=").type not in _DTYPES.values():
            raise TypeError(f"{place}: a safetensors file holds no array of {value.dtype}")
        # A product's last bit can depend on the order in memory, so the order is part of the value.
        order = "F" if value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        stored = value.T if order == "F" else value
        tensors[place] = np.array(stored, dtype=value.dtype.newbyteorder("="), order="C")
        return {"array": order if isinstance(value, np.ndarray) else "scalar"}
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{place}: expected strings as keys, got {key!r}")
        return {"dict": {key: _encode(_below(place, key), v, tensors) for key, v in value.items()}}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(_below(place, index), v, tensors) for index, v in enumerate(value)]}
    raise TypeError(f"{place}: a checkpoint holds arrays, numbers, strings and trees of them, got {type(value)}")


def _require_size(path: Path, size: int, header: int) -> None:
    if size > LARGEST_FILE:
        raise ValueError(f"{path}: {size} bytes, more than {LARGEST_FILE}, the largest allowed")
    if LARGEST_HEADER < header <= size:
        raise ValueError(f"{path}: a header of {header} bytes, more than {LARGEST_HEADER}, the largest allowed")


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


def load(path: str | os.PathLike[str], mlp: MLP) -> tuple[MLP, State, Any]:
    """Read a checkpoint of a network like the given one.

    Args:
        path: of the file.
        mlp: a network with the same activations, shapes and number type; its numbers do not matter.

    Returns:
        The network, the optimiser's state, and what was saved as `extra`: new arrays, with the bits that were saved.

    Raises:
        ValueError: the file is missing, too large, truncated, damaged (its checksum differs) or no such checkpoint; an
            array is missing, left over, or of another shape or type than the network's. The message names the file and
            what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    try:
        with path.open("rb") as start:
            _require_size(path, path.stat().st_size, int.from_bytes(start.read(8), "little"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    try:
        with safe_open(path, framework="numpy") as file:
            document = _document(file.metadata())
            proof = document.pop(_CHECKSUM, None)
            reader = _Reader(file)
            layers = reader.decode("layers", document["layers"])
            network = _like(mlp, layers)
            state, extra = (reader.decode(key, document[key]) for key in ("state", "extra"))
            reader.require_nothing_left()
            if not isinstance(state, dict):
                raise ValueError(f"state: expected a dictionary, got {type(state).__name__}")
            if proof not in (None, checksum(document, reader.digests)):
                raise ValueError("damaged: its checksum is not that of its contents")
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a whole safetensors file: {printable(error)}") from None
    except RecursionError:
        raise ValueError(f"{path}: a tree nested too deep") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return network, state, extra


def _document(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    document = json.loads((metadata or {}).get("checkpoint", "null"), parse_constant=_no_constant)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'expected a safetensors file whose metadata say "{FORMAT}"')
    for key in ("layers", "state", "extra"):
        if key not in document:
            raise ValueError(f"{key}: missing")
    if others := document.keys() - {"format", "layers", "state", "extra", _CHECKSUM}:
        raise ValueError(f"damaged: no checkpoint has {_short(min(others))} in its tree")
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of a checkpoint's tree")


class _Reader:
    """Decodes trees; each tensor of the file is read once, and none may be left."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.left = set(file.keys())
        self.digests: dict[str, str] = {}

    def decode(self, place: str, value: Any) -> Any:
        if value is None or isinstance(value, bool | str | int):
            return value
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"{place}: expected one kind of value, got {_short(value)}")
        ((kind, content),) = value.items()
        decoders: Mapping[str, Callable[[str, Any], Any]] = {
            "array": self._array, "float": _float, "dict": self._dict, "list": self._list,
            "tuple": lambda where, what: tuple(self._list(where, what)),
        }  # fmt: skip
        if kind not in decoders:
            raise ValueError(f"{place}: no value is of kind {_short(kind)}")
        return decoders[kind](place, content)

    def _array(self, place: str, order: Any) -> Any:
        if order not in ("C", "F", "scalar"):
            raise ValueError(f"{place}: no array is laid out as {_short(order)}")
        if place not in self.left:
            raise ValueError(f"{place}: missing")
        self.left.remove(place)
        dtype = self.file.get_slice(place).get_dtype()
        if dtype not in _DTYPES:
            raise ValueError(f"{place}: NumPy has no {dtype}")
        stored = np.array(self.file.get_tensor(place))
        self.digests[place] = digest(stored)
        if order == "scalar":
            if stored.ndim:
                raise ValueError(f"{place}: expected a scalar, got shape {stored.shape}")
            return stored[()]
        return stored.T if order == "F" else stored

    def _dict(self, place: str, content: Any) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise ValueError(f"{place}: expected a dictionary, got {_short(content)}")
        return {key: self.decode(_below(place, key), v) for key, v in content.items()}

    def _list(self, place: str, content: Any) -> list[Any]:
        if not isinstance(content, list):
            raise ValueError(f"{place}: expected a list, got {_short(content)}")
        return [self.decode(_below(place, index), v) for index, v in enumerate(content)]

    def require_nothing_left(self) -> None:
        if self.left:
            raise ValueError(f"{min(self.left)}: a tensor that has no place in the checkpoint")


def _float(place: str, content: Any) -> float:
    try:
        return float.fromhex(content)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{place}: no float is written {_short(content)}") from None


def _short(value: Any) -> str:
    """As much of a hostile value as an error message should hold."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def printable(error: Exception) -> str:
    r"""An error's text, which may hold what a hostile file holds, as a terminal can show it.

    >>> printable(ValueError("no such key: \x1b[2J"))
    'no such key: \\x1b[2J'
    """
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(error)[:300])
    return text if len(str(error)) <= 300 else f"{text}..."


def _like(mlp: MLP, layers: Any) -> MLP:
    """The decoded layers as a network like the given one."""
    if not isinstance(layers, list) or len(layers) != len(mlp.layers):
        found = f"{len(layers)} of them" if isinstance(layers, list) else type(layers).__name__
        raise ValueError(f"layers: expected {len(mlp.layers)}, as many as the network has, got {found}")
    made = []
    for index, (given, layer) in enumerate(zip(layers, mlp.layers, strict=True)):
        for key, wanted in _plain_layer(layer).items():
            place = place_of(index, key)
            if not isinstance(given, dict) or key not in given:
                raise ValueError(f"{place}: missing")
            _require_like(place, given[key], wanted)
        made.append(unchecked(Layer, weight=given["weight"], bias=given["bias"], activation=layer.activation))
    return unchecked(MLP, layers=tuple(made))


def _require_like(place: str, got: Any, wanted: Any) -> None:
    if not isinstance(wanted, np.ndarray):
        if got is not wanted and not (isinstance(got, str) and got == wanted):
            found = "an array" if isinstance(got, np.ndarray) else _short(got)
            raise ValueError(f"{place}: expected {wanted}, as the network has, got {found}")
        return
    if not isinstance(got, np.ndarray):
        raise ValueError(f"{place}: expected an array, got {_short(got)}")
    if got.shape != wanted.shape:
        raise ValueError(f"{place}: expected shape {wanted.shape}, that of the network, got {got.shape}")
    if got.dtype != wanted.dtype:
        raise ValueError(f"{place}: expected {wanted.dtype}, the type of the network, got {got.dtype}")
