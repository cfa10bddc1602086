"""Why is backpropagation cheap? The cost of all gradients with reuse, without, and by differences (S8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np

import reference as ref
from reference.arithmetic.array import NumPyArray

from ..harness.multiply_adds import multiply_adds
from ..harness.report import Report, growth
from ..harness.style import GREY, panels, save_picture
from ..harness.timing import interleaved_medians

Pairs = list[tuple[Any, Any]]
"""(d_W, d_b) of every layer."""

STEP = 2.0**-17
"""The power of two nearest to ∛u, which balances truncation against rounding (Press et al. 2007,
*Numerical Recipes*, §5.7); no w ± h of moderate size and few digits rounds."""

BATCH, WIDTH, DEPTH = 16, 8, 3


# ── four ways to the same gradients ──────────────────────────────────────────────────────────────────


def with_reuse(problem: ref.Problem) -> Pairs:
    """One backward pass: each d_z serves its own layer and everything below it."""
    return [(layer.weight, layer.bias) for layer in ref.gradients(problem).layers]


def each_layer_alone(problem: ref.Problem) -> Pairs:
    """For every layer the whole chain of products from the loss down to it; only the forward pass is shared.

    The gradient of x, which with reuse comes along, is left out here and below.
    """
    trace = ref.forward(problem.mlp, problem.x)
    found = []
    for index, (x, layer) in enumerate(zip(trace.inputs, problem.mlp.layers, strict=True)):
        d_h = ref.loss_gradient(problem, trace.output)
        for above, z in zip(problem.mlp.layers[:index:-1], trace.preactivations[:index:-1], strict=True):
            d_h = above.activation.pullback(z, d_h) @ above.weight
        d_z = layer.activation.pullback(trace.preactivations[index], d_h)
        found.append((d_z.T @ x, d_z.sum(axis=0)))
    return found


def each_parameter_alone(problem: ref.Problem) -> Pairs:
    """For every parameter the chain rule from it up to the loss; only the forward pass is shared."""
    trace = ref.forward(problem.mlp, problem.x)
    d_output = ref.loss_gradient(problem, trace.output)

    def slope(index: int, unit: int, dz_unit: Any) -> Any:
        """∂L of a parameter that moves one unit of one layer by dz_unit (N,)."""
        dz = np.zeros_like(trace.preactivations[index])
        dz[:, unit] = dz_unit
        dh = problem.mlp.layers[index].activation.pushforward(trace.preactivations[index], dz)
        for above, z in zip(problem.mlp.layers[index + 1 :], trace.preactivations[index + 1 :], strict=True):
            dh = above.activation.pushforward(z, dh @ above.weight.T)
        return np.sum(d_output * dh)

    found = []
    for index, x in enumerate(trace.inputs):
        (fan_out, fan_in), one = problem.mlp.layers[index].weight.shape, np.ones(x.shape[0])
        d_weight = [[slope(index, o, x[:, i]) for i in range(fan_in)] for o in range(fan_out)]
        found.append((np.array(d_weight), np.array([slope(index, o, one) for o in range(fan_out)])))
    return found


def by_differences(problem: ref.Problem) -> Pairs:
    """(L(p + h) − L(p − h))/2h for every parameter p: two forward passes each."""
    moved = problem.map(lambda values: cast(NumPyArray, values).copy())

    def slopes(values: Any) -> Any:
        found = np.empty(values.shape)
        for place in np.ndindex(values.shape):
            kept = values[place]
            values[place] = kept + STEP
            above = ref.loss_value(moved)
            values[place] = kept - STEP
            found[place] = (above - ref.loss_value(moved)) / (2 * STEP)
            values[place] = kept
        return found

    return [(slopes(layer.weight), slopes(layer.bias)) for layer in moved.mlp.layers]


METHODS: dict[str, Callable[[ref.Problem], Pairs]] = {
    "with reuse": with_reuse,
    "each layer alone": each_layer_alone,
    "each parameter alone": each_parameter_alone,
    "central differences": by_differences,
}


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────


def forward_pass(problem: ref.Problem) -> Any:
    """The unit of cost: the loss alone."""
    return ref.loss_value(problem)


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def square_problem(depth: int, width: int, seed: int) -> ref.Problem:
    """A tanh network all of whose layers are `width` wide, so that every product costs the same."""
    rng = np.random.default_rng([seed, depth, width])
    mlp = ref.initialize([width] * (depth + 1), ["tanh"] * depth, seed=seed)
    x, target = rng.normal(size=(2, BATCH, width))
    return ref.Problem(mlp, x, target, loss=ref.LOSSES["half_squared_error"])


def sweep(against: str, sizes: Sequence[tuple[int, int]], seed: int, repetitions: int) -> Iterator[dict[str, Any]]:
    """A row per (depth, width) and method: multiply-adds and times in units of one forward pass."""
    for depth, width in sizes:
        problem = square_problem(depth, width, seed)
        work = {"forward": forward_pass} | METHODS
        seconds = interleaved_medians({key: partial(f, problem) for key, f in work.items()}, repetitions=repetitions)
        counts = {key: multiply_adds(f, problem) for key, f in work.items()}
        for key in METHODS:
            yield {
                "against": against,
                "depth": depth,
                "parameters": problem.mlp.parameters,
                "method": key,
                "products": counts[key] / counts["forward"],
                "time": seconds[key] / seconds["forward"],
                "seconds": seconds[key],
            }


def curve(rows: Sequence[Mapping[str, Any]], against: str, method: str, what: str) -> tuple[list[float], list[float]]:
    """Sizes and costs of one method along one sweep."""
    chosen = [row for row in rows if row["against"] == against and row["method"] == method]
    return [row[against] for row in chosen], [row[what] for row in chosen]


def holds(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the counted products stay at 3 passes with reuse and rise without it."""
    with_reuse_passes = {row["products"] for row in rows if row["method"] == "with reuse"}
    rising = [
        curve(rows, "depth", "each layer alone", "products")[1],
        curve(rows, "parameters", "each parameter alone", "products")[1],
        curve(rows, "parameters", "central differences", "products")[1],
    ]
    return with_reuse_passes == {3.0} and all(low < high for costs in rising for low, high in pairwise(costs))


