"""What a verdict costs: a rounding scale, a check and a check by a certificate, in gradients of the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from cProfile import Profile
from functools import partial
from math import nan
from pathlib import Path
from pstats import Stats
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np

import reference as ref
from reference.differences import central_difference, complex_step
from reference.differences.multiprecision import multiprecision_difference
from reference.rounding.certified import certified_gradients
from reference.rounding.scale import rounding_errors
from torch_compare.random_problems.networks import NetworkSpec
from torch_compare.random_problems.spec import Spec
from torch_compare.sources import campaign
from torch_compare.torch_side.gradients import torch_gradients

from ..harness.report import Report
from ..harness.style import GREY, guide, panels, save_picture
from ..harness.timing import check_afresh, interleaved_medians, on_one_core
from .speed import TYPES, perceptron

AnySpec: TypeAlias = "Spec | NetworkSpec"

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
PARTS: Mapping[str, Callable[..., Any]] = {
    "noisy runs": rounding_errors, "central differences": central_difference, "complex steps": complex_step,
    "multiprecision differences": multiprecision_difference, "certificates": certified_gradients,
    "torch": torch_gradients,
}  # fmt: skip
"""What `verify` does with a problem, besides the reference's own gradients and the comparison."""


def costs(widths: Sequence[int], batch: int, dtype: type[Any], seed: int, repetitions: int) -> dict[str, Any]:
    """One row: medians of interleaved turns, the costs in gradients."""
    problem = perceptron(widths, batch, "tanh", dtype, seed)
    given = ref.gradients(problem)
    work: dict[str, Callable[[], Any]] = {
        "gradients": partial(ref.gradients, problem),
        "scale": partial(ref.rounding_scale, problem),
        "check": partial(check_afresh, problem, given),
    }
    if problem.mlp.parameters <= CERTIFIED:
        work["certified"] = partial(check_afresh, problem, given, certified=True)
    found = interleaved_medians(work, repetitions=repetitions)
    one, parameters = found["gradients"], problem.mlp.parameters
    goal = GRADIENTS * one if (tuple(widths), dtype) == ((64, 64, 64, 10), np.float32) else SECONDS.get(parameters, nan)
    return {
        "name": "-".join(map(str, widths)), "type": np.dtype(dtype).name, "parameters": parameters,
        "gradients": 1e3 * one, "scale": found["scale"] / one, "check": found["check"] / one,
        "certified": found.get("certified", nan) / one, "seconds": found["check"], "goal": goal,
    }  # fmt: skip


def rate(specs: Sequence[AnySpec]) -> float:
    """Problems a second of `gradient-oracle verify` in this process, once libraries are loaded."""
    for spec in specs[:LOADING]:
        campaign.run_case(spec)
    start = perf_counter()
    for spec in specs[LOADING:]:
        campaign.run_case(spec)
    return (len(specs) - LOADING) / (perf_counter() - start)


def shares(specs: Sequence[AnySpec]) -> dict[str, float]:
    """What part of the time of such problems each source of gradients takes, by Python's profiler."""
    profile = Profile()
    profile.runcall(lambda: [campaign.run_case(spec) for spec in specs])
    seconds = {place: found[3] for place, found in Stats(profile).stats.items()}  # type: ignore[attr-defined]
    whole = seconds[_place(campaign.run_case)]
    return {name: seconds.get(_place(function), 0.0) / whole for name, function in PARTS.items()}


def _place(function: Callable[..., Any]) -> tuple[str, int, str]:
    """Where the profiler has a function."""
    code = function.__code__
    return code.co_filename, code.co_firstlineno, code.co_name


def measure(quick: bool, seed: int) -> Report:
    """Every network on one thread of one core."""
    networks = NETWORKS if quick else (*NETWORKS, LARGEST)
    with on_one_core():
        rows = [costs(*network, dtype, seed, 3 if quick else 9) for network in networks for dtype in TYPES]
        specs = [campaign.spec_of(seed, case, "both") for case in range(LOADING + PROBLEMS * (1 if quick else 10))]
        problems, parts = rate(specs), shares(specs)
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
        figures={"beyond their goals": "; ".join(left) or "none", "problems of verify a second, on one core": problems}
        | {f"of their time, {name}": f"{part:.0%}" for name, part in parts.items()},
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
