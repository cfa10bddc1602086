"""Random modules of torch.nn's layers: how often is a correct gradient called anything but right?"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

import torch_compare as tc
from torch_compare.torch_side.random_modules import DTYPES, KINDS, ModuleSpec, build_module, module_spec

from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture

QUICK, FULL, JOBS = 12, 2000, 2
ACCUSED = ("wrong", "imprecise", "another convention")


def status_of(spec: ModuleSpec) -> str:
    """The verdict on the gradients that torch makes of a random module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = build_module(spec)
        return str(tc.check_module(case.module, case.inputs, case.target, case.loss_fn, diagnose=False).status)


def drawn(count: int, seed: int) -> list[ModuleSpec]:
    """The specifications of a campaign, each a function of the seed and its number."""
    return [module_spec(np.random.default_rng([seed, case]), case) for case in range(count)]


def measure(quick: bool, seed: int, count: int | None = None) -> Report:
    """The verdicts on so many random modules, by what they take and by number type."""
    specs = drawn(count or (QUICK if quick else FULL), seed)
    found = Parallel(n_jobs=JOBS)(delayed(status_of)(spec) for spec in specs)
    told = Counter((spec.kind, spec.dtype, status) for spec, status in zip(specs, found, strict=True))
    statuses = sorted({status for _, _, status in told})
    rows = [
        {"kind": kind, "dtype": dtype} | {status: told[kind, dtype, status] for status in statuses}
        for kind in KINDS
        for dtype in DTYPES
    ]
    accused = [f"{spec}: {status}" for spec, status in zip(specs, found, strict=True) if status in ACCUSED]
    figures: dict[str, Any] = {"modules": len(specs), "accused": "; ".join(accused) or "none"}
    return Report(
        question="How often is a correct gradient of a module called wrong?",
        claim="No gradient that torch makes of a random module of its own layers is called wrong or imprecise.",
        refuted_by="one that is.",
        columns={"kind": "takes", "dtype": "numbers", **{status: status for status in statuses}},
        rows=rows,
        figures=figures,
        holds=not accused,
    )


def draw(report: Report, path: Path) -> None:
    """The verdicts of every kind and type, one bar each."""
    figure, axes = panels(1)
    panel = axes[0]
    places = range(len(report.rows))
    before = [0] * len(report.rows)
    statuses = [key for key in report.columns if key not in ("kind", "dtype")]
    for (shade, _, _), status in zip(GREY, statuses, strict=False):
        counts = [row[status] for row in report.rows]
        panel.barh(places, counts, left=before, color=shade, label=status)
        before = [a + b for a, b in zip(before, counts, strict=True)]
    panel.set_yticks(places, [f"{row['kind']}, {row['dtype']}" for row in report.rows])
    panel.set_xlabel("random modules")
    panel.legend()
    save_picture(figure, path)
