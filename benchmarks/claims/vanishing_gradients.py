"""Which networks' lower layers hardly learn (S9)?

Claim: a layer multiplies the gradient that passes it by ‖W‖₂·max|a′| at the most. Sigmoid's ¼ makes it vanish under
every initialisation, tanh's 1 under torch's default; ReLU's does not vanish with He's.
Measured: the gradient of every layer, for every activation, initialisation and depth, and the product above it.
Refuted by: a gradient larger than its product, one of sigmoid's that arrives, one of ReLU's that does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.bounds.gradient_norms import gradient_bounds, spectral_norm
from reference.bounds.slopes import largest_slope
from reference.network.initialization import SCHEMES

from ..harness.report import Report
from ..harness.style import GREY, guide, panels, save_picture

Row = dict[str, Any]

WIDTH, BATCH = 32, 16
VANISHED = 2.0**-24
"""float32's unit roundoff: a step that moves the top layer's weights by their own size leaves the bottom's as they
are in the format that networks are trained in."""
SMALLEST = 2.0**-960
"""Below, squares and products of float64 gradually underflow, and a norm has no digits to be judged by."""
DRAWN = ("sigmoid", "tanh", "relu", "gelu")
DIGITS = 6
"""Significant digits of each layer's norms in the JSON file; the table is computed from all of them."""


# ── one network ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Norms:
    """The gradients of one network, from the bottom up: at index l of L layers.

    Attributes:
        d_h: ‖d_h_l‖ (L + 1,): of the network's input first, of its output last.
        d_weight: ‖d_W_l‖ (L,).
        bound: what ‖d_h_l‖ cannot exceed (L + 1,).
    """

    d_h: Any
    d_weight: Any
    bound: Any


def norm(values: Any) -> float:
    """The Frobenius norm, whose squares neither over- nor underflow; NaN if an entry is not finite."""
    size = float(np.max(np.abs(values)))
    if not np.isfinite(size):
        return float("nan")
    return 0.0 if size == 0 else size * float(np.linalg.norm(values / size))


def network(name: str, scheme: str, depth: int, width: int, seed: int) -> ref.MLP:
    """`depth` layers of one activation, all `width` wide."""
    return ref.initialize([width] * (depth + 1), [name] * depth, seed=seed, scheme=scheme)


@lru_cache(maxsize=64)
def weight_norms(shrink: int, scheme: str, depth: int, width: int, seed: int) -> tuple[float, ...]:
    """‖W_l‖₂ of every layer; the same for every activation, but for a gate's, which has twice the units."""
    name = next(name for name, row in ref.ACTIVATIONS.items() if row.shrink == shrink)
    return tuple(spectral_norm(layer.weight) for layer in network(name, scheme, depth, width, seed).layers)


def norms(mlp: ref.MLP, x: Any, d_output: Any, known: Sequence[float] = ()) -> Norms:
    """Every layer's gradient of ⟨d_output, output⟩: the backward pass, which keeps what passes between layers.

    `known`: the spectral norm of every layer, if it need not be computed again.
    """
    with np.errstate(all="ignore"):
        trace = ref.forward(mlp, x)
        d_h, d_hs, d_weights = d_output, [norm(d_output)], []
        for layer, inputs, z in zip(mlp.layers[::-1], trace.inputs[::-1], trace.preactivations[::-1], strict=True):
            d_z = layer.activation.pullback(z, d_h)
            d_h = d_z @ layer.weight
            d_weights.append(norm(d_z.T @ inputs))
            d_hs.append(norm(d_h))
        bound = gradient_bounds(mlp, trace, rounding=True, norms=known) * d_hs[0]
    return Norms(np.array(d_hs[::-1]), np.array(d_weights[::-1]), bound)


def share(found: Norms) -> float:
    """The largest ‖d_h‖/bound below the output: at most 1; NaN where no layer's gradient has digits to judge."""
    judged = found.d_h[:-1] >= SMALLEST
    dead = found.d_h[:-1] == 0
    ratios = np.where(dead, 0.0, found.d_h[:-1]) / np.where(dead, 1.0, found.bound[:-1])
    return float(np.max(ratios[judged | dead])) if np.any(judged | dead) else float("nan")


def outcome(found: Norms) -> str:
    """The gradient on its way down."""
    if not np.all(np.isfinite(found.d_h)):
        return "overflows"
    return "dies" if found.d_h[0] == 0 else "arrives"


