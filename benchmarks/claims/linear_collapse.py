"""With linear activations only, is any depth one fully connected layer (S3)?

Claim: outputs and input gradients of a network of linear layers are those of `ref.collapse`'s one layer; with one
non-linear layer there is no such layer, and `collapse` refuses.
Measured: random networks of 1 to 100 layers, in rational arithmetic (the difference is 0 or not) and in float64 (the
difference in rounding scales); with one layer made ReLU, the bend f(x) + f(−x) − 2f(0), which is 0 for every affine f.
Refuted by: a difference in rational arithmetic, one in float64 that rounding does not explain, a network with a ReLU
layer that collapses, or a refused one that does not bend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Decisions, precision
from reference.arithmetic.noise_source import NoiseSource
from reference.rounding.distance import FACTOR, in_scales
from reference.rounding.scale import RUNS, Noisy, get_format

from ..harness.report import Report
from ..harness.style import GREY, guide, panels, save_picture

Array = Any
Exactly = Callable[[Any], Any]

NARROWEST, WIDEST, EXAMPLES = 4, 16, 4
FAR = 2.0**64
"""x is taken so large for the bend that biases keep no ReLU unit on one side, though a hundred narrow layers shrink
what passes by a factor of a thousand and more."""
RATIONAL = Decisions(rational=True)
BITS = 64
"""Of the balls that rational numbers are carried along with; no comparison here is left to them."""


def linear_network(depth: int, seed: int) -> ref.MLP:
    """Random widths, weights that keep the size of what passes (LeCun), a bias on seven layers in ten."""
    rng = np.random.default_rng([seed, depth])
    widths = rng.integers(NARROWEST, WIDEST + 1, depth + 1)
    return ref.MLP(
        tuple(
            ref.Layer(
                rng.normal(size=(o, i)) / np.sqrt(i), rng.normal(size=o) / 4 if rng.random() < 0.7 else None, "identity"
            )
            for i, o in pairwise(widths)
        )
    )


def with_relu(mlp: ref.MLP, index: int) -> ref.MLP:
    """The network with one layer made non-linear."""
    layers = list(mlp.layers)
    layers[index] = ref.Layer(layers[index].weight, layers[index].bias, "relu")
    return ref.MLP(tuple(layers))


def in_arithmetic(mlp: ref.MLP, exactly: Exactly) -> ref.MLP:
    """The network with its numbers, exactly, in another arithmetic."""
    return ref.MLP(
        tuple(
            ref.Layer(exactly(layer.weight), None if layer.bias is None else exactly(layer.bias), layer.activation)
            for layer in mlp.layers
        )
    )


def differences(mlp: ref.MLP, x: Array, v: Array) -> tuple[Array, Array]:
    """The errors of the collapsed layer's output (N, K) and input gradient (N, I), for the cotangent v."""
    one = ref.MLP((ref.collapse(mlp),))
    deep, single = ref.forward(mlp, x), ref.forward(one, x)
    return single.output - deep.output, ref.backward(one, single, v)["input"] - ref.backward(mlp, deep, v)["input"]


def bend(mlp: ref.MLP, x: Array) -> Array:
    """f(x) + f(−x) − 2f(0), (N, K): 0 wherever f is affine."""
    return ref.forward(mlp, x).output + ref.forward(mlp, 0 - x).output - ref.forward(mlp, x * 0).output * 2


def refuses(mlp: ref.MLP, index: int) -> bool:
    """Whether `collapse` refuses the network and names that layer."""
    try:
        ref.collapse(mlp)
    except ValueError as error:
        return str(error).startswith(f"layers[{index}]:")
    return False


def largest(found: Array, noisy: Noisy) -> float:
    """The largest of numbers that are 0 in exact arithmetic, in units of their rounding scale."""
    return float(np.max(in_scales(found, np.zeros(()), noisy.spread(), get_format(np.float64))))


def is_zero(balls: Ball) -> bool:
    """Whether every rational number is 0."""
    return all(number == 0 for number in balls.flat)


