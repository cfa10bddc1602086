"""What does a certificate cost, and what do formulas that keep every digit?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from math import nan, pi, sqrt
from operator import matmul, mul
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb
from scipy import special
from threadpoolctl import threadpool_limits

import reference as ref
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import precision
from reference.network.unchecked import unchecked
from reference.rounding.certified import FIRST_BITS, certified_gradients
from torch_compare.torch_side.gradients import torch_gradients

from ..harness.memory import memory_of
from ..harness.multiply_adds import multiply_adds
from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture
from ..harness.timing import interleaved_medians

Array = Any
Row = dict[str, Any]

SMALL, SMALL_BATCH = (64, 64, 64, 10), 32
LARGE, LARGE_BATCH = (784, 1024, 256, 10), 8
BUDGET: Mapping[tuple[int, ...], tuple[float, float]] = {SMALL: (0.15, 4.0), LARGE: (6.0, 4.0)}
"""Seconds and gigabytes (10⁹ bytes) that a certificate may take."""
PRODUCT = 64

TEXTBOOK: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "gelu": (
        lambda z: z * (0.5 * (1 + special.erf(z / sqrt(2)))),
        lambda z: 0.5 * (1 + special.erf(z / sqrt(2))) + z * np.exp(z * z / -2) / sqrt(2 * pi),
    ),
    "softplus": (lambda z: np.log1p(np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
}
"""Value and derivative as one writes them down: fast, and wrong in the tails."""


# ── problems ─────────────────────────────────────────────────────────────────────────────────────────


def classifier(widths: Sequence[int], batch: int, name: str, seed: int, dtype: type[Any] = np.float64) -> ref.Problem:
    """A network with one activation on its hidden layers and cross-entropy behind the last."""
    rng = np.random.default_rng([seed, *widths])
    mlp = ref.initialize(widths, [name] * (len(widths) - 2) + ["identity"], seed=seed, dtype=dtype)
    x = rng.normal(size=(batch, widths[0])).astype(dtype)
    return ref.Problem(mlp, x, rng.integers(widths[-1], size=batch), "cross_entropy")


def with_textbook_formulas(problem: ref.Problem) -> ref.Problem:
    """The same problem, its activations' rows with the formulas of `TEXTBOOK`, which no check has seen."""

    def planted(row: ref.Activation) -> ref.Activation:
        if row.name not in TEXTBOOK:
            return row
        value, derivative = TEXTBOOK[row.name]
        kept = {f.name: getattr(row, f.name) for f in fields(row)}
        return unchecked(ref.Activation, **(kept | {"value": value, "derivative": derivative}))

    layers = tuple(
        unchecked(ref.Layer, weight=layer.weight, bias=layer.bias, activation=planted(layer.activation))
        for layer in problem.mlp.layers
    )
    return problem.replace(network=unchecked(ref.MLP, layers=layers))


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def certificate_of(widths: Sequence[int], batch: int, name: str, seed: int) -> Callable[[], Any]:
    """The certificate of a network, as a piece of work."""
    return partial(certified_gradients, classifier(widths, batch, name, seed))


def network_rows(
    widths: tuple[int, ...], batch: int, name: str, dtype: type[Any], seed: int, repetitions: int, memory: bool
) -> list[Row]:
    """A network's gradients by each method: its rivals in turns where there are any, and for float64 a certificate.

    A float run takes less than a millisecond, so it is given four times the turns.
    """
    problem = classifier(widths, batch, name, seed, dtype)
    work: dict[str, Callable[[], Any]] = {"ours": partial(ref.gradients, problem)}
    if name in TEXTBOOK:
        work["textbook"] = partial(ref.gradients, with_textbook_formulas(problem))
        work["torch"] = partial(torch_gradients, problem)
    seconds = interleaved_medians(work, repetitions=4 * repetitions)
    certificate = certified_gradients(problem) if dtype is np.float64 else None
    if certificate is not None:
        certify = partial(certified_gradients, problem)
        seconds |= interleaved_medians({"certificate": certify}, repetitions=repetitions)
    count = multiply_adds(ref.gradients, problem)
    rows = []
    for method in seconds:
        row: Row = {
            "what": "-".join(map(str, widths)),
            "batch": batch,
            "function": name,
            "type": dtype.__name__,
            "method": method,
            "parameters": problem.mlp.parameters,
            "products": count,
            "seconds": seconds[method],
            "each": 1e9 * seconds[method] / count,
            "ratio": seconds[method] / seconds["ours"],
            "bits": str(np.finfo(dtype).nmant + 1),
            "memory": nan,
            "status": "",
        }
        if method == "certificate" and certificate is not None:
            row |= {"bits": str(certificate.bits), "status": certificate.status, "budget": BUDGET[widths]}
            row["memory"] = round(memory_of(certificate_of, widths, batch, name, seed).most, 2) if memory else nan
        rows.append(row)
    return rows


def product_rows(bits: int, seed: int, repetitions: int) -> list[Row]:
    """One square product alone: of float64, of balls as matrices, of balls as NumPy objects."""
    a, b = np.random.default_rng(seed).normal(size=(2, PRODUCT, PRODUCT))
    with precision(bits):
        third = arb(1) / 3  # numbers that fill the precision, as intermediate results do
        balls = [Ball([arb(v) * third for v in m.flat], m.shape).rows for m in (a, b)]
        objects = [np.array(m.entries(), dtype=object).reshape(a.shape) for m in balls]
        work = {
            "float64": partial(matmul, a, b),
            "arb_mat": partial(mul, *balls),
            "object array": partial(matmul, *objects),
        }
        seconds = interleaved_medians(work, repetitions=repetitions)
    return [
        {
            "what": f"{PRODUCT}×{PRODUCT} alone",
            "batch": 0,
            "function": "product",
            "type": "float64" if method == "float64" else "arb",
            "method": method,
            "parameters": 0,
            "products": PRODUCT**3,
            "seconds": seconds[method],
            "each": 1e9 * seconds[method] / PRODUCT**3,
            "ratio": seconds[method] / seconds["arb_mat"],
            "bits": "53" if method == "float64" else str(bits),
            "memory": nan,
            "status": "",
        }
        for method in work
    ]


