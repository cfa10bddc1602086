"""Damaged files through every reader: ``make fuzz``, or ``python -m tests.fuzz.readers --files 100000 --seed 0``.

A reader may return, or raise ValueError or OSError. Any other exception, a warning, more than `SECONDS` for a file, or
more memory than `untrusted.MEMORY` beyond what the process had is a failure, and the exit status 1. Besides the damaged
files there are `bombs`: files as large as the bounds allow, made to ask for as much memory as they can.

With atheris installed, libFuzzer then looks for inputs that reach new lines of the readers.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from secrets import randbelow
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from tests.fuzz.bombs import BOMBS, TENSOR_BOMBS, make_bomb
from tests.fuzz.damage import damaged
from tests.fuzz.subjects import Reader, readers
from torch_compare.files import untrusted

SECONDS = 20
CHUNK = 500


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


def attempt(reader: Reader, data: bytes, folder: Path) -> str:
    """ "accepted", "refused", or what went wrong."""
    path = folder / f"file{'.safetensors' if reader.tensors else '.json'}"
    path.write_bytes(data)
    signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader.read(path)
    except (ValueError, OSError) as error:
        text = str(error)
        return "refused" if len(text) < 2000 and text.isprintable() else f"an unfit message: {text[:200]!a}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]!a}"
    finally:
        signal.alarm(0)
    return "accepted"


class TooSlow(BaseException):
    """A reader took longer than `SECONDS`; not an Exception, so that no reader swallows it."""


def _too_slow(signum: int, frame: Any) -> None:
    raise TooSlow(f"more than {SECONDS} seconds")


def file_of(known: tuple[Reader, ...], seed: int, number: int) -> tuple[Reader, bytes]:
    """File `number` of a seed, and the reader that it is for."""
    rng = np.random.default_rng([seed, number])
    reader = known[number % len(known)]
    return reader, damaged(rng, reader.valid[int(rng.integers(len(reader.valid)))], tensors=reader.tensors)


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_chunk(seed: int, numbers: range) -> tuple[Counter[tuple[str, str]], list[tuple[int, str, str]], int]:
    """Counts by reader and outcome, the failures, and the memory beyond what the process had before."""
    counts: Counter[tuple[str, str]] = Counter()
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = readers(folder)
        before = peak()
        for number in numbers:
            reader, data = file_of(known, seed, number)
            outcome = attempt(reader, data, folder)
            if outcome not in ("accepted", "refused"):
                failures.append((number, reader.name, outcome))
                outcome = "failed"
            counts[reader.name, outcome] += 1
    return counts, failures, peak() - before


# ── bombs ────────────────────────────────────────────────────────────────────────────────────────────


def run_bombs(names: tuple[str, ...] = BOMBS + TENSOR_BOMBS) -> tuple[list[tuple[str, str, int]], list[str]]:
    """Memory by bomb and reader, each in a process of its own, and the failures."""
    found, failures = [], []
    for name in names:
        command = [sys.executable, "-m", "tests.fuzz.readers", "--bomb", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            failures.append(f"{name}: {(done.stderr or done.stdout).strip()[-300:]}")
            continue
        for line in done.stdout.splitlines():
            reader, outcome, grown = line.split("\t")
            found.append((f"{name}, {reader}", outcome, int(grown)))
    return found, failures + too_much(found)


def too_much(found: list[tuple[str, str, int]]) -> list[str]:
    """The bombs that took more memory than a reader may, or were neither read nor refused."""
    return [
        f"{bomb}: {outcome}, {grown >> 20} MiB"
        for bomb, outcome, grown in found
        if outcome not in ("accepted", "refused") or grown > untrusted.MEMORY
    ]


def explode(bomb: str) -> None:
    """One bomb through every reader of its kind, each with a limit on the address space; prints what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = readers(folder)
        data = make_bomb(bomb)
        for reader in known:
            if reader.tensors == (bomb in TENSOR_BOMBS):
                child = os.fork()
                if child == 0:
                    _explode_in_child(reader, data, folder)
                if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
                    raise SystemExit(f"{reader.name} ended the process")


