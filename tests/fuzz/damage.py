"""Damaged files, drawn from a seed: valid ones with a few structural edits, and things that are no such files."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from copy import deepcopy
from io import BytesIO
from typing import Any

import numpy as np


class Bomb:
    """A pickle that would say so if it were run."""

    def __reduce__(self):
        return (print, ("A PICKLE WAS RUN",))


def _nested(depth: int, kind: str = "list") -> Any:
    tree: Any = 0
    for _ in range(depth):
        tree = [tree] if kind == "list" else {"a": tree}
    return tree


def _zipped() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("case.json", b"0" * 100_000)
    return buffer.getvalue()


DISGUISES = (
    b"", b"\0", b"{", b"[]", b"null", b'"', pickle.dumps(Bomb()), pickle.dumps(Bomb(), 0), _zipped(),
    b"\x93NUMPY\x01\x00" + b" " * 200, b"\xef\xbb\xbf{}", '{"format": "x"}'.encode("utf-16"), b"\xff" * 64,
    b"[" * 5000, b'{"a":' * 3000, b'{"a": 1e999}', b"-", b"1" * 5000, b'{"format": "\\ud800"}',
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 4, 16, 17, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.0, -0.0,
    0.5, 1e-320, 1e308, -1e39, float("nan"), float("inf"), "", "a", "nan", "inf", "-inf", "Infinity", "0x",
    "0x3ff0000000000000", "0x7ff0000000000000", "0x7ff8000000000001", "0x3f800000", "0x3c00", "0X3FF0000000000000",
    "0x3ff_0000000000000",
    "0x 3ff000000000000", "٠" * 16, "\ud800", "\udcff\x1b[31m", "\u202e", "a" * 5000, "../x",
    "/etc/passwd", "..", "x\0y",
    [], {}, [[]], [0], [1, 1], [2**32, 2**32], [0, -1], [[1.0], [1.0, 2.0]], [1, [2]], {"a": 1}, _nested(14),
    _nested(40),
    _nested(12, "dict"), [0] * 300, "float64", "float32", "int64", "float16", "bfloat16", "float8_e4m3", "object", "S9",
    "F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "U8", "BOOL", "C64", "mean", "sum", "none", "relu", "glu",
    "softmax", "softplus", "huber", "cross_entropy", "multilabel_margin", "__class__", "get", "Activation",
    {"name": "relu"},
    {"name": "softplus", "parameters": {"beta": 1, "threshold": 0}},
    {"name": "hardtanh", "parameters": {"min_val": []}},
    {"name": "multi_margin", "parameters": {"p": 2, "margin": 1}}, {"name": "elu", "parameters": {"alpha": "x"}},
    {"dtype": "float64", "shape": [], "bits": ["0x0000000000000001"], "decimal": [5e-324]},
    {"dtype": "float64", "shape": [1], "bits": ["0x3ff0000000000000"], "decimal": [1.0]},
    {"array": [1e308], "dtype": "float64"}, {"array": [1], "dtype": "S99999999"}, {"float": "0x1p99999"}, {"list": []},
    [2**21, 2**21], [2**40], [1] * 16, [2**22, 1], [-1, -1], [9], [0], "...",
    "aaaaaaaaaaaaaaaaaaaa,b->ab", "ab,cd->abcd",
    "reflect", ["x", "x"], "target", "output", "bool", "reshape", "outer", "repeat", "einsum", "embedding", "matmul",
    {"name": "repeat", "parameters": {"repeats": [2**11, 2**11]}},
    {"name": "reshape", "parameters": {"shape": [-1]}}, {"name": "outer", "parameters": {}},
    {"name": "pad", "parameters": {"pad": [2**20] * 16, "mode": "constant", "value": 0}},
    {"output": "z", "operation": {"name": "outer", "parameters": {}}, "inputs": ["x", "x"]},
    {"dict": {"a": None}}, {"tuple": [{"array": "C"}]}, {"array": "F"},
)  # fmt: skip
"""What a node of a tree is replaced by."""


NAMES = ("x", "layers[0].weight", "layers[9].bias", "loss", "dtype", "\ud800", "", "__metadata__")
PIECES = (b"[", b"{", b",", b":", b"\0", b"\x80", b"nan", b"\\ud800", b"e999", b"\xed\xa0\x80")


# ── trees ────────────────────────────────────────────────────────────────────────────────────────────


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    found, left = [], [tree]
    while left:
        node = left.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            found.append((node, key))
            left.append(value)
    return found


def _pick(rng: np.random.Generator, sequence: Any) -> Any:
    return sequence[int(rng.integers(len(sequence)))]


def edit(rng: np.random.Generator, tree: Any) -> None:
    """Change one node of a tree in place."""
    places = _places(tree)
    if not places:
        return
    top = [p for p in places if p[0] is tree or isinstance(p[0], dict)]
    node, key = _pick(rng, top if rng.random() < 0.6 else places)
    act = rng.integers(9)
    if act <= 3:
        node[key] = deepcopy(_pick(rng, VALUES))
    elif act == 4:
        del node[key]
    elif act == 5:
        other, where = _pick(rng, places)
        node[key] = json.loads(json.dumps(other[where])) if where in other or isinstance(other, list) else None
    elif act == 6 and isinstance(node, dict):
        node[_pick(rng, NAMES)] = deepcopy(node[key])
    elif act == 7 and isinstance(node[key], list):
        node[key] = node[key] * int(rng.integers(0, 4))
    elif act == 8 and type(node[key]) in (int, float) and abs(node[key]) < 1e300:
        node[key] = _pick(rng, (node[key] + 1, -node[key], node[key] * 2**20, float(node[key]), str(node[key])))
    else:
        node[key] = [node[key]]


def _text(rng: np.random.Generator, tree: Any) -> bytes:
    """JSON, at times with a member twice, with a constant that JSON has not, or with surrogates as raw bytes."""
    text = json.dumps(tree, ensure_ascii=bool(rng.random() < 0.7))
    if rng.random() < 0.08 and '":' in text:
        at = text.index('"')
        end = text.find(",", at)
        text = text[:at] + text[at:end] + "," + text[at:] if end > 0 else text
    return text.encode("utf-8", "surrogatepass")


def damage_json(rng: np.random.Generator, data: bytes) -> bytes:
    """A JSON file with one to three nodes changed, and at times with bytes changed besides."""
    tree = json.loads(data)
    for _ in range(_pick(rng, (1, 1, 1, 2, 3))):
        edit(rng, tree)
    made = _text(rng, tree)
    return damage_bytes(rng, made) if rng.random() < 0.15 else made


def damage_tensors(rng: np.random.Generator, data: bytes) -> bytes:
    """A safetensors file with header, metadata, numbers or byte order changed."""
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    act = rng.integers(6)
    if act <= 1:
        entries = {key: value for key, value in header.items() if key != "__metadata__"}
        edit(rng, entries if rng.random() < 0.5 or not entries else _pick(rng, list(entries.values())))
        header = {"__metadata__": header.get("__metadata__", {})} | entries
    elif act == 2:
        metadata = header.get("__metadata__", {})
        for key in metadata:
            tree = json.loads(metadata[key]) if metadata[key][:1] in "{[" else [metadata[key]]
            edit(rng, tree)
            metadata[key] = _text(rng, tree).decode("utf-8", "replace")
        if rng.random() < 0.1:
            header["__metadata__"] = deepcopy(_pick(rng, VALUES))
    elif act == 3 and len(body) >= 8:
        at = int(rng.integers(len(body) // 8)) * 8
        body[at : at + 8] = _pick(rng, [struct.pack("<d", v) for v in (np.nan, np.inf, -0.0, 1e300, 5e-324)])
    elif act == 4:
        whole = len(body) // 8 * 8
        body[:whole] = np.frombuffer(bytes(body[:whole]), "<u8").byteswap().tobytes()
    elif rng.random() < 0.5:
        edit(rng, header)
    text = _text(rng, header)
    wrong = (0, 1, 2**63, 2**64 - 1, 2**24, len(text) - 1, len(text) + 9)
    length = len(text) if rng.random() < 0.9 else int(_pick(rng, wrong))
    made = length.to_bytes(8, "little" if rng.random() < 0.97 else "big") + text + bytes(body)
    return damage_bytes(rng, made) if rng.random() < 0.15 else made


def damage_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Bytes changed, lost, doubled, or cut off at the end."""
    made = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        if not made:
            break
        at, act = int(rng.integers(len(made))), rng.integers(5)
        if act == 0:
            made[at] = int(rng.integers(256))
        elif act == 1:
            del made[at : at + int(rng.integers(1, 20))]
        elif act == 2:
            made[at:at] = made[max(0, at - 40) : at]
        elif act == 3:
            del made[at:]
        else:
            made[at:at] = _pick(
                rng, (b"[", b"{", b",", b":", b"\0", b"\x80", b"nan", b"\\ud800", b"e999", b"\xed\xa0\x80")
            )
    return bytes(made)


def damaged(rng: np.random.Generator, data: bytes, *, tensors: bool) -> bytes:
    """A file made from a valid one, or something else in its place."""
    chance = rng.random()
    if chance < 0.02:
        return _pick(rng, DISGUISES)
    if chance < 0.04:
        return rng.bytes(int(rng.integers(1, 300)))
    if chance < 0.15:
        return damage_bytes(rng, data)
    return damage_tensors(rng, data) if tensors else damage_json(rng, data)
