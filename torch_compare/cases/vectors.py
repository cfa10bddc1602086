"""Test vectors for any language: the named set and random ones, written as files with a manifest.

The named set is committed under `torch_compare/vectors/`; `make vectors` writes it again, and a test shows that the
bytes are those committed. From the same seed come the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ..files.case_file import SCHEMA_VERSION, Case
from ..files.case_writer import as_json, as_safetensors
from ..files.untrusted import parse_json, read_bytes, short
from . import known_bugs, named_cases, network_cases, operation_cases
from .draft import FLAGS, certify
from .index import index
from .random_cases import random_cases

__all__ = [
    "COMMITTED", "FLAGS", "GENERATOR_VERSION", "MANIFEST", "Edition", "Entry", "Manifest", "case_paths",
    "check_manifest", "edition", "named_set", "write", "write_one",
]  # fmt: skip

COMMITTED = Path(__file__).parents[1] / "vectors"
"""The named set as files."""
MANIFEST = "manifest.json"
INDEX = "README.md"
SCHEMAS = ("case.schema.json", "manifest.schema.json", "result.schema.json")
GENERATOR_VERSION = "4"
"""Raised when the named set or the random cases change."""
FORMAT = "gradient-oracle manifest"
_NAME = re.compile(r"(schema/)?[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class Entry:
    """One file of a manifest: its size and its hash."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of a directory of test vectors.

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


def case_paths(directory: str | Path) -> list[Path]:
    """The JSON files of the cases of a directory, by name; their twins end in .safetensors."""
    return sorted(path for path in Path(directory).glob("*.json") if path.name != MANIFEST)


def named_set() -> Iterator[Case]:
    """The named cases, certified anew one by one, ordered by name.

    >>> case = next(named_set())
    >>> case.name, case.flags
    ('activation_celu', ('activation',))
    """
    rooms = (named_cases, known_bugs, operation_cases, network_cases)
    return map(certify, sorted(chain.from_iterable(room.drafts() for room in rooms), key=lambda made: made.name))


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────


def write(directory: str | Path, cases: int | None = None, seed: int = 0, dtype: str | None = None) -> Manifest:
    """Write the named set to a directory, and so many random cases besides.

    Args:
        directory: made if it is not there; files of the same names are replaced, the others left.
        cases: how many random ones.
        seed: of the random ones; the first n of a larger set are the set of n.
        dtype: of the random ones: "float64" or "float32"; both in turn if not given.

    Raises:
        ValueError: cases or seed is negative, or dtype is neither.
        OSError: it cannot be written.
    """
    if seed < 0 or (cases or 0) < 0 or dtype not in (None, "float64", "float32"):
        raise ValueError(
            f"expected cases and seed of at least 0, dtype float64 or float32, got {cases}, {seed}, {dtype}"
        )
    directory = Path(directory)
    (directory / "schema").mkdir(parents=True, exist_ok=True)
    entries: dict[str, Entry] = {}

    def put(name: str, data: bytes) -> None:
        (directory / name).write_bytes(data)
        entries[name] = Entry(len(data), hashlib.sha256(data).hexdigest())

    for name in SCHEMAS:
        put(f"schema/{name}", (COMMITTED / "schema" / name).read_bytes())
    listed = []
    for case in chain(named_set(), random_cases(cases or 0, seed, dtype)):
        put(f"{case.name}.json", as_json(case).encode())
        put(f"{case.name}.safetensors", as_safetensors(case))
        listed.append(case)
    put(INDEX, index(listed).encode())
    manifest = Manifest(SCHEMA_VERSION, GENERATOR_VERSION, seed, dict(sorted(entries.items())))
    (directory / MANIFEST).write_text(manifest_as_json(manifest), encoding="utf-8")
    return manifest


def write_one(directory: str | Path, case: Case) -> Path:
    """Write one case to a directory, with the JSON Schemas, and nothing else; returns the path of its JSON file."""
    directory = Path(directory)
    (directory / "schema").mkdir(parents=True, exist_ok=True)
    for name in SCHEMAS:
        (directory / "schema" / name).write_bytes((COMMITTED / "schema" / name).read_bytes())
    path = directory / f"{case.name}.json"
    path.write_bytes(as_json(case).encode())
    path.with_suffix(".safetensors").write_bytes(as_safetensors(case))
    return path


def manifest_as_json(manifest: Manifest) -> str:
    """The text of a manifest, a line a file."""
    head = {
        "format": FORMAT,
        "schema_version": manifest.schema_version,
        "generator_version": manifest.generator_version,
        "seed": manifest.seed,
    }
    files = (f"  {json.dumps(name)}: {json.dumps(vars(entry))}" for name, entry in manifest.files.items())
    return json.dumps(head, indent=1)[:-2] + ',\n "files": {\n' + ",\n".join(files) + "\n }\n}\n"


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────


