"""How many digits has each activation, its first and its second derivative, and each network's gradient?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flint import ctx

import reference as ref
from reference.rounding.certified import certified_gradients
from reference.rounding.distance import FACTOR
from reference.rounding.scale import rounding_scale
from torch_compare.torch_side.gradients import torch_gradients

from ..harness.furthest import furthest
from ..harness.report import Report
from ..harness.style import GREY, guide, panels, save_picture
from ..implementations.peers import HAS_JAX, Orders, by_jax, by_torch, jax_gradients, ours
from . import independent_formulas as truths
from .independent_formulas import ULPS, error_in_ulps, exactly

ORDERS = ("value", "first derivative", "second derivative")
TYPES: tuple[type[Any], ...] = (np.float64, np.float32)
PEERS: Mapping[str, Callable[[str, Any], Orders | None]] = {"ours": ours, "torch": by_torch, "JAX": by_jax}
JAX_DEFINES = {"softplus": truths.softplus(threshold=math.inf)}
"""Where JAX computes another function than torch and we do, it is held against its own."""
NETWORKS: Mapping[str, Callable[[ref.Problem], ref.Gradients | None]] = {
    "ours": ref.gradients, "torch": torch_gradients, "JAX": jax_gradients,
}  # fmt: skip
WIDTH, BATCH = 16, 8


ALGEBRAIC = ("identity", "relu", "relu6", "leaky_relu", "rrelu", "hardsigmoid", "hardswish", "softsign", "hardtanh",
             "hardshrink", "softshrink", "threshold", "square")  # fmt: skip
FAR = 2.0**40
"""As far as exponentials are looked at: beyond, e^|z| leaves even a ball's exponents."""


# ── points ───────────────────────────────────────────────────────────────────────────────────────────


def points(name: str, dtype: type[Any], count: int, rng: np.random.Generator) -> Any:
    """Uniform, log-spaced to both ends of the type's range, beside every kink and beside every root; no kink."""
    row, info = ref.ACTIVATIONS[name], np.finfo(dtype)
    end = float(info.max) if name in ALGEBRAIC else FAR
    least, most = float(np.log10(float(info.smallest_subnormal))), math.log10(end)
    tail = -1.05 * float(info.minexp) * math.log(2)
    breaks = np.array(row.all_breaks, dtype)
    special = np.concatenate([breaks, _roots(row, dtype)])
    z = np.concatenate([
        rng.uniform(-1, 1, count), rng.uniform(-6, 6, 2 * count), rng.uniform(-40, 40, count),
        rng.uniform(-tail, tail, count),
        rng.choice([-1, 1], count) * 10 ** rng.uniform(-8, 3, count),
        rng.choice([-1, 1], count) * 10 ** rng.uniform(least, most - 0.01, count),
        [end, -end, float(info.tiny), -float(info.smallest_subnormal)],
    ]).astype(dtype)  # fmt: skip
    for side in (-np.inf, np.inf):
        near = special
        for _ in range(2):
            near = np.nextafter(near, dtype(side))
            z = np.concatenate([z, near])
    return z[~np.isin(z, breaks)]