def measured(name: str, scheme: str, depth: int, width: int, seed: int) -> Row:
    """One network's row: the factor by which a layer multiplies the gradient, and every layer's norms."""
    rng = np.random.default_rng([seed, depth])
    x, d_output = rng.normal(size=(2, BATCH, width))
    known = weight_norms(ref.ACTIVATIONS[name].shrink, scheme, depth, width, seed)
    found = norms(network(name, scheme, depth, width, seed), x, d_output, known)
    with np.errstate(all="ignore"):
        row = {
            "activation": name, "scheme": scheme, "depth": depth, "outcome": outcome(found),
            "rate": float((found.d_h[0] / found.d_h[-1]) ** (1 / depth)),
            "bound_rate": float((found.bound[0] / found.d_h[-1]) ** (1 / depth)),
            "arrives": float(found.d_h[0] / found.d_h[-1]),
            "lowest": float(found.d_weight[0] / found.d_weight[-1]),
            "share": share(found),
        }  # fmt: skip
    return row | {
        key: [float(f"{value:.{DIGITS}g}") for value in values]
        for key, values in (("d_h", found.d_h), ("d_weight", found.d_weight), ("bound", found.bound))
    }


# ── the table ────────────────────────────────────────────────────────────────────────────────────────


def strain(row: Row) -> float:
    """How far from 1 the factor a layer is, on a logarithmic scale; ∞ if the gradient dies or overflows."""
    return abs(float(np.log(row["rate"]))) if row["outcome"] == "arrives" else float("inf")


def factor(row: Row) -> str:
    """The factor a layer, or what else became of the gradient."""
    return f"{row['rate']:.3g}" if row["outcome"] == "arrives" else f"({row['outcome']})"


def digest(rows: Sequence[Row]) -> list[Row]:
    """For every activation at the greatest depth: the scheme that keeps its gradient best, and the one that does worst.

    All weights 0 let no gradient below the last layer: true, and no scheme to compare; it is left out here.
    """
    shown: list[Row] = []
    for name in dict.fromkeys(row["activation"] for row in rows):
        best, worst = min(at(rows, name), key=strain), max(at(rows, name), key=strain)
        line: Row = {"activation": name, "slope": largest_slope(name, width=WIDTH)}
        for word, row in (("worst", worst), ("best", best)):
            line |= {word: f"{row['scheme']} {factor(row)}", f"{word}_arrives": row["arrives"]}
        shares = [row["share"] for row in rows if row["activation"] == name and not np.isnan(row["share"])]
        shown.append(line | {"share": max(shares, default=float("nan"))})
    return shown


