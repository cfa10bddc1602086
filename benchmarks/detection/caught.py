"""The bank of mutants before every checker: who catches what, in what time; and what the diagnosis calls it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import torch_compare as tc

from ..wrong_gradients.bank import BANK, Mutant, naive
from .checkers import CHECKERS

Row = Mapping[str, Any]
LEAST = {"float64": 1e-13, "float32": 1e-5}
"""The smallest relative error, by the norm of the array that is furthest off, that the claim is about."""
RELATIVE = "relative error"
"""The kind of mutants that the picture is drawn from: no mistake with a name, only one of a known size."""
CHUNK = 6


def selected(quick: bool) -> list[int]:
    """Indices into the bank: all of it, or the first of each kind and place, and most relative errors."""
    if not quick:
        return list(range(len(BANK)))
    first: dict[tuple[str, str], int] = {}
    for index, mutant in enumerate(BANK):
        first.setdefault((mutant.kind, mutant.place), index)
    sizes = [i for i, mutant in enumerate(BANK) if mutant.kind == RELATIVE and "column" not in mutant.name]
    return sorted({*first.values(), *sizes})


def planted(mutant: Mutant, seed: int) -> float:
    """How far the mutant is from the same implementation without its mistake: ‖error‖/‖right‖, of the worst array."""
    problem = mutant.problem(seed, mutant.dtype)
    right, wrong = naive(problem), mutant.gradients(problem)
    worst = 0.0
    for place, values in wrong.items():
        a, b = np.asarray(values, dtype=float), np.asarray(right[place], dtype=float)
        distance, size = float(np.linalg.norm(np.ravel(a - b))), float(np.linalg.norm(np.ravel(b)))
        if distance > 0:
            worst = max(worst, distance / size if size > 0 else np.inf)
    return worst if np.isfinite(worst) else np.inf


def row_of(mutant: Mutant, seed: int) -> Row:
    """What every row of a mutant says."""
    return {
        "kind": mutant.kind,
        "mutant": mutant.name,
        "place": mutant.place,
        "format": mutant.dtype,
        "size": mutant.size,
        "seed": seed,
        "planted": planted(mutant, seed),
    }


def checked(index: int, seed: int) -> list[Row]:
    """One mutant before every checker that has defaults for its format."""
    mutant = BANK[index]
    common = row_of(mutant, seed)
    rows: list[Row] = []
    problem = mutant.problem(seed, mutant.dtype)
    leaves, double = mutant.gradients(problem), problem.in_float64()
    for checker in CHECKERS:
        if mutant.dtype in checker.formats:
            start = perf_counter()
            passes = checker.passes(double, leaves, mutant.dtype)
            taken = perf_counter() - start
            rows.append({**common, "checker": checker.name, "caught": not passes, "seconds": taken})
    return rows


def named(index: int, seed: int) -> Row:
    """What the diagnosis calls one mutant, and whether that is a name for its mistake."""
    mutant = BANK[index]
    problem = mutant.problem(seed, mutant.dtype)
    start = perf_counter()
    verdict = tc.check(problem.in_float64(), mutant.gradients(problem), mutant.dtype)
    taken = perf_counter() - start
    names = set(verdict.diagnosis.names)
    right = bool(names) and names <= mutant.expected_names
    found = {"names": sorted(names), "expected": sorted(mutant.expected_names), "right": right, "seconds": taken}
    return {**row_of(mutant, seed), **found}


def nameable(indices: Sequence[int]) -> list[int]:
    """Those mutants whose mistake has a name."""
    return [i for i in indices if BANK[i].kind != RELATIVE and BANK[i].expected_names and BANK[i].status == "wrong"]


def _piece(work: str, pairs: Sequence[tuple[int, int]]) -> list[Row]:
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mutant may overflow on its way
        if work == "checked":
            return [row for index, seed in pairs for row in checked(index, seed)]
        return [named(index, seed) for index, seed in pairs]


def run(work: str, indices: Sequence[int], seeds: Sequence[int], jobs: int) -> list[Row]:
    """Every mutant on every seed's problem: work is "checked" or "named"."""
    pairs = [(index, seed) for seed in seeds for index in indices]
    pieces = [pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK)]
    done = Parallel(n_jobs=jobs)(delayed(_piece)(work, piece) for piece in pieces)
    return [row for rows in done for row in rows]


# ── what the rows say ────────────────────────────────────────────────────────────────────────────────


def of_checker(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows of one checker."""
    return [row for row in rows if row["checker"] == name]


def missed(rows: Sequence[Row], least: Mapping[str, float] = LEAST) -> list[Row]:
    """Mutants that passed though they are at or above the smallest error of the claim."""
    return [row for row in rows if not row["caught"] and row["planted"] >= least[row["format"]]]


def smallest_caught(rows: Sequence[Row], number: str) -> float:
    """The smallest size of relative error from which on every mutant of a format is caught; NaN if none is."""
    mine = [row for row in rows if row["kind"] == RELATIVE and row["format"] == number]
    sizes = sorted({row["size"] for row in mine}, reverse=True)
    reached = float("nan")
    for size in sizes:
        if not all(row["caught"] for row in mine if row["size"] == size):
            break
        reached = size
    return reached


def share_caught(rows: Sequence[Row], number: str) -> dict[float, float]:
    """The share of relative errors of a format that were caught, by size."""
    sizes: dict[float, list[bool]] = {}
    for row in rows:
        if row["kind"] == RELATIVE and row["format"] == number:
            sizes.setdefault(row["size"], []).append(row["caught"])
    return {size: sum(caught) / len(caught) for size, caught in sorted(sizes.items())}


def typical_seconds(rows: Sequence[Row]) -> float:
    """The median time over the smallest relative errors, which hardly any checker sees.

    A check that fails may take longer: gradcheck's fast mode then runs the slow one, to say where.
    """
    sizes = [row["size"] for row in rows if row["kind"] == RELATIVE and row["format"] == "float64"]
    taken = [row["seconds"] for row in rows if sizes and row["kind"] == RELATIVE and row["size"] == min(sizes)]
    return median(taken) if taken else float("nan")
