"""Does depth buy complexity where activations are not linear (S4)?

Claim: along a line a linear network has 1 linear piece at any depth; L ReLU layers of k units can have kᴸ, where one
hidden layer of as many units has kL + 1 at the most; random networks have more pieces the deeper they are, but random
ReLU networks no more than that one hidden layer.
Measured: the pieces, counted exactly (`line_pieces`): of linear networks, of a sawtooth built by hand, of random
networks, and of random networks with one hidden layer of as many units.
Refuted by: another number than 1 or kᴸ, more than kL + 1 in one hidden layer or (k + 1)ᴸ in L, random networks that do
not gain by depth, random ReLU networks that gain more than by units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref

from ..harness.report import Report, growth
from ..harness.style import panels, save_picture
from . import line_pieces

WIDTH = 8
HE, LARGE = 2**0.5, 4.0
"""Standard deviation of the weights times √fan-in: what keeps the size behind ReLU, and what saturates hardtanh."""
ERRORS = 3.0
"""Standard errors that a difference of means must exceed."""


@dataclass(frozen=True)
class Kind:
    """Networks of one kind.

    Attributes:
        network: (depth, seed) ↦ network; every hidden layer has `WIDTH` units, or one layer has them all.
        random: whether the seed matters.
        most: the deepest that is counted.
    """

    network: Callable[[int, int], ref.MLP]
    random: bool = True
    most: int = 64


def _random(name: str, gain: float) -> Callable[[int, int], ref.MLP]:
    return lambda depth, seed: line_pieces.random_network([WIDTH] * (depth + 1) + [1], name, seed, gain)


SAWTOOTH, ONE_LAYER, RELU, HARDTANH, LINEAR = (
    "ReLU, sawtooth", "ReLU, one layer", "ReLU, random", "hardtanh, large", "linear",
)  # fmt: skip
KINDS: Mapping[str, Kind] = {
    SAWTOOTH: Kind(lambda depth, seed: line_pieces.sawtooth(depth, WIDTH), random=False, most=4),
    HARDTANH: Kind(_random("hardtanh", LARGE), most=8),
    RELU: Kind(_random("relu", HE)),
    ONE_LAYER: Kind(lambda depth, seed: line_pieces.random_network([WIDTH, WIDTH * depth, 1], "relu", seed, HE)),
    LINEAR: Kind(_random("identity", 1.0)),
}

LABELS: Mapping[str, tuple[str, float, float]] = {
    SAWTOOTH: ("ReLU, weights built by hand:\neach layer folds the line 8 times", 32.5, 2600),
    HARDTANH: ("hardtanh,\nlarge random weights", 67, 540),
    RELU: ("ReLU, random weights: 8 a layer (squares)", 30, 15),
    ONE_LAYER: ("or all in one hidden layer (triangles)", 41, 10),
    LINEAR: ("linear", 19, 1.35),
}
"""The name of each curve in the picture, and its place."""


def count(mlp: ref.MLP, seed: int) -> int:
    """The linear pieces along a random line through the input space; for one input, on [0, 1]."""
    if mlp.layers[0].fan_in == 1:
        return 1 + len(line_pieces.breakpoints(mlp, np.zeros(1), np.ones(1), between=(0, 1)))
    x, direction = np.random.default_rng([seed, 1]).normal(size=(2, mlp.layers[0].fan_in))
    return 1 + len(line_pieces.breakpoints(mlp, x, direction))


def measure(quick: bool, seed: int, depths: Sequence[int] = (), networks: int = 0) -> Report:
    """The linear pieces of networks along a line against their depth."""
    depths = depths or ((1, 2, 4, 8) if quick else (1, 2, 3, 4, 6, 8, 12, 16))
    networks = networks or (10 if quick else 40)
    rows: list[dict[str, Any]] = []
    for name, kind in KINDS.items():
        for depth in (d for d in depths if d <= kind.most):
            found = [count(kind.network(depth, seed + k), seed + k) for k in range(networks if kind.random else 1)]
            rows.append({
                "kind": name,
                "depth": depth,
                "units": WIDTH * depth,
                "networks": len(found),
                "pieces": float(np.mean(found)),
                "error": float(np.std(found) / np.sqrt(max(1, len(found) - 1))),
                "least": min(found),
                "most": max(found),
                "one layer": WIDTH * depth + 1,
            })  # fmt: skip
    return Report(
        question="S4: does depth buy complexity?",
        claim=(
            f"A linear network has one linear piece along a line, at any depth. L ReLU layers of k = {WIDTH} units can "
            "have kᴸ (Montúfar et al. 2014; Telgarsky 2016), where one hidden layer of as many units has kL + 1 at the "
            "most. Random networks have more pieces the deeper they are; random ReLU networks no more than one hidden "
            "layer of as many units, though (Hanin & Rolnick 2019)."
        ),
        refuted_by=(
            "a linear network with two pieces; a sawtooth with other than kᴸ or, from two layers on, no more than one "
            "hidden layer can have; one hidden layer with more than kL + 1; L layers with more than (k + 1)ᴸ; random "
            f"networks whose mean does not rise from the least depth to the largest by {ERRORS:g} standard errors, or "
            "random ReLU networks whose mean at the largest exceeds one hidden layer's by as much. Counts are exact."
        ),
        columns={
            "kind": "network",
            "depth": "layers",
            "units": "units",
            "pieces": "pieces, mean",
            "error": "±",
            "least": "least",
            "most": "most",
            "one layer": "one layer's limit",
        },
        rows=rows,
        figures={
            f"{name}: pieces ∝ units^": round(growth(*curve(rows, name)), 2)
            for name in (SAWTOOTH, HARDTANH, RELU, ONE_LAYER)
            if len(curve(rows, name)[0]) > 1
        }
        | {
            "ReLU, random, deepest: pieces a unit": _of(rows, RELU)[-1]["pieces"] / _of(rows, RELU)[-1]["units"],
        },
        holds=holds(rows),
        source_claim="S4",
    )


def _of(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["kind"] == name]


def curve(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Units and mean pieces of one kind."""
    return [row["units"] for row in _of(rows, name)], [row["pieces"] for row in _of(rows, name)]


