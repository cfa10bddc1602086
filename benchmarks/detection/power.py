"""How small an error this project's check still catches on an ordinary network, 64-64-64-10 with 32 examples.

Three kinds of errors, each of a known relative size and of either sign: in the derivative of one layer, a factor on all
gradients, and a factor on one of them. In half precision the gradients are computed twice: by the naive network, which
rounds every result to the format and sums in float32, and by torch on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import reference as ref
import torch_compare as tc
from torch_compare.verdict.given import as_array

from ..implementations.correct_gradients import NUMBERS, by_torch, representable
from ..implementations.naive import Leaves, NaiveMistake, naive_gradients
from .checkers import PASSED
from .speed import SMALL, SMALL_BATCH, network

Row = Mapping[str, Any]
GOALS = {"float64": 1e-14, "float32": 1e-6, "float16": 3e-3, "bfloat16": 2e-2}
"""The relative error from which on every one has to be caught."""
LAYERS = ("first", "middle", "last")
TIMES = (1e-2, 1e-1, 10**-0.5, 1.0, 10**0.5, 10.0)
"""Sizes that are tried, in units of the goal; and every power of ten from there to a third."""


def sizes_of(name: str, quick: bool) -> list[float]:
    """The relative errors that are planted, the goal among them.

    >>> [f"{size:.2g}" for size in sizes_of("bfloat16", quick=True)]
    ['0.0002', '0.002', '0.0063', '0.02', '0.063', '0.2']
    """
    goal = GOALS[name]
    sizes = [times * goal for times in TIMES]
    step = 100 if not quick else 10**4
    while sizes[-1] * step < 1 / 3:
        sizes.append(sizes[-1] * step)
    return sizes


ONE_ARRAY = "one array"
"""Errors of one array, a bias of ten numbers, say: they are shown, and not part of the claim."""


def stored(leaves: Leaves, name: str) -> Leaves:
    """The arrays rounded to the format."""
    number = NUMBERS[name]
    return {k: v if k == "loss" else np.asarray(v, float).astype(number).astype(float) for k, v in leaves.items()}


def errors(problem: ref.Problem, name: str, size: float) -> Iterator[tuple[str, str, Leaves]]:
    """Kind, title and gradients of every error of that size."""
    if size == 0:
        raise ValueError("size: expected an error, got 0")
    for place in LAYERS:
        wrong = naive_gradients(problem, NaiveMistake("relative error", place, size), dtype=name)
        yield "a layer's derivative", f"the {place} layer's derivative", stored(wrong, name)
    for maker, made in (("naive", naive_gradients(problem, dtype=name)), ("torch", by_torch(problem, name))):
        right = {k: np.asarray(as_array(k, v)[0], dtype=float) for k, v in made.items()}
        places = [place for place in right if place != "loss"]
        everything = right | {place: right[place] * (1 + size) for place in places}
        yield "all gradients", f"all gradients, {maker}", stored(everything, name)
        for place in places:
            yield ONE_ARRAY, f"{place}, {maker}", stored(right | {place: right[place] * (1 + size)}, name)


def judged(name: str, size: float, seed: int, widths: Sequence[int] = SMALL) -> list[Row]:
    """What the check says of every error of a size, by its defaults."""
    problem = representable(network(widths, SMALL_BATCH, seed), name)
    rows: list[Row] = []
    with threadpool_limits(1):
        for sign in (1, -1):
            for kind, title, leaves in errors(problem, name, sign * size):
                status = tc.check(problem, leaves, name, diagnose=False).status
                rows.append(
                    {"power": kind, "name": title, "format": name, "size": size, "sign": sign, "seed": seed,
                     "status": str(status), "caught": status not in PASSED}
                )  # fmt: skip
    return rows


def power(quick: bool, seeds: Sequence[int], jobs: int, widths: Sequence[int] = SMALL) -> list[Row]:
    """Every format, size and seed."""
    work = [(name, size, seed) for name in GOALS for size in sizes_of(name, quick) for seed in seeds]
    done = Parallel(n_jobs=jobs)(delayed(judged)(*piece, widths) for piece in work)
    return [row for rows in done for row in rows]


def smallest(rows: Sequence[Row], name: str, kind: str | None = None) -> float:
    """The smallest size from which on every error of a format (and kind) was caught; NaN if the largest was not."""
    mine = [row for row in rows if row["format"] == name and kind in (None, row["power"])]
    reached = float("nan")
    for size in sorted({row["size"] for row in mine}, reverse=True):
        if not all(row["caught"] for row in mine if row["size"] == size):
            break
        reached = size
    return reached


def reached(rows: Sequence[Row]) -> bool:
    """Whether every format reaches its goal, for the errors that the claim is about; one array alone says less."""
    claimed = [row for row in rows if row["power"] != ONE_ARRAY]
    return all(smallest(claimed, name) <= goal * (1 + 1e-9) for name, goal in GOALS.items())


def figures_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The smallest sizes, each beside its goal."""
    kinds = dict.fromkeys(row["power"] for row in rows)
    return {
        f"{name}, 64-64-64-10, all errors in {kind} from, goal {goal:g}": smallest(rows, name, kind)
        for name, goal in GOALS.items()
        for kind in kinds
    }


def share_caught(rows: Sequence[Row], name: str) -> dict[float, float]:
    """The share of a format's errors that were caught, by size."""
    sizes: dict[float, list[bool]] = {}
    for row in rows:
        if row["format"] == name:
            sizes.setdefault(row["size"], []).append(row["caught"])
    return {size: sum(caught) / len(caught) for size, caught in sorted(sizes.items())}
