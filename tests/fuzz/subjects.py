"""The readers of the project, each with valid files of its kind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.training import checkpoint
from torch_compare.cases import vectors
from torch_compare.files import case_file, problem_file, untrusted
from torch_compare.steps import step_file
from torch_compare.verdict import result_file

SEEDS = (
    "network_mixed", "kink_undecided", "kink_relu", "loss_cross_entropy_smoothed_weights", "loss_multilabel_margin",
    "activation_softplus_no_threshold", "bug_05_tanh_float32", "loss_gaussian_nll_variances",
)  # fmt: skip
"""Cases that are damaged: rows with parameters, integer targets, both types, unresolved elements, kinks."""
NETWORKS = (
    "network_language_model_float32", "network_transformer_block_float64", "network_formats", "kink_operation_maximum",
    "operation_reshape_float64", "operation_pad_float32", "operation_repeat_float32", "operation_expand_float32",
    "operation_einsum_float64", "operation_index_put_float64", "operation_dropout_float32", "operation_cat_float32",
    "operation_select_float32", "operation_split_float32", "operation_outer_float64", "operation_unflatten_float32",
)  # fmt: skip
"""The same of networks of operations: parameters that ask for memory, several outputs, masks, indices, formats."""


@dataclass(frozen=True)
class Reader:
    """One reader: what it is called with, and whether its files are safetensors."""

    name: str
    read: Callable[[Path], Any]
    valid: tuple[bytes, ...]
    tensors: bool = False


# ── the readers ──────────────────────────────────────────────────────────────────────────────────────


def readers(folder: Path) -> tuple[Reader, ...]:
    """Every reader of the project, with valid files of its kind; `folder` is for a directory of vectors."""
    paths, networks = ([vectors.COMMITTED / f"{name}.json" for name in names] for names in (SEEDS, NETWORKS))
    cases, graphs = ([case_file.read_case(path) for path in some] for some in (paths, networks))
    problem, graph = cases[0].problem, graphs[0].problem
    results, of_graph = tuple(_results(problem)), tuple(_results(graph))
    steps = tuple(_steps(folder / "step"))
    mlp, state = _training()
    saved = folder / "saved"
    checkpoint.save(saved, mlp, state, {"step": 3, "losses": [0.5, np.arange(3.0)], "name": "x"})
    small = folder / "vectors"
    small.mkdir()
    (small / "a.json").write_bytes(b"{}")
    entry = vectors.Entry(2, hashlib.sha256(b"{}").hexdigest())
    manifest = vectors.manifest_as_json(vectors.Manifest(vectors.SCHEMA_VERSION, "1", 0, {"a.json": entry}))

    def check(path: Path) -> Any:
        (small / "manifest.json").write_bytes(path.read_bytes())
        return vectors.check_manifest(small)

    return (
        Reader("case JSON", case_file.read_case, tuple(path.read_bytes() for path in paths)),
        Reader("case safetensors", case_file.read_case, _twins(paths), tensors=True),
        Reader("network JSON", case_file.read_case, tuple(path.read_bytes() for path in networks)),
        Reader("network safetensors", case_file.read_case, _twins(networks), tensors=True),
        Reader("result JSON", lambda path: result_file.read_result(path, problem), results),
        Reader("result safetensors", lambda path: result_file.read_result(path, problem), (_tensors(problem),), True),
        Reader("result of a network", lambda path: result_file.read_result(path, graph), of_graph),
        Reader("step JSON", step_file.read_step, steps[0::2]),
        Reader("step safetensors", step_file.read_step, steps[1::2], tensors=True),
        Reader("manifest", check, (manifest.encode(),)),
        Reader("problem", lambda path: problem_file.decode(problem_file.load(path)),
               tuple(json.dumps(problem_file.encode(case.problem)).encode() for case in [*cases, *graphs])),
        Reader("checkpoint", lambda path: checkpoint.load(path, mlp), (saved.read_bytes(),), tensors=True),
    )  # fmt: skip


def _results(problem: ref.Problem) -> Iterator[bytes]:
    found = ref.gradients(problem)
    leaves = found.leaves()
    nested = {place: np.asarray(leaf).tolist() for place, leaf in leaves.items()}
    flat = {place: np.asarray(leaf).ravel().tolist() for place, leaf in leaves.items()}
    halves = {place: [f"0x{n:04x}" for n in np.float16(leaf).ravel().view(np.uint16)] for place, leaf in leaves.items()}
    yield json.dumps({"case": "network_mixed", "dtype": "float32", "accumulate": "same", "gradients": nested}).encode()
    yield json.dumps(flat).encode()
    yield json.dumps({"dtype": "bfloat16", "gradients": halves}).encode()


def _tensors(problem: ref.Problem) -> bytes:
    found = ref.gradients(problem)
    leaves = {place: np.float32(leaf) for place, leaf in found.leaves().items()} | {"loss": np.asarray(found.loss)}
    return untrusted.write_tensors(leaves, {"dtype": "float32", "case": "network_mixed"})


def _twins(paths: list[Path]) -> tuple[bytes, ...]:
    return tuple(path.with_suffix(".safetensors").read_bytes() for path in paths)


def _steps(path: Path) -> Iterator[bytes]:
    """A step of an optimiser with a state and with none, each as JSON and as safetensors."""
    params, grads = {"w": np.array([[1.0, -2.0]]), "b": np.float32([0.5])}, {"w": np.ones((1, 2)), "b": np.float32([2])}
    for optimizer, state in (
        (ref.optimizers.adam(lr=0.1), {"step": 3, "m": params, "v": grads}),
        (ref.optimizers.sgd(0.1), None),
    ):
        for end in (".json", ".safetensors"):
            step_file.write_step(path.with_suffix(end), optimizer, params, grads, state, given=params, dtype="float32")
            yield path.with_suffix(end).read_bytes()


def _training() -> tuple[ref.MLP, Any]:
    mlp = ref.initialize([3, 4, 2], activations=["leaky_relu", "identity"], seed=0)
    return mlp, ref.optimizers.adam().init(mlp)
