"""Random modules of torch.nn's layers: how often is a correct gradient called anything but right?"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

import torch_compare as tc
from torch_compare.torch_side.random_modules import DTYPES, KINDS, ModuleSpec, build_module, module_spec

from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture
from ..implementations.peers import HAS_COMPILER

QUICK, FULL, JOBS = 12, 2000, 2
EAGER, BY_COMPILER = "eager", "compiled"
COMPILED = 40
"""Of the full size, so many are compiled by torch.compile besides: half a minute each."""
ACCUSED = ("wrong", "imprecise", "another convention")


def status_of(spec: ModuleSpec, how: str = EAGER) -> str:
    """The verdict on the gradients that torch makes of a random module, compiled or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = build_module(spec)
        module: Any = case.module
        if how != EAGER:
            torch.compiler.reset()  # what was compiled before is kept, and counted against a limit
            module = torch.compile(module)
        return str(tc.check_module(module, case.inputs, case.target, case.loss_fn, diagnose=False).status)


def drawn(count: int, seed: int) -> list[ModuleSpec]:
    """The specifications of a campaign, each a function of the seed and its number."""
    return [module_spec(np.random.default_rng([seed, case]), case) for case in range(count)]


def measure(quick: bool, seed: int, count: int | None = None, compiled: int | None = None) -> Report:
    """The verdicts on so many random modules, by what they take, by number type, and by who ran them.

    Args:
        quick: a few modules.
        seed: of all of them.
        count: how many, in place of those of the size.
        compiled: how many of them are compiled besides, where there is a compiler.
    """
    specs = drawn(count or (QUICK if quick else FULL), seed)
    again = (0 if quick else COMPILED) if compiled is None else compiled
    work = [(spec, EAGER) for spec in specs]
    work += [(spec, BY_COMPILER) for spec in specs[:again]] if HAS_COMPILER else []
    found = Parallel(n_jobs=JOBS)(delayed(status_of)(*one) for one in work)
    told = Counter((spec.kind, spec.dtype, how, status) for (spec, how), status in zip(work, found, strict=True))
    statuses = sorted({status for *_, status in told})
    rows = [
        {"kind": kind, "dtype": dtype, "how": how} | {status: told[kind, dtype, how, status] for status in statuses}
        for kind in KINDS
        for dtype in DTYPES
        for how in dict.fromkeys(how for _, how in work)
    ]
    accused = [f"{spec}, {how}: {status}" for (spec, how), status in zip(work, found, strict=True) if status in ACCUSED]
    figures: dict[str, Any] = {
        "modules": len(specs),
        "compiled besides": len(work) - len(specs),
        "accused": "; ".join(accused) or "none",
    }
    return Report(
        question="How often is a correct gradient of a module called wrong?",
        claim="No gradient that torch makes of a random module of its own layers is called wrong or imprecise.",
        refuted_by="one that is.",
        columns={"kind": "takes", "dtype": "numbers", "how": "run", **{status: status for status in statuses}},
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
    statuses = [key for key in report.columns if key not in ("kind", "dtype", "how")]
    for (shade, _, _), status in zip(GREY, statuses, strict=False):
        counts = [row[status] for row in report.rows]
        panel.barh(places, counts, left=before, color=shade, label=status)
        before = [a + b for a, b in zip(before, counts, strict=True)]
    panel.set_yticks(places, [f"{row['kind']}, {row['dtype']}, {row['how']}" for row in report.rows])
    panel.set_xlabel("random modules")
    panel.legend()
    save_picture(figure, path)
