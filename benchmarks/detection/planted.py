"""The mistakes that `gradient-oracle verify` plants, in four formats: whether each is caught and named."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import reference as ref
import torch_compare as tc
from torch_compare.mistakes.planted import PLANTED, planted_problem

from ..implementations.correct_gradients import representable
from .checkers import PASSED, relative_error
from .power import GOALS, stored

UNNAMED = ("planted", "constant factor")
"""What `verify` calls a mistake that no diagnosis looks for."""


def judged(index: int, dtype: str, seed: int) -> Mapping[str, Any]:
    """One of them: computed exactly, stored in the format, and judged by the check's defaults."""
    one = PLANTED[index]
    problem = representable(planted_problem(one.activation, one.loss, seed), dtype)
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        leaves, exact = (stored(made, dtype) for made in (one.gradients(problem), ref.gradients(problem).leaves()))
        start = perf_counter()
        verdict = tc.check(problem, leaves, dtype)
        taken = perf_counter() - start
    expected = {mistake.name for mistake in one.mistakes(problem)} - set(UNNAMED)
    names = set(verdict.diagnosis.names)
    right = not expected or (bool(names) and names <= expected)
    return {
        "kind": "planted by verify", "name": one.name, "format": dtype, "seed": seed, "names": sorted(names),
        "expected": sorted(expected), "right": right, "planted": relative_error(leaves, exact),
        "caught": verdict.status not in PASSED, "seconds": taken,
    }  # fmt: skip


def run(seed: int, jobs: int) -> list[Mapping[str, Any]]:
    """Every one of them in every format."""
    work = [(index, dtype, seed) for dtype in GOALS for index in range(len(PLANTED))]
    found: list[Mapping[str, Any]] = Parallel(n_jobs=jobs)(delayed(judged)(*piece) for piece in work)
    return found
