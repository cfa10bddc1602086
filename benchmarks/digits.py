"""On real data: how far apart are the gradients of one network from every source, and how long do they take?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.datasets import load_digits

import reference as ref
import torch_compare as tc
from reference.noise import rounding_scale
from torch_compare.verdict import FACTOR

from .harness import GREY, Report, interleaved_medians, panels, run, save_picture

Place = tuple[int, str, tuple[int, ...]]
"""A layer, "weight" or "bias", and an index into it."""

WIDTHS, ACTIVATIONS = (64, 64, 10), ("tanh", "identity")
LEARNING_RATE = 0.5
STEP = 2.0**-10
"""Of the central differences: wide enough for rounding to be the smaller part of their error bar."""


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
            bias = None if layer.bias is None or d.bias is None else layer.bias - LEARNING_RATE * d.bias
            layers.append(replace(layer, weight=layer.weight - LEARNING_RATE * d.weight, bias=bias))
        problem = problem.replace(mlp=ref.MLP(tuple(layers)))
    return problem


# ── sources that cost a forward pass or more an element: a sample of elements ────────────────────────


def sample(problem: ref.Problem, count: int, seed: int) -> list[Place]:
    """Random elements of the parameters, as many of each array."""
    rng = np.random.default_rng(seed)
    arrays = [
        (i, kind, getattr(layer, kind)) for i, layer in enumerate(problem.mlp.layers) for kind in ("weight", "bias")
    ]
    chosen = (arrays[k % len(arrays)] for k in range(count))
    return [(index, kind, tuple(int(rng.integers(n)) for n in values.shape)) for index, kind, values in chosen]


def moved_loss(problem: ref.Problem, place: Place, by: complex) -> Any:
    """The loss with one parameter moved."""
    index, kind, at = place
    values = getattr(problem.mlp.layers[index], kind).copy()
    values[at] += by
    layers = list(problem.mlp.layers)
    layers[index] = replace(layers[index], **{kind: values})
    return ref.loss_value(problem.replace(mlp=ref.MLP(tuple(layers))))


def complex_steps(problem: ref.Problem, places: Sequence[Place]) -> list[float]:
    """Im L(p + ih)/h: no difference is formed, so h may be tiny (Squire & Trapp 1998)."""
    analytic = problem.map(lambda values: values.astype(complex))
    return [float(np.imag(moved_loss(analytic, place, 1e-100j)) * 1e100) for place in places]


def central_differences(problem: ref.Problem, places: Sequence[Place], step: float = STEP) -> list[float]:
    """(L(p + h) − L(p − h))/2h."""
    return [
        float(moved_loss(problem, place, step) - moved_loss(problem, place, -step)) / (2 * step) for place in places
    ]


def error_bars(problem: ref.Problem, places: Sequence[Place], loss_scale: float) -> list[float]:
    """How far the central differences may be off: what halving the step changes, and the rounding of two losses.

    The truncation error at h is 4/3 of what halving h changes, to leading order; each loss is off by `FACTOR`
    rounding scales at the most.
    """
    wide, narrow = (central_differences(problem, places, step) for step in (STEP, STEP / 2))
    rounding = FACTOR * loss_scale / STEP
    return [4 / 3 * (abs(w - n) + 3 * rounding) + rounding for w, n in zip(wide, narrow, strict=True)]


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def at_places(tree: ref.Gradients, places: Sequence[Place]) -> list[float]:
    """The sampled elements of a gradient tree."""
    return [float(getattr(tree.layers[index], kind)[at]) for index, kind, at in places]


def furthest(given: Any, expected: Any, unit: Any) -> float:
    """The largest |given − expected| in units of `unit`; where they are equal the unit does not matter."""
    off = np.abs(np.asarray(given) - np.asarray(expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.where(off == 0, 0, off / np.asarray(unit))))


def in_long_double(problem: ref.Problem) -> ref.Gradients:
    """The same lines in NumPy's longest type: 11 bits more than float64 where the machine has one."""
    return ref.gradients(problem.map(lambda values: values.astype(np.longdouble)))


def whole_rows(problem: ref.Problem, sigma: ref.Gradients) -> list[dict[str, Any]]:
    """The sources that give every element: the reference held against long double, torch against the reference."""
    rows = []
    for source, truth, against in (
        ("reference", in_long_double(problem), "long double"),
        ("torch", ref.gradients(problem), "reference"),
    ):
        given = tc.SOURCES[source](problem)
        leaves, expected, scales = given.leaves(), truth.leaves(), sigma.leaves()
        off = max(furthest(leaves[place], expected[place], scales[place]) for place in expected)
        verdict = tc.check(problem, given)
        rows.append(
            {
                "source": source,
                "against": against,
                "elements": sum(int(leaf.size) for leaf in expected.values()),
                "scales": off,
                "ulps": max(furthest(leaves[k], v, np.spacing(np.abs(v).astype(float))) for k, v in expected.items()),
                "verdict": verdict.status if verdict.scale == "accurate" else f"{verdict.status} (textbook)",
                "agrees": verdict.status == "agrees" and (source == "torch" or off <= FACTOR),
            }
        )
    return rows


