"""Test vectors as files: one problem with its certified gradients, as JSON and as safetensors.

JSON spells every number twice, as IEEE bits and as shortest decimal, a line per list, so that a program in any
language finds `"layers[0].weight"` and the `"bits"` behind it without a library. The safetensors twin holds the same
arrays as tensors, and the same text without them in its metadata. `vectors/schema/` states both.

Places: "x", "target", "layers[0].weight", "layers[0].bias" among the arrays; the parameters' places, "input" and
"loss" among the gradients, each with the float64 nearest to the exact gradient and bounds below and above it. Of a
network of operations: its own names of parameters, inputs and constants, and "target"; and the gradients of parameters
and floating inputs by the same names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.names import meant
from reference.network.gradients import place_of
from reference.rounding.certified import CertifiedLeaf, ExactKink, StepKink

from . import bit_arrays
from .network_file import GRADIENTS, decode_kink, decode_network, is_network, may_be_infinite
from .rows_as_data import LARGEST_DEPTH, decode_activation, decode_loss, make_problem
from .untrusted import Tensor, parse_json, parse_tensors, read_bytes, read_shape, short

SCHEMA_VERSION = 1
FORMAT = "gradient-oracle case"
LARGEST_TEXT = 4000
NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,99}")
ENDS = ("lower", "nearest", "upper")
_KINK = tuple(ExactKink.__dataclass_fields__)


@dataclass(frozen=True, eq=False)
class Case:
    """One test vector.

    Attributes:
        name: lower-case letters, digits and underscores.
        problem: in float64 or float32.
        certified: its exact gradients, enclosed.
        flags: what it exercises, names in `draft.FLAGS`.
        note: what it shows, in words.
        link: of the bug that it reproduces, or "".
    """

    name: str
    problem: ref.Problem
    certified: ref.CertifiedGradients
    flags: tuple[str, ...] = ()
    note: str = ""
    link: str = ""


def read_case(path: str | Path) -> Case:
    """The case of a file that `case_writer` wrote: a name that ends in .safetensors is the latter.

    Raises:
        ValueError: the file is anything else; the message names it, the place and what was expected.
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        data = read_bytes(path)
        return _from_safetensors(data) if path.suffix == ".safetensors" else _from_json(parse_json(data))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _from_json(data: Any) -> Case:
    head = _require_head(data, {"conventions", "arrays", "gradients"})
    arrays, gradients = data["arrays"], data["gradients"]
    for key in ("arrays", "gradients"):
        if not isinstance(data[key], dict):
            raise ValueError(f"{key}: expected an object, got {short(data[key])}")
    architecture = head["architecture"]
    problem = _problem(
        head,
        {
            name: bit_arrays.decode(short(name)[1:-1], values, finite=not may_be_infinite(architecture, name))
            for name, values in arrays.items()
        },
    )
    return _case(head, problem, {place: _decode_leaf(place, data) for place, data in gradients.items()})


def _from_safetensors(data: bytes) -> Case:
    tensors, metadata = parse_tensors(data)
    if set(metadata) != {"case", "sha256"}:
        raise ValueError("__metadata__: expected case and sha256")
    head = _require_head(parse_json(metadata["case"].encode("utf-8", "replace")), set())
    arrays: dict[str, Any] = {}
    leaves: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        array, _ = bit_arrays.from_tensor(short(name), tensor)
        if name.startswith(GRADIENTS):
            place, _, end = name.removeprefix(GRADIENTS).rpartition(".")
            leaves.setdefault(place, {})[end] = array
        else:
            if not may_be_infinite(head["architecture"], name):
                bit_arrays.require_finite(short(name), array)
            arrays[name] = array
    case = _case(head, _problem(head, arrays), {place: _stored_leaf(place, ends) for place, ends in leaves.items()})
    if tensor_hash(tensors) != metadata["sha256"]:
        raise ValueError("__metadata__: sha256: not that of the tensors, which are damaged or in another byte order")
    return case


def tensor_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the bytes of all tensors, one behind the other in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(tensors[name].data)
    return found.hexdigest()


