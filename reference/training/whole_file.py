"""Files that are whole or not there at all: written in one step, and proved by a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from ..arithmetic.array import NumPyArray


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a name of its own first, and then put it in the place of an older one, in one step.

    The name is random: two writers at once would mix their bytes under a common one. If writing fails, nothing is left.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def digest(stored: NumPyArray) -> str:
    """SHA-256 of an array's type, shape and bytes, in hexadecimal."""
    told = hashlib.sha256(f"{stored.dtype.newbyteorder('=').str} {stored.shape} ".encode())
    told.update(stored.tobytes())
    return told.hexdigest()


def checksum(document: object, digests: Mapping[str, str]) -> str:
    """SHA-256 of a tree, as JSON writes it, and of the digests of arrays by place, in any order.

    >>> checksum([1], {"a": "1", "b": "2"}) == checksum([1], {"b": "2", "a": "1"}) != checksum([1], {"a": "1"})
    True
    """
    return hashlib.sha256(json.dumps([document, sorted(digests.items())]).encode()).hexdigest()
