"""What does ReLU lose, and why has MobileNetV2 no activation where the width shrinks (S7)?

Claim: a point of the plane, embedded at random in n dimensions, is lost behind ReLU with probability (n + 1)/2ⁿ: often
in few dimensions, never to speak of in many; without ReLU never. So a network that narrows to few dimensions learns
better without an activation there (`ref.linear_bottleneck`) than with one everywhere, or with none at all.
Measured: a spiral through ReLU and back by the pseudo-inverse, as in figure 1 of Sandler et al. 2018, over many
embeddings; the test loss on handwritten digits after training with each assignment of activations.
Refuted by: another share of lost points, an error that does not fall with n, one without ReLU as large as one with it,
or a rule that is not better at the narrowest bottleneck.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import reference as ref
from reference.training.training import train

from ..harness.report import Report
from ..harness.style import GREY, save_picture

Array = Any
Row = dict[str, Any]

POINTS, TURNS = 200, 2
ERRORS = 3.0
"""Standard errors that a difference must exceed, and that a mean may be off."""
TRAINED, BATCH, LEARNING_RATE = 1200, 64, 1e-3
"""Of the 1797 digits, how many are learnt from; the rest test."""
WIDE = 96

SPIRAL, RULE, EVERYWHERE, NOWHERE = "spiral", "narrow linear", "ReLU6", "linear"
ASSIGNMENTS: Mapping[str, Callable[[Sequence[int]], Sequence[str | ref.Activation]]] = {
    RULE: lambda widths: ref.linear_bottleneck(widths, "relu6"),
    EVERYWHERE: lambda widths: ["relu6"] * (len(widths) - 2) + ["identity"],
    NOWHERE: lambda widths: ["identity"] * (len(widths) - 1),
}
LABELS = {RULE: "ReLU6 unless the width shrinks", EVERYWHERE: "ReLU6 everywhere", NOWHERE: "linear everywhere"}


# ── the spiral ───────────────────────────────────────────────────────────────────────────────────────


def spiral() -> Array:
    """Points (200, 2) on a spiral around 0, from its first point to a radius of 1."""
    t = np.arange(1, POINTS + 1)[:, None] / POINTS
    return t * np.hstack([np.cos(2 * np.pi * TURNS * t), np.sin(2 * np.pi * TURNS * t)])


def through(x: Array, dimensions: int, name: str, seed: int) -> tuple[Array, Array]:
    """x (N, 2) embedded by a normal matrix, activated (N, n), and mapped back by its pseudo-inverse (N, 2)."""
    rng = np.random.default_rng([seed, dimensions])
    layer = ref.Layer(rng.normal(size=(dimensions, 2)), None, name)
    h = ref.forward(ref.MLP((layer,)), x).output
    return h, h @ np.linalg.pinv(layer.weight).T


def relative_error(back: Array, x: Array) -> float:
    """‖back − x‖/‖x‖ over all points."""
    return float(np.linalg.norm(back - x) / np.linalg.norm(x))


def scaled(back: Array, x: Array) -> Array:
    """Back, times the number that brings it nearest to x: ReLU halves, on average, what passes."""
    size = np.sum(back * back)
    return back * (np.sum(back * x) / size) if size > 0 else back


def lost(h: Array) -> float:
    """The share of points with fewer than two active units: no function of h tells them from their neighbours.

    Two active units tell w·x and w′·x, hence x: Sandler et al. 2018, appendix A.
    """
    return float(np.mean(np.sum(h > 0, axis=1) < 2))


def embedding_row(dimensions: int, embeddings: int, seed: int) -> Row:
    """Errors and lost points over many embeddings into n dimensions."""
    x = spiral()
    found = [through(x, dimensions, "relu", seed + k) for k in range(embeddings)]
    plain = [relative_error(through(x, dimensions, "identity", seed + k)[1], x) for k in range(embeddings)]
    errors = [relative_error(back, x) for _, back in found]
    shapes = [relative_error(scaled(back, x), x) for _, back in found]
    return {
        "what": SPIRAL, "size": dimensions, "runs": embeddings,
        "error": float(np.mean(errors)), "shape": float(np.mean(shapes)), "spread": standard_error(shapes),
        "linear": max(plain), "smallest": min(shapes),
        "lost": float(np.mean([lost(h) for h, _ in found])), "expected": (dimensions + 1) / 2**dimensions,
        "loss": nan, "accuracy": nan, "curve": found[0][1].tolist(),
    }  # fmt: skip


def standard_error(values: Sequence[float]) -> float:
    """Of the mean, from the spread."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else nan


