"""What does each activation buy, and what does it cost: the chapter's last table, row by row.

Claim: linear activations add no complexity and lose no information. Every other one bends lines, most the more the
deeper the network, and loses information that is read on a scale of equal marks; read by rank, only those lose any that
do not rise everywhere.
Measured: how far the image of a straight line turns, behind 1 layer and behind many; and how many of the bits that say
where z lies the output no longer tells. Both are exactly 0 for the identity.
Refuted by: a turn or a lost bit of the identity's; a non-linear activation without either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref

from ..harness.report import Report
from ..harness.style import panels, save_picture
from . import information_loss, line_pieces

Array = Any

WIDTH, DEPTH = 16, 8
SPREAD = 2.0
"""Root mean square of the pre-activations along the line, to a factor of √2: each activation meets its whole bend."""
POINTS, REACH = 1024, 2
"""Of the line x₀ + t·direction, −2 ≤ t < 2."""
SHARP = 2.0**-26
"""A step shorter than this part of h has lost half its digits; it is joined with the next."""
MARKS, EACH = 32, 8
"""Marks of the scale on which z and h are read, 5 bits, and points between two marks."""
DIMENSIONS, EMBEDDINGS = 3, 100
"""Of the spiral: few enough for ReLU to lose some of it."""
FAR = 8.0
"""z is spread evenly over ±8, so that relu6 and hardsigmoid meet both their kinks."""


# ── complexity: how far the image of a line turns ────────────────────────────────────────────────────


def line(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """x₀ and direction (I,) in eighths, and t (T,) in 256ths: sums and products of them do not round."""
    start, direction = rng.integers(-8, 9, (2, WIDTH)) / 8
    return start, direction, np.arange(-POINTS // 2, POINTS // 2) * (2 * REACH / POINTS)


def bending_network(name: str, depth: int, rng: np.random.Generator) -> tuple[ref.MLP, Array, Array]:
    """A network whose every layer sees the line where its activation bends; x₀ and direction.

    Weights are random signs times a power of two, biases quarters, so that identity layers compute without rounding.
    Both are chosen layer by layer, to centre the pre-activations and to give them size (Mishkin & Matas 2016,
    arXiv:1511.06422, All you need is a good init).
    """
    start, direction, t = line(rng)
    h = start + t[:, None] * direction
    layers = []
    for _ in range(depth):
        row = ref.ACTIVATIONS[name]
        signs = rng.choice([-1.0, 1.0], (WIDTH * row.shrink, h.shape[1]))
        z = h @ signs.T
        size = float(np.sqrt(np.mean((z - z.mean(axis=0)) ** 2)))
        scale = 2.0 ** np.round(np.log2(SPREAD / size)) if size > 0 else 1.0
        layers.append(ref.Layer(scale * signs, -np.round(4 * scale * z.mean(axis=0)) / 4, row))
        h = row.value(scale * z + layers[-1].bias)
    return ref.MLP(tuple(layers)), start, direction


def turning(h: Array) -> float:
    """By how much the polygon through the points h (T, K) turns in all, in half turns; 0 if and only if it is straight.

    The total curvature of a curve, which no scaling changes (Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli 2016,
    arXiv:1606.05340, use it for depth; Raghu et al. 2017, arXiv:1606.05336).

    >>> round(turning(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 3.0], [0.0, 3.0]])), 12)
    1.0
    """
    shortest = SHARP * float(np.max(np.abs(h)))
    kept = [h[0]]
    for point in h[1:]:
        if np.linalg.norm(point - kept[-1]) > shortest:
            kept.append(point)
    steps = np.diff(np.array(kept), axis=0)
    unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    # 2·asin of half the chord: exactly 0 for equal steps, and without the digits that acos loses near 1
    half_chord = np.linalg.norm(np.diff(unit, axis=0), axis=1) / 2
    return float(np.sum(2 * np.arcsin(np.minimum(half_chord, 1))) / np.pi)


def complexity(name: str, depth: int, seed: int) -> dict[str, float]:
    """One network's turning along its line, and its linear pieces there (NaN where they are not straight)."""
    mlp, start, direction = bending_network(name, depth, np.random.default_rng([seed, depth]))
    t = line(np.random.default_rng([seed, depth]))[2]
    turns = turning(ref.forward(mlp, start + t[:, None] * direction).output)
    ends = (Fraction(float(t[0])), Fraction(float(t[-1])))
    try:
        pieces = 1.0 + len(line_pieces.breakpoints(mlp, start, direction, between=ends))
    except ValueError:
        pieces = float("nan")
    return {"turns": turns, "pieces": pieces}


