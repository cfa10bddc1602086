"""Why is x², which is not linear, no good activation (S6)?

Claim: gradients of `square` networks explode or vanish doubly exponentially with depth, those of ReLU and tanh networks
do not; and one hidden layer of `square` units, however wide, stays at the distance of |x| from the quadratics.
Measured: the gradient's norm against depth at three sizes of input; the error of networks with one hidden layer, their
last layer fitted by least squares, in rational arithmetic, beside the exact distance.
Refuted by: a factor for doubling the input other than 2^(2ᴸ) for `square` or 2 for ReLU, a greater one for tanh; a
`square` network nearer to |x| than the quadratics are, or a ReLU network that does not come nearer than they.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref

from ..harness.report import Report, growth
from ..harness.style import GREY, guide, panels, save_picture

Array = Any

WIDTH, BATCH = 16, 8
DOUBLINGS = 2
SIZES = (1.0, 2.0**-DOUBLINGS, 4.0**-DOUBLINGS)
"""Of the inputs: powers of two, so that scaling by them rounds nothing."""
NAMES = ("square", "relu", "tanh")
NODES, PARTS = 8, 256
"""Gauss–Legendre nodes a part, and parts of [−1, 1], of the least-squares fit; 0, where |x| has its kink, is an end."""
FLAT = 2.0
"""Factors of 2 that doubling the input may change the gradient of a tanh network by: what one square layer makes."""

DISTANCE_SQUARED = Fraction(1, 96)
"""∫₋₁¹ (|x| − q(x))² dx for the nearest quadratic: |x| less its parts along the Legendre polynomials P₀ and P₂ leaves
2/3 − 1/2 − (5/8)²·2/5 = 1/96, at q = 3/16 + 15/16·x²."""


# ── gradients against depth ──────────────────────────────────────────────────────────────────────────


def first_gradient(name: str, depth: int, size: float, seed: int) -> Array:
    """∂⟨v, output⟩/∂W of the first layer, at inputs of that size and a random v, without biases.

    Raises:
        FloatingPointError: a number on the way leaves the type's range.
    """
    rng = np.random.default_rng([seed, depth])
    mlp = ref.initialize([WIDTH] * (depth + 1), [name] * depth, seed=seed, bias=False, scheme="he_normal")
    x, v = rng.normal(size=(2, BATCH, WIDTH))
    with np.errstate(over="raise", under="raise", invalid="raise"):
        return ref.backward(mlp, ref.forward(mlp, size * x), v).layers[0].weight


def norm(weight: Array) -> float:
    """The Frobenius norm, its squares kept within the type's range."""
    largest = np.max(np.abs(weight))
    return float(largest * np.linalg.norm(weight / largest)) if largest > 0 else 0.0