# ── training ─────────────────────────────────────────────────────────────────────────────────────────


def trained(widths: Sequence[int], assignment: str, seed: int, steps: int) -> tuple[float, float]:
    """The test loss and the test accuracy on the digits after training by Adam on mini-batches."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    x, t = pixels[order] / 16, labels[order]
    mlp = ref.initialize(widths, ASSIGNMENTS[assignment](widths), seed=seed, scheme="he_normal")
    learnt = train(mlp, ref.optimizers.adam(lr=LEARNING_RATE), data=(x[:TRAINED], t[:TRAINED]), loss="cross_entropy",
                   max_steps=steps, batch_size=BATCH, seed=seed).mlp  # fmt: skip
    test = ref.Problem(learnt, x[TRAINED:], t[TRAINED:], loss="cross_entropy")
    output = ref.forward(learnt, test.x).output
    return float(np.asarray(ref.loss_value(test, output))), float(np.mean(np.argmax(output, axis=1) == test.target))


def training_rows(bottleneck: int, networks: int, steps: int, seed: int) -> list[Row]:
    """A row per assignment; the seeds, hence first weights, batches and split, are the same for each."""
    widths = [64, WIDE, bottleneck, WIDE, bottleneck, WIDE, 10]
    found = {name: np.array([trained(widths, name, seed + k, steps) for k in range(networks)]) for name in ASSIGNMENTS}
    rows = []
    for name, results in found.items():
        gain = results[:, 0] - found[RULE][:, 0]
        rows.append({
            "what": name, "size": bottleneck, "runs": networks, "error": nan, "shape": nan, "linear": nan,
            "lost": nan, "expected": nan, "loss": float(np.mean(results[:, 0])),
            "spread": standard_error(results[:, 0].tolist()), "accuracy": float(np.mean(results[:, 1])),
            "gain": float(np.mean(gain)), "gain error": standard_error(gain.tolist()),
        })  # fmt: skip
    return rows


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def measure(
    quick: bool,
    seed: int,
    dimensions: Sequence[int] = (2, 3, 5, 15, 30),
    embeddings: int = 0,
    bottlenecks: Sequence[int] = (),
    networks: int = 0,
    steps: int = 200,
) -> Report:
    """How much of a spiral ReLU loses in n dimensions, and training with and without activations that narrow."""
    embeddings = embeddings or (100 if quick else 1000)
    bottlenecks = bottlenecks or ((2, 16) if quick else (2, 4, 8, 16, 32))
    networks = networks or (4 if quick else 20)
    rows = [embedding_row(n, embeddings, seed) for n in dimensions]
    for bottleneck in bottlenecks:
        rows += training_rows(bottleneck, networks, steps, seed)
    return Report(
        question="S7: what does ReLU lose, and where should a network have no activation?",
        claim=(
            "Behind ReLU in n random dimensions a share (n + 1)/2ⁿ of a plane's points is lost, and the error of the "
            "pseudo-inverse falls with n; without ReLU nothing is lost. On handwritten digits "
            f"(64-{WIDE}-b-{WIDE}-b-{WIDE}-10, {steps} steps), ReLU6 except where the width shrinks gives a lower "
            f"test loss at b = {bottlenecks[0]} than ReLU6 everywhere, and than none at all."
        ),
        refuted_by=(
            f"a mean share more than {ERRORS:g} standard errors from (n + 1)/2ⁿ, an error that does not fall by as "
            "much from the least n to the greatest, one without ReLU as large as the smallest with it, or a gain in "
            f"test loss at the narrowest bottleneck, over the same seeds, of less than {ERRORS:g} standard errors."
        ),
        columns={
            "what": "what",
            "size": "n or b",
            "error": "error",
            "shape": "scaled",
            "lost": "lost",
            "expected": "(n+1)/2ⁿ",
            "loss": "loss",
            "spread": "±",
            "accuracy": "right",
        },
        rows=rows,
        figures={
            "embeddings": embeddings,
            "largest relative error without ReLU": max(row["linear"] for row in rows if row["what"] == SPIRAL),
            "networks": networks,
        }
        | {
            f"b = {r['size']}: loss less than with {r['what']} by": f"{r['gain']:.2g} ± {r['gain error']:.1g}"
            for r in rows
            if r["what"] in (EVERYWHERE, NOWHERE)
        },
        holds=holds(rows),
        source_claim="S7",
    )


def holds(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the shares are the predicted ones, the errors fall, and the rule gains where it is narrowest."""
    spirals = [row for row in rows if row["what"] == SPIRAL]
    # A share lies in [0, 1], so its variance is p(1 − p) at the most, however the points of an embedding go together.
    predicted = all(
        abs(r["lost"] - r["expected"]) <= ERRORS * np.sqrt(r["expected"] * (1 - r["expected"]) / r["runs"])
        for r in spirals
    )
    first, last = spirals[0], spirals[-1]
    falls = first["shape"] - last["shape"] > ERRORS * np.hypot(first["spread"], last["spread"])
    kept = all(row["linear"] < row["smallest"] for row in spirals)
    narrowest = min(row["size"] for row in rows if row["what"] == RULE)
    others = [row for row in rows if row["what"] in (EVERYWHERE, NOWHERE) and row["size"] == narrowest]
    gains = all(row["gain"] > ERRORS * row["gain error"] for row in others)
    return bool(predicted and falls and kept and gains)