def _roots(row: ref.Activation, dtype: type[Any]) -> Any:
    """Where a derivative changes its sign, by bisection to the last bit: there, terms cancel."""
    found: list[Any] = []
    for order in ("derivative", "second_derivative"):
        f: Callable[[Any], Any] = getattr(row, order)
        low = np.linspace(-12, 12, 2048).astype(dtype)  # an even number of points: 0 is not among them
        sign = np.sign(f(low))
        at = np.flatnonzero(sign[:-1] * sign[1:] < 0)
        low, high = low[at], low[at + 1]
        for _ in range(64):
            middle = low + (high - low) / 2
            left = np.sign(f(middle)) == np.sign(f(low))
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        found.append(low)
    return np.concatenate(found).astype(dtype)


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def activation_rows(name: str, dtype: type[Any], count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The largest error of each order for each peer and where, after a second look around the first worst points."""
    worst = {(peer, order): (-1.0, math.nan) for peer in PEERS for order in range(3)}
    z = points(name, dtype, count, rng)
    for _ in range(2):
        for peer, call in PEERS.items():
            found = call(name, z)
            if found is not None:
                definition = JAX_DEFINES.get(name) if peer == "JAX" else None
                for order in range(3):
                    terms = (definition or truths.ELEMENTWISE[name])[order]
                    if found[order] is not None:
                        worst[peer, order] = max(worst[peer, order], _largest(terms, z, found[order], dtype))
        z = _around([at for _, at in worst.values() if math.isfinite(at)], ref.ACTIVATIONS[name], dtype, count, rng)
    return [
        {"function": name, "type": dtype.__name__, "order": ORDERS[order]}
        | {peer: worst[peer, order][0] if worst[peer, order][0] >= 0 else math.nan for peer in PEERS}
        | {f"{peer} at": _place(*worst[peer, order]) for peer in PEERS}
        for order in range(3)
    ]


def _place(error: float, at: float) -> str:
    return f"{at:.9g}" if error > 0 else ""


def _largest(terms: truths.Terms, z: Any, got: Any, dtype: type[Any]) -> tuple[float, float]:
    worst = (0.0, math.nan)
    with ctx.workprec(truths.BITS):
        for point, number in zip(z.tolist(), got, strict=True):
            error = error_in_ulps(number, terms(exactly(point)), dtype)
            if error > worst[0]:
                worst = (error, point)
    return worst


def _around(centres: Sequence[float], row: ref.Activation, dtype: type[Any], count: int, rng: Any) -> Any:
    """Points in shrinking neighbourhoods of the worst ones: a hill climb for where peers lose their digits."""
    centre = np.array(sorted(set(centres)) or [0.0])
    each = max(4, count // 2)
    spread = 10 ** rng.uniform(-14, -0.5, (len(centre), each)) * rng.choice([-1, 1], (len(centre), each))
    with np.errstate(over="ignore"):
        z = np.unique((centre[:, None] * (1 + spread)).astype(dtype))
    return z[np.isfinite(z) & ~np.isin(z, np.array(row.all_breaks, dtype))]


def network_rows(depth: int, dtype: type[Any], seed: int) -> list[dict[str, Any]]:
    """The largest error over all gradients of a tanh network, in ulps and in rounding scales."""
    widths = [WIDTH] * (depth + 1)
    mlp = ref.initialize(widths, ["tanh"] * depth, seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    x, t = (rng.normal(size=(BATCH, WIDTH)).astype(dtype) for _ in range(2))
    problem = ref.Problem(mlp, x, t, "half_squared_error", "sum")
    exact = certified_gradients(problem)
    truth = exact.map(lambda leaf: leaf.nearest)
    sigma = rounding_scale(problem)
    unit = truth.map(lambda leaf: np.spacing(np.abs(leaf).astype(dtype)).astype(float))
    rows = []
    for scale, what in ((unit, "gradient [ulp]"), (sigma, "gradient [σ]")):
        row: dict[str, Any] = {"function": f"network, {depth} layers", "type": dtype.__name__, "order": what}
        for peer, call in NETWORKS.items():
            given = call(problem)
            row |= {peer: math.nan if given is None else furthest(given, truth, scale), f"{peer} at": ""}
        rows.append(row)
    return rows


def measure(
    quick: bool,
    seed: int,
    names: Sequence[str] = tuple(truths.ELEMENTWISE),
    depths: Sequence[int] = (1, 2, 4, 8, 16, 32),
) -> Report:
    """The largest error of every activation and its derivatives, ours, torch's and JAX's, and of deep networks."""
    count = 12 if quick else 400
    rng = np.random.default_rng(seed)
    rows = [row for name in names for dtype in TYPES for row in activation_rows(name, dtype, count, rng)]
    kept = max(row["ours"] for row in rows)
    networks = [row for dtype in TYPES for depth in depths for row in network_rows(depth, dtype, seed)]
    shown = [peer for peer in PEERS if peer != "JAX" or HAS_JAX]
    figures: dict[str, Any] = {f"{peer}: worst of all [ulp]": max(_numbers(rows, peer)) for peer in shown}
    if not HAS_JAX:
        figures["JAX"] = "not installed, its columns are left out (pip install 'gradient-oracle[benchmarks]')"
    return Report(
        question="How many digits do activations, their derivatives, and whole gradients have?",
        claim=(
            f"Every activation, its first and its second derivative are within {ULPS} ulps of the true value in "
            "float64 and float32, over the whole range of the type."
        ),
        refuted_by=(
            f"a point where one of ours is off by more than {ULPS} ulps of the formula's largest term (the value "
            f"itself, where nothing cancels), the truth being computed from the definition with {truths.BITS} bits. "
            f"Points: uniform, log-spaced to the ends of the range (to {FAR:.0e} for exponentials), beside kinks and "
            "roots, and around the worst of these."
        ),
        columns={"function": "function", "type": "type", "order": "order"}
        | {key: head for peer in shown for key, head in ((peer, f"{peer} [ulp]"), (f"{peer} at", "at z"))},
        rows=rows + networks,
        figures=figures,
        holds=kept <= ULPS,
    )


def _numbers(rows: Sequence[Mapping[str, Any]], peer: str) -> list[float]:
    return [row[peer] for row in rows if not math.isnan(row[peer])]


def draw(report: Report, path: Path) -> None:
    """A heat map a type, darker for more ulps, and the networks' error in rounding scales against their depth."""
    figure, axes = panels(3, share_vertical=False)
    figure.set_size_inches(16, 9)
    shown = [peer for peer in PEERS if _numbers(report.rows, peer)]
    flat = [row for row in report.rows if not row["function"].startswith("network")]
    for panel, dtype in zip(axes, TYPES, strict=False):
        picture = _heat_map(panel, [row for row in flat if row["type"] == dtype.__name__], shown)
        panel.set_title(f"{dtype.__name__}: largest error [ulp]")
    figure.colorbar(picture, ax=axes[1], label="log₁₀ of the largest error [ulp]; hatched: there is no such function")
    deep = [row for row in report.rows if row["order"] == "gradient [σ]"]
    for peer, (shade, marker, line) in zip(shown, GREY, strict=False):
        for dtype, style in zip(TYPES, (line, ":"), strict=True):
            chosen = [row for row in deep if row["type"] == dtype.__name__ and row[peer] > 0]
            depth = [int(row["function"].split()[1]) for row in chosen]
            axes[2].plot(depth, [row[peer] for row in chosen], color=shade, marker=marker, ls=style,
                           fillstyle="none", label=f"{peer}, {dtype.__name__}")  # fmt: skip
    guide(axes[2], FACTOR, f"{FACTOR:g} σ: what a verdict calls rounding")
    depths = sorted({int(row["function"].split()[1]) for row in deep})
    axes[2].set_xscale("log", base=2)
    axes[2].set_xticks(depths, map(str, depths))
    axes[2].set_ylim(bottom=0)
    axes[2].set_xlabel(f"depth [layers], tanh, all {WIDTH} wide")
    axes[2].set_ylabel("largest error of a gradient's element [σ]")
    axes[2].set_title("whole gradients: largest error [rounding scales σ]")
    if deep:
        axes[2].legend()
    figure.suptitle(message(report))
    save_picture(figure, path)


def message(report: Report) -> str:
    """What the picture shows, in a sentence."""
    flat = [row for row in report.rows if not row["function"].startswith("network")]
    kept = max(_numbers(flat, "ours"))
    others = [peer for peer in PEERS if peer != "ours" and _numbers(flat, peer)]
    losing = [f"{peer}'s in {sum(number > ULPS for number in _numbers(flat, peer))}" for peer in others]
    return (
        f"Our activations and derivatives are within {kept:.1f} ulps of the true value; "
        f"of {len(flat)} cases, errors exceed {ULPS} ulps: {', '.join(losing)}"
    )


def _heat_map(panel: Any, rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> Any:
    """The errors of one type: a row a function, a column for every peer and order; hatched where there is none."""
    names = list(dict.fromkeys(row["function"] for row in rows))
    cells = np.full((len(names), len(ORDERS) * len(shown)), np.nan)
    for row in rows:
        for k, peer in enumerate(shown):
            cells[names.index(row["function"]), len(ORDERS) * k + ORDERS.index(row["order"])] = row[peer]
    panel.patch.set(hatch="xxxx", edgecolor="0.6")
    with np.errstate(divide="ignore"):
        picture = panel.imshow(np.log10(np.clip(cells, 1, 1e18)), cmap="Greys", vmin=0, vmax=18, aspect="auto")
    for (i, j), cell in np.ndenumerate(cells):
        if not np.isnan(cell):
            text = f"{cell:.1f}" if cell < 100 else ("∞" if np.isinf(cell) else f"1e{int(np.log10(cell))}")
            panel.text(j, i, text, ha="center", va="center", fontsize=6, color="1" if cell > 1e9 else "0")
    panel.set_xticks(range(cells.shape[1]), [f"{peer} {mark}" for peer in shown for mark in ("f", "f′", "f″")])
    panel.tick_params(axis="x", rotation=90)
    panel.set_yticks(range(len(names)), names)
    return picture
