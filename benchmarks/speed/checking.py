"""What a verdict costs: a rounding scale, a check and a check by a certificate, in gradients of the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import nan
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import reference as ref
import torch_compare as tc
from torch_compare.sources import campaign

from ..harness.report import Report, interleaved_medians
from ..harness.style import GREY, guide, panels, save_picture
from .speed import TYPES, on_one_core, perceptron

GRADIENTS = 25.0
"""Of 64-64-64-10 in float32, what a check should cost at the most, in gradients."""
SECONDS: Mapping[int, float] = {1_068_810: 1.0, 11_694_842: 60.0}
"""Seconds that a check should take at the most, by the number of parameters."""
NETWORKS: Sequence[tuple[tuple[int, ...], int]] = (
    ((2, 2, 1), 1), ((64, 64, 64, 10), 32), ((256, 256, 256, 10), 128), ((784, 1024, 256, 10), 8),
)  # fmt: skip
"""Widths and batch."""
LARGEST: tuple[tuple[int, ...], int] = ((784, 3072, 2944, 80, 10), 8)
"""That of a full run besides: 11.7 million parameters, as many as ResNet-18 has."""
CERTIFIED = 10_000
"""Parameters up to which a check by a certificate is timed."""
PROBLEMS = 24
"""Of a campaign, whose rate is measured."""
LOADING = 3
"""Problems before these, which load libraries."""


def costs(widths: Sequence[int], batch: int, dtype: type[Any], seed: int, repetitions: int) -> dict[str, Any]:
    """One row: medians of interleaved turns, the costs in gradients."""
    problem = perceptron(widths, batch, "tanh", dtype, seed)
    given = ref.gradients(problem)
    work: dict[str, Callable[[], Any]] = {
        "gradients": partial(ref.gradients, problem),
        "scale": partial(ref.rounding_scale, problem),
        "check": partial(tc.check, problem, given),
    }
    if problem.mlp.parameters <= CERTIFIED:
        work["certified"] = partial(tc.check, problem, given, certified=True)
    found = interleaved_medians(work, repetitions=repetitions)
    one, parameters = found["gradients"], problem.mlp.parameters
    goal = GRADIENTS * one if (tuple(widths), dtype) == ((64, 64, 64, 10), np.float32) else SECONDS.get(parameters, nan)
    return {
        "name": "-".join(map(str, widths)), "type": np.dtype(dtype).name, "parameters": parameters,
        "gradients": 1e3 * one, "scale": found["scale"] / one, "check": found["check"] / one,
        "certified": found.get("certified", nan) / one, "seconds": found["check"], "goal": goal,
    }  # fmt: skip


def rate(seed: int, problems: int = PROBLEMS) -> float:
    """Problems a second of `gradient-oracle verify` in this process, once libraries are loaded."""
    specs = [campaign.spec_of(seed, case, "both") for case in range(LOADING + problems)]
    for spec in specs[:LOADING]:
        campaign.run_case(spec)
    start = perf_counter()
    for spec in specs[LOADING:]:
        campaign.run_case(spec)
    return problems / (perf_counter() - start)


def measure(quick: bool, seed: int) -> Report:
    """Every network on one thread of one core."""
    networks = NETWORKS if quick else (*NETWORKS, LARGEST)
    with on_one_core():
        rows = [costs(*network, dtype, seed, 3 if quick else 9) for network in networks for dtype in TYPES]
        problems = rate(seed, PROBLEMS if quick else 10 * PROBLEMS)
    left = [f"{row['name']}, {row['type']}: {row['seconds']:.2g} s" for row in rows if row["seconds"] > row["goal"]]
    return Report(
        question="What does a verdict cost, in gradients of the same network?",
        claim=(
            f"A check of 64-64-64-10 in float32 costs at most {GRADIENTS:g} gradients; one of a million parameters "
            "takes less than a second, one of as many as ResNet-18 has less than a minute."
        ),
        refuted_by="a check that takes longer than its goal",
        columns={
            "name": "network", "type": "type", "parameters": "parameters", "gradients": "gradients [ms]",
            "scale": "rounding scale [gradients]", "check": "check [gradients]",
            "certified": "by a certificate [gradients]", "seconds": "check [s]", "goal": "goal [s]",
        },
        rows=rows,
        figures={"beyond their goals": "; ".join(left) or "none", "problems of verify a second, on one core": problems},
        holds=not left,
    )  # fmt: skip


def draw(report: Report, path: Path) -> None:
    """What a check costs against the number of parameters."""
    figure, (panel,) = panels(1)
    for (shade, marker, line), kind in zip(GREY, sorted({row["type"] for row in report.rows}), strict=False):
        rows = [row for row in report.rows if row["type"] == kind]
        panel.plot([r["parameters"] for r in rows], [r["check"] for r in rows], marker + line, color=shade, label=kind)
    guide(panel, GRADIENTS, f"the goal at 8,970 parameters: {GRADIENTS:g}")
    panel.set(xscale="log", yscale="log", xlabel="parameters", ylabel="a check, in gradients")
    panel.legend()
    save_picture(figure, path)
