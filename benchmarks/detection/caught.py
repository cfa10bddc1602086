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

import reference as ref
import torch_compare as tc

from ..implementations.correct_gradients import NUMBERS, representable
from ..implementations.naive import Leaves, naive_gradients
from ..wrong_gradients.bank import BANK
from ..wrong_gradients.wrong_gradient import WrongGradient
from .checkers import CHECKERS, PASSED, relative_error

Row = Mapping[str, Any]
LEAST = {"float64": 1e-13, "float32": 1e-5}
"""The smallest relative error, by the norm of the array that is furthest off, that the claim is about."""
FORMATS = tuple(NUMBERS)
HALF = ("float16", "bfloat16")
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


def made(wrong: WrongGradient, seed: int, dtype: str) -> tuple[ref.Problem, Leaves, Leaves]:
    """The problem, the wrong gradients of it, and the same implementation's right ones, computed in a format.

    In half precision every result is rounded to the format, what is changed afterwards too, and sums are float32's.
    """
    if dtype not in HALF:
        problem = wrong.problem(seed, dtype)
        return problem, wrong.gradients(problem), naive_gradients(problem)
    problem = representable(wrong.problem(seed, "float64"), dtype)
    with np.errstate(over="ignore"):
        leaves = {k: _stored(k, v, dtype) for k, v in wrong.gradients(problem, dtype).items()}
    return problem, leaves, naive_gradients(problem, dtype=dtype)


def _stored(place: str, values: Any, dtype: str) -> Any:
    """The array in the format; the loss is left in float32, in which it is summed."""
    wide = np.asarray(values, dtype=np.float32)
    return wide if place == "loss" else wide.astype(NUMBERS[dtype]).astype(np.float32)


def planted(wrong: WrongGradient, seed: int, dtype: str | None = None) -> float:
    """How far a wrong gradient is from the same implementation's right one: ‖error‖/‖right‖ of the worst array."""
    _, leaves, right = made(wrong, seed, dtype or wrong.dtype)
    return relative_error(leaves, right)


def row_of(wrong: WrongGradient, seed: int, dtype: str) -> Row:
    """The cells that every row of a wrong gradient has."""
    return {
        "kind": wrong.kind,
        "name": wrong.name,
        "place": wrong.place,
        "format": dtype,
        "size": wrong.size,
        "seed": seed,
        "planted": planted(wrong, seed, dtype),
    }


def checked(index: int, seed: int, dtype: str) -> list[Row]:
    """One wrong gradient before every checker that has defaults for the format."""
    wrong = BANK[index]
    common = row_of(wrong, seed, dtype)
    rows: list[Row] = []
    problem, leaves, _ = made(wrong, seed, dtype)
    double = problem.in_float64()
    for checker in CHECKERS:
        if dtype in checker.formats:
            start = perf_counter()
            passes = checker.passes(double, leaves, dtype)
            taken = perf_counter() - start
            rows.append({**common, "checker": checker.name, "caught": not passes, "seconds": taken})
    return rows


def named(index: int, seed: int, dtype: str) -> Row:
    """The name that the diagnosis gives one wrong gradient, and whether that is a name for its mistake."""
    wrong = BANK[index]
    problem, leaves, _ = made(wrong, seed, dtype)
    start = perf_counter()
    verdict = tc.check(problem.in_float64(), leaves, dtype)
    taken = perf_counter() - start
    names = set(verdict.diagnosis.names)
    right = bool(names) and names <= wrong.expected_names
    found = {"names": sorted(names), "expected": sorted(wrong.expected_names), "right": right, "seconds": taken}
    passed = verdict.status in PASSED
    return {**row_of(wrong, seed, dtype), **found, "caught": not passed}


def nameable(indices: Sequence[int]) -> list[int]:
    """Those wrong gradients whose mistake has a name."""
    return [i for i in indices if BANK[i].kind != RELATIVE and BANK[i].expected_names and BANK[i].status == "wrong"]


def formats_of(work: str, index: int) -> tuple[str, ...]:
    """The formats that a wrong gradient is made in: mistakes with a name in every one, sizes of errors in their own.

    What is only caught, not named, is made in float32 by the sizes alone: there peers have defaults, as in float64.
    """
    wrong = BANK[index]
    if wrong.kind == RELATIVE or wrong.status != "wrong":
        return (wrong.dtype,)
    return FORMATS if work == "named" else ("float64", *HALF)


def _piece(work: str, pairs: Sequence[tuple[int, int, str]]) -> list[Row]:
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong gradient may overflow on its way
        if work == "checked":
            return [row for pair in pairs for row in checked(*pair)]
        return [named(*pair) for pair in pairs]


def run(work: str, indices: Sequence[int], seeds: Sequence[int], jobs: int) -> list[Row]:
    """Every wrong gradient on every seed's problem: work is "checked" or "named"."""
    pairs = [(index, seed, dtype) for seed in seeds for index in indices for dtype in formats_of(work, index)]
    pieces = [pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK)]
    done = Parallel(n_jobs=jobs)(delayed(_piece)(work, piece) for piece in pieces)
    return [row for rows in done for row in rows]


# ── what the rows say ────────────────────────────────────────────────────────────────────────────────


def of_checker(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows of one checker."""
    return [row for row in rows if row["checker"] == name]


def missed(rows: Sequence[Row], least: Mapping[str, float] = LEAST) -> list[Row]:
    """Wrong gradients that passed though they are at or above the smallest error of the claim."""
    return [row for row in rows if row["planted"] >= least.get(row["format"], np.inf) and not row["caught"]]


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
