"""Writes test vectors: the two files of a case that `case_file` reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.rounding.certified import CertifiedLeaf, ExactKink, StepKink

from . import bit_arrays
from .case_file import ENDS, FORMAT, NAME, SCHEMA_VERSION, Case, read_text, tensor_hash
from .network_file import GRADIENTS, encode_kink, encode_network, network_arrays
from .rows_as_data import decode_activation, decode_loss, encode_row
from .untrusted import parse_tensors, write_tensors

_CONVENTIONS = {
    "order": "row-major: the last index runs fastest",
    "rows": "a row of x, of the output and of the gradient of the input is an example",
    "weight": "(fan_out, fan_in)",
    "layer": "h = a(x Wᵀ + b)",
    "bits": "IEEE 754, most significant digit first; int64 in two's complement",
    "kinks": "each layer's activation lists its kinks with the derivative taken there; kinks_hit lists those hit",
    "gradients": "lower ≤ the exact gradient ≤ upper; nearest is the float64 nearest to it where resolved is not 0",
}
_OF_STEPS = {
    "order": _CONVENTIONS["order"],
    "steps": "each applies an operation to named values, in order; null is an input that is left out",
    "formats": "compute and store, where a step has them: formats of its inputs and output; the gradients are exact",
    "loss": "inner_product sums target times output: its gradient by the output is the target",
    "bits": f"{_CONVENTIONS['bits']}; a truth value is 0 or 1",
    "kinks": "kinks_hit: numbers of a step exactly where its formula changes; the derivative taken there is torch's",
    "gradients": _CONVENTIONS["gradients"],
}


def write_case(problem: ref.Problem, path: str | Path, *, name: str | None = None, note: str = "") -> Case:
    """Write a problem with its certified gradients to a file, for a program in any language; `read_case` reads it.

    Every number comes back bit for bit. Certifying takes about a second for 10,000 multiply-adds of a forward pass.

    Args:
        problem: in float64 or float32, of rows of the tables.
        path: ends in .json or .safetensors, and says so which of the two is written.
        name: lower-case letters, digits and underscores; made of the file's name if not given.
        note: a line on what it shows.

    Returns:
        The case.

    Raises:
        ValueError: the path ends otherwise, the name or note is no such text, the problem is of another type or has a
            row of the user's own, or a gradient overflows.
        OSError: it cannot be written.

    >>> import tempfile
    >>> from .case_file import read_case
    >>> mlp = ref.initialize([2, 3, 1], ["relu", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.array([[0.5, -1.0]]), np.array([[1.0]]), "mse")
    >>> path = Path(tempfile.mkdtemp()) / "my-case.json"
    >>> case = write_case(problem, path)
    >>> case.name, bool(np.all(read_case(path).problem.mlp.layers[0].weight == mlp.layers[0].weight))
    ('my_case', True)
    """
    path = Path(path)
    if path.suffix not in (".json", ".safetensors"):
        raise ValueError(f"{path}: expected a name that ends in .json or .safetensors")
    if problem.dtype not in (np.float64, np.float32):
        raise ValueError(f"{path}: a case holds float64 or float32, not {problem.dtype}")
    if name is None:
        name = re.sub("[^a-z0-9]+", "_", path.stem.lower()).strip("_")[:100] or "case"
    if not NAME.fullmatch(name):
        raise ValueError(f"name: expected lower-case letters, digits and underscores, got {name!r}")
    _require_rows(problem)
    with np.errstate(all="ignore"):
        case = Case(name, problem, ref.certified_gradients(problem), note=read_text("note", note))
        data = as_json(case).encode() if path.suffix == ".json" else as_safetensors(case)
    path.write_bytes(data)
    return case


def _require_rows(problem: ref.Problem) -> None:
    """Raise ValueError if a row is the user's own under a name of the tables: a file holds its name alone."""
    layers = problem.mlp.layers if isinstance(problem.network, ref.MLP) else ()
    rows: list[ref.Activation | ref.Loss] = [*(layer.activation for layer in layers), problem.loss]
    for row in rows:
        data = encode_row(row)
        read = decode_loss("loss", data) if isinstance(row, ref.Loss) else decode_activation("activation", data)
        if read.formula != row.formula or _code(read.value) != _code(row.value):
            raise ValueError(f"{row.name}: a row of your own, not that of the tables, and a file holds no code")


def _code(function: Any) -> Any:
    return getattr(function, "__code__", function)


def as_json(case: Case) -> str:
    """The case as a JSON text.

    Raises:
        ValueError: a row of the problem is none of the tables, or a number is not finite.
    """
    data = _head(case)
    data["conventions"] = _CONVENTIONS if isinstance(case.problem.network, ref.MLP) else _OF_STEPS
    data["arrays"] = {place: bit_arrays.encode(array) for place, array in _arrays(case.problem).items()}
    data["gradients"] = {place: _encode_leaf(place, leaf) for place, leaf in case.certified.leaves().items()}
    return _layout(data) + "\n"


def as_safetensors(case: Case) -> bytes:
    """The case as a safetensors file: the numbers as tensors, the rest as JSON in the metadata under "case".

    "sha256" there is the hash of the tensors, which a file in another byte order does not have.
    """
    tensors = _arrays(case.problem)
    for place, leaf in case.certified.leaves().items():
        tensors |= {f"{GRADIENTS}{place}.{end}": np.asarray(getattr(leaf, end)) for end in ENDS}
        if not np.all(leaf.resolved):
            tensors[f"{GRADIENTS}{place}.resolved"] = np.asarray(leaf.resolved, dtype=np.uint8)
    text = json.dumps(_head(case), ensure_ascii=False)
    stored, _ = parse_tensors(write_tensors(tensors, {}))
    return write_tensors(tensors, {"case": text, "sha256": tensor_hash(stored)})


def _arrays(problem: ref.Problem) -> dict[str, Any]:
    return dict(problem.arrays()) if isinstance(problem.network, ref.MLP) else network_arrays(problem)


def _head(case: Case) -> dict[str, Any]:
    of_mlp = isinstance(case.problem.network, ref.MLP)
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "name": case.name,
        "flags": list(case.flags),
        "note": case.note,
        "link": case.link,
        "architecture": _architecture(case.problem) if of_mlp else encode_network(case.problem),
        "kinks_hit": [_encode_kink(kink) for kink in case.certified.kinks],
    }