# ── information: what the output does not tell of z ──────────────────────────────────────────────────


def grid() -> Array:
    """The places of z, 8 between two marks."""
    return (np.arange(MARKS * EACH) + 0.5) * (2 * FAR / (MARKS * EACH)) - FAR


def ranked(y: Array) -> Array:
    """Each column's place among all its values, in 32nds: unchanged by whatever keeps their order."""
    places = [np.searchsorted(np.sort(column), column) for column in y.T]
    return np.stack(places, axis=1) * MARKS // len(y)


def on_a_scale(y: Array) -> Array:
    """The last of 32 equal marks from a column's least to its largest value that it reaches."""
    low, high = y.min(axis=0), y.max(axis=0)
    return np.minimum(np.floor(MARKS * (y - low) / np.where(high > low, high - low, 1)).astype(int), MARKS - 1)


def lost(name: str, read: Callable[[Array], Array]) -> float:
    """The part of the bits that say between which marks two z lie that a reading of the output does not tell.

    H(Z|Y)/H(Z), for z (M, 2) on a grid. Counted, not sampled: a reading that occurs with one place of z only tells all.

    >>> lost("identity", on_a_scale), lost("relu", on_a_scale) > 0.4
    (0.0, True)
    """
    z = np.stack(np.meshgrid(grid(), grid(), indexing="ij"), axis=-1).reshape(-1, 2)
    place = np.indices((MARKS * EACH,) * 2).reshape(2, -1) // EACH
    readings = read(ref.ACTIVATIONS[name].value(z))
    _, seen = np.unique(readings, axis=0, return_inverse=True)
    pairs, both = np.unique(np.stack([seen.ravel(), place[0] * MARKS + place[1]]), axis=1, return_counts=True)
    of_reading = np.bincount(seen.ravel())[pairs[0]]
    return float(np.sum(both * np.log2(of_reading / both)) / len(z) / np.log2(MARKS**2))


def rises(name: str) -> bool:
    """Whether the activation's slope is positive wherever it is looked at."""
    slope = ref.ACTIVATIONS[name].derivative
    return slope is not None and bool(np.all(slope(grid()) > 0))


def spiral_error(name: str, embeddings: int, seed: int) -> float:
    """The error of the best affine way back to S7's spiral, embedded at random and activated, ‖back − x‖/‖x‖, mean."""
    x, row = information_loss.spiral(), ref.ACTIVATIONS[name]
    errors = []
    for k in range(embeddings):
        weight = np.random.default_rng([seed + k, DIMENSIONS]).normal(size=(DIMENSIONS * row.shrink, 2))
        h = ref.forward(ref.MLP((ref.Layer(weight, None, row),)), x).output
        features = np.column_stack([h, np.ones(len(x))])
        back = features @ np.linalg.lstsq(features, x, rcond=None)[0]
        errors.append(information_loss.relative_error(back, x))
    return float(np.mean(errors))


# ── the table ────────────────────────────────────────────────────────────────────────────────────────


def compared(name: str, depths: Sequence[int], networks: int, seed: int) -> dict[str, Any]:
    """One activation's row."""
    found = {depth: [complexity(name, depth, seed + k) for k in range(networks)] for depth in depths}
    turns = {depth: [one["turns"] for one in found[depth]] for depth in depths}
    first, last = min(depths), max(depths)
    return {
        "activation": name,
        "kind": "linear" if name == "identity" else "non-linear",
        "turns_first": float(np.mean(turns[first])),
        "turns_last": float(np.mean(turns[last])),
        "least": min(map(min, turns.values())),
        "pieces": float(np.mean([one["pieces"] for one in found[last]])),
        "rises": rises(name),
        "ranked": lost(name, ranked),
        "scale": lost(name, on_a_scale),
        "spiral": spiral_error(name, EMBEDDINGS, seed),
        "turns": {str(depth): turns[depth] for depth in depths},
    }


