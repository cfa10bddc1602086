"""Loss and all gradients: how long this project takes, beside torch eager and compiled, jax.jit and matrix products."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import reference as ref

from ..harness.memory import memory_of
from ..harness.report import Report
from ..harness.style import GREY, guide, panels, save_picture
from ..harness.timing import THREADS, interleaved_times, on_one_core
from ..implementations.correct_gradients import compiled as by_jax
from ..implementations.peers import HAS_COMPILER, HAS_JAX
from ..implementations.transformers import gpt2, next_tokens
from . import rivals

GOAL = 1.0
"""Times torch eager: what this project aims at. They are goals, not tolerances: the claim is refuted beyond them."""
JAX_GOAL, JAX_FROM = 1.0, 64
"""Times jax.jit, from this width on: below, a compiled program takes less than a Python function's call."""
MEMORY_GOAL, MEMORY_FROM = 1.0, 256
"""Times the memory that torch takes, from this width on: below, the pages of the interpreter decide."""
FLOOR_GOALS: Mapping[int, float] = {1024: 1.10, 256: 1.25, 64: 1.6}
"""Times the matrix products alone, by the widest layer."""
MLPS: Sequence[tuple[tuple[int, ...], int]] = (
    ((2, 2, 1), 1), ((64, 64, 64, 10), 32), ((256, 256, 256, 10), 128), ((784, 1024, 1024, 10), 256),
)  # fmt: skip
"""Widths and batch."""
LARGER: Sequence[tuple[tuple[int, ...], int]] = (((64,) * 33 + (10,), 64), ((784, 4096, 4096, 10), 512))
"""Those of a full run besides: 32 layers, and 20 million parameters."""
ACTIVATIONS = ("tanh", "relu", "gelu", "softplus")
TYPES: tuple[type[Any], ...] = (np.float32, np.float64)


@dataclass(frozen=True)
class Work:
    """A problem whose gradients are timed.

    Attributes:
        name: as the table has it.
        problem: the problem.
        widest: the width of its widest layer, of an MLP.
    """

    name: str
    problem: ref.Problem
    widest: int = 0


def perceptron(widths: Sequence[int], batch: int, activation: str, dtype: type[Any], seed: int) -> ref.Problem:
    """An MLP with softmax cross-entropy, or half squared error where it has one output."""
    rng = np.random.default_rng([seed, *widths])
    mlp = ref.initialize(widths, [activation] * (len(widths) - 2) + ["identity"], seed=seed, dtype=dtype)
    x = rng.normal(size=(batch, widths[0])).astype(dtype)
    if widths[-1] == 1:
        return ref.Problem(mlp, x, rng.normal(size=(batch, 1)).astype(dtype), "half_squared_error")
    return ref.Problem(mlp, x, rng.integers(0, widths[-1], batch), "cross_entropy")