def measure(quick: bool, seed: int, depths: Sequence[int] = (), widths: Sequence[int] = ()) -> Report:
    """The cost of all gradients, in units of one forward pass, against depth and parameter count."""
    depths = depths or ((2, 4, 8, 16) if quick else (2, 4, 8, 16, 32, 64))
    widths = widths or ((4, 8, 16, 32) if quick else (4, 8, 16, 32, 64))
    repetitions = 3 if quick else 5
    rows = [
        *sweep("depth", [(depth, WIDTH) for depth in depths], seed, repetitions),
        *sweep("parameters", [(DEPTH, width) for width in widths], seed, repetitions),
    ]
    exponents = {
        f"{method}: {what} in passes ∝ {against}^": round(growth(*curve(rows, against, method, what)), 2) + 0.0
        for what in ("products", "time")
        for against in ("depth", "parameters")
        for method in METHODS
    }
    return Report(
        question="S8: what does reuse of intermediate results save?",
        claim=(
            "One backward pass gives all gradients for a constant number of forward passes (3, the forward pass "
            "itself included), whatever the depth and the parameter count. Without reuse the number grows: with the "
            "depth if each layer's chain is computed by itself, with the parameter count if each parameter's is, or "
            "if each is differenced."
        ),
        refuted_by=(
            "a number of passes that changes with the size although results are reused, or does not although they "
            "are not. The multiply-adds of matrix products, counted while the code runs, decide; the times show "
            "what this machine makes of them."
        ),
        columns={
            "depth": "depth",
            "parameters": "parameters",
            "method": "method",
            "products": "products [passes]",
            "time": "time [passes]",
            "seconds": "time [s]",
        },
        rows=rows,
        figures=exponents,
        holds=holds(rows),
    )


def draw(report: Report, path: Path) -> None:
    """Cost against depth and against parameters, on logarithmic axes."""
    figure, axes = panels(2)
    for panel, against in zip(axes, ("depth", "parameters"), strict=True):
        for method, (shade, marker, line) in zip(METHODS, GREY, strict=True):
            panel.loglog(*curve(report.rows, against, method, "time"), color=shade, marker=marker, ls="", label=method)
            panel.loglog(*curve(report.rows, against, method, "products"), color=shade, ls=line)
    depths = sorted({row["depth"] for row in report.rows if row["against"] == "depth"})
    axes[0].set_xticks(depths, [str(depth) for depth in depths])
    axes[0].minorticks_off()
    axes[0].set_xlabel(f"depth [layers], all {WIDTH} wide")
    axes[1].set_xlabel(f"parameters [count], {DEPTH} layers")
    axes[0].set_ylabel("cost of all gradients [forward passes]")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        title="marks: time; lines: matrix products",
        loc="outside lower center",
        ncols=4,
    )
    figure.suptitle("Reuse makes all gradients cost a constant number of forward passes")
    save_picture(figure, path)
