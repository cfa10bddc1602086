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
from torch_compare.verdict import result_file

SEEDS = (
    "network_mixed", "kink_undecided", "kink_relu", "loss_cross_entropy_smoothed_weights", "loss_multilabel_margin",
    "activation_softplus_no_threshold", "bug_05_tanh_float32", "loss_gaussian_nll_variances",
)  # fmt: skip
"""Cases that are damaged: rows with parameters, integer targets, both types, unresolved elements, kinks."""


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
    paths = [vectors.COMMITTED / f"{name}.json" for name in SEEDS]
    cases = [case_file.read_case(path) for path in paths]
    twins = tuple(path.with_suffix(".safetensors").read_bytes() for path in paths)
    problem = cases[0].problem
    results = tuple(_results(problem))
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
        Reader("case safetensors", case_file.read_case, twins, tensors=True),
        Reader("result JSON", lambda path: result_file.read_result(path, problem), results),
        Reader("result safetensors", lambda path: result_file.read_result(path, problem), (_tensors(problem),), True),
        Reader("manifest", check, (manifest.encode(),)),
        Reader("problem", lambda path: problem_file.decode(problem_file.load(path)),
               tuple(json.dumps(problem_file.encode(case.problem)).encode() for case in cases)),
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


def _training() -> tuple[ref.MLP, Any]:
    mlp = ref.initialize([3, 4, 2], activations=["leaky_relu", "identity"], seed=0)
    return mlp, ref.optimizers.adam().init(mlp)
