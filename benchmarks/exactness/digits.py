"""On real data: how far apart are the gradients of one network from every source, and how long do they take?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import reference as ref
import torch_compare as tc
from reference.differences import central_difference, complex_step
from reference.rounding.distance import FACTOR
from reference.rounding.scale import rounding_scale

from ..harness.furthest import furthest
from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture
from ..harness.timing import interleaved_medians

WIDTHS, ACTIVATIONS = (64, 64, 10), ("tanh", "identity")
LEARNING_RATE = 0.5


# ── the problem ──────────────────────────────────────────────────────────────────────────────────────


def digits_problem(seed: int, examples: int | None = None) -> ref.Problem:
    """The handwritten digits that scikit-learn ships, (1797, 64) pixels from 0 to 1, before any training."""
    pixels, labels = load_digits(return_X_y=True)
    mlp = ref.initialize(WIDTHS, ACTIVATIONS, seed=seed)
    return ref.Problem(mlp, pixels[:examples] / 16, labels[:examples], loss=ref.LOSSES["cross_entropy"])


def descend(problem: ref.Problem, steps: int) -> ref.Problem:
    """The problem after plain gradient descent over the whole batch."""
    for _ in range(steps):
        g = ref.gradients(problem)
        layers = []
        for layer, d in zip(problem.mlp.layers, g.layers, strict=True):
            assert d.weight is not None
            bias = None if layer.bias is None or d.bias is None else layer.bias - LEARNING_RATE * d.bias
            layers.append(replace(layer, weight=layer.weight - LEARNING_RATE * d.weight, bias=bias))
        problem = problem.replace(network=ref.MLP(tuple(layers)))
    return problem


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def given_elements(tree: ref.Gradients) -> int:
    """How many elements of the gradients, the loss left aside, are not NaN."""
    return sum(int(np.sum(~np.isnan(leaf))) for leaf in tree.derivatives().values())


def ulps(tree: ref.Gradients) -> ref.Gradients:
    """The float64 unit in the last place of every element."""
    return tree.map(lambda leaf: np.spacing(np.abs(np.asarray(leaf, dtype=float))))


def in_long_double(problem: ref.Problem) -> ref.Gradients:
    """The same lines in NumPy's longest type: 11 bits more than float64 where the machine has one."""
    return ref.gradients(problem.map(lambda values: np.asarray(values).astype(np.longdouble)))


def row(source: str, given: ref.Gradients, truth: ref.Gradients, sigma: ref.Gradients) -> dict[str, Any]:
    """The part of a row that every source has."""
    return {
        "source": source,
        "elements": given_elements(given),
        "scales": furthest(given, truth, sigma),
        "ulps": furthest(given, truth, ulps(truth)),
    }


def judged_rows(problem: ref.Problem, entries: int, seed: int) -> list[dict[str, Any]]:
    """Each source by its own standard: the rounding scale, `torch_compare.check`, or its error bars."""
    sigma, expected = rounding_scale(problem), ref.gradients(problem)
    own = row("reference", tc.SOURCES["reference"](problem), in_long_double(problem), sigma)
    own |= _outcome(own["scales"] <= FACTOR, "rounding")
    given = tc.SOURCES["torch"](problem)
    verdict = tc.check(problem, given)
    torch = row("torch", given, expected, sigma)
    torch |= {"agrees": verdict.agrees, "verdict": f"{verdict.status}, {verdict.scale} scale"}
    analytic = row("complex_step", complex_step(problem, entries=entries, seed=seed), expected, sigma)
    analytic |= _outcome(analytic["elements"] > 0 and analytic["scales"] <= FACTOR, "rounding")
    difference = central_difference(problem, entries=entries, seed=seed)
    differenced = row("central_difference", difference.value, expected, sigma)
    inside = furthest(difference.value, expected, difference.error) <= 1
    differenced |= _outcome(differenced["elements"] > 0 and inside, "error bars")
    return [own, torch, analytic, differenced]


def _outcome(agrees: bool, limit: str) -> dict[str, Any]:
    return {"agrees": agrees, "verdict": f"{'within' if agrees else 'beyond'} {limit}"}


def measure(quick: bool, seed: int, examples: int | None = None) -> Report:
    """The gradients of a 64-64-10 network on the handwritten digits, from every source, before and after training."""
    steps, entries, repetitions = (20, 10, 1) if quick else (200, 50, 3)
    start = digits_problem(seed, examples)
    rows: list[dict[str, Any]] = []
    losses: dict[str, float] = {}
    for when, problem in (("start", start), (f"step {steps}", descend(start, steps))):
        work: Mapping[str, Callable[[], Any]] = {
            "reference": partial(tc.SOURCES["reference"], problem),
            "torch": partial(tc.SOURCES["torch"], problem),
            "complex_step": partial(complex_step, problem, entries=entries, seed=seed),
            "central_difference": partial(central_difference, problem, entries=entries, seed=seed),
        }
        seconds = interleaved_medians(work, repetitions=repetitions)
        for found in judged_rows(problem, entries, seed):
            taken = seconds[found["source"]]
            rows.append({"when": when, **found, "seconds": taken, "each": taken / max(1, found["elements"]) * 1e6})
        losses[f"loss at {when}"] = float(np.asarray(ref.loss_value(problem)))
    return Report(
        question="Do the sources agree on real data?",
        claim=(
            "On a 64-64-10 tanh network with cross-entropy over the handwritten digits, torch.autograd and complex "
            "steps give the hand-written gradients to within rounding, before and after training; central "
            "differences, of a sample of elements, give them to within their own error bars."
        ),
        refuted_by=(
            "an element off by more than its rounding scale σ, or its error bar, allows. The reference is held against "
            "the same lines in long double, every other source against the reference."
        ),
        columns={
            "when": "when",
            "source": "source",
            "elements": "elements",
            "scales": "error [σ]",
            "ulps": "error [ulp]",
            "verdict": "verdict",
            "seconds": "time [s]",
        },
        rows=rows,
        figures=losses,
        holds=all(found["agrees"] for found in rows),
    )


def draw(report: Report, path: Path) -> None:
    """The largest error of every source, and the time it takes an element."""
    figure, axes = panels(2, share_vertical=False)
    sources = list(dict.fromkeys(row["source"] for row in report.rows))
    names = [source.replace("_", "\n") for source in sources]
    for when, (shade, marker, _) in zip(dict.fromkeys(row["when"] for row in report.rows), GREY, strict=False):
        chosen = {row["source"]: row for row in report.rows if row["when"] == when}
        style = {"color": shade, "marker": marker, "ls": "", "label": when, "fillstyle": "none"}
        axes[0].semilogy(names, [chosen[s]["scales"] for s in sources], **style)
        axes[1].semilogy(names, [chosen[s]["each"] for s in sources], **style)
    axes[0].axhline(FACTOR, color="0.5", ls=":", label=f"{FACTOR:g} σ: what rounding explains")
    axes[0].set_ylabel("largest error [rounding scales σ]")
    axes[1].set_ylabel("time an element [µs]")
    axes[0].legend()
    for panel in axes:
        panel.margins(x=0.2)
    figure.suptitle("Gradients of a 64-64-10 network on handwritten digits")
    save_picture(figure, path)