def transformer(seed: int, width: int = 256, layers: int = 4, shape: tuple[int, int] = (4, 128)) -> ref.Problem:
    """The hand-built GPT-2 in float32, heads of 32 features."""
    network = gpt2(layers=layers, width=width, heads=width // 32, shape=shape, seed=seed, dtype=np.float32)
    return next_tokens(network, shape, seed)


def works(quick: bool, seed: int) -> list[Work]:
    """What is measured."""
    activations = ACTIVATIONS[::2] if quick else ACTIVATIONS
    found = [
        Work(f"{_named(widths)} {activation}", perceptron(widths, n, activation, dtype, seed), max(widths[1:]))
        for widths, n in (*MLPS, *(() if quick else LARGER)) for activation in activations for dtype in TYPES
    ]  # fmt: skip
    return [*found, Work("GPT-2, 4 layers of 256", transformer(seed))]


def _named(widths: Sequence[int]) -> str:
    return "-".join(map(str, widths)) if len(widths) < 9 else f"{widths[0]} × {len(widths) - 2} layers-{widths[-1]}"


def times(work: Work, repetitions: int, by_compiler: bool = False) -> dict[str, Any]:
    """One row of the table: medians of interleaved turns. A ratio that is not measured is NaN, and so is its goal.

    The ratios are those of this project's compiled loops.
    The quartiles are those of the ratio to torch of the same turn.
    """
    problem = work.problem
    pieces: dict[str, Callable[[], Any]] = {
        "ours": rivals.ours(problem), "loops": rivals.in_loops(problem), "torch": rivals.eager(problem),
    }  # fmt: skip
    if isinstance(problem.network, ref.MLP):
        pieces["products"] = rivals.products(problem)
        if HAS_JAX:
            pieces["jax"] = by_jax(problem)
    if by_compiler:
        pieces["compiled"] = rivals.compiled(problem)
    taken = interleaved_times(pieces, repetitions=repetitions)
    found = {name: median(seconds) for name, seconds in taken.items()}
    over = {name: found["loops"] / found.get(name, nan) for name in ("torch", "compiled", "jax", "products")}
    first, third = np.percentile(np.divide(taken["loops"], taken["torch"]), (25, 75))
    return {
        "name": work.name, "type": str(problem.dtype), "ours": 1e3 * found["ours"],
        "loops": 1e3 * found["loops"], "torch": 1e3 * found["torch"],
        "ratio": over["torch"], "quartiles": f"{first:.2f}–{third:.2f}", "goal": GOAL,
        "compiled": over["compiled"],
        "jax": over["jax"], "jax goal": JAX_GOAL if work.widest >= JAX_FROM and "jax" in found else nan,
        "floor": over["products"], "floor goal": FLOOR_GOALS.get(work.widest, nan),
    }  # fmt: skip


def memory(work: Work) -> dict[str, Any]:
    """The rest of a row: MB that all gradients take beside what there was before, over torch's."""
    if 0 < work.widest < MEMORY_FROM:
        return {"MB": nan, "memory": nan, "memory goal": nan}
    ours, torch = (_megabytes(how, work.problem) for how in (rivals.ours, rivals.eager))
    return {"MB": ours, "memory": ours / torch if torch else nan, "memory goal": MEMORY_GOAL}


def _megabytes(how: Callable[[ref.Problem], rivals.Work], problem: ref.Problem) -> float:
    before, most = memory_of(how, problem)
    return 1e3 * (most - before)


RATIOS: Mapping[str, tuple[str, str]] = {
    "torch": ("ratio", "goal"), "jax.jit": ("jax", "jax goal"), "products": ("floor", "floor goal"),
    "torch's memory": ("memory", "memory goal"),
}  # fmt: skip
"""What is measured against: the ratio's column, and its goal's."""


def beyond(rows: Sequence[Mapping[str, Any]], rival: str) -> list[str]:
    """The rows whose ratio exceeds its goal, by how much."""
    ratio, goal = RATIOS[rival]
    found = (row for row in rows if row[ratio] > row[goal])
    return [f"{row['name']}, {row['type']}: {row[ratio]:.2f} for {row[goal]:g}" for row in found]


def measure(quick: bool, seed: int) -> Report:
    """Every piece of work on one thread; at full size beside torch.compile, where there is a C++ compiler."""
    turns, by_compiler = (7, False) if quick else (31, HAS_COMPILER)
    with on_one_core():
        rows = [times(work, turns, by_compiler) | memory(work) for work in works(quick, seed)]
    left = {rival: beyond(rows, rival) for rival in RATIOS}
    return Report(
        question="What do loss and all gradients cost, beside torch.autograd, jax.jit and the matrix products alone?",
        claim=(
            f"Within ref.compiled(), at most {GOAL:g} times what torch eager takes; {JAX_GOAL:g} times what jax.jit "
            f"takes from width {JAX_FROM} on; of what the matrix products alone take, "
            + ", ".join(f"{goal:g} times at width {width}" for width, goal in FLOOR_GOALS.items())
            + f"; and from width {MEMORY_FROM} on no more memory than torch"
        ),
        refuted_by="a ratio that exceeds its goal",
        columns={
            "name": "network", "type": "type", "ours": "ours [ms]",
            "loops": "in compiled loops [ms]", "torch": "torch [ms]", "ratio": "ours/torch",
            "quartiles": "quartiles", "goal": "goal", **({"compiled": "ours/torch.compile"} if by_compiler else {}),
            "jax": "ours/jax.jit", "jax goal": "goal", "floor": "ours/products", "floor goal": "goal",
            "MB": "ours [MB]", "memory": "over torch's", "memory goal": "goal",
        },
        rows=rows,
        figures={
            "threads": THREADS,
            "largest ratio to torch, MLP": max(r["ratio"] for r in rows if r["goal"] == GOAL),
            "ratio to torch, GPT-2": rows[-1]["ratio"],
        } | {f"beyond its goal beside {rival}": "; ".join(found) or "none" for rival, found in left.items()},
        holds=not any(left.values()),
    )  # fmt: skip


def draw(report: Report, path: Path) -> None:
    """The ratio to torch against torch's own time, by number type."""
    figure, (panel,) = panels(1)
    for (shade, marker, _), kind in zip(GREY, sorted({row["type"] for row in report.rows}), strict=False):
        rows = [row for row in report.rows if row["type"] == kind]
        panel.plot([r["torch"] for r in rows], [r["ratio"] for r in rows], marker, color=shade, label=kind)
    guide(panel, GOAL, f"{GOAL:g}: as fast as torch, the goal")
    panel.set(xscale="log", xlabel="torch eager [ms]", ylabel="ours/torch")
    panel.legend()
    save_picture(figure, path)