def _require_head(data: Any, besides: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f'expected a case, an object whose format is "{FORMAT}"')
    if data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version: expected {SCHEMA_VERSION}, got {short(data.get('schema_version'))}")
    keys = {"format", "schema_version", "name", "flags", "note", "link", "architecture", "kinks_hit"}
    _require_keys("case", data, keys | besides)
    return data


def _require_keys(place: str, data: Any, keys: set[str]) -> None:
    if not isinstance(data, dict):
        raise ValueError(f"{place}: expected an object, got {short(data)}")
    if extra := sorted(set(data) - keys):
        known = ", ".join(sorted(keys))
        raise ValueError(f"{place}: {short(extra[0])}: unknown{meant(extra[0], keys)}; there are {known}")
    if missing := sorted(keys - set(data)):
        raise ValueError(f"{place}: {missing[0]}: missing")


def _problem(head: dict[str, Any], arrays: dict[str, Any]) -> ref.Problem:
    architecture = head["architecture"]
    if is_network(architecture):
        return decode_network(architecture, arrays)
    _require_keys("architecture", architecture, {"dtype", "batch", "layers", "loss", "reduction", "loss_divided_by"})
    layers, dtype = architecture["layers"], architecture["dtype"]
    if dtype not in ("float64", "float32"):
        raise ValueError(f"architecture: dtype: expected float64 or float32, got {short(dtype)}")
    if not isinstance(layers, list) or not 1 <= len(layers) <= LARGEST_DEPTH:
        raise ValueError(f"architecture: layers: expected a list of 1 to {LARGEST_DEPTH}, got {short(layers)}")
    left = dict(arrays)

    def take(place: str, kinds: tuple[str, ...]) -> Any:
        if place not in left:
            raise ValueError(f"arrays: {place}: missing")
        array = left.pop(place)
        if array.dtype not in kinds:
            raise ValueError(f"arrays: {place}: expected {' or '.join(kinds)}, got {array.dtype}")
        return array

    made = []
    for index, layer in enumerate(layers):
        place = place_of(index)
        _require_keys(f"architecture: {place}", layer, {"fan_in", "fan_out", "bias", "activation", "kinks"})
        weight = take(f"{place}.weight", (dtype,))
        bias = take(f"{place}.bias", (dtype,)) if layer["bias"] is True else None
        if not isinstance(layer["bias"], bool) or [layer["fan_out"], layer["fan_in"]] != list(weight.shape):
            raise ValueError(f"architecture: {place}: expected fan_in, fan_out and bias as the arrays have them")
        made.append((weight, bias, decode_activation(f"architecture: {place}: activation", layer["activation"])))
    loss = decode_loss("architecture: loss", architecture["loss"])
    x, target = take("x", (dtype,)), take("target", (dtype, "int64"))
    if left:
        raise ValueError(f"arrays: {short(min(left))}: no array of this architecture")
    if architecture["reduction"] not in ("mean", "sum") or x.ndim != 2 or architecture["batch"] != x.shape[0]:
        raise ValueError('architecture: expected "mean" or "sum" as reduction, and the batch that x has')
    return make_problem(made, x, target, loss, architecture["reduction"])


def _decode_leaf(place: str, data: Any) -> CertifiedLeaf:
    place = f"gradients: {short(place)[1:-1]}"
    keys = {"shape", *ENDS} | ({"resolved"} if isinstance(data, dict) and "resolved" in data else set())
    _require_keys(place, data, keys)
    shape = read_shape(place, data["shape"])
    ends = {}
    for end in ENDS:
        _require_keys(f"{place}: {end}", data[end], {"bits", "decimal"})
        ends[end] = bit_arrays.decode_both(f"{place}: {end}", data[end], np.dtype(np.float64), shape)
    resolved = np.ones(shape, dtype=bool)
    if "resolved" in data:
        given = data["resolved"]
        if not isinstance(given, list) or len(given) != resolved.size or not all(type(r) is int for r in given):
            raise ValueError(f"{place}: resolved: expected a list of {resolved.size} zeros and ones")
        resolved = bit_arrays.from_decimals(place, given, np.dtype(np.int64)).reshape(shape)
    return _leaf(place, ends, resolved)