def holds(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether linear rows neither bend nor lose, all others do both, most more in depth, and rising ones keep ranks."""
    linear = [row for row in rows if row["kind"] == "linear"]
    others = [row for row in rows if row["kind"] != "linear"]
    idle = all(row["turns_first"] == row["turns_last"] == row["ranked"] == row["scale"] == 0 for row in linear)
    cost = all(row["least"] > 0 and row["scale"] > 0 for row in others)
    deeper = sum(row["turns_last"] > row["turns_first"] for row in others)
    ranks = all(row["ranked"] == 0 for row in others if row["rises"])
    return bool(linear and idle and cost and ranks and 2 * deeper >= len(others))


def measure(
    quick: bool, seed: int, names: Sequence[str] = tuple(ref.ACTIVATIONS), depths: Sequence[int] = (), networks: int = 0
) -> Report:
    """Every activation: the complexity that it adds, and the information that it loses."""
    depths = depths or ((1, DEPTH) if quick else (1, 2, 4, DEPTH))
    networks = networks or (3 if quick else 20)
    rows = [compared(name, depths, networks, seed) for name in names]
    others = [row for row in rows if row["kind"] != "linear"]
    return Report(
        question="What does each activation buy, and what does it cost?",
        claim=(
            "Linear activations add no complexity and lose no information, exactly. Every non-linear one bends "
            "straight lines, most of them the more the deeper the network, and loses information that is read on a "
            "scale of equal marks. Read by rank, those that rise everywhere (sigmoid, tanh, leaky_relu, elu and their "
            "kin) lose none."
        ),
        refuted_by=(
            "a linear row that bends or loses at all; a non-linear one that in some network does not bend, or that "
            f"loses nothing on {MARKS} equal marks; one that rises everywhere and loses by rank; fewer than half of "
            "them bending more in the deepest networks. Turns: how far the image of a straight line turns, in half "
            f"turns, {WIDTH} units a layer. Pieces: of that image, counted exactly, where they are straight. Lost: the "
            f"part of the bits that say between which of {MARKS} marks z lies which the output does not tell, read on "
            "as many equal marks, or on marks laid by rank, close where values are close; two units a row. Beside "
            f"them: by how much the best affine map back misses the spiral of S7 behind {DIMENSIONS} units."
        ),
        columns={
            "activation": "activation",
            "kind": "kind",
            "turns_first": f"turns, {min(depths)} layer",
            "turns_last": f"turns, {max(depths)} layers",
            "pieces": f"pieces, {max(depths)} layers",
            "scale": "lost, equal marks",
            "ranked": "lost, by rank",
            "spiral": "spiral's error",
        },
        rows=rows,
        figures={
            "non-linear activations": len(others),
            "bend more in the deepest networks": sum(row["turns_last"] > row["turns_first"] for row in others),
            "bend no more there": ", ".join(r["activation"] for r in others if r["turns_last"] <= r["turns_first"])
            or "none",
            "lose information on equal marks": sum(row["scale"] > 0 for row in others),
            "lose information by rank": sum(row["ranked"] > 0 for row in others),
            "lose none by rank": ", ".join(r["activation"] for r in others if r["ranked"] == 0),
        },
        holds=holds(rows),
        source_claim="the last table",
    )


def draw(report: Report, path: Path) -> None:
    """A row of bars for each activation: what it buys on the left, what it costs on the right."""
    rows = sorted(report.rows, key=lambda row: (row["kind"] == "linear", row["turns_last"]))
    names, place = [row["activation"].replace("_", " ") for row in rows], np.arange(len(rows))
    figure, (bought, cost) = panels(2)
    figure.set_size_inches(11, 1.6 + 0.24 * len(rows))
    first, last = (report.columns[key].removeprefix("turns, ") for key in ("turns_first", "turns_last"))
    bought.barh(place, [row["turns_last"] for row in rows], color="0.75", label=f"behind {last}")
    bought.plot([row["turns_first"] for row in rows], place, "o", color="0", ms=4, label=f"behind {first}")
    bought.set_xscale("symlog", linthresh=1)
    bought.set_xticks([0, 1, 3, 10, 30, 100], ["0", "1", "3", "10", "30", "100"])
    bought.minorticks_off()
    bought.set_xlabel("image of a straight line turns by [half turns]")
    bought.set_title("complexity bought")
    bought.set_yticks(place, names)
    cost.barh(place, [100 * row["scale"] for row in rows], color="0.75", label=f"{MARKS} equal marks")
    cost.plot([100 * row["ranked"] for row in rows], place, "D", color="0", ms=4, label=f"{MARKS} marks laid by rank")
    cost.set_xlabel("of the bits that say where z lies, lost [%]")
    cost.set_title("information lost")
    for panel in (bought, cost):
        panel.grid(axis="x", color="0.9")
        panel.set_axisbelow(True)
        panel.legend(loc="lower right", framealpha=1)
        panel.set_xlim(left=-0.03 if panel is bought else -1.5)
        panel.set_ylim(-0.8, len(rows) - 0.2)
    figure.suptitle("Only the identity costs nothing, and it buys nothing")
    save_picture(figure, path)
