"""A long run in pieces: each ends as a line of a file, and what stands there is not run again.

The first line of the file says what is run; every other one holds the cases of a piece, [first, end), and what was
found in them. A last line that was cut off in the middle of writing counts as not written.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from ..files.untrusted import parse_json, short
from .cluster import on_cluster

Found = Mapping[str, Any]
Header = Mapping[str, Any]


@dataclass(frozen=True)
class Piece:
    """What was found in the cases from `first` up to, but not including, `end`."""

    first: int
    end: int
    found: Found


def run_in_pieces(
    work: Callable[[range], Found],
    cases: range,
    size: int,
    jobs: int,
    header: Header | None = None,
    path: Path | None = None,
    scheduler: str | None = None,
) -> Iterator[Piece]:
    """Every piece: those that the file holds, then the others, as they end, which are added to it.

    Args:
        work: what finds something in some cases; the same cases give the same whenever and wherever they are run.
        cases: what shall be run.
        size: cases of a piece.
        jobs: processes.
        header: says what is run; the file must begin with the same.
        path: the file; it is begun if there is none. Nothing is kept if it is not given.
        scheduler: the address of a Dask cluster, whose workers run the pieces in place of processes on this machine.

    Raises:
        ValueError: the file is of another run, or damaged; the message names it and the line.
        OSError: it cannot be read or written.
        KeyboardInterrupt: on Ctrl-C; what was yielded stands in the file.
    """
    done: list[Piece] = []
    if path is not None:
        done = _begun(path, dict(header or {}))
    yield from done
    gaps = (range(start, min(start + size, gap.stop)) for gap in missing(cases, done) for start in gap[::size])
    if scheduler is not None:
        results = on_cluster(partial(_piece, work), gaps, scheduler)
    else:
        with _undisturbed():  # the processes are started here
            results = Parallel(n_jobs=jobs, return_as="generator")(delayed(_piece)(work, gap) for gap in gaps)
    try:
        for piece in results:
            if path is not None:
                _append(path, asdict(piece))
            yield piece
    finally:
        results.close()


def missing(cases: range, done: Iterable[Piece]) -> list[range]:
    """The cases that no piece holds.

    >>> missing(range(10), [Piece(2, 4, {}), Piece(7, 12, {})])
    [range(0, 2), range(4, 7)]
    """
    gaps, start = [], cases.start
    for piece in sorted(done, key=lambda piece: piece.first):
        if piece.first > start:
            gaps.append(range(start, min(piece.first, cases.stop)))
        start = max(start, piece.end)
    return [gap for gap in (*gaps, range(start, cases.stop)) if gap]


def read_pieces(path: Path) -> tuple[dict[str, Any], list[Piece]]:
    """The header of a file, and its pieces.

    Raises:
        ValueError: a line is none of them, or two pieces hold the same case; the message names the file and the line.
        OSError: the file cannot be read.
    """
    found: list[Any] = []
    for number, line in enumerate(_whole_lines(path), 1):
        try:
            data = parse_json(line)
            found.append(_decoded(data) if found else _header(data))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not found:
        raise ValueError(f"{path}: expected a line that says what is run")
    head, *pieces = found
    once(pieces, str(path))
    return head, pieces


def once(pieces: Iterable[Piece], where: str) -> None:
    """Raise ValueError if two pieces hold the same case."""
    end = 0
    for piece in sorted(pieces, key=lambda piece: piece.first):
        if piece.first < end:
            raise ValueError(f"{where}: case {piece.first} is counted twice")
        end = piece.end


def plain(data: Any) -> Any:
    """The data with infinities and NaN, for which JSON has no number, as words.

    >>> plain({"scales": [1.0, float("inf")]})
    {'scales': [1.0, 'inf']}
    """
    if isinstance(data, dict):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    return str(data) if isinstance(data, float) and not np.isfinite(data) else data


def _piece(work: Callable[[range], Found], cases: range) -> Piece:
    return Piece(cases.start, cases.stop, work(cases))


def _whole_lines(path: Path) -> list[bytes]:
    """The lines that end; what stands behind the last end of line was cut off."""
    with path.open("rb") as file:
        return [line[:-1] for line in file if line.endswith(b"\n")]


def _header(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"expected an object that says what is run, got {short(data)}")
    return data


def _decoded(data: Any) -> Piece:
    if not isinstance(data, dict) or set(data) != {"first", "end", "found"}:
        raise ValueError(f"expected an object of first, end and found, got {short(data)}")
    first, end = data["first"], data["end"]
    if not (type(first) is int and type(end) is int and 0 <= first < end and isinstance(data["found"], dict)):
        raise ValueError(f"expected 0 ≤ first < end, and an object of what was found, got {short(first)}, {short(end)}")
    return Piece(first, end, data["found"])


def _begun(path: Path, header: Header) -> list[Piece]:
    """The pieces of the file, which is begun if there is none, and freed of a line that was cut off."""
    lines = _whole_lines(path) if path.exists() else []
    if not lines:
        path.write_bytes(b"")
        _append(path, header)
        return []
    found, pieces = read_pieces(path)
    for key in (*header, *found):
        if header.get(key) != found.get(key):
            raise ValueError(f"{path}: {key} is {short(found.get(key))} there, and {short(header.get(key))} here")
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return pieces


def _append(path: Path, data: Mapping[str, Any]) -> None:
    line = json.dumps(plain(dict(data)), ensure_ascii=False, allow_nan=False)
    with path.open("ab") as file:
        file.write(line.encode("utf-8") + b"\n")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes that are started here do not hear Ctrl-C, which is for this one alone; it hears it afterwards.

    It is blocked and ignored, both of which they inherit: the process that keeps account of semaphores is started here
    too, and Python unblocks the signal behind it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    here = threading.current_thread() is threading.main_thread()  # elsewhere no handler may be set
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if here else None
    try:
        yield
    finally:
        if here:
            signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
