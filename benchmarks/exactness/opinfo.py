"""torch's own samples: are autograd's gradients of all of them ours, within rounding?"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import reference as ref
from torch_compare.torch_side.deviations import deviation
from torch_compare.verdict.checks import check
from torch_compare.verdict.operation import operation_problem

from ..harness.report import Report
from ..harness.style import panels, save_picture
from ..implementations.torch_samples import NoCounterpartError, Sample, samples, translated

AGREES, DEVIATION, REFUSED, DEVIATES = "agrees", "published deviation", "refused", "deviates"
KINDS = (AGREES, DEVIATION, REFUSED, DEVIATES)


@dataclass(frozen=True)
class Outcome:
    """What became of one sample.

    Attributes:
        row: our name of the operation.
        operation: torch's.
        kind: one of `KINDS`.
        why: the verdict's first lines, the deviation's name, or what was refused.
        scales: the largest error in rounding scales; NaN if nothing was compared.
    """

    row: str
    operation: str
    kind: str
    why: str = ""
    scales: float = float("nan")


def compared(sample: Sample, rng: np.random.Generator) -> Outcome:
    """autograd's gradients of ⟨a random cotangent, the sample's output⟩, judged by ours."""
    named = sample.row, sample.operation
    try:
        found = translated(sample)
        problem, given = _judged(sample, found.row, found.inputs, rng)
    except (NoCounterpartError, ValueError, TypeError, NotImplementedError) as error:
        return Outcome(*named, REFUSED, f"{type(error).__name__}: {error}".partition("\n")[0][:160])
    try:
        verdict = check(problem, given, "float64")
    except (ValueError, TypeError) as error:
        known = deviation(problem)
        if known is not None:
            return Outcome(*named, DEVIATION, known.name)
        return Outcome(*named, REFUSED, f"{type(error).__name__}: {error}".partition("\n")[0][:160])
    if verdict.agrees:
        return Outcome(*named, AGREES, scales=verdict.worst.scales)
    known = deviation(problem)
    if known is not None:
        return Outcome(*named, DEVIATION, known.name, verdict.worst.scales)
    return Outcome(*named, DEVIATES, " ".join(str(verdict).split())[:300], verdict.worst.scales)


def _judged(
    sample: Sample, row: ref.Operation, inputs: Mapping[str, Any], rng: np.random.Generator
) -> tuple[ref.Problem, dict[str, Any]]:
    """The sample's vector-Jacobian product as a problem, and autograd's gradients by the names of the row's inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = sample.function(*sample.arguments, **sample.options)
    several = isinstance(output, tuple | list)
    parts = tuple(output) if several else (output,)
    made = _only_floats(parts)
    d = tuple(torch.from_numpy(np.asarray(rng.normal(size=tuple(part.shape)))) for part in made)
    leaves = {name: x for name, x in _flat(row, inputs).items() if isinstance(x, torch.Tensor) and x.requires_grad}
    if not leaves:
        raise NoCounterpartError("no input that takes a gradient")
    found = torch.autograd.grad(made, list(leaves.values()), d, materialize_grads=True)
    arrays = {name: [_array(x) for x in value] if isinstance(value, tuple | list) else _array(value)
              for name, value in inputs.items()}  # fmt: skip
    with np.errstate(all="ignore"):
        value = row.value(*_in_order(row, arrays))
    upstream = tuple(_array(part) for part in d)
    problem = operation_problem(row, arrays, upstream if isinstance(value, tuple) else upstream[0])
    return problem, {name: _array(g) for name, g in zip(leaves, found, strict=True)}


def _only_floats(parts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    if any(part.is_complex() for part in parts):
        raise NoCounterpartError("complex numbers")
    return tuple(part for part in parts if part.requires_grad)


def _flat(row: ref.Operation, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs one by one, by the names of their gradients."""
    found: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, tuple | list):
            found |= {f"{name}[{k}]": x for k, x in enumerate(value)}
        else:
            found[name] = value
    return found


def _in_order(row: ref.Operation, arrays: Mapping[str, Any]) -> list[Any]:
    order = [arrays.get(name) for name in row.inputs]
    return [*order[:-1], *order[-1]] if row.variadic and isinstance(order[-1], list) else order


def _array(x: Any) -> Any:
    """As NumPy's; a number of the operation's is one of float64, as torch takes it."""
    if isinstance(x, torch.Tensor):
        return x.detach().numpy()
    return np.asarray(x) if isinstance(x, bool) else np.asarray(x, float) if isinstance(x, int | float) else x


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def outcomes(chosen: Iterable[Sample], seed: int) -> Iterator[Outcome]:
    """Each sample's, with a cotangent of its own."""
    for k, sample in enumerate(chosen):
        yield compared(sample, np.random.default_rng([seed, k]))


def tabulated(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """A row for each operation: how many of its samples ended how, the worst error, and why some are not compared."""
    table = []
    for name in sorted({outcome.row for outcome in found}):
        own = [outcome for outcome in found if outcome.row == name]
        counts = Counter(outcome.kind for outcome in own)
        reasons = Counter(outcome.why for outcome in own if outcome.kind in (REFUSED, DEVIATES))
        worst = [o.scales for o in own if not np.isnan(o.scales)]
        table.append(
            {"operation": name, "samples": len(own)}
            | {kind: counts[kind] for kind in KINDS}
            | {"worst": max(worst, default=float("nan"))}
            | {"why": "; ".join(f"{n} × {why}" for why, n in reasons.items())}
        )
    return table


def measure(quick: bool, seed: int) -> Report:
    """Every sample of torch's OpInfo whose operation is a row; with quick settings every fourth one."""
    torch.manual_seed(seed)
    chosen = [sample for k, sample in enumerate(samples()) if not quick or k % 4 == 0]
    found = list(outcomes(chosen, seed))
    table = tabulated(found)
    counts = Counter(outcome.kind for outcome in found)
    wrong = [row for row in table if row[DEVIATES]]
    return Report(
        question="Are autograd's gradients of torch's own test samples ours?",
        claim="Of every sample in float64 that a row states, autograd's gradients agree with ours, or the deviation is "
        "a published one of torch's.",
        refuted_by="a sample whose gradients deviate and no published deviation says why; or no sample compared.",
        columns={"operation": "operation", "samples": "samples"}
        | {kind: kind for kind in KINDS}
        | {"worst": "worst [σ]", "why": "why not"},
        rows=table,
        digest=wrong or [row for row in table if row[REFUSED]],
        figures={"operations": len(table), "samples": len(found)} | {kind: counts[kind] for kind in KINDS},
        holds=not wrong and counts[AGREES] > 0,
    )


def draw(report: Report, path: Path) -> None:
    """How many samples of each operation ended how."""
    figure, (panel,) = panels(1)
    figure.set_size_inches(9, 0.16 * len(report.rows) + 2)
    names, left = [row["operation"] for row in report.rows], np.zeros(len(report.rows))
    for kind, shade in zip(KINDS, ("0.85", "0.6", "1", "0"), strict=True):
        counts = np.array([row[kind] for row in report.rows], float)
        panel.barh(names, counts, left=left, color=shade, edgecolor="0.3", linewidth=0.4, label=kind)
        left += counts
    panel.tick_params(axis="y", labelsize=6)
    panel.set_xlabel("samples")
    panel.legend()
    save_picture(figure, path)
