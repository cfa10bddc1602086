"""Rounding scales of problems that many tests judge by, measured once a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import reference as ref
from reference.arithmetic.formats import get_format
from reference.rounding.scale import RUNS, Rounding, rounding_errors
from torch_compare.verdict import arithmetics


@pytest.fixture(scope="module")
def scales_measured_once() -> Iterator[None]:
    """The verdict's scales depend on nothing but these arguments, and a problem never changes."""
    kept: dict[Any, tuple[ref.Problem, Rounding]] = {}

    def once(problem: Any, dtype: Any = None, *, textbook: bool = False, runs: int = RUNS, seed: int = 0) -> Rounding:
        fmt = get_format(problem.dtype if dtype is None else dtype)
        key = (id(problem), fmt, textbook, runs, seed)
        if key not in kept:  # with the problem, so that no other gets its id
            kept[key] = problem, rounding_errors(problem, fmt, textbook=textbook, runs=runs, seed=seed)
            for values in (*kept[key][1].sigma.values(), *kept[key][1].errors.values()):
                values.flags.writeable = False
        return kept[key][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetics, "rounding_errors", once)
        yield