def one_network(depth: int, seed: int) -> dict[str, Any]:
    """A random network and its collapsed layer; then the same network with one ReLU layer."""
    rng = np.random.default_rng([seed, depth, 1])
    mlp, index = linear_network(depth, seed), int(rng.integers(depth))
    x = rng.normal(size=(EXAMPLES, mlp.layers[0].fan_in))
    v = rng.normal(size=(EXAMPLES, mlp.layers[-1].width))
    noise = NoiseSource(get_format(np.float64), RUNS, rng)
    with precision(BITS):
        exact = [is_zero(d) for d in _in(mlp, lambda a: Ball.exact(a, RATIONAL), differences, x, v)]
    found, noisy = differences(mlp, x, v), _in(mlp, lambda a: Noisy.exact(a, noise), differences, x, v)
    bent = with_relu(mlp, index)
    return {
        "exact": all(exact),
        "output": largest(found[0], noisy[0]),
        "gradient": largest(found[1], noisy[1]),
        "refused": refuses(bent, index),
        "bend": largest(bend(bent, FAR * x), _in(bent, lambda a: Noisy.exact(a, noise), bend, FAR * x)),
    }


def _in(mlp: ref.MLP, exactly: Exactly, what: Callable[..., Any], *arrays: Array) -> Any:
    """The network and the arrays, computed with in another arithmetic."""
    return what(in_arithmetic(mlp, exactly), *map(exactly, arrays))


def measure(quick: bool, seed: int, depths: Sequence[int] = (), networks: int = 0) -> Report:
    """Random linear networks against the one layer that they collapse to, and with one ReLU layer."""
    depths = depths or ((1, 2, 10, 30, 100) if quick else (1, 2, 3, 5, 8, 12, 20, 30, 45, 65, 80, 100))
    networks = networks or (3 if quick else 20)
    rows: list[dict[str, Any]] = []
    for depth in depths:
        found = [one_network(depth, seed + k) for k in range(networks)]
        rows.append({
            "depth": depth,
            "networks": networks,
            "exact": sum(one["exact"] for one in found),
            "output": max(one["output"] for one in found),
            "gradient": max(one["gradient"] for one in found),
            "refused": sum(one["refused"] for one in found),
            "bend": min(one["bend"] for one in found),
        })  # fmt: skip
    return Report(
        question="S3: are any number of linear layers one layer?",
        claim=(
            "A network of linear activations is one fully connected layer, whatever its depth: outputs and input "
            "gradients are equal in exact arithmetic and differ by rounding in float64. With one ReLU layer it is none."
        ),
        refuted_by=(
            f"a difference in rational arithmetic, one of more than {FACTOR:g} σ in float64, a network with a ReLU "
            "layer that collapses or that is refused without its layer's name, or one whose f(x) + f(−x) − 2f(0) is "
            "0 to within rounding."
        ),
        columns={
            "depth": "layers",
            "networks": "networks",
            "exact": "equal exactly",
            "output": "output [σ]",
            "gradient": "gradient [σ]",
            "refused": "refused",
            "bend": "bend [σ]",
        },
        rows=rows,
        figures={
            "largest error of a collapsed network [σ]": max(max(r["output"], r["gradient"]) for r in rows),
            "smallest bend with one ReLU layer [σ]": min(r["bend"] for r in rows),
        },
        holds=all(
            r["exact"] == r["refused"] == networks and max(r["output"], r["gradient"]) <= FACTOR < r["bend"]
            for r in rows
        ),
        source_claim="S3",
    )


def draw(report: Report, path: Path) -> None:
    """Errors of collapsed networks, and the bend of those with one ReLU layer, against depth."""
    figure, (panel,) = panels(1)
    figure.set_size_inches(8, 4.6)
    depth = [row["depth"] for row in report.rows]
    labels = {
        "bend": "one ReLU layer: bend f(x) + f(−x) − 2f(0), smallest",
        "output": "linear: output of network − collapsed layer, largest",
        "gradient": "linear: input gradient of the same, largest",
    }
    for (key, label), (shade, marker, line) in zip(labels.items(), GREY, strict=False):
        # one layer is itself: its difference is 0 and has no place on a logarithmic axis
        values = [row[key] if row[key] > 0 else np.nan for row in report.rows]
        panel.semilogy(depth, values, color=shade, marker=marker, ls=line, label=label)
    guide(panel, FACTOR, f"{FACTOR:g} σ: what rounding explains")
    panel.set_ylim(0.1, 1e18)
    panel.set_xlabel("depth [layers]")
    panel.set_ylabel("distance from one linear layer [rounding scales σ]")
    panel.legend(loc="center right", frameon=False)
    figure.suptitle("Linear layers are one layer, to the last rounding; one ReLU layer makes it impossible")
    save_picture(figure, path)