def rises(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the deepest networks have more pieces than the shallowest, by more than the means' errors explain."""
    first, last = rows[0], rows[-1]
    return bool(last["pieces"] - first["pieces"] > ERRORS * np.hypot(first["error"], last["error"]))


def holds(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the counts are those that the claim states."""
    flat = all(row["most"] == 1 for row in _of(rows, LINEAR))
    folded = all(row["most"] == WIDTH ** row["depth"] for row in _of(rows, SAWTOOTH))
    deeper = all(row["most"] > row["one layer"] for row in _of(rows, SAWTOOTH) if row["depth"] > 1)
    limited = all(row["most"] <= row["one layer"] for row in _of(rows, ONE_LAYER))
    bounded = all(row["most"] <= (WIDTH + 1) ** row["depth"] for name in (SAWTOOTH, RELU) for row in _of(rows, name))
    deepest = _of(rows, RELU)[-1]
    unused = deepest["pieces"] - deepest["one layer"] <= ERRORS * deepest["error"]
    rising = all(rises(_of(rows, name)) for name in (RELU, HARDTANH))
    return flat and folded and deeper and limited and bounded and rising and unused


def draw(report: Report, path: Path) -> None:
    """Pieces against units, each curve named at its end."""
    figure, (panel,) = panels(1)
    figure.set_size_inches(8.6, 5)
    styles = [("0", "o", "-"), ("0.35", "v", "-"), ("0.35", "s", "--"), ("0.7", "^", "-."), ("0.55", "D", ":")]
    for name, (shade, marker, line) in zip(KINDS, styles, strict=True):
        error = [row["error"] for row in _of(report.rows, name)]
        style = {"color": shade, "marker": marker, "ls": line, "capsize": 3}
        panel.errorbar(*curve(report.rows, name), error, **style)
        text, units, pieces = LABELS[name]
        panel.text(units, pieces, text, va="center", linespacing=1.3)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    depths = sorted({row["depth"] for row in report.rows})
    panel.set_xticks([WIDTH * d for d in depths], [str(WIDTH * d) for d in depths])
    panel.minorticks_off()
    above = panel.secondary_xaxis("top", functions=(lambda u: u / WIDTH, lambda d: d * WIDTH))
    above.set_xticks(depths, [str(d) for d in depths])
    above.minorticks_off()
    above.set_xlabel(f"depth [hidden layers], each {WIDTH} units wide")
    panel.set_xlabel("hidden units in all")
    panel.set_ylabel("linear pieces along a line [count], mean ± its error")
    figure.suptitle("Depth can multiply linear pieces, width only adds; random ReLU weights do not use it")
    save_picture(figure, path)
