"""How long a whole check takes: every element of a network's gradients, against gradcheck's two modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import reference as ref
import torch_compare as tc

from ..harness.timing import check_afresh, interleaved_medians
from ..implementations.correct_gradients import torch_function

SMALL, SMALL_BATCH = (64, 64, 64, 10), 32
"""8,970 parameters."""
LARGE, LARGE_BATCH = (784, 1024, 256, 10), 8
"""1,068,810 parameters."""


def network(widths: Sequence[int], batch: int, seed: int) -> ref.Problem:
    """A tanh network with half squared error."""
    rng = np.random.default_rng([seed, *widths])
    mlp = ref.initialize(widths, ["tanh"] * (len(widths) - 2) + ["identity"], seed=seed)
    x, target = rng.normal(size=(batch, widths[0])), rng.normal(size=(batch, widths[-1]))
    return ref.Problem(mlp, x, target, "half_squared_error")


def gradcheck(problem: ref.Problem, fast: bool) -> Callable[[], bool]:
    """torch's check of torch's own gradients of the parameters; x is held fixed, so that it has less to do than we."""
    loss, tensors = torch_function(problem, "float64")
    x = tensors.pop("input")
    inputs = [t.requires_grad_() for t in tensors.values()]
    return lambda: bool(torch.autograd.gradcheck(lambda *p: loss(*p, x), inputs, fast_mode=fast))


def seconds(repetitions: int, slow_repetitions: int, seed: int, widths: Sequence[int] = SMALL) -> dict[str, float]:
    """Medians of interleaved turns on one thread, in seconds: the slow mode has fewer turns, in the middle of them."""
    problem = network(widths, SMALL_BATCH, seed)
    given = tc.SOURCES["torch"](problem)
    short: dict[str, Callable[[], Any]] = {
        "check": partial(check_afresh, problem, given),
        "certified": partial(check_afresh, problem, given, certified=True),
        "fast": gradcheck(problem, fast=True),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            before = interleaved_medians(short, repetitions=repetitions)
            slow = median(_seconds(gradcheck(problem, fast=False)) for _ in range(slow_repetitions))
            after = interleaved_medians(short, repetitions=repetitions)
    finally:
        torch.set_num_threads(threads)
    return {name: (before[name] + after[name]) / 2 for name in short} | {"slow": slow}


def _seconds(work: Callable[[], Any]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def large_seconds(repetitions: int, seed: int, widths: Sequence[int] = LARGE) -> float:
    """The time of checking torch's gradients of a network of a million parameters, on one thread."""
    problem = network(widths, LARGE_BATCH, seed)
    given = tc.SOURCES["torch"](problem)
    with threadpool_limits(1):
        return median(_seconds(partial(check_afresh, problem, given)) for _ in range(repetitions))