def holds(rows: Sequence[Mapping[str, Any]], timed: bool) -> bool:
    """Whether every certificate was reached in one run and, where time counts, within its budget."""
    certificates = [row for row in rows if row["method"] == "certificate"]
    proved = all(row["status"] == "certified" and row["bits"] == str(FIRST_BITS) for row in certificates)
    in_time = all(row["seconds"] < row["budget"][0] and not row["memory"] > row["budget"][1] for row in certificates)
    return bool(certificates) and proved and (in_time or not timed)


def all_rows(names: Sequence[str], large: Sequence[str], seed: int, repetitions: int, memory: bool) -> list[Row]:
    """The small networks with these activations, the large ones with those, and a product of as many bits as these."""
    rows: list[Row] = []
    for name in names:
        rows += network_rows(SMALL, SMALL_BATCH, name, np.float64, seed, repetitions, memory)
        if name in TEXTBOOK:
            rows += network_rows(SMALL, SMALL_BATCH, name, np.float32, seed, repetitions, memory=False)
    for name in large:
        rows += network_rows(LARGE, LARGE_BATCH, name, np.float64, seed, 3, memory=True)
    return rows + product_rows(max(int(row["bits"]) for row in rows), seed, repetitions)


def measure(
    quick: bool,
    seed: int,
    names: Sequence[str] = ("tanh", "relu", "gelu", "softplus", "silu"),
    large: Sequence[str] = ("tanh", "gelu"),
) -> Report:
    """The time of certificates, of accurate formulas, of textbook formulas and of torch, a multiply-add."""
    with threadpool_limits(1):
        rows = all_rows(names, () if quick else large, seed, repetitions=5 if quick else 15, memory=not quick)
    figures: dict[str, Any] = {}
    for row in (row for row in rows if row["method"] == "certificate"):
        name = f"{row['what']}, batch {row['batch']}"
        figures[f"{name}: parameters"] = row["parameters"]
        figures[f"{name}: multiply-adds, forward and backward"] = row["products"]
        longest = f"{name}: longest certificate [s], budget {row['budget'][0]}"
        figures[longest] = max(figures.get(longest, 0.0), row["seconds"])
    for row in (row for row in rows if row["method"] in {"textbook", "torch"}):
        figures[f"{row['what']}, {row['function']}, {row['type']}: ours/{row['method']}"] = 1 / row["ratio"]
    return Report(
        question="What does a certificate cost, and what do formulas that keep every digit?",
        claim=(
            f"One run of the calculus at {FIRST_BITS} bits certifies a usual network: the multiply-adds in matrix "
            "products are those of the gradients, 3NΣOI. It takes less than 0.15 s for 64-64-64-10 with batch 32, "
            "and less than 6 s and 4 GB for 784-1024-256-10 with batch 8."
        ),
        refuted_by=(
            "an element that is not resolved, a second run at more bits, or, at full size, a time or a peak of "
            "memory beyond its budget. Times are medians of turns on one thread; what accuracy costs in speed is "
            "measured beside it and claims nothing: ours over the textbook's formulas in the same code, and over "
            "torch.autograd, conversions included. Columns: time; time a multiply-add of the matrix products; time "
            "over that of our gradients in the same type (of arb_mat's product); peak of memory, libraries included."
        ),
        columns={
            "what": "network",
            "function": "function",
            "method": "method",
            "bits": "bits",
            "seconds": "[s]",
            "each": "[ns]",
            "ratio": "ratio",
            "memory": "[GB]",
        },
        rows=rows,
        figures=figures,
        holds=holds(rows, timed=not quick),
    )


def draw(report: Report, path: Path) -> None:
    """Time per multiply-add, and time over that of the float gradients, network by network."""
    figure, axes = panels(2, share_vertical=False)
    figure.set_size_inches(12, 5.5)
    networks = [row for row in report.rows if row["parameters"]]
    places = list(dict.fromkeys(_label(row) for row in networks))
    for panel, key in zip(axes, ("each", "ratio"), strict=True):
        for method, (shade, marker, _) in zip(("ours", "certificate", "textbook", "torch"), GREY, strict=True):
            chosen = [row for row in networks if row["method"] == method]
            at = [places.index(_label(row)) for row in chosen]
            panel.semilogy(at, [row[key] for row in chosen], color=shade, marker=marker, ls="", label=method)
        panel.set_xticks(range(len(places)), places, rotation=60, ha="right")
        panel.grid(axis="y", color="0.9")
    for row, (shade, _, line) in zip((r for r in report.rows if not r["parameters"]), GREY, strict=False):
        axes[0].axhline(row["each"], color=shade, ls=line, lw=1, label=f"product alone: {row['method']}")
    axes[0].set_ylabel("time a multiply-add [ns]")
    axes[1].set_ylabel("time / time of our gradients in the same type")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle("A certificate's cost, and that of accurate formulas")
    save_picture(figure, path)


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['what']}\n{row['function']}, {row['type']}"