def gradient_rows(depths: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """A row per activation and depth: the norm at each size, and what doubling the input multiplies it by.

    Without biases a network of L square layers is homogeneous of degree 2ᴸ in x, one of ReLU layers of degree 1, and
    so are their gradients; as multiplying by 2 rounds nothing, the law holds to the last bit. The depths end where a
    number leaves the type's range.
    """
    rows = []
    for name in NAMES:
        for depth in depths:
            try:
                found = [first_gradient(name, depth, size, seed) for size in SIZES]
            except FloatingPointError:
                break
            norms = [norm(weight) for weight in found]
            factors = [float(np.log2(large / small)) / DOUBLINGS for large, small in pairwise(norms)]
            law = {"square": 2**depth, "relu": 1}.get(name)
            exact = law is not None and all(
                np.array_equal(large, np.ldexp(small, DOUBLINGS * law)) for large, small in pairwise(found)
            )
            rows.append({
                "part": "gradient", "what": name, "size": depth, "value": norms[0],
                "factor": max(factors, key=abs), "law": float("nan") if law is None else law,
                "exact": exact, "norms": norms, "nearer": "",
            })  # fmt: skip
    return rows


# ── |x| ──────────────────────────────────────────────────────────────────────────────────────────────


def fitted(name: str, width: int, seed: int) -> ref.MLP:
    """One hidden layer with random weights ±1 and biases, its kinks spread over [−1, 1]; the last layer fitted to |x|.

    Least squares in the mean over [−1, 1], by Gauss–Legendre quadrature.
    """
    rng = np.random.default_rng([seed, width])
    weight, bias = rng.choice([-1.0, 1.0], (width, 1)), rng.uniform(-1, 1, width)
    hidden = ref.MLP((ref.Layer(weight, bias, name),))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(-1, 1, PARTS + 1)
    x = ((edges[1:] + edges[:-1])[:, None] / 2 + nodes / PARTS).ravel()
    importance = np.sqrt(np.tile(weights, PARTS))
    h = ref.forward(hidden, x[:, None]).output
    design = np.column_stack([h, np.ones_like(x)]) * importance[:, None]
    coefficients = np.linalg.lstsq(design, np.abs(x) * importance, rcond=None)[0]
    return ref.MLP((*hidden.layers, ref.Layer(coefficients[None, :-1], coefficients[-1:], "identity")))


def distance_squared(mlp: ref.MLP) -> Fraction:
    """∫₋₁¹ (|x| − f(x))² dx, exactly, of a network like `fitted`'s."""
    hidden, last = mlp.layers
    w, b, c, (constant,) = (
        [Fraction(v) for v in np.ravel(np.asarray(a)).tolist()]
        for a in (hidden.weight, hidden.bias, last.weight, last.bias)
    )
    edges = {Fraction(-1), Fraction(0), Fraction(1)}
    if hidden.activation.name == "relu":
        edges |= {-b_j / w_j for w_j, b_j in zip(w, b, strict=True) if abs(b_j) < abs(w_j)}
    total = Fraction(0)
    for low, high in pairwise(sorted(edges)):
        middle = (low + high) / 2
        polynomial = [constant, Fraction(-1 if middle > 0 else 1), Fraction(0)]
        for w_j, b_j, c_j in zip(w, b, c, strict=True):
            if hidden.activation.name == "square":
                terms = (b_j * b_j, 2 * w_j * b_j, w_j * w_j)
            else:
                terms = (b_j, w_j, Fraction(0)) if w_j * middle + b_j > 0 else (Fraction(0),) * 3
            polynomial = [p + c_j * t for p, t in zip(polynomial, terms, strict=True)]
        total += _integral_of_square(polynomial, low, high)
    return total


def _integral_of_square(p: Sequence[Fraction], low: Fraction, high: Fraction) -> Fraction:
    """∫ (p₀ + p₁x + p₂x²)² dx."""
    square = [sum((p[i] * p[k - i] for i in range(3) if 0 <= k - i < 3), Fraction(0)) for k in range(5)]
    return sum((s * (high ** (k + 1) - low ** (k + 1)) / (k + 1) for k, s in enumerate(square)), Fraction(0))


def root_mean_square(squared: Fraction) -> float:
    """The root of the mean over [−1, 1], from the integral."""
    return float(np.sqrt(float(squared / 2)))


def error_rows(widths: Sequence[int], networks: int, seed: int) -> list[dict[str, Any]]:
    """A row per activation and width: the errors of several networks."""
    rows = []
    for name in ("square", "relu"):
        for width in widths:
            found = [distance_squared(fitted(name, width, seed + k)) for k in range(networks)]
            rows.append({
                "part": "|x|", "what": name, "size": width,
                "value": root_mean_square(sorted(found)[networks // 2]), "factor": float("nan"), "law": float("nan"),
                "least": root_mean_square(min(found)), "most": root_mean_square(max(found)),
                "nearer": f"{sum(squared < DISTANCE_SQUARED for squared in found)} of {networks}",
                "all nearer": max(found) < DISTANCE_SQUARED, "any nearer": min(found) < DISTANCE_SQUARED,
            })  # fmt: skip
    return rows


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def measure(
    quick: bool, seed: int, depths: Sequence[int] = (), widths: Sequence[int] = (), networks: int = 0
) -> Report:
    """Gradients of `square` networks against depth, and their error on |x| against width, beside ReLU's and tanh's."""
    depths = depths or range(1, 13 if quick else 17)
    widths = widths or ((1, 2, 4, 8, 16, 32) if quick else (1, 2, 4, 8, 16, 32, 64, 128, 256))
    networks = networks or (5 if quick else 11)
    rows = [*gradient_rows(depths, seed), *error_rows(widths, networks, seed)]
    deepest = {name: of(rows, "gradient", name)[-1] for name in NAMES}
    relu = of(rows, "|x|", "relu")
    return Report(
        question="S6: x² is not linear; why is it no good activation?",
        claim=(
            "Doubling the input multiplies the gradient of L square layers by 2^(2ᴸ), of ReLU layers by 2, of tanh "
            f"layers by less than 2^{FLAT:g} at any depth. One hidden layer of square units is a quadratic whatever "
            "its width, so its error on |x| never falls below that of the nearest quadratic, whose root mean square is "
            "1/(8√3); that of ReLU units does and falls with the width (Leshno et al. 1993)."
        ),
        refuted_by=(
            "an element of a gradient that these powers of 2 do not give to the last bit; a tanh network beyond its "
            "limit; a square network nearer to |x| than the nearest quadratic, in rational arithmetic; a ReLU network "
            "of the greatest width that is not nearer, or a ReLU error that does not fall from the least width to the "
            "greatest."
        ),
        columns={
            "part": "what",
            "what": "activation",
            "size": "depth or width",
            "value": "norm or error",
            "factor": "log₂ of its factor",
            "law": "law",
            "nearer": "nearer than quadratics",
        },
        rows=rows,
        figures={f"{name}, {row['size']} layers: log₂ of the factor": row["factor"] for name, row in deepest.items()}
        | {
            "nearest quadratic: error on |x|": root_mean_square(DISTANCE_SQUARED),
            "square: least error on |x|": min(r["least"] for r in of(rows, "|x|", "square")),
            "ReLU: error on |x| ∝ width^": growth([r["size"] for r in relu], [r["value"] for r in relu]),
        },
        holds=holds(rows),
        source_claim="S6",
    )


def of(rows: Sequence[Mapping[str, Any]], part: str, name: str) -> list[Mapping[str, Any]]:
    """The rows of one activation in one part."""
    return [row for row in rows if row["part"] == part and row["what"] == name]


def holds(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the laws hold to the last bit, and the errors lie on their sides of the quadratics."""
    gradients = {name: of(rows, "gradient", name) for name in NAMES}
    errors = {name: of(rows, "|x|", name) for name in ("square", "relu")}
    laws = all(row["exact"] for name in ("square", "relu") for row in gradients[name])
    flat = all(abs(row["factor"]) < FLAT for row in gradients["tanh"])
    stuck = not any(row["any nearer"] for row in errors["square"])
    falling = errors["relu"][-1]["all nearer"] and errors["relu"][-1]["most"] < errors["relu"][0]["least"]
    return all(gradients.values()) and laws and flat and stuck and falling


def draw(report: Report, path: Path) -> None:
    """The gradient against depth, and the error on |x| against width."""
    figure, axes = panels(2, share_vertical=False)
    for name, (shade, marker, line) in zip(NAMES, GREY, strict=False):
        chosen = of(report.rows, "gradient", name)
        for k, size in enumerate(SIZES):
            if name == "square" or size == SIZES[0]:
                digits = [np.log10(r["norms"][k]) for r in chosen]
                axes[0].plot([r["size"] for r in chosen], digits, color=shade, marker=marker, ls=line, ms=4,
                             label=name if size == SIZES[0] else None)  # fmt: skip
            if name == "square":
                text = f"  inputs / {1 / size:g}" if size < 1 else "  inputs of size 1"
                axes[0].text(chosen[-1]["size"], digits[-1] + 7, text, va="bottom")
    axes[0].set_xlabel(f"depth [layers], all {WIDTH} wide")
    axes[0].set_ylabel("norm of the first layer's gradient [log₁₀]")
    for name, (shade, marker, line) in zip(("square", "relu"), GREY, strict=False):
        chosen = of(report.rows, "|x|", name)
        widths, error = [r["size"] for r in chosen], [r["value"] for r in chosen]
        around = [[r["value"] - r["least"] for r in chosen], [r["most"] - r["value"] for r in chosen]]
        axes[1].errorbar(widths, error, around, color=shade, marker=marker, ls=line, capsize=3, label=name)
    guide(axes[1], root_mean_square(DISTANCE_SQUARED), "nearest quadratic, 1/(8√3)")
    axes[1].set_xscale("log", base=2)
    axes[1].set_yscale("log")
    axes[1].set_xticks(widths, [str(width) for width in widths])
    axes[1].set_xlabel("width of the hidden layer [units]")
    axes[1].set_ylabel("error on |x|, root mean square over [−1, 1]")
    axes[0].margins(y=0.1)
    axes[0].legend(frameon=False, loc="upper left")
    axes[1].legend(frameon=False, loc="lower left")
    figure.suptitle("x² is not linear, yet depth makes its gradients explode or vanish, and width does not help")
    save_picture(figure, path)
