"""Do the optimisers take torch.optim's steps, to within rounding, along random trajectories?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from reference.rounding.distance import FACTOR
from torch_compare.trajectories.comparison import Subject, TrajectoryOutcome, elementwise_subject
from torch_compare.trajectories.lbfgs import lbfgs_against_torch
from torch_compare.trajectories.matrix import MATRIX_SUBJECTS
from torch_compare.trajectories.random_trajectories import HYPERPARAMETERS

from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture

SUBJECTS: dict[str, Subject] = {
    **{name: elementwise_subject(name) for name in HYPERPARAMETERS},
    **MATRIX_SUBJECTS,
    "lbfgs": lbfgs_against_torch,
}
"""The optimisers: name ↦ ((seed, steps) ↦ outcome of one random trajectory). A subject measures σ as it sees fit."""
STEPS = 50
TRAJECTORIES = 500
"""For each optimiser; in a quick run for all of them together."""
CHUNK = 10
LEAST_DECIDED = 0.99


def outcomes(subject: Subject, seeds: Iterable[int], steps: int) -> list[TrajectoryOutcome]:
    """One outcome a seed."""
    with threadpool_limits(1):
        return [subject(seed, steps) for seed in seeds]


def many(subject: Subject, trajectories: int, seed: int, jobs: int) -> list[TrajectoryOutcome]:
    """The outcomes of so many trajectories in a row of seeds, by so many processes."""
    seeds = range(seed, seed + trajectories)
    if jobs == 1:
        return outcomes(subject, seeds, STEPS)
    chunks = (seeds[i : i + CHUNK] for i in range(0, trajectories, CHUNK))
    found = Parallel(n_jobs=jobs)(delayed(outcomes)(subject, chunk, STEPS) for chunk in chunks)
    return [outcome for chunk in found for outcome in chunk]


def row(name: str, found: Sequence[TrajectoryOutcome]) -> dict[str, Any]:
    """The outcome of an optimiser's trajectories."""
    scales = np.array([_judged(o.worst.scales) for o in found])
    return {
        "optimizer": name,
        "trajectories": len(found),
        "steps": sum(o.steps for o in found),
        "numbers": sum(o.elements for o in found),
        "scales": float(scales.max()),
        "ulps": max(o.worst.ulps for o in found),
        "own": max(_judged(o.own.scales) for o in found),
        "undecided": sum(o.undecided for o in found),
        "deviations": sum(bool(o.deviations) for o in found),
        "disagreements": sum(not o.agrees for o in found),
        "median": float(np.median(scales)),
        "most": float(np.quantile(scales, 0.99)),
        "disagreeing seeds": [o.seed for o in found if not o.agrees][:5],
    }


def _judged(scales: float) -> float:
    return 0.0 if np.isnan(scales) else scales


def measure(
    quick: bool,
    seed: int,
    subjects: Mapping[str, Subject] | None = None,
    trajectories: int | None = None,
    jobs: int = -1,
) -> Report:
    """Every optimiser of the reference held against torch.optim along random trajectories of 50 steps."""
    subjects = SUBJECTS if subjects is None else subjects
    each = trajectories or (-(-TRAJECTORIES // len(subjects)) if quick else TRAJECTORIES)
    rows = [row(name, many(subject, each, seed, jobs)) for name, subject in subjects.items()]
    numbers, undecided = (sum(r[key] for r in rows) for key in ("numbers", "undecided"))
    disagreements = sum(r["disagreements"] for r in rows)
    decided = min(1 - r["undecided"] / r["numbers"] for r in rows)
    return Report(
        question="Do the optimisers take torch.optim's steps?",
        claim=(
            "With random hyperparameters over all options, random parameters and random gradients, float64 and "
            f"float32, parameters and state after each of {STEPS} steps are torch.optim's to within rounding, and "
            f"those of the same rule in long double. At least {LEAST_DECIDED:.0%} of each optimiser's numbers have a "
            "finite rounding scale to be judged by, or are the same on both sides. muon is held against torch twice: "
            "with its cast to bfloat16 taken out, and as it is, by the scale of bfloat16. lbfgs is given random losses "
            "and held against its own routine in float64; both start every step from the same parameters and state."
        ),
        refuted_by=(
            f"one number that is off by more than {FACTOR:g} rounding scales σ. Where torch is known to keep a number "
            "in float32 beside float64 parameters, it is held against its own arithmetic."
        ),
        columns={
            "optimizer": "optimiser",
            "trajectories": "runs",
            "steps": "steps",
            "scales": "torch [σ]",
            "ulps": "[ulp]",
            "own": "own [σ]",
            "undecided": "undecided",
            "disagreements": "disagree",
        },
        rows=rows,
        figures={
            "trajectories": sum(r["trajectories"] for r in rows),
            "numbers compared": numbers,
            "numbers undecided": undecided,
            "least share decided": decided,
            "worst error from torch [σ]": max(r["scales"] for r in rows),
            "worst error from long double [σ]": max(r["own"] for r in rows),
            "trajectories with a deviation of torch": sum(r["deviations"] for r in rows),
            "disagreements": disagreements,
        },
        holds=disagreements == 0 and decided >= LEAST_DECIDED,
    )


def draw(report: Report, path: Path) -> None:
    """The worst error along a trajectory: the median, the 99th percentile and the largest of each optimiser."""
    figure, (axis,) = panels(1)
    figure.set_size_inches(8, 4.2)
    names = [r["optimizer"] for r in report.rows]
    curves = (("scales", "largest"), ("most", "99% of trajectories"), ("median", "median"))
    for (key, label), (shade, marker, _) in zip(curves, GREY, strict=False):
        values = [max(r[key], 1e-2) for r in report.rows]
        axis.semilogy(names, values, color=shade, marker=marker, ls="", fillstyle="none", label=label)
    axis.axhline(FACTOR, color="0.5", ls=":", label=f"{FACTOR:g} σ: what rounding explains")
    axis.set_ylabel("error from torch.optim [rounding scales σ]")
    axis.tick_params(axis="x", rotation=45)
    axis.legend()
    figure.suptitle(f"Worst number along a trajectory of {STEPS} steps (0 drawn at 0.01)")
    save_picture(figure, path)
