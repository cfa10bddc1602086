"""Why does regression want a linear last layer (S5)?

Claim: a sigmoid or tanh output cannot fit targets outside its range, the identity can; and a network of 100 layers, 99
non-linear and the last linear, is built, run and differentiated like any other.
Measured: the loss after training on 2 sin πx with each output, beside the least loss that its range admits; the
gradients of 100 layers beside torch's and beside certified ones.
Refuted by: a bounded output whose loss is below what its range admits, an identity output that stays above what any of
the bounded ones could reach, or gradients of 100 layers that torch or the certificate contradicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
import torch_compare as tc
from reference.rounding.certified import certified_gradients
from reference.rounding.distance import FACTOR
from reference.rounding.scale import rounding_scale
from reference.training.training import train

from ..harness.furthest import furthest
from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture

Array = Any

RANGES: Mapping[str, tuple[float, float]] = {"identity": (-inf, inf), "tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
WIDTHS, HIDDEN, LEARNING_RATE, POINTS = (1, 16, 16, 1), "tanh", 1e-2, 41
DEEP: Mapping[str, str] = {"tanh": "glorot_normal", "relu": "he_normal"}
"""The activation of 99 layers, and how their weights are drawn."""
DEPTH, DEEP_WIDTH, DEEP_BATCH = 100, 16, 4
"""Half as wide, 72 of 300 ReLU networks have a layer all of whose units are dead, and no gradient; so wide, 1."""


def data() -> tuple[Array, Array]:
    """x from −1 to 1 and 2 sin πx, (41, 1) each: two thirds of the targets lie outside the range of tanh."""
    x = np.linspace(-1, 1, POINTS)[:, None]
    return x, 2 * np.sin(np.pi * x)


def floor(target: Array, output: str) -> float:
    """The mean square of what lies between the targets and an output's range: no loss (mse) is below it."""
    return float(np.mean((np.clip(target, *RANGES[output]) - target) ** 2))


def fitted(output: str, seed: int, steps: int) -> ref.MLP:
    """A network with that output, trained by Adam on the whole data."""
    start = ref.initialize(WIDTHS, [HIDDEN, HIDDEN, output], seed=seed)
    return train(start, ref.optimizers.adam(lr=LEARNING_RATE), data=data(), loss="mse", max_steps=steps).mlp


def output_row(output: str, seed: int, networks: int, steps: int) -> dict[str, Any]:
    """The losses of several networks with one output, and the curve of the first."""
    x, target = data()
    found = [ref.forward(fitted(output, seed + k, steps), x).output for k in range(networks)]
    losses = [float(np.mean((y - target) ** 2)) for y in found]
    return {
        "network": "-".join(map(str, WIDTHS)), "output": output, "floor": floor(target, output),
        "least": min(losses), "most": max(losses), "torch": "", "certificate": "", "scales": nan,
        "curve": np.ravel(found[0]).tolist(),
    }  # fmt: skip


def deep_problem(name: str, seed: int) -> ref.Problem:
    """99 non-linear layers and a linear one, on targets of any size."""
    rng = np.random.default_rng(seed)
    rows = [name] * (DEPTH - 1) + ["identity"]
    mlp = ref.initialize([DEEP_WIDTH] * DEPTH + [1], rows, seed=seed, scheme=DEEP[name])
    x, target = rng.normal(size=(DEEP_BATCH, DEEP_WIDTH)), 3 * rng.normal(size=(DEEP_BATCH, 1))
    return ref.Problem(mlp, x, target, "half_squared_error")


def deep_row(name: str, seed: int) -> dict[str, Any]:
    """The gradients of a network of 100 layers beside torch's and the certified ones."""
    problem = deep_problem(name, seed)
    found, exact = ref.gradients(problem), certified_gradients(problem)
    return {
        "network": f"{DEPTH - 1} {name}, 1 identity", "output": "identity", "floor": nan, "least": nan, "most": nan,
        "torch": tc.check(problem, tc.SOURCES["torch"](problem)).status, "certificate": exact.status,
        "scales": furthest(found, exact.map(lambda leaf: leaf.nearest), rounding_scale(problem)),
        "moves": all(bool(np.any(layer.weight != 0)) for layer in found.layers),
    }  # fmt: skip


def measure(quick: bool, seed: int, steps: int = 0, networks: int = 0) -> Report:
    """The loss that each output can reach on targets outside its range, and the gradients of 100 layers."""
    steps = steps or (500 if quick else 2000)
    networks = networks or (3 if quick else 10)
    rows = [output_row(output, seed, networks, steps) for output in RANGES]
    rows += [deep_row(name, seed) for name in DEEP]
    least = min(row["floor"] for row in rows if row["floor"] > 0)
    return Report(
        question="S5: why is the last layer of a regression linear?",
        claim=(
            "Whatever its weights, a network with a tanh or sigmoid output has a loss on 2 sin πx above the mean "
            "square of what its range leaves out; with the identity, training goes below what either could reach. "
            "100 layers, 99 non-linear and the last linear, give gradients that agree with torch's and certified ones."
        ),
        refuted_by=(
            "a loss below the floor of its output's range, a network with the identity whose loss stays above the "
            f"lowest of these floors, torch's gradients not agreeing, a gradient off by more than {FACTOR:g} σ from a "
            "certificate, none reached, or a layer of the 100 whose weights get no gradient."
        ),
        columns={
            "network": "network",
            "output": "output",
            "floor": "floor [mse]",
            "least": "least loss",
            "most": "greatest",
            "torch": "torch",
            "certificate": "certificate",
            "scales": "error [σ]",
        },
        rows=rows,
        figures={
            "networks an output": networks,
            "training steps": steps,
            "lowest floor of a bounded output": least,
            "greatest loss with the identity": rows[0]["most"],
        },
        holds=holds(rows),
        source_claim="S5",
    )


def holds(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each loss lies on its side of the floors, and the deep gradients are right."""
    fits = {row["output"]: row for row in rows if "curve" in row}
    bounded = [fits[output] for output in ("tanh", "sigmoid")]
    above = all(row["least"] >= row["floor"] for row in bounded)
    below = fits["identity"]["most"] < min(row["floor"] for row in bounded)
    deep = [row for row in rows if "moves" in row]
    right = all(
        row["torch"] == "agrees" and row["certificate"] == "certified" and row["scales"] <= FACTOR and row["moves"]
        for row in deep
    )
    return above and below and right and len(deep) == len(DEEP)


def draw(report: Report, path: Path) -> None:
    """The target and what a network with each output makes of it."""
    figure, (panel,) = panels(1)
    figure.set_size_inches(8, 4.8)
    x, target = data()
    panel.axhspan(-1, 1, color="0.93", zorder=0)
    panel.text(1.02, -0.95, "range of tanh; of sigmoid above 0", va="bottom", ha="right", color="0.35")
    panel.plot(x, target, color="0.75", lw=7, solid_capstyle="round", label="target 2 sin πx")
    for row, (shade, marker, line) in zip((r for r in report.rows if "curve" in r), GREY, strict=False):
        style = {"color": shade, "ls": line, "marker": marker, "ms": 4, "markevery": 2}
        panel.plot(x, row["curve"], label=f"{row['output']} output: loss {row['most']:.2g}", **style)
    panel.set_xlabel("input x")
    panel.set_ylabel("output y")
    panel.legend(frameon=False, loc="upper left")
    figure.suptitle("A bounded output cannot reach targets outside its range; a linear one can")
    save_picture(figure, path)
