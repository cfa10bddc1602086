"""The atlas of operations: how many digits has every gradient of every row, on ordinary and on hard inputs?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format, get_format
from reference.rounding.certified import certified_gradients
from reference.rounding.distance import FACTOR, in_scales
from reference.rounding.scale import rounding_scale
from torch_compare.random_problems.operations import draw as random_inputs
from torch_compare.random_problems.operations import names
from torch_compare.torch_side.gradients import torch_gradients
from torch_compare.verdict.operation import operation_problem

from ..harness.report import Report
from ..harness.style import panels, save_picture
from ..implementations.peer_operations import jax_operation_gradients
from ..implementations.peers import HAS_JAX
from .hard_inputs import HARD, Edge

Leaves = Mapping[str, Any]
Row = dict[str, Any]
TYPES: tuple[type[Any], ...] = (np.float64, np.float32)
ORDINARY = "ordinary"


def _ours(problem: ref.Problem) -> Leaves:
    return ref.gradients(problem).leaves()


def _torch(problem: ref.Problem) -> Leaves | None:
    """None where torch's backward pass raises, as the list of deviations has it."""
    try:
        return torch_gradients(problem).leaves()
    except RuntimeError:
        return None


def _jax(problem: ref.Problem) -> Leaves | None:
    """None where JAX has no such operation, or none of these shapes and parameters."""
    try:
        return jax_operation_gradients(problem)
    except (TypeError, ValueError, NotImplementedError):
        return None


PEERS: Mapping[str, Callable[[ref.Problem], Leaves | None]] = {"ours": _ours, "torch": _torch, "JAX": _jax}


# ── the cases ────────────────────────────────────────────────────────────────────────────────────────


def problem_of(row: ref.Operation, inputs: Sequence[Any], rng: np.random.Generator, dtype: Any) -> ref.Problem:
    """The row's vector-Jacobian product at these inputs, in a type, with a random gradient of its output."""
    cast = [x if x is None or x.dtype.kind != "f" else x.astype(dtype) for x in inputs]
    last = len(row.inputs) - 1
    given: dict[str, Any] = dict(zip(row.inputs, cast[: last + 1], strict=False))
    if row.variadic:
        given[row.inputs[last]] = cast[last:]
    made = row.value(*cast)
    parts = made if isinstance(made, tuple) else (made,)
    d = tuple(rng.normal(size=np.shape(part)).astype(dtype) for part in parts)
    return operation_problem(row, given, d if isinstance(made, tuple) else d[0])


def cases(chosen: Sequence[str], draws: int, seed: int, dtype: Any) -> Iterator[tuple[str, str, ref.Problem]]:
    """(name, what, problem): random inputs of each row, then the hard ones; numbers are the same in each type."""
    with np.errstate(all="ignore"):
        for place, name in enumerate(chosen):
            for k in range(draws):
                rng = np.random.default_rng([seed, place, k])
                row, inputs = random_inputs(rng, name)
                if all(x is None or x.size for x in inputs):
                    yield name, ORDINARY, problem_of(row, inputs, rng, dtype)
        for place, hard in enumerate(HARD):
            if hard.name in chosen:
                rng = np.random.default_rng([seed, 10**6, place])
                yield hard.name, hard.what, problem_of(hard.row, hard.inputs(rng, Edge.of(dtype)), rng, dtype)


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def measured(problem: ref.Problem) -> Row:
    """The largest error of every peer's gradients: in ulps, in rounding scales σ, and in those of the textbook."""
    fmt = get_format(problem.dtype)
    sigma, textbook = (rounding_scale(problem, textbook=wide).leaves() for wide in (False, True))
    truths = [_truth(problem)]
    found: Row = {}
    for peer, call in PEERS.items():
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = call(problem)
        errors = [math.nan] * 3 if given is None else _errors(given, truths[0], sigma, textbook, fmt)
        if given is not None and errors[1] > FACTOR:
            truths = truths if len(truths) > 1 else [*truths, *map(_truth, _conventions(problem))]
            errors = min((_errors(given, truth, sigma, textbook, fmt) for truth in truths), key=lambda e: e[1])
        found |= {f"{peer} [ulp]": errors[0], f"{peer} [σ]": errors[1], f"{peer} [textbook σ]": errors[2]}
    return found