def draw(report: Report, path: Path) -> None:
    """The spiral behind ReLU for each n, the share of points lost, and the test loss against the bottleneck."""
    spirals = [row for row in report.rows if row["what"] == SPIRAL]
    names = [f"n{row['size']}" for row in spirals]
    wide = len(names) + 1
    figure = Figure(figsize=(12, 6.2), layout="constrained")
    half = wide // 2
    mosaic = [["input", *names], ["lost"] * half + ["loss"] * (wide - half)]
    axes: Any = figure.subplot_mosaic(mosaic, height_ratios=[1, 1.7])  # type: ignore[arg-type]
    x = spiral()
    for panel, points, title in zip(
        [axes["input"], *(axes[name] for name in names)],
        [x, *(scaled(np.array(row["curve"]), x) for row in spirals)],
        ["the input, in the plane", *(f"n = {row['size']}: {row['lost']:.0%} lost" for row in spirals)],
        strict=True,
    ):
        panel.plot(*points.T, color="0", lw=1.2)
        panel.set_aspect("equal", "datalim")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_title(title, fontsize=10)
    n = [row["size"] for row in spirals]
    left, right = axes["lost"], axes["loss"]
    left.plot(n, [row["expected"] for row in spirals], color="0.6", label="(n + 1)/2ⁿ")
    left.plot(n, [row["lost"] for row in spirals], color="0", marker="o", ls="", label="points lost, measured")
    left.plot(n, [row["shape"] for row in spirals], color="0.35", marker="s", ls="--", label="relative error, scaled")
    left.set_xscale("log", base=2)
    left.set_xticks(n, [str(k) for k in n])
    left.set_ylim(0, 1)
    left.set_xlabel("dimensions n that the plane is embedded in")
    left.set_ylabel("share or error behind ReLU")
    left.legend(frameon=False)
    for name, (shade, marker, line) in zip((EVERYWHERE, NOWHERE, RULE), GREY, strict=False):
        chosen = [row for row in report.rows if row["what"] == name]
        right.errorbar([r["size"] for r in chosen], [r["loss"] for r in chosen], [r["spread"] for r in chosen],
                       color=shade, marker=marker, ls=line, capsize=3, label=LABELS[name])  # fmt: skip
    widths = sorted({row["size"] for row in report.rows if row["what"] == RULE})
    right.set_xscale("log", base=2)
    right.set_yscale("log")
    right.set_xticks(widths, [str(k) for k in widths])
    right.set_yticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
    right.minorticks_off()
    right.set_xlabel(f"width b of the bottlenecks in 64-{WIDE}-b-{WIDE}-b-{WIDE}-10 [units]")
    right.set_ylabel("test loss on digits [nats], mean ± its error")
    right.legend(frameon=False)
    figure.suptitle("In few dimensions ReLU loses information: leave it out where the width shrinks")
    save_picture(figure, path)
