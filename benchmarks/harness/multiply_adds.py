"""How many multiply-adds a piece of work costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import reference as ref


class Counting(np.ndarray):
    """An array that adds up the multiply-adds of every matrix product that it takes part in."""

    tally: list[int]

    def __array_finalize__(self, made_from: Any) -> None:
        self.tally = getattr(made_from, "tally", [])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """The plain result as a `Counting` array of the same tally."""
        plain = [_plain(i) for i in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(map(_plain, kwargs["out"]))
        result = getattr(ufunc, method)(*plain, **kwargs)
        if ufunc is np.matmul:
            self.tally.append(result.size * plain[0].shape[-1])
        return counting(result, self.tally) if isinstance(result, np.ndarray) else result


def _plain(values: Any) -> Any:
    return values.view(np.ndarray) if isinstance(values, Counting) else values


def counting(values: Any, tally: list[int]) -> Counting:
    """A view whose products are noted in the tally."""
    view = np.asarray(values).view(Counting)
    view.tally = tally
    return view


def multiply_adds(method: Callable[[ref.Problem], Any], problem: ref.Problem) -> int:
    """The multiply-adds in matrix products of one run, counted while it runs."""
    tally: list[int] = []
    method(problem.map(lambda values: counting(values, tally)))
    return sum(tally)
