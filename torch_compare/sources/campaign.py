"""Many random problems, each held by every source against the others, in parallel and in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import reference as ref

from ..files import problem_file
from ..files.untrusted import short
from ..random_problems.crowded import sometimes_crowded
from ..random_problems.networks import NetworkSpec, build_network, network_spec, spec_from
from ..random_problems.spec import Spec, build, random_spec
from .comparison import compare
from .outcome import PairOutcome
from .pieces import plain, read_pieces, run_in_pieces
from .report import CampaignCase, CampaignReport, as_piece, of_piece

CHUNK = 25
"""Cases of a piece, which a process takes at a time."""
CERTIFY_EVERY = 3
"""Of the problems that are small enough, one in so many is certified."""
NETWORK_EVERY = 3
"""One problem in so many is one of operations: of a single one, or of a network."""
KINDS = ("mlps", "networks")
"""The kinds of problems, for a campaign of one alone."""
FORMAT = "gradient-oracle campaign 2"
_ONE_AT_A_TIME = Lock()
"""The precision of balls and the number of BLAS's threads belong to the process: its threads take turns."""


def spec_of(seed: int, case: int, dtype: str, only: str | None = None) -> Spec | NetworkSpec:
    """The spec of case number `case` of the campaign with that seed.

    One in `NETWORK_EVERY` is a network of operations, unless the campaign is `only` of one of the `KINDS`.

    >>> [type(spec_of(0, case, "both")).__name__ for case in range(4)]
    ['Spec', 'Spec', 'NetworkSpec', 'Spec']
    """
    rng = np.random.default_rng([seed, case])
    if only == "networks" or (only is None and case % NETWORK_EVERY == NETWORK_EVERY - 1):
        chosen = str(rng.choice(["float64", "float32"])) if dtype == "both" else dtype
        return network_spec(rng, case if only else case // NETWORK_EVERY, chosen)
    chosen = ("float64", "float32")[case % 2] if dtype == "both" else dtype
    return sometimes_crowded(rng, random_spec(rng, case // 2 if dtype == "both" else case, chosen))


def problem_of(spec: Spec | NetworkSpec) -> ref.Problem:
    """The problem of a spec of either kind."""
    return build_network(spec) if isinstance(spec, NetworkSpec) else build(spec)


def run_case(spec: Spec | NetworkSpec, certify: bool | None = None) -> CampaignCase:
    """Build a problem and compare every pair of sources; certify one in `CERTIFY_EVERY` small ones by default."""
    if certify is None:
        certify = spec.seed % CERTIFY_EVERY == 0
    problem = problem_of(spec)
    return CampaignCase(spec, compare(problem, spec.seed, certify=certify), rows=_rows(problem))


def _rows(problem: ref.Problem) -> tuple[str, ...]:
    """The names of the activations and operations that a network consists of, each once."""
    if isinstance(problem.network, ref.Network):
        return tuple(dict.fromkeys(step.operation.name for step in problem.network.steps))
    return tuple(dict.fromkeys(layer.activation.name for layer in problem.network.layers))


def _chunk(
    seed: int, dtype: str, certify_all: bool, only: str | None, versions: Mapping[str, str], cases: range
) -> dict[str, Any]:
    """What is found in some cases.

    Raises:
        RuntimeError: another machine has other versions, whose pieces make no one report with those of this one.
        ValueError: a problem cannot be made or compared; the text says which, and how to run it alone.
    """
    if versions != _versions():
        raise RuntimeError(f"versions: expected {versions}, got {_versions()}")
    report = CampaignReport(dtype, certify_all, only)
    with _ONE_AT_A_TIME, threadpool_limits(1):
        for case in cases:
            try:
                found = run_case(spec_of(seed, case, dtype, only), certify_all or None)
            except (ValueError, TypeError, ArithmeticError) as error:
                again = f"gradient-oracle verify --seed {seed} --first {case} --cases 1"
                again += f" --only {only}" if only else ""
                raise ValueError(f"case {case} of seed {seed}: {error}; again: {again}") from error
            report.add(replace(found, place=(seed, case)))
    return as_piece(report)


def run(
    cases: int,
    seed: int,
    dtype: str = "both",
    jobs: int = 2,
    progress: Callable[[int], None] | None = None,
    *,
    certify_all: bool = False,
    only: str | None = None,
    first: int = 0,
    path: Path | None = None,
    scheduler: str | None = None,
) -> CampaignReport:
    """Run a campaign of so many problems.

    On Ctrl-C the report is of those that have ended, and its `asked` says of how many.

    Args:
        cases: how many problems.
        seed: where they come from.
        dtype: "float64", "float32" or "both" in turn.
        jobs: processes.
        progress: called with the number of cases that have just ended, or had ended before.
        certify_all: certify every problem that is small enough, not one in `CERTIFY_EVERY`.
        only: the one of the `KINDS` that all problems are of; both if not given.
        first: the number of the first problem; the campaign may be run in pieces.
        path: a file of JSON lines that what is found is added to, piece by piece; what stands there is not run again,
            and is part of the report.
        scheduler: the address of a Dask cluster, which runs them in place of processes on this machine.

    Raises:
        ValueError: the file is of another campaign, or damaged.
        OSError: it cannot be read or written.
    """
    report = CampaignReport(dtype, certify_all, only, versions=_versions())
    work = partial(_chunk, seed, dtype, certify_all, only, _versions())
    header = _header(seed, dtype, certify_all, only)
    try:
        pieces = run_in_pieces(work, range(first, first + cases), CHUNK, jobs, header, path, scheduler)
        for piece in pieces:
            report.merge(of_piece(piece, seed, dtype, certify_all, only))
            if progress is not None:
                progress(piece.end - piece.first)
    except KeyboardInterrupt:
        report.asked = cases
    return report


def _header(seed: int, dtype: str, certify_all: bool, only: str | None) -> dict[str, Any]:
    """What a file of pieces begins with: other versions round otherwise, and their pieces make no one report."""
    drawn = {"seed": seed, "dtype": dtype, "certify_all": certify_all} | ({"only": only} if only else {})
    return {"format": FORMAT} | drawn | {"versions": _versions()}


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("gradient-oracle", "numpy", "torch")}


def merged(paths: Iterable[Path]) -> CampaignReport:
    """One report of the pieces in some files, which may be of several seeds.

    Raises:
        ValueError: a file holds no pieces of a campaign, a case is there twice, or they do not belong together.
        OSError: a file cannot be read.
    """
    report: CampaignReport | None = None
    for path in paths:
        header, pieces = read_pieces(path)
        seed: Any = header.get("seed")
        dtype: Any = header.get("dtype")
        certify_all: Any = header.get("certify_all")
        only: Any = header.get("only")
        versions: Any = header.get("versions")
        known = type(seed) is int and dtype in ("float64", "float32", "both") and isinstance(certify_all, bool)
        known = known and only in (None, *KINDS)
        known = known and isinstance(versions, dict) and all(isinstance(number, str) for number in versions.values())
        if header.get("format") != FORMAT or not known:
            raise ValueError(f"{path}: not the pieces of a campaign ({FORMAT})")
        report = report or CampaignReport(dtype, certify_all, only, versions=versions)
        if versions != report.versions:
            raise ValueError(f"{path}: versions are {short(report.versions)} in one piece and {short(versions)} here")
        try:
            for piece in pieces:
                report.merge(of_piece(piece, seed, dtype, certify_all, only))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    if report is None:
        raise ValueError("no files of pieces are given")
    return report


def write_disagreement(case: CampaignCase, directory: Path, number: int) -> Path:
    """Write a case as a file that `replay` runs again, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"disagreement-{number:04d}.json"
    data = {"seed": case.spec.seed} | plain(case.as_data())
    if not isinstance(case.spec, NetworkSpec):  # a network of operations is built again from its spec
        data = problem_file.encode(build(case.spec)) | data
    path.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
    return path


def replay(path: str | Path) -> tuple[PairOutcome, ...]:
    """Compare every pair of sources again on a problem that was written to a file.

    Raises:
        ValueError: the file holds no problem; the message names it and says why.
        OSError: it cannot be read.
    """
    data = problem_file.load(path)
    seed = data.get("seed", 0)
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"{path}: seed: expected an integer of at least 0, got {seed!r}")
    try:
        spec = data.get("spec")
        network = isinstance(spec, dict) and "parts" in spec
        problem = build_network(spec_from(spec)) if network else problem_file.decode(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return compare(problem, seed)