def _explode_in_child(reader: Reader, data: bytes, folder: Path) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + untrusted.MEMORY, resource.RLIM_INFINITY))
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    outcome = attempt(reader, data, folder)
    print(f"{reader.name}\t{outcome}\t{max(0, peak() - before)}", flush=True)
    os._exit(0)


# ── atheris ──────────────────────────────────────────────────────────────────────────────────────────


def run_atheris(files: int, seed: int) -> str:
    """Coverage-guided files in a process of their own; what went wrong, or ""."""
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        corpus.mkdir()
        (Path(name) / "work").mkdir()
        for number, reader in enumerate(readers(Path(name) / "work")):
            for index, data in enumerate(reader.valid):
                (corpus / f"{number}-{index}").write_bytes(bytes([number]) + data)
        command = [
            sys.executable, "-m", "tests.fuzz.with_atheris", f"-runs={files}", f"-seed={seed % 2**32 or 1}",
            "-max_len=40000", f"-timeout={SECONDS}", f"-artifact_prefix={name}/", str(corpus),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr[-2000:] if done.returncode else ""


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────


def main() -> int:
    """Run it and return the exit status."""
    parser = argparse.ArgumentParser(description="Damaged files through every reader.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, help="run this one file of the seed and show what comes of it")
    parser.add_argument("--bomb", help=argparse.SUPPRESS)
    parser.add_argument("--no-bombs", action="store_true", help="leave out the files that ask for much memory")
    parser.add_argument("--atheris", type=int, default=20_000, help="coverage-guided files, if atheris is installed")
    options = parser.parse_args()
    if options.bomb is not None:
        explode(options.bomb)
        return 0
    seed = randbelow(2**32) if options.seed is None else options.seed
    if options.only is not None:
        with tempfile.TemporaryDirectory() as name:
            reader, data = file_of(readers(Path(name)), seed, options.only)
        sys.stdout.buffer.write(data + b"\n")
        print(reader.name)
        return 0
    print(f"python -m tests.fuzz.readers --files {options.files} --seed {seed}")
    start = time.perf_counter()
    chunks = [range(at, min(at + CHUNK, options.files)) for at in range(0, options.files, CHUNK)]
    counts: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    grown = 0
    for found, bad, memory in Parallel(n_jobs=options.jobs)(delayed(run_chunk)(seed, chunk) for chunk in chunks):
        counts.update(found)
        grown = max(grown, memory)
        failures += [f"--seed {seed} --only {number}: {reader}: {text}" for number, reader, text in bad]
    for name in sorted({reader for reader, _ in counts}):
        accepted, refused, failed = (counts[name, outcome] for outcome in ("accepted", "refused", "failed"))
        print(f"  {name:20} {accepted:7} accepted {refused:7} refused {failed:4} failed")
    seconds = time.perf_counter() - start
    print(f"{sum(counts.values())} files in {seconds:.0f} s, at most {grown >> 20} MiB more than before")
    found, bad = run_bombs(() if options.no_bombs else BOMBS + TENSOR_BOMBS)
    failures += bad
    worst = max(found, key=lambda bomb: bomb[2], default=("none", "", 0))
    print(f"{len(found)} bombs; the worst, {worst[0]}, took {worst[2] >> 20} MiB of {untrusted.MEMORY >> 20} allowed")
    if grown > untrusted.MEMORY:
        failures.append(f"{grown >> 20} MiB, more than {untrusted.MEMORY >> 20}")
    if not importlib.util.find_spec("atheris"):
        print("atheris is not installed: no coverage-guided files")
    elif options.atheris:
        problem = run_atheris(options.atheris, seed)
        failures += [f"atheris: {problem}"] if problem else []
        print(f"{options.atheris} coverage-guided files by atheris")
    for text in failures[:20]:
        print(f"FAILED {text}")
    print("FAILED" if failures else "no reader failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