def _truth(problem: ref.Problem) -> Leaves:
    leaves = certified_gradients(problem).leaves()
    return {place: leaf.nearest for place, leaf in leaves.items()}


def _conventions(problem: ref.Problem) -> Iterator[ref.Problem]:
    """The problem with every other slope that is not wrong where elements tie or sit at a kink."""
    first, *others = problem.graph.steps
    for pullback in first.operation.conventions.values():
        row = replace(first.operation, pullback=pullback)
        step = ref.Step(first.output, row, *first.inputs)
        yield problem.replace(network=ref.Network({}, [step, *others], problem.graph.inputs, problem.graph.output))


def _errors(given: Leaves, truth: Leaves, sigma: Leaves, textbook: Leaves, fmt: Format) -> list[float]:
    """The largest over all elements, in each of the three units; infinite for NaN or ∞ where a number belongs."""
    worst = [0.0] * 3
    for place, leaf in given.items():
        if place == "loss" or leaf is None:
            continue
        exact = np.asarray(truth[place])
        for k, unit in enumerate((fmt.ulp(exact), sigma[place], textbook[place])):
            ratio = in_scales(leaf, exact, np.asarray(unit), fmt)
            worst[k] = max(worst[k], float(np.max(ratio, initial=0.0, where=~np.isnan(ratio))))
    return worst


def atlas(chosen: Sequence[str], draws: int, seed: int) -> list[Row]:
    """The worst of each operation, kind of inputs and type, in every unit."""
    rows: dict[tuple[str, str, str], Row] = {}
    for dtype in TYPES:
        for name, what, problem in cases(chosen, draws, seed, dtype):
            found = measured(problem)
            key = (name, what, dtype.__name__)
            row = rows.setdefault(key, {"operation": name, "inputs": what, "type": dtype.__name__, "cases": 0})
            row["cases"] += 1
            for unit, error in found.items():
                row[unit] = np.fmax(row.get(unit, math.nan), error).item()
    return [row | {f"{peer}: digits lost": digits_lost(row, peer) for peer in PEERS} for row in rows.values()]


def digits_lost(row: Row, peer: str) -> float:
    """Decimal digits beyond what rounding takes: log₁₀ of the error in σ, at most the type's; 0 up to the limit."""
    scales, all_digits = row[f"{peer} [σ]"], -math.log10(get_format(row["type"]).unit_roundoff)
    return scales if math.isnan(scales) else min(math.log10(scales), all_digits) if scales > FACTOR else 0.0


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def losses(rows: Sequence[Row], peer: str) -> list[Row]:
    """Where a peer is off by more than even the customary formulas' rounding explains, worst first."""
    lost = [row for row in rows if row[f"{peer} [textbook σ]"] > FACTOR]
    return sorted(lost, key=lambda row: -row[f"{peer} [textbook σ]"])


