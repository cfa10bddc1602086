"""How small may a difference quotient's step be? Error against step size for five ways to differentiate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import precision
from reference.differences import random_direction
from reference.network.in_arithmetic import in_balls
from reference.rounding.certified import ball_gradients
from reference.rounding.distance import FACTOR
from reference.rounding.scale import rounding_scale

from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture

BITS = 1024
"""Of the multiprecision runs and of the truth: 1e-308, far below every error that is shown."""
LIMIT = 2.0**-133
"""40 decimal digits: what a multiprecision difference must reach."""
FINEST = 20
"""The finest real step is 10^−20: nothing is left of it beside 1."""
WIDTHS = (4, 8, 8, 3)

Loss = Callable[[Any], Any]
"""The loss as a function of the step along a direction."""


def forward(loss: Loss, h: Any) -> Any:
    """(L(h) − L(0))/h: an error of order h, and of u/h."""
    return (loss(h) - loss(0 * h)) / h


def central(loss: Loss, h: Any) -> Any:
    """(L(h) − L(−h))/2h: an error of order h², and of u/h."""
    return (loss(h) - loss(-h)) / (2 * h)


def richardson(loss: Loss, h: Any) -> Any:
    """(4·C(h/2) − C(h))/3, C the central difference: an error of order h⁴, and of u/h (Richardson 1911)."""
    return (4 * central(loss, h / 2) - central(loss, h)) / 3


def complex_step(loss: Loss, h: Any) -> Any:
    """Im L(ih)/h: an error of order h², and no subtraction (Squire & Trapp 1998)."""
    return loss(1j * h).imag / h


METHODS: Mapping[str, Callable[[Loss, Any], Any]] = {
    "forward": forward,
    "central": central,
    "Richardson": richardson,
    "complex step": complex_step,
}
MULTIPRECISION = "multiprecision central"


def problem_of(seed: int) -> ref.Problem:
    """A small tanh network with cross-entropy: smooth everywhere."""
    rng = np.random.default_rng(seed)
    mlp = ref.initialize(WIDTHS, ["tanh"] * (len(WIDTHS) - 2) + ["identity"], seed=seed)
    return ref.Problem(mlp, rng.normal(size=(5, WIDTHS[0])), rng.integers(0, WIDTHS[-1], 5), "cross_entropy")


def _arrays(tree: ref.Gradients) -> list[Any]:
    """The leaves without the loss: layer by layer, then the input, as `Problem.map` visits them."""
    return list(tree.derivatives().values())


def along(problem: ref.Problem, steps: Sequence[Any]) -> Loss:
    """The loss at θ + h·direction, by the forward pass alone."""

    def loss(h: Any) -> Any:
        each = iter(steps)
        return ref.loss_value(problem.map(lambda values: values + next(each) * h))

    return loss


def exact_slope(problem: ref.Problem, direction: Sequence[Any]) -> Any:
    """⟨∇L, direction⟩ from the certified gradients' own balls."""
    total = Ball.exact(np.zeros(()))
    for leaf, step in zip(_arrays(ball_gradients(problem, BITS)), direction, strict=True):
        total = total + (leaf * Ball.exact(step)).sum()
    return total


def relative_error(found: Any, exact: Any) -> float:
    """|found − exact|/|exact|, in balls, so that it has digits wherever found has them."""
    given = found if isinstance(found, Ball) else Ball.exact(np.asarray(float(found)))
    return abs(_middle((given - exact) / exact))


def _middle(ball: Any) -> float:
    """The middle of a ball without dimensions."""
    lower, upper = ball.bounds()
    return (float(lower) + float(upper)) / 2


def measure(quick: bool, seed: int) -> Report:
    """The relative error of a directional derivative by each method, for steps from 1 down."""
    problem = problem_of(seed)
    tree = random_direction(problem, seed)
    direction = _arrays(tree)
    decades = range(0, 61, 4) if quick else range(61)
    rows: list[dict[str, Any]] = []
    with precision(BITS):
        exact = exact_slope(problem, direction)
        loss = along(problem, direction)
        for name, method in METHODS.items():
            chosen = [10.0**-k for k in decades if name == "complex step" or k <= FINEST]
            rows += [{"method": name, "step": h, "error": relative_error(method(loss, h), exact)} for h in chosen]
        precise = along(in_balls(problem), [Ball.exact(step) for step in direction])
        for k in decades:
            found = central(precise, Ball.exact(np.asarray(10.0**-k)))
            rows.append({"method": MULTIPRECISION, "step": 10.0**-k, "error": relative_error(found, exact)})
        slope = abs(_middle(exact))
    sigma = _arrays(rounding_scale(problem))
    bound = FACTOR * sum(float(np.sum(np.abs(d) * s)) for d, s in zip(direction, sigma, strict=True)) / slope
    best = {name: min(row["error"] for row in rows if row["method"] == name) for name in (*METHODS, MULTIPRECISION)}
    return Report(
        question="How small may the step of a difference quotient be?",
        claim=(
            "In float64 the error of forward, central and extrapolated differences falls with the step, each faster "
            "than the one before, and rises again where rounding takes over; a complex step's error stays at the "
            "rounding of the function, however small the step; in multiprecision the central difference goes on "
            "falling."
        ),
        refuted_by=(
            "a real difference whose smallest step is not worse than its best, a best error that does not shrink from "
            f"one to the next, a complex step below 1e-8 off by more than {FACTOR:g} rounding scales, or a "
            f"multiprecision difference that never comes below {LIMIT:.0e}."
        ),
        columns={"method": "method", "step": "step", "error": "relative error"},
        rows=rows,
        figures={f"{name}: best": error for name, error in best.items()} | {"rounding allows": bound},
        holds=holds(rows, best, bound),
    )


def holds(rows: Sequence[Mapping[str, Any]], best: Mapping[str, float], bound: float) -> bool:
    """Whether the curves have the shapes that the claim states."""
    ends = {row["method"]: row["error"] for row in rows}  # the last row of a method has its smallest step
    turning = all(ends[name] > best[name] for name in ("forward", "central", "Richardson"))
    order = best["forward"] > best["central"] > best["Richardson"]
    flat = all(r["error"] <= bound for r in rows if r["method"] == "complex step" and r["step"] <= 1e-8)
    return turning and order and flat and best[MULTIPRECISION] < LIMIT


def draw(report: Report, path: Path) -> None:
    """The V-shaped curves, the flat one, and the one that leaves them."""
    figure, (panel,) = panels(1)
    figure.set_size_inches(8, 5)
    names = list(dict.fromkeys(row["method"] for row in report.rows))
    styles = [*GREY, ("0", "*", "-")]
    for name, (shade, marker, line) in zip(names, styles, strict=True):
        chosen = [row for row in report.rows if row["method"] == name and row["error"] > 0]
        panel.loglog([row["step"] for row in chosen], [row["error"] for row in chosen], color=shade, marker=marker,
                     ls=line, fillstyle="none", markersize=4, label=name)  # fmt: skip
    panel.axhline(math.ldexp(1, -53), color="0.5", ls=":", lw=1, label="2⁻⁵³, the unit roundoff")
    panel.invert_xaxis()
    panel.set_xlabel("step h")
    panel.set_ylabel("relative error of the directional derivative")
    panel.legend()
    figure.suptitle("Differences turn where rounding takes over; complex steps and multiprecision do not")
    save_picture(figure, path)
