"""Rounding scales of problems that many tests judge by, measured once a module."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from reference.arithmetic.formats import get_format
from reference.rounding import scale
from torch_compare.verdict import arithmetics, lower_precision


@pytest.fixture(scope="module")
def scales_measured_once() -> Iterator[None]:
    """The verdict's scales depend on nothing but these arguments: the numbers are those of every call by itself."""
    kept: dict[Any, scale.Rounding] = {}
    measure = scale.rounding_errors

    def once(problem: Any, dtype: Any = None, **how: Any) -> scale.Rounding:
        fmt = get_format(problem.dtype if dtype is None else dtype)
        try:
            key = (pickle.dumps(problem), fmt, tuple(sorted(how.items())))
        except pickle.PicklingError:  # a row without a recipe
            return measure(problem, fmt, **how)
        if key not in kept:
            kept[key] = found = measure(problem, fmt, **how)
            for values in (*found.sigma.values(), *found.errors.values()):
                values.flags.writeable = False
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (scale, arithmetics, lower_precision):
            patch.setattr(module, "rounding_errors", once)
        yield