def _architecture(problem: ref.Problem) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        output = ref.forward(problem.mlp, problem.x).output
        divisor = problem.loss.divisor(output, problem.target) if problem.reduction == "mean" else 1
    return {
        "dtype": str(problem.dtype),
        "batch": int(problem.x.shape[0]),
        "layers": [
            {
                "fan_in": layer.fan_in,
                "fan_out": int(layer.weight.shape[0]),
                "bias": layer.bias is not None,
                "activation": encode_row(layer.activation),
                "kinks": [
                    {"at": k.at, "derivative": k.derivative, "left": k.left, "right": k.right}
                    for k in layer.activation.kinks
                ],
            }
            for layer in problem.mlp.layers
        ],
        "loss": encode_row(problem.loss),
        "reduction": problem.reduction,
        "loss_divided_by": float(np.asarray(divisor)),
    }


def _encode_kink(kink: ExactKink | StepKink) -> dict[str, Any]:
    if isinstance(kink, StepKink):
        return encode_kink(kink)
    return {name: getattr(kink, name) for name in ExactKink.__dataclass_fields__}


def _encode_leaf(place: str, leaf: CertifiedLeaf) -> dict[str, Any]:
    data: dict[str, Any] = {"shape": list(np.shape(leaf.nearest))}
    for end in ENDS:
        array = np.asarray(getattr(leaf, end))
        bit_arrays.require_finite(f"gradients: {place}: {end}", array)
        data[end] = {"bits": bit_arrays.bits_of(array), "decimal": bit_arrays.decimals_of(array)}
    if not np.all(leaf.resolved):
        data["resolved"] = np.asarray(leaf.resolved).astype(int).ravel().tolist()
    return data


def _layout(value: Any, indent: str = "") -> str:
    """JSON with a line per list of numbers and per member, so that a program without a JSON library reads it.

    The members of a tuple have a line each.
    """
    if isinstance(value, dict) and value:
        inner = f"{indent} "
        members = (f"{inner}{json.dumps(key)}: {_layout(member, inner)}" for key, member in value.items())
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, tuple) and value:
        lines = (f"{indent} {json.dumps(member, ensure_ascii=False, allow_nan=False)}" for member in value)
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
