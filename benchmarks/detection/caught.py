"""The bank of wrong gradients before every checker: who catches what, in what time; what the diagnosis calls it."""

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

from ..implementations.naive import naive_gradients
from ..wrong_gradients.bank import BANK
from ..wrong_gradients.wrong_gradient import WrongGradient
from .checkers import CHECKERS

Row = Mapping[str, Any]
LEAST = {"float64": 1e-13, "float32": 1e-5}
"""The smallest relative error, by the norm of the array that is furthest off, that the claim is about."""
RELATIVE = "relative error"
"""The kind of wrong gradients that the picture is drawn from: no mistake with a name, only one of a known size."""
CHUNK = 6


def selected(quick: bool) -> list[int]:
    """Indices into the bank: all of it, or the first of each kind and place, and most relative errors."""
    if not quick:
        return list(range(len(BANK)))
    first: dict[tuple[str, str], int] = {}
    for index, wrong in enumerate(BANK):
        first.setdefault((wrong.kind, wrong.place), index)
    sizes = [i for i, wrong in enumerate(BANK) if wrong.kind == RELATIVE and "column" not in wrong.name]
    return sorted({*first.values(), *sizes})


def planted(wrong: WrongGradient, seed: int) -> float:
    """How far a wrong gradient is from the same implementation's right one: ‖error‖/‖right‖ of the worst array."""
    problem = wrong.problem(seed, wrong.dtype)
    right = naive_gradients(problem)
    worst = 0.0
    for place, values in wrong.gradients(problem).items():
        a, b = np.asarray(values, dtype=float), np.asarray(right[place], dtype=float)
        distance, size = float(np.linalg.norm(np.ravel(a - b))), float(np.linalg.norm(np.ravel(b)))
        if distance > 0:
            worst = max(worst, distance / size if size > 0 else np.inf)
    return worst if np.isfinite(worst) else np.inf


def row_of(wrong: WrongGradient, seed: int) -> Row:
    """The cells that every row of a wrong gradient has."""
    return {
        "kind": wrong.kind,
        "name": wrong.name,
        "place": wrong.place,
        "format": wrong.dtype,
        "size": wrong.size,
        "seed": seed,
        "planted": planted(wrong, seed),
    }


def checked(index: int, seed: int) -> list[Row]:
    """One wrong gradient before every checker that has defaults for its format."""
    wrong = BANK[index]
    common = row_of(wrong, seed)
    rows: list[Row] = []
    problem = wrong.problem(seed, wrong.dtype)
    leaves, double = wrong.gradients(problem), problem.in_float64()
    for checker in CHECKERS:
        if wrong.dtype in checker.formats:
            start = perf_counter()
            passes = checker.passes(double, leaves, wrong.dtype)
            taken = perf_counter() - start
            rows.append({**common, "checker": checker.name, "caught": not passes, "seconds": taken})
    return rows


def named(index: int, seed: int) -> Row:
    """The name that the diagnosis gives one wrong gradient, and whether that is a name for its mistake."""
    wrong = BANK[index]
    problem = wrong.problem(seed, wrong.dtype)
    start = perf_counter()
    verdict = tc.check(problem.in_float64(), wrong.gradients(problem), wrong.dtype)
    taken = perf_counter() - start
    names = set(verdict.diagnosis.names)
    right = bool(names) and names <= wrong.expected_names
    found = {"names": sorted(names), "expected": sorted(wrong.expected_names), "right": right, "seconds": taken}
    return {**row_of(wrong, seed), **found}


def nameable(indices: Sequence[int]) -> list[int]:
    """Those wrong gradients whose mistake has a name."""
    return [i for i in indices if BANK[i].kind != RELATIVE and BANK[i].expected_names and BANK[i].status == "wrong"]


def _piece(work: str, pairs: Sequence[tuple[int, int]]) -> list[Row]:
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong gradient may overflow on its way
        if work == "checked":
            return [row for index, seed in pairs for row in checked(index, seed)]
        return [named(index, seed) for index, seed in pairs]


def run(work: str, indices: Sequence[int], seeds: Sequence[int], jobs: int) -> list[Row]:
    """Every wrong gradient on every seed's problem: work is "checked" or "named"."""
    pairs = [(index, seed) for seed in seeds for index in indices]
    pieces = [pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK)]
    done = Parallel(n_jobs=jobs)(delayed(_piece)(work, piece) for piece in pieces)
    return [row for rows in done for row in rows]


# ── what the rows say ────────────────────────────────────────────────────────────────────────────────


def of_checker(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows of one checker."""
    return [row for row in rows if row["checker"] == name]


def missed(rows: Sequence[Row], least: Mapping[str, float] = LEAST) -> list[Row]:
    """Wrong gradients that passed though they are at or above the smallest error of the claim."""
    return [row for row in rows if not row["caught"] and row["planted"] >= least[row["format"]]]


def smallest_caught(rows: Sequence[Row], number: str) -> float:
    """The smallest size of relative error from which on all of a format are caught; NaN if none is."""
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
