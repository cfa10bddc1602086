"""How the cost of all gradients grows with width, depth, batch and sequence, beside how its matrix products do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref

from ..harness.multiply_adds import multiply_adds
from ..harness.report import CONFIDENCE, Report, exponent
from ..harness.style import GREY, panels, save_picture
from ..harness.timing import interleaved_medians, on_one_core
from .speed import perceptron, transformer


@dataclass(frozen=True)
class Growth:
    """One size that grows, all else fixed.

    Attributes:
        name: of the size.
        fixed: what is fixed, in words.
        sizes: of a quick run; a full one goes on to twice the last.
        problem: a size and a seed ↦ the problem.
    """

    name: str
    fixed: str
    sizes: Sequence[int]
    problem: Callable[[int, int], ref.Problem]


def _perceptron(widths: Callable[[int], tuple[int, ...]], batch: Callable[[int], int], size: int, seed: int) -> Any:
    return perceptron(widths(size), batch(size), "tanh", np.float32, seed)


GROWTHS = (
    Growth("width", "3 layers, batch 128", (128, 256, 512, 1024),
           partial(_perceptron, lambda n: (n,) * 3 + (10,), lambda n: 128)),
    Growth("depth", "width 256, batch 128", (4, 8, 16, 32), partial(_perceptron, lambda n: (256,) * n, lambda n: 128)),
    Growth("batch", "3 layers of 256", (128, 256, 512, 1024),
           partial(_perceptron, lambda n: (256,) * 3 + (10,), lambda n: n)),
    Growth("sequence", "GPT-2, 1 layer of 64", (64, 128, 256, 512),
           lambda n, seed: transformer(seed, width=64, layers=1, shape=(1, n))),
)  # fmt: skip


def measured(growth: Growth, quick: bool, seed: int) -> dict[str, Any]:
    """One row: seconds and multiply-adds at each size, and both exponents."""
    sizes = [*growth.sizes, *(() if quick else (2 * growth.sizes[-1],))]
    problems = [growth.problem(size, seed) for size in sizes]
    counts = [multiply_adds(ref.gradients, problem) for problem in problems]
    work = {str(size): partial(ref.gradients, problem) for size, problem in zip(sizes, problems, strict=True)}
    seconds = [*interleaved_medians(work, repetitions=5 if quick else 15).values()]
    slope, half = exponent(sizes, seconds)
    return {
        "name": growth.name, "fixed": growth.fixed, "sizes": sizes, "times": seconds, "counts": counts,
        "exponent": slope, "half": half, "expected": exponent(sizes, counts)[0],
        "first": 1e3 * seconds[0], "last": 1e3 * seconds[-1],
    }  # fmt: skip


def steeper(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The sizes that the cost grows with faster than its products do, beyond what the fit leaves open."""
    return [row["name"] for row in rows if row["exponent"] - row["half"] > row["expected"]]


def measure(quick: bool, seed: int) -> Report:
    """Every size on one thread of one core."""
    with on_one_core():
        rows = [measured(growth, quick, seed) for growth in GROWTHS]
    return Report(
        question="How does the cost of all gradients grow?",
        claim="with no size faster than the multiply-adds of the matrix products do",
        refuted_by=f"an exponent whose {CONFIDENCE:.0%} interval lies above that of the multiply-adds",
        columns={
            "name": "size", "fixed": "all else", "first": "at the least [ms]", "last": "at the most [ms]",
            "exponent": "exponent of the time", "half": "±", "expected": "of the multiply-adds",
        },
        rows=rows,
        figures={"steeper than their products": ", ".join(steeper(rows)) or "none"},
        holds=not steeper(rows),
    )  # fmt: skip


def draw(report: Report, path: Path) -> None:
    """Time over its first against size over its first; dotted, the multiply-adds."""
    figure, axes = panels(len(report.rows), share_vertical=False, rows=2)
    shade, marker, line = GREY[0]
    for panel, row in zip(axes, report.rows, strict=True):
        panel.plot(row["sizes"], [1e3 * s for s in row["times"]], marker + line, color=shade, label="time")
        scale = 1e3 * row["times"][-1] / row["counts"][-1]
        panel.plot(row["sizes"], [scale * c for c in row["counts"]], ":", color="0.5", label="the multiply-adds")
        panel.set(xscale="log", yscale="log", xlabel=row["name"], ylabel="all gradients [ms]", title=row["fixed"])
    axes[0].legend()
    save_picture(figure, path)