def at(rows: Sequence[Mapping[str, Any]], name: str, *schemes: str) -> list[Row]:
    """The rows of one activation at the greatest depth, of some schemes or of all but `zeros`."""
    depth = max(row["depth"] for row in rows)
    allowed = schemes or tuple(set(SCHEMES) - {"zeros"})
    return [dict(r) for r in rows if r["activation"] == name and r["depth"] == depth and r["scheme"] in allowed]


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers that decide."""
    depth = max(row["depth"] for row in rows)
    judged = [row["share"] for row in rows if not np.isnan(row["share"])]
    deepest = {name: at(rows, name) for name in ("sigmoid", "tanh")}
    he = at(rows, "relu", "he_normal", "he_uniform")
    return {
        "largest ‖d_h‖ [bound]": max(judged),
        "networks": len(rows),
        "networks whose gradient dies out (exactly 0)": sum(row["outcome"] == "dies" for row in rows),
        "networks that overflow float64": sum(row["outcome"] == "overflows" for row in rows),
        f"sigmoid, {depth} layers, any scheme: largest factor a layer": max(row["rate"] for row in deepest["sigmoid"]),
        f"sigmoid, {depth} layers, any scheme: most that arrives": max(row["arrives"] for row in deepest["sigmoid"]),
        f"tanh, {depth} layers, torch's default: arrives": at(rows, "tanh", "torch_uniform")[0]["arrives"],
        f"tanh, {depth} layers, best scheme: arrives": min(deepest["tanh"], key=strain)["arrives"],
        f"tanh, {depth} layers, torch's default: ‖d_W‖ lowest/top": at(rows, "tanh", "torch_uniform")[0]["lowest"],
        f"relu, {depth} layers, He: least that arrives": min(row["arrives"] for row in he),
    }


def holds(rows: Sequence[Row]) -> bool:
    """Whether no gradient exceeds its bound, and those vanish, and only those, that the claim names."""
    within = all(row["share"] <= 1 for row in rows if not np.isnan(row["share"]))
    sigmoid = all(row["arrives"] < VANISHED for row in at(rows, "sigmoid"))
    tanh = all(row["arrives"] < VANISHED for row in at(rows, "tanh", "torch_uniform"))
    kept = all(row["arrives"] > VANISHED for row in at(rows, "relu", "he_normal", "he_uniform"))
    return within and sigmoid and tanh and kept


def measure(
    quick: bool,
    seed: int,
    names: Sequence[str] = tuple(ref.ACTIVATIONS),
    depths: Sequence[int] = (),
    width: int = WIDTH,
) -> Report:
    """The gradient norm of every layer, for every activation, initialisation and depth, against its bound."""
    depths = depths or ((5, 20, 100) if quick else (1, 2, 5, 10, 20, 50, 100))
    rows = [measured(name, scheme, depth, width, seed) for name in names for scheme in SCHEMES for depth in depths]
    return Report(
        question="S9: which networks' lower layers hardly learn?",
        claim=(
            "On its way down a gradient is multiplied, layer by layer, by at most ‖W‖₂·max|a′|: no layer of any "
            "network exceeds the product. Sigmoid's ¼ makes it vanish under every initialisation; tanh's 1 where the "
            "weights do not make up for its mean slope, as with torch.nn.Linear's default; ReLU's does not vanish "
            "with He's."
        ),
        refuted_by=(
            "a ‖d_h_l‖ above ‖d_out‖·Π_{k>l} ‖W_k‖₂·max|a′_k| (rounded upwards, with the roundings of the backward "
            "pass); or, at the greatest depth, more than 2⁻²⁴ of ‖d_out‖ arriving at the network's input for sigmoid "
            f"or for tanh with torch's default, or less for ReLU with He's. All layers {width} wide, x and d_out "
            "normal. max|a′| is certified; glu's and square's is that of the z visited. All weights 0 let no gradient "
            "below the last layer: such networks meet their bound, 0, and are no scheme to compare."
        ),
        columns={
            "activation": "activation", "slope": "max|a′|",
            "worst": "worst scheme, × a layer", "worst_arrives": "arrives",
            "best": "best scheme, × a layer", "best_arrives": "arrives",
            "share": "d_h [bound]",
        },
        rows=rows,
        digest=digest(rows),
        figures=figures(rows),
        holds=holds(rows),
    )  # fmt: skip


# ── the picture ──────────────────────────────────────────────────────────────────────────────────────


def draw(report: Report, path: Path) -> None:
    """The gradient's norm from layer to layer, with its bound, under the best and the worst scheme."""
    names = [name for name in DRAWN if any(row["activation"] == name for row in report.rows)]
    figure, axes = panels(len(names), rows=2)
    for panel, name in zip(axes, names, strict=False):
        for word, choose, (shade, marker, _) in (("best", min, GREY[0]), ("worst", max, GREY[2])):
            row = choose(at(report.rows, name), key=strain)
            layers, out = np.arange(row["depth"] + 1), row["d_h"][-1]
            label = f"{word} scheme: {row['scheme'].replace('_', ' ')}"
            panel.semilogy(layers, np.array(row["bound"]) / out, color=shade, ls="--", label="its bound")
            panel.semilogy(layers, np.array(row["d_h"]) / out, color=shade, marker=marker,
                           markevery=max(1, row["depth"] // 10), label=label)  # fmt: skip
        guide(panel, VANISHED, "2⁻²⁴: below, no step of float32 moves a weight")
        panel.set_title(f"{name}: max|a′| = {largest_slope(name):.4g}")
        panel.set_xlim(0, max(row["depth"] for row in report.rows))
        handles, labels = panel.get_legend_handles_labels()
        panel.legend(handles[::-1], labels[::-1], fontsize=8, loc="lower right")
    decades = np.log10(axes[0].get_ylim())
    step = 20 if np.ptp(decades) > 60 else 5
    axes[0].set_yticks(10.0 ** np.arange(step * np.ceil(decades[0] / step), decades[1], step))
    axes[0].minorticks_off()
    figure.supylabel("gradient of layer l's output: ‖d_h_l‖ / ‖d_out‖")
    figure.supxlabel("layer l (0 is the network's input; the gradient runs from right to left)")
    figure.suptitle("Sigmoid's gradient vanishes under every initialisation; tanh's and ReLU's need not")
    save_picture(figure, path)
