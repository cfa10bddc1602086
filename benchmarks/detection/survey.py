"""A long survey of false alarms: correct gradients of every kind, four formats, large batches among them.

Case number n of a seed is always the same problem, implementation and format. The survey runs in pieces, each a line of
a file, so that it can be stopped and resumed, and shared out over machines.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from torch_compare.sources.pieces import Piece, missing, plain, run_in_pieces

from ..implementations.correct_gradients import (
    forget_compilations,
)
from .false_alarms import Judgement, judgement
from .survey_cases import SurveyCase, case_of

PIECE = 40

# ── judging ──────────────────────────────────────────────────────────────────────────────────────────


def judged_case(seed: int, index: int) -> tuple[SurveyCase, Judgement | None]:
    """The case, and what this project's checker says of it; None if the library refuses it, or is not installed."""
    case = case_of(seed, index)
    try:
        with np.errstate(all="ignore"):
            leaves = case.implementation.gradients(case.problem, case.dtype)
    except ImportError:
        return case, None
    except RuntimeError as error:
        if not isinstance(error, NotImplementedError) and "between 0 and 1" not in str(error):
            raise
        return case, None
    return case, judgement(case.problem, leaves, case.implementation.name, case.dtype)


def surveyed(seed: int, cases: range) -> dict[str, Any]:
    """What is found in some cases: outcomes by format and implementation, the largest values, and every alarm."""
    counts: Counter[tuple[str, str, str]] = Counter()
    deviations: Counter[str] = Counter()
    largest: dict[str, dict[str, list[float]]] = {}
    alarms: list[dict[str, Any]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries warn of overflow; what counts is the gradient
            for index in cases:
                case, found = judged_case(seed, index)
                outcome = "refused" if found is None else found.outcome
                counts[case.dtype, case.implementation.name, outcome] += 1
                if found is None:
                    continue
                deviations.update([found.deviation] if found.deviation else [])
                if found.outcome == "false alarm":
                    alarms.append(_alarm(seed, index, case, found))
                for name, value in values_of(found).items():
                    _raise(largest.setdefault(case.dtype, {}), name, [value, index])
    finally:
        torch.set_num_threads(threads)
    forget_compilations()
    return {
        "counts": [[*key, count] for key, count in sorted(counts.items())],
        "deviations": dict(sorted(deviations.items())),
        "largest": largest,
        "alarms": alarms,
    }


def values_of(found: Judgement) -> dict[str, float]:
    """Each of the verdict's statistics on correct gradients that it accepts, and of those that it does not."""
    verdict = found.verdict
    if found.outcome not in ("agrees", "textbook", "false alarm"):
        return {}
    values = {"element on the textbook scale": verdict.worst.scales} if found.outcome == "textbook" else {}
    if found.outcome == "agrees":
        values["element on the accurate scale"] = verdict.accurate
    kept = {f"statistic: {name}": float(value) for name, value in getattr(verdict, "statistics", {}).items()}
    return {name: value for name, value in (values | kept).items() if not np.isnan(value)}


def _raise(largest: dict[str, list[float]], name: str, found: list[float]) -> None:
    """Keep the larger of two [value, case]; of equal ones the earlier case."""
    largest[name] = min(largest.get(name, found), found, key=lambda one: (-float(one[0]), one[1]))


def _alarm(seed: int, index: int, case: SurveyCase, found: Judgement) -> dict[str, Any]:
    rows = "-".join(layer.activation.name for layer in case.problem.mlp.layers)
    verdict = found.verdict
    return {
        "case": index, "seed": seed, "dtype": case.dtype, "implementation": case.implementation.name,
        "kind": case.kind, "status": str(verdict.status), "worst": str(verdict.worst), "said": str(verdict.diagnosis),
        "batch": case.problem.x.shape[0], "activations": rows, "loss": case.problem.loss.name,
        "again": f"python -m benchmarks detection --false-alarms 1 --first {index} --seed {seed}",
    }  # fmt: skip


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────


def survey(
    count: int,
    seed: int,
    folder: Path | None,
    jobs: int = 2,
    first: int = 0,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """The summary of so many correct gradients; on Ctrl-C, of those that have ended.

    Args:
        count: correct gradients.
        seed: of all of them.
        folder: where false_alarms-SEED.jsonl is, which is resumed, and false_alarms-SEED.json, the summary; nothing is
            written if it is not given.
        jobs: processes.
        first: the number of the first case.
        progress: called with the number of cases that have just ended, or had ended before.

    Raises:
        ValueError: the file there is of another survey, or damaged.
        OSError: it cannot be read or written.
    """
    path = None if folder is None else folder / f"false_alarms-{seed}.jsonl"
    versions = {name: version(name) for name in ("gradient-oracle", "numpy", "torch")}
    header = {"format": "gradient-oracle false alarms 1", "seed": seed, "versions": versions}
    pieces: list[Piece] = []
    stopped = False
    try:
        for piece in run_in_pieces(partial(surveyed, seed), range(first, first + count), PIECE, jobs, header, path):
            pieces.append(piece)
            if progress is not None:
                progress(piece.end - piece.first)
    except KeyboardInterrupt:
        stopped = True
    summary = summary_of(pieces, seed) | ({"stopped": True} if stopped else {})
    if folder is not None:
        text = json.dumps(plain(summary), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / f"false_alarms-{seed}.json").write_text(text + "\n", "utf-8")
    return summary


def summary_of(pieces: Iterable[Piece], seed: int) -> dict[str, Any]:
    """One summary of some pieces, the same however the cases were cut into pieces."""
    kept = sorted(pieces, key=lambda piece: piece.first)
    counts: Counter[tuple[str, str, str]] = Counter()
    deviations: Counter[str] = Counter()
    largest: dict[str, dict[str, list[float]]] = {}
    for piece in kept:
        counts.update({(a, b, c): n for a, b, c, n in piece.found["counts"]})
        deviations.update(piece.found["deviations"])
        for dtype, values in piece.found["largest"].items():
            for name, (value, index) in values.items():
                _raise(largest.setdefault(dtype, {}), name, [float(value), index])
    rows: list[dict[str, Any]] = []
    for (dtype, name), entries in groupby(sorted(counts.items()), key=lambda item: item[0][:2]):
        outcomes: Mapping[str, int] = {key[2]: n for key, n in entries}
        rows.append({"dtype": dtype, "implementation": name, "gradients": sum(outcomes.values()), "outcomes": outcomes})
    end = max((piece.end for piece in kept), default=0)
    gaps = missing(range(end), kept)
    return {
        "seed": seed,
        "cases": sum(piece.end - piece.first for piece in kept),
        "end": end,
        "missing": [[gap.start, gap.stop] for gap in gaps],
        "false alarms": sum(row["outcomes"].get("false alarm", 0) for row in rows),
        "rows": rows,
        "deviations": dict(sorted(deviations.items())),
        "largest": {dtype: dict(sorted(values.items())) for dtype, values in sorted(largest.items())},
        "alarms": [alarm for piece in kept for alarm in piece.found["alarms"]],
    }


def lines_of(summary: Mapping[str, Any]) -> list[str]:
    """The summary in words, a line for each format and implementation, largest value and alarm."""
    lines = [
        f"{row['dtype']}, {row['implementation']}: {row['gradients']:,} gradients; "
        + ", ".join(f"{n:,} {outcome}" for outcome, n in row["outcomes"].items())
        for row in summary["rows"]
    ]
    for dtype, values in summary["largest"].items():
        lines += [f"{dtype}, largest {name}: {value:.3g} (case {index})" for name, (value, index) in values.items()]
    lines += [
        f"false alarm: {a['dtype']}, {a['implementation']}: {a['status']}; {a['worst']}; again: {a['again']}"
        for a in summary["alarms"]
    ]
    stopped = "stopped after " if summary.get("stopped") else ""
    buried = sum(row["outcomes"].get("buried", 0) for row in summary["rows"])
    return [
        *lines,
        f"seed {summary['seed']}: {stopped}{summary['cases']:,} correct gradients, "
        f"{summary['false alarms']} false alarms; {buried:,} buried, as rounding is as large as the gradients there",
    ]
