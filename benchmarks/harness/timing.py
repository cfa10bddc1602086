"""How pieces of work are timed beside each other."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

import torch
from threadpoolctl import threadpool_limits

import reference as ref
import torch_compare as tc
from reference.rounding.measured import forget

THREADS = 1
"""Of the matrix library and of torch, in `on_one_core`."""


def check_afresh(problem: ref.Problem, given: Any, **how: Any) -> tc.Verdict:
    """The verdict of `tc.check`, whose noisy runs are not those kept of another turn."""
    forget()
    return tc.check(problem, given, **how)


def interleaved_times(
    work: Mapping[str, Callable[[], Any]], *, repetitions: int = 5, least: float = 2e-3
) -> dict[str, list[float]]:
    """The time of each piece of work in each turn, in seconds.

    The pieces take turns, so that a drift of the machine's speed meets all of them, and a short piece runs
    several times a turn, so that a turn outlasts the clock's grain.

    Args:
        work: the pieces by name.
        repetitions: turns after the warm-up.
        least: seconds that a turn should last at least.

    >>> [len(times) for times in interleaved_times({"a": lambda: None, "b": lambda: None}, least=0.0).values()]
    [5, 5]
    """
    runs = {}
    for name, piece in work.items():
        runs[name] = max(1, round(least / max(_time(piece, 1), 1e-9)))
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repetitions):
        for name, piece in work.items():
            taken[name].append(_time(piece, runs[name]) / runs[name])
    return taken


def interleaved_medians(
    work: Mapping[str, Callable[[], Any]], *, repetitions: int = 5, least: float = 2e-3
) -> dict[str, float]:
    """The medians of `interleaved_times`.

    >>> sorted(interleaved_medians({"a": lambda: None, "b": lambda: None}, repetitions=1, least=0.0))
    ['a', 'b']
    """
    taken = interleaved_times(work, repetitions=repetitions, least=least)
    return {name: statistics.median(times) for name, times in taken.items()}


def _time(piece: Callable[[], Any], runs: int) -> float:
    start = perf_counter()
    for _ in range(runs):
        piece()
    return perf_counter() - start


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """One thread, and one core for libraries that ask for no number of threads, as XLA; where the system has that."""
    threads = torch.get_num_threads()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    torch.set_num_threads(THREADS)
    try:
        if cores:
            os.sched_setaffinity(0, {max(cores)})
        with threadpool_limits(THREADS):
            yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)
