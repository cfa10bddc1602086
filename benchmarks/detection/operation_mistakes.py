"""Wrong gradients of operations, and correct ones, before this check and the tolerances that people use."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import reference as ref

from ..harness.report import Report
from ..harness.style import panels, save_picture
from ..implementations.naive_operations import naive_operation_gradients
from ..wrong_gradients.operation_bank import KERNELS, TRANSFORMERS, UPSTREAM, Kernel, leaves_of, mistakes
from . import whole_networks
from .checkers import relative_error
from .operation_checkers import CHECKERS, COMPUTED_IN, OURS, Leaves, Subject, stored
from .power import GOALS

Row = dict[str, Any]
FORMATS = ("float32", "bfloat16", "float64")
QUICK_SIZES, SIZES = (32,), (64, 256, 1024)
QUICK = ("layer_norm", "rms_norm", "softmax", "attention, causal", "swiglu", "embedding", "add", "residual block")
"""The kernels of quick settings."""
IN_FLOAT64 = 16
"""The length of a row in float64: gradcheck runs a kernel twice for every number that it is given."""
OURS_STORED = "our formulas"


def _torch(subject: Subject, problem: ref.Problem) -> Leaves | None:
    return subject.eager


def _ours(subject: Subject, problem: ref.Problem) -> Leaves | None:
    return leaves_of(problem)


def _naive(subject: Subject, problem: ref.Problem) -> Leaves | None:
    return naive_operation_gradients(problem)


CORRECT: Mapping[str, Callable[[Subject, ref.Problem], Leaves | None]] = {
    "torch eager": _torch, OURS_STORED: _ours, "naive formulas": _naive,
}  # fmt: skip
"""Correct kernels: torch eager in the type; ours and naive ones in float32 (or float64), stored in the type."""


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def chosen(problem: ref.Problem, whole: bool) -> Iterator[tuple[str, Callable[[ref.Problem], Leaves]]]:
    """Every wrong gradient of a problem, or the first of each kind, with one size of factor."""
    seen: set[str] = set()
    for title, wrong in mistakes(problem):
        kind = title.partition(",")[0]
        if whole or not (kind in seen or (kind.startswith("factor") and any(k.startswith("factor") for k in seen))):
            seen.add(kind)
            yield title, wrong


def of_kernel(kernel: Kernel, size: int, name: str, seed: int, correct_seeds: int, whole: bool = True) -> list[Row]:
    """Every wrong gradient of a kernel before every checker of a type, and correct ones of several seeds."""
    rows: list[Row] = []
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a wrong gradient may overflow on its way
        subject = Subject(kernel.problem(seed, size, name), name)
        problem = kernel.problem(seed, size, name, COMPUTED_IN[name])
        common = {"kernel": kernel.name, "size": size, "format": name, "seed": seed}
        right = leaves_of(problem)
        for title, wrong in chosen(problem, whole):
            given = wrong(problem)
            planted = relative_error(given, right)
            if planted >= GOALS[name]:
                cells = common | {"what": title, "wrong": True, "planted": planted}
                rows += [cells | found for found in judged(subject, stored(given, name))]
        for k in range(correct_seeds):
            another = Subject(kernel.problem(seed + k, size, name), name)
            same = kernel.problem(seed + k, size, name, COMPUTED_IN[name])
            for what, call in CORRECT.items():
                leaves = call(another, same)
                if leaves is not None:
                    cells = common | {"seed": seed + k, "what": what, "wrong": False, "planted": 0.0}
                    rows += [cells | found for found in judged(another, stored(leaves, name))]
    return rows


def judged(subject: Subject, given: Leaves) -> list[Row]:
    """Whether each checker for the type lets the gradients pass."""
    return [
        {"checker": checker.name, "passes": checker.passes(subject, given)}
        for checker in CHECKERS
        if subject.name in checker.formats
    ]


def run(
    kernels: Sequence[Kernel], sizes: Sequence[int], seeds: Sequence[int], correct: int, whole: bool, jobs: int
) -> list[Row]:
    """Every kernel, size, type and seed."""
    work = [
        (kernel, size, name, seed)
        for kernel in kernels
        for name in FORMATS
        for size in ((IN_FLOAT64,) if name == "float64" else sizes)
        for seed in seeds
    ]
    found = Parallel(n_jobs=jobs)(delayed(_piece)(KERNELS.index(k), *rest, correct, whole) for k, *rest in work)
    return [row for rows in found for row in rows]


def _piece(index: int, size: int, name: str, seed: int, correct: int, whole: bool) -> list[Row]:
    return of_kernel(KERNELS[index], size, name, seed, correct, whole)


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def summary(rows: Sequence[Row]) -> list[Row]:
    """A line for each type and checker: wrong gradients let through, correct ones refused, and of what kernels."""
    lines = []
    for name in FORMATS:
        for checker in CHECKERS:
            mine = [row for row in rows if row["format"] == name and row["checker"] == checker.name]
            if not mine:
                continue
            wrong, right = ([row for row in mine if row["wrong"] is kind] for kind in (True, False))
            passed, refused = [row for row in wrong if row["passes"]], [row for row in right if not row["passes"]]
            lines.append({
                "format": name, "checker": checker.name, "wrong": len(wrong), "let through": len(passed),
                "let through [%]": 100 * len(passed) / max(1, len(wrong)),
                "correct": len(right), "refused": len(refused), "refused [%]": 100 * len(refused) / max(1, len(right)),
                "largest let through": max((row["planted"] for row in passed), default=0.0),
            } | {f"refused: {what}": _of(refused, right, what) for what in CORRECT})  # fmt: skip
    return lines


def _of(refused: Sequence[Row], right: Sequence[Row], what: str) -> str:
    return "/".join(str(sum(row["what"] == what for row in rows)) for rows in (refused, right))


def holds(lines: Sequence[Row]) -> bool:
    """Whether this check errs on neither side in any type. What the others do is measured, and no claim of ours."""
    ours = [line for line in lines if line["checker"] == OURS]
    return bool(ours) and all(not line["let through"] and not line["refused"] for line in ours)


def measure(quick: bool, seed: int, kernels: Sequence[Kernel] = (), sizes: Sequence[int] = (), jobs: int = 2) -> Report:
    """What each checker lets through of the bank, and which correct kernels it refuses; what this one names."""
    seeds, correct = ((seed,), 2) if quick else (range(seed, seed + 3), 5)
    chosen_ones = kernels or (*(kernel for kernel in KERNELS if not quick or kernel.name in QUICK), *TRANSFORMERS)
    whole = [kernel for kernel in chosen_ones if kernel in TRANSFORMERS]
    single = [kernel for kernel in chosen_ones if kernel not in TRANSFORMERS]
    rows = run(single, sizes or (QUICK_SIZES if quick else SIZES), seeds, correct, not quick, jobs)
    every = whole_networks.QUICK if quick else whole_networks.FULL
    named = whole_networks.run(whole, FORMATS, seed, every, jobs)
    lines = summary(rows)
    figures: dict[str, Any] = {
        f"{line['checker']}, {line['format']}": f"lets {line['let through [%]']:.1f}% of the wrong gradients through, "
        f"refuses {line['refused [%]']:.1f}% of the correct ones"
        for line in lines
    }
    mine = [row for row in rows if row["checker"] == OURS and row["wrong"] is row["passes"]]
    for row in mine[:10]:
        what = f"{row['kernel']}, {row['size']}, {row['format']}, seed {row['seed']}: {row['what']}"
        figures[f"{'let through' if row['wrong'] else 'refused'} by this check: {what}"] = row["planted"]
    figures |= whole_networks.figures_of(named)
    return Report(
        question="Which wrong gradients of operations does each check let through, and which correct kernels refuse?",
        claim=(
            "This check lets none of the wrong gradients through that the type can show, and refuses no correct "
            "kernel. In a two-layer GPT-2 and a two-layer Llama it catches them all, and names at least "
            f"{whole_networks.NAMED:.0%} with their step."
        ),
        refuted_by=(
            "a wrong gradient that this check lets through, from a relative error of "
            + ", ".join(f"{GOALS[name]:g} in {name}" for name in FORMATS)
            + " on, in the transformers as many times that as torch errs more there than on 64-64-64-10; a correct "
            "kernel that it refuses; fewer names. The gradient that a kernel is handed has a spread of "
            f"{UPSTREAM:g}. gradcheck sees a kernel in float64 alone."
        ),
        columns={
            "format": "type", "checker": "check", "wrong": "wrong", "let through": "let through",
            "let through [%]": "[%]", "largest let through": "largest", "correct": "correct", "refused": "refused",
            "refused [%]": "[%]",
        } | {f"refused: {what}": what for what in CORRECT},
        rows=[*lines, *rows, *named],
        digest=lines,
        figures=figures,
        holds=holds(lines) and whole_networks.holds(named),
    )  # fmt: skip


def draw(report: Report, path: Path) -> None:
    """A panel a type: the share of wrong gradients let through and of correct ones refused, by checker."""
    figure, axes = panels(len(FORMATS), share_vertical=False)
    figure.set_size_inches(17, 4.2)
    for panel, name in zip(axes, FORMATS, strict=True):
        lines = [line for line in reversed(report.digest) if line["format"] == name]
        for place, line in enumerate(lines):
            for key, shift, shade in (("let through", 0.2, "0.1"), ("refused", -0.2, "0.7")):
                share = line[f"{key} [%]"]
                panel.barh(place + shift, share, height=0.38, color=shade, label=None if place else _WORDS[key])
                panel.text(share, place + shift, f" {share:.1f}% ({line[key]})", va="center", fontsize=8)
        panel.set_yticks(range(len(lines)), [line["checker"] for line in lines])
        panel.set_xlim(0, 1.35 * max([10.0, *(line[f"{k} [%]"] for line in lines for k in _WORDS)]))
        panel.set_xlabel("share [%]")
        panel.set_title(name)
    axes[0].legend(loc="lower right", frameon=False)
    figure.suptitle("What checks of kernels let through, and which correct kernels they refuse")
    save_picture(figure, path)


_WORDS = {"let through": "wrong gradients let through", "refused": "correct kernels refused"}