def read_manifest(path: str | Path) -> Manifest:
    """The manifest of a file; no other file is touched.

    Raises:
        ValueError: it is none; the message names the file, the place and what was expected.
        OSError: it cannot be read.
    """
    try:
        return _manifest(parse_json(read_bytes(Path(path))))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _manifest(data: Any) -> Manifest:
    keys = {"format", "schema_version", "generator_version", "seed", "files"}
    if not isinstance(data, dict) or data.get("format") != FORMAT or set(data) != keys:
        raise ValueError(f'expected an object of {", ".join(sorted(keys))}, whose format is "{FORMAT}"')
    version, generator, seed, files = (data[key] for key in ("schema_version", "generator_version", "seed", "files"))
    if type(version) is not int or version != SCHEMA_VERSION:
        raise ValueError(f"schema_version: expected {SCHEMA_VERSION}, got {short(version)}")
    if not isinstance(generator, str) or not re.fullmatch(r"[0-9.]{1,20}", generator):
        raise ValueError(f"generator_version: expected digits and points, got {short(generator)}")
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise ValueError(f"seed: expected an integer of 64 bits, got {short(seed)}")
    if not isinstance(files, dict):
        raise ValueError(f"files: expected an object, got {short(files)}")
    entries = {}
    for name, entry in files.items():
        place = f"files: {short(name)}"
        if len(name) > 200 or not _NAME.fullmatch(name) or name == MANIFEST:
            raise ValueError(f"{place}: expected the name of a file in this directory or in schema")
        if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
            raise ValueError(f"{place}: expected an object of bytes and sha256, got {short(entry)}")
        size, digest = entry["bytes"], entry["sha256"]
        if type(size) is not int or size < 0:
            raise ValueError(f"{place}: bytes: expected a number of at least 0, got {short(size)}")
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"{place}: sha256: expected 64 hexadecimal digits, got {short(digest)}")
        entries[name] = Entry(size, digest)
    return Manifest(version, generator, seed, entries)


@dataclass(frozen=True)
class Edition:
    """Which test vectors cases are from, so that whoever was judged by them can say by which.

    Attributes:
        version: of what wrote them, `Manifest.generator_version`.
        sha256: of the manifest, which holds the hash of every file.
        changed: files that are no longer what the manifest says, or that it does not name.
    """

    version: str
    sha256: str
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line for a report."""
        text = f"test vectors {self.version}, SHA-256 of their manifest {self.sha256}"
        return text + (f"; changed since then: {', '.join(self.changed)}" if self.changed else "")


def edition(paths: Sequence[Path]) -> Edition | None:
    """The edition of cases of one directory; None where no manifest lies beside them, or none that can be read.

    >>> found = edition(case_paths(COMMITTED)[:2])
    >>> found.version == GENERATOR_VERSION, found.changed
    (True, ())
    """
    if not paths:
        return None
    manifest = paths[0].parent / MANIFEST
    try:
        read, digest = read_manifest(manifest), _digest(manifest)
    except (ValueError, OSError):
        return None

    def kept(path: Path) -> bool:
        try:
            return path.name in read.files and _digest(path) == read.files[path.name].sha256
        except (ValueError, OSError):
            return False

    return Edition(read.generator_version, digest, tuple(path.name for path in paths if not kept(path)))


def _digest(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def check_manifest(directory: str | Path) -> Manifest:
    """The manifest of a directory, once every file of it is what the manifest says, and no case is missing there.

    Only regular files right in the directory or in its folder schema are read, none through a symbolic link.

    Raises:
        ValueError: a file is missing, changed, a link, or not in the manifest; the message names it.
        OSError: one cannot be read.
    """
    directory = Path(directory)
    manifest = read_manifest(directory / MANIFEST)
    for name, entry in manifest.files.items():
        path = directory / name
        for part in (path, *([path.parent] if "/" in name else [])):
            if not os.path.lexists(part):
                raise ValueError(f"{part}: the manifest names it, but there is no such file")
            if stat.S_ISLNK(part.lstat().st_mode):
                raise ValueError(f"{part}: a symbolic link; expected the file itself")
        size = path.stat().st_size
        if size != entry.bytes:
            raise ValueError(f"{path}: expected {entry.bytes} bytes, as the manifest says, got {size}")
        try:
            found = _digest(path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if found != entry.sha256:
            raise ValueError(f"{path}: expected the SHA-256 {entry.sha256}, as the manifest says, got {found}")
    for path in sorted(directory.iterdir()):
        if path.suffix in (".json", ".safetensors") and path.name not in {MANIFEST, *manifest.files}:
            raise ValueError(f"{path}: not in the manifest")
    return manifest