def _stored_leaf(place: str, ends: dict[str, Any]) -> CertifiedLeaf:
    place = f"gradients: {short(place)[1:-1]}"
    _require_keys(place, ends, {*ENDS} | ({"resolved"} if "resolved" in ends else set()))
    for end in ENDS:
        if ends[end].dtype != np.float64:
            raise ValueError(f"{place}: {end}: expected float64, got {ends[end].dtype}")
        bit_arrays.require_finite(f"{place}: {end}", ends[end])
    return _leaf(place, ends, ends.get("resolved", np.ones(ends["nearest"].shape, dtype=bool)))


def _leaf(place: str, ends: dict[str, Any], resolved: Any) -> CertifiedLeaf:
    lower, nearest, upper = (ends[end] for end in ENDS)
    if not lower.shape == nearest.shape == upper.shape == resolved.shape:
        raise ValueError(f"{place}: lower, nearest, upper and resolved differ in shape")
    if resolved.dtype not in (np.uint8, np.int64, np.bool_) or not np.all((resolved == 0) | (resolved == 1)):
        raise ValueError(f"{place}: resolved: expected zeros and ones")
    if not np.all((lower <= nearest) & (nearest <= upper)):
        at = int(np.argmin(((lower <= nearest) & (nearest <= upper)).ravel()))
        raise ValueError(f"{place}[{at}]: expected lower ≤ nearest ≤ upper")
    return CertifiedLeaf(lower, upper, nearest, resolved.astype(bool))


def _case(head: dict[str, Any], problem: ref.Problem, leaves: dict[str, CertifiedLeaf]) -> Case:
    shapes = problem.gradient_shapes()
    if missing := sorted(set(shapes) - set(leaves)):
        raise ValueError(f"gradients: {missing[0]}: missing")
    for place, leaf in leaves.items():
        if place not in shapes:
            raise ValueError(f"gradients: {short(place)}: the problem has no such gradient{meant(place, shapes)}")
        if leaf.nearest.shape != shapes[place]:
            raise ValueError(f"gradients: {place}: expected shape {shapes[place]}, got {leaf.nearest.shape}")
    if not isinstance(head["name"], str) or not NAME.fullmatch(head["name"]):
        raise ValueError(f"name: expected lower-case letters, digits and underscores, got {short(head['name'])}")
    flags = head["flags"]
    if (
        not isinstance(flags, list)
        or len(flags) > 100
        or not all(isinstance(f, str) and NAME.fullmatch(f) for f in flags)
    ):
        raise ValueError(f"flags: expected a list of names, got {short(flags)}")
    tree = ref.Gradients.from_leaves(leaves)
    status = "certified" if all(np.all(leaf.resolved) for leaf in leaves.values()) else "unresolved"
    certified = ref.CertifiedGradients(
        tree.layers,
        tree.input,
        tree.loss,
        tree.named,
        status=status,
        kinks=_kinks(head["kinks_hit"], decode_kink if is_network(head["architecture"]) else _kink),
    )
    return Case(
        head["name"], problem, certified, tuple(flags), read_text("note", head["note"]), read_text("link", head["link"])
    )


def read_text(place: str, value: Any) -> str:
    """A text that a terminal can show: no control characters, no halves of surrogate pairs, not too long.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or len(value) > LARGEST_TEXT or not all(c.isprintable() for c in value):
        raise ValueError(f"{place}: expected a text of at most {LARGEST_TEXT} printable letters, got {short(value)}")
    return value


def _kinks(data: Any, decoded: Callable[[str, Any], ExactKink | StepKink]) -> tuple[ExactKink | StepKink, ...]:
    if not isinstance(data, list):
        raise ValueError(f"kinks_hit: expected a list, got {short(data)}")
    return tuple(decoded(f"kinks_hit[{index}]", kink) for index, kink in enumerate(data))


def _kink(place: str, kink: Any) -> ExactKink:
    _require_keys(place, kink, set(_KINK))
    if not all(type(kink[key]) is int for key in ("layer", "example", "unit")):
        raise ValueError(f"{place}: layer, example, unit: expected integers")
    if not all(type(kink[key]) is float for key in ("at", "derivative", "left", "right")):
        raise ValueError(f"{place}: at, derivative, left, right: expected numbers with a decimal point")
    return ExactKink(**(kink | {"activation": read_text(place, kink["activation"])}))