def measure(quick: bool, seed: int, chosen: Sequence[str] = (), draws: int | None = None) -> Report:
    """The largest error of every operation's gradients, ours, torch's and JAX's, on ordinary and on hard inputs."""
    everything = [name for name in names() if name in ref.operations.MAKERS]
    rows = atlas(chosen or everything, draws or (2 if quick else 40), seed)
    shown = [peer for peer in PEERS if peer != "JAX" or HAS_JAX]
    figures: dict[str, Any] = {}
    for peer in shown:
        known = [row for row in rows if not math.isnan(row[f"{peer} [σ]"])]
        figures[f"{peer}: operations measured"] = len({row["operation"] for row in known})
        figures[f"{peer}: worst, ordinary inputs [σ]"] = _worst(known, peer, ordinary=True)
        figures[f"{peer}: worst, hard inputs [σ]"] = _worst(known, peer, ordinary=False)
        lost = losses(rows, peer)
        figures[f"{peer}: beyond the textbook scale"] = f"{len(lost)} of {len(known)} rows of this table, in " + (
            ", ".join(sorted({row["operation"] for row in lost})) or "no operation"
        )
    if not HAS_JAX:
        figures["JAX"] = "not installed, its columns are left out (pip install 'gradient-oracle[benchmarks]')"
    units = {f"{peer} [{unit}]": f"{peer} [{unit}]" for peer in shown for unit in ("ulp", "σ")}
    digits = {f"{peer}: digits lost": f"{peer} digits lost" for peer in shown if peer != "ours"}
    worst_first = sorted(rows, key=lambda row: -max(_known(row[f"{peer} [σ]"]) for peer in shown))
    return Report(
        question="How many digits do the gradients of every operation have, on ordinary and on hard inputs?",
        claim=(
            f"Every gradient of ours is within {FACTOR:g} accurate rounding scales σ of the certified one, in float64 "
            "and float32, on ordinary and on hard inputs: nearly constant rows, squares beyond the range, scores at "
            "±1000, ties, norms near 0. torch's and JAX's are not: the table says which, and how many digits they lose."
        ),
        refuted_by=(
            f"a gradient of ours that is off by more than {FACTOR:g} σ, the truth being certified in balls; or torch "
            "and JAX within the limit everywhere. Where elements tie, a peer may take any of the row's conventions."
        ),
        columns={"operation": "operation", "inputs": "inputs", "type": "type"} | units | digits,
        rows=rows,
        digest=[row for row in worst_first if max(_known(row[f"{p} [σ]"]) for p in shown) > FACTOR] or worst_first[:10],
        figures=figures,
        holds=max(row["ours [σ]"] for row in rows) <= FACTOR
        and all(any(row[f"{peer}: digits lost"] > 0 for row in rows) for peer in shown if peer != "ours"),
    )


def _known(number: float) -> float:
    return 0.0 if math.isnan(number) else number


def _worst(rows: Sequence[Row], peer: str, *, ordinary: bool) -> float:
    return max((r[f"{peer} [σ]"] for r in rows if (r["inputs"] == ORDINARY) == ordinary), default=math.nan)


def _write(panel: Any, i: int, j: int, scales: float) -> None:
    """The number of σ in a cell of a heat map."""
    text = "∞" if math.isinf(scales) else f"{scales:.1f}" if scales < 100 else f"1e{int(math.log10(scales))}"
    panel.text(j, i, text, ha="center", va="center", fontsize=6, color="1" if scales > 1e6 else "0")


def draw(report: Report, path: Path) -> None:
    """Two heat maps, ordinary and hard inputs: the worst error of each operation in σ, by peer and type."""
    figure, axes = panels(2, share_vertical=False)
    figure.set_size_inches(15, 17)
    shown = [peer for peer in PEERS if any(not math.isnan(row[f"{peer} [σ]"]) for row in report.rows)]
    columns = [(peer, dtype.__name__) for peer in shown for dtype in TYPES]
    for panel, ordinary in zip(axes, (True, False), strict=True):
        rows = [row for row in report.rows if (row["inputs"] == ORDINARY) == ordinary]
        labels = list(dict.fromkeys(_label(row) for row in rows))
        cells = np.full((max(1, len(labels)), len(columns)), np.nan)
        for row in rows:
            for j, (peer, number) in enumerate(columns):
                if row["type"] == number:
                    cells[labels.index(_label(row)), j] = row[f"{peer} [σ]"]
        shade = np.log10(np.clip(cells, FACTOR, 1e12) / FACTOR)
        image = panel.imshow(shade, cmap="Greys", vmin=0, vmax=12 - math.log10(FACTOR), aspect="auto")
        for (i, j), scales in np.ndenumerate(cells):
            if not math.isnan(scales):
                _write(panel, i, j, scales)
        panel.set_xticks(range(len(columns)), [f"{peer}, {number}" for peer, number in columns], rotation=30)
        panel.set_yticks(range(len(labels)), labels, fontsize=6)
        panel.set_title("ordinary inputs" if ordinary else "hard inputs")
    figure.colorbar(image, ax=axes[1], label=f"log₁₀ of the largest error in {FACTOR:g} σ")
    figure.suptitle(f"Largest error of a gradient's element in rounding scales σ; white: within {FACTOR:g} σ")
    save_picture(figure, path)


def _label(row: Mapping[str, Any]) -> str:
    return str(row["operation"] if row["inputs"] == ORDINARY else f"{row['operation']}: {row['inputs']}")
