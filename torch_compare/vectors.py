"""Test vectors for any language: the named set and random ones, written as files with a manifest.

The named set is committed under `torch_compare/vectors/`; `make vectors` writes it again. From the same seed come the
same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref

from .case_file import SCHEMA_VERSION, Case
from .case_writer import as_json, as_safetensors

COMMITTED = Path(__file__).with_name("vectors")
"""The named set as files."""
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Entry:
    """One file of a manifest: its size and its hash."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a directory of test vectors holds.

    Attributes:
        schema_version: of the files' format.
        generator_version: of what wrote them.
        seed: of the random cases.
        files: size and SHA-256 of every file but the manifest, by name.
    """

    schema_version: int
    generator_version: str
    seed: int
    files: Mapping[str, Entry]


GENERATOR_VERSION = "1"


def case_paths(directory: str | Path) -> list[Path]:
    """The JSON files of the cases of a directory, by name; their twins end in .safetensors."""
    return sorted(path for path in Path(directory).glob("*.json") if path.name != MANIFEST)


def named_set() -> tuple[Case, ...]:
    """The named cases, certified anew."""
    mlp = ref.MLP((ref.Layer(np.array([[1.0, -0.5], [0.5, 1.5]]), np.array([0.25, -0.5]), "tanh"),))
    problem = ref.Problem(mlp, np.array([[1.0, 2.0], [-1.5, 0.5]]), np.array([[1.0, 0.0], [0.5, 0.5]]), "mse")
    return (Case("tanh", problem, ref.certified_gradients(problem), ("activation",), "the hyperbolic tangent"),)


def write(directory: str | Path, cases: int | None = None, seed: int = 0) -> Manifest:
    """Write the named set to a directory, and so many random cases.

    Raises:
        OSError: it cannot be written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    for case in named_set():
        files[f"{case.name}.json"] = as_json(case).encode()
        files[f"{case.name}.safetensors"] = as_safetensors(case)
    entries = {name: Entry(len(data), hashlib.sha256(data).hexdigest()) for name, data in sorted(files.items())}
    manifest = Manifest(SCHEMA_VERSION, GENERATOR_VERSION, seed, entries)
    for name, data in files.items():
        (directory / name).write_bytes(data)
    (directory / MANIFEST).write_text(json.dumps(_plain(manifest), indent=1) + "\n", encoding="utf-8")
    return manifest


def _plain(manifest: Manifest) -> dict[str, Any]:
    return {
        "format": "gradient-oracle manifest",
        "schema_version": manifest.schema_version,
        "generator_version": manifest.generator_version,
        "seed": manifest.seed,
        "files": {name: {"bytes": e.bytes, "sha256": e.sha256} for name, e in manifest.files.items()},
    }


def check_manifest(directory: str | Path) -> Manifest:
    """The manifest of a directory, once every file has been found to be what it says."""
    raise NotImplementedError
