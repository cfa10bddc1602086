"""The mistakes that `gradient-oracle verify` plants, in four formats: whether each is caught and named."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import torch_compare as tc
from torch_compare.mistakes.planted import PLANTED, PlantedMistake, planted_problem

from ..implementations.correct_gradients import representable
from .checkers import PASSED
from .power import GOALS, stored

UNNAMED = ("planted", "constant factor")
"""What `verify` calls a mistake that no diagnosis looks for."""


def smaller_than_rounding(one: PlantedMistake, dtype: str) -> bool:
    """Whether a mistake of a given size, or of a format, lies below what is to be seen in this one."""
    size = float(one.name.split()[2]) if one.name.startswith("relative error ") else 1.0
    return size < GOALS[dtype] or (one.name == "computed in float32" and dtype != "float64")


def judged(index: int, dtype: str, seed: int) -> Mapping[str, Any]:
    """One of them: computed exactly, stored in the format, and judged by the check's defaults."""
    one = PLANTED[index]
    problem = representable(planted_problem(one.activation, one.loss, seed), dtype)
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        leaves = stored(one.gradients(problem), dtype)
        start = perf_counter()
        verdict = tc.check(problem, leaves, dtype)
        taken = perf_counter() - start
    expected = {mistake.name for mistake in one.mistakes(problem)} - set(UNNAMED)
    names = set(verdict.diagnosis.names)
    right = not expected or (bool(names) and names <= expected)
    return {
        "kind": "planted by verify", "name": one.name, "format": dtype, "seed": seed, "names": sorted(names),
        "expected": sorted(expected), "right": right, "caught": verdict.status not in PASSED, "seconds": taken,
    }  # fmt: skip


def run(seed: int, jobs: int) -> list[Mapping[str, Any]]:
    """Every one of them in every format that it can be seen in."""
    work = [
        (index, dtype, seed)
        for dtype in GOALS
        for index, one in enumerate(PLANTED)
        if not smaller_than_rounding(one, dtype)
    ]
    found: list[Mapping[str, Any]] = Parallel(n_jobs=jobs)(delayed(judged)(*piece) for piece in work)
    return found