def sampled_rows(problem: ref.Problem, sigma: ref.Gradients, places: Sequence[Place]) -> list[dict[str, Any]]:
    """Complex steps, judged by the rounding scale, and central differences, judged by their error bars."""
    expected = at_places(ref.gradients(problem), places)
    scales, ulps = at_places(sigma, places), np.spacing(np.abs(expected))
    bars = error_bars(problem, places, float(np.asarray(sigma.loss)))
    rows = []
    for source, given, limit, name in (
        ("complex_step", complex_steps(problem, places), np.asarray(scales) * FACTOR, "rounding"),
        ("central_difference", central_differences(problem, places), np.asarray(bars), "error bars"),
    ):
        agrees = furthest(given, expected, limit) <= 1
        rows.append(
            {
                "source": source,
                "against": "reference",
                "elements": len(places),
                "scales": furthest(given, expected, scales),
                "ulps": furthest(given, expected, ulps),
                "verdict": f"{'within' if agrees else 'beyond'} {name}",
                "agrees": agrees,
            }
        )
    return rows


def measure(quick: bool, seed: int, examples: int | None = None) -> Report:
    """The gradients of a 64-64-10 network on the handwritten digits, from every source, before and after training."""
    steps, elements, repetitions = (20, 16, 2) if quick else (200, 64, 5)
    start = digits_problem(seed, examples)
    rows: list[dict[str, Any]] = []
    losses: dict[str, float] = {}
    for when, problem in (("start", start), (f"step {steps}", descend(start, steps))):
        places = sample(problem, elements, seed)
        work: Mapping[str, Callable[[], Any]] = {
            "reference": partial(tc.SOURCES["reference"], problem),
            "torch": partial(tc.SOURCES["torch"], problem),
            "complex_step": partial(complex_steps, problem, places),
            "central_difference": partial(central_differences, problem, places),
        }
        seconds = interleaved_medians(work, repetitions=repetitions)
        sigma = rounding_scale(problem)
        for row in [*whole_rows(problem, sigma), *sampled_rows(problem, sigma, places)]:
            taken = seconds[row["source"]]
            rows.append({"when": when, **row, "seconds": taken, "each": taken / row["elements"] * 1e6})
        losses[f"loss at {when}"] = float(ref.loss_value(problem))
    return Report(
        question="Do the sources agree on real data?",
        claim=(
            "On a 64-64-10 tanh network with cross-entropy over the handwritten digits, torch.autograd and complex "
            "steps give the hand-written gradients to within rounding, before and after training; central "
            "differences give them to within their own error bars, which are wider by orders of magnitude."
        ),
        refuted_by="an element off by more than its rounding scale, or its error bar, allows",
        columns={
            "when": "when",
            "source": "source",
            "against": "against",
            "elements": "elements",
            "scales": "error [σ]",
            "ulps": "error [ulp]",
            "verdict": "verdict",
            "seconds": "time [s]",
        },
        rows=rows,
        figures=losses,
        holds=all(row["agrees"] for row in rows),
    )


def draw(report: Report, path: Path) -> None:
    """The largest error of every source, and the time it takes an element."""
    figure, axes = panels(2, share_vertical=False)
    sources = list(dict.fromkeys(row["source"] for row in report.rows if row["source"] != "reference"))
    for when, (shade, marker, _) in zip(dict.fromkeys(row["when"] for row in report.rows), GREY, strict=False):
        chosen = {row["source"]: row for row in report.rows if row["when"] == when}
        style = {"color": shade, "marker": marker, "ls": "", "label": when}
        axes[0].semilogy(sources, [chosen[s]["scales"] for s in sources], **style)
        axes[1].semilogy(["reference", *sources], [chosen[s]["each"] for s in ["reference", *sources]], **style)
    axes[0].axhline(FACTOR, color="0.5", ls=":", label=f"{FACTOR:g} σ: what rounding explains")
    axes[0].set_ylabel("largest error [rounding scales σ]")
    axes[1].set_ylabel("time an element [µs]")
    axes[0].legend()
    for panel in axes:
        panel.tick_params(axis="x", rotation=20)
        panel.margins(x=0.2)
    figure.suptitle("Gradients of a 64-64-10 network on handwritten digits")
    save_picture(figure, path)


def main(argv: Sequence[str] | None = None, console: Console | None = None) -> Report:
    """Run the benchmark from the command line."""
    return run(measure, draw, argv, console)


if __name__ == "__main__":
    main()
