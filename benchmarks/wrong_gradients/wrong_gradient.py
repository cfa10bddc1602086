"""A wrong gradient: one known mistake on one problem, and the three ways to make it: in a pass, after it, in its type.

The gradients are those of `benchmarks.implementations.naive`, which shares no formula with what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref

from ..implementations.naive import Leaves, NaiveMistake, naive_gradients
from .after_backward import Change
from .problems import MakeProblem, network


@dataclass(frozen=True)
class WrongGradient:
    """Gradients with one known mistake.

    Attributes:
        name: unique in the bank.
        kind: the mistake, the same for all places and sizes.
        place: "first", "middle", "last" or "every" layer, "loss", or "leaves" that were right when they were made.
        size: of the mistake, if it has one: a relative error, a learning rate, a slope.
        problem: (seed, dtype) ↦ the problem that it is made on; another one may be taken where the mistake is possible.
        gradients: (problem, dtype=None) ↦ arrays by place, the loss among them; in the problem's own precision, or as
            `naive_gradients` computes them in another.
        expected_names: kinds by `torch_compare.diagnosis` that count as naming this mistake; none if the
            mistake has no name, so that no name is the right answer.
        status: the verdict that is right.
        dtype: the precision that it is made in, if not told otherwise.
    """

    name: str
    kind: str
    place: str
    size: float | None
    problem: MakeProblem
    gradients: Callable[..., Leaves]
    expected_names: frozenset[str]
    status: str = "wrong"
    dtype: str = "float64"


def in_pass(
    kind: str, mistake: str, place: str, names: str, made: MakeProblem, size: float | None = None, **more: Any
) -> WrongGradient:
    """One that the naive implementation makes in a pass.

    Args:
        kind: of the mistake.
        mistake: its name in `benchmarks.implementations.naive`.
        place: the layer that it is made in, or "loss".
        names: what a diagnosis may call it, separated by |.
        made: gives the problem.
        size: of the mistake, if it has one.
        more: `status` or `dtype`.
    """
    title = f"{mistake}, {place}" + ("" if size is None else f", {size:g}")

    def gradients(problem: ref.Problem, dtype: str | None = None) -> Leaves:
        return naive_gradients(problem, NaiveMistake(mistake, place, size or 0.0), dtype=dtype)

    return WrongGradient(title, kind, place, size, made, gradients, _names(names), **more)


def after_pass(
    kind: str, title: str, names: str, change: Change, size: float | None = None,
    made: MakeProblem = network, place: str = "leaves", **more: Any,
) -> WrongGradient:  # fmt: skip
    """One that comes of right gradients by a change, which is told the problem too; arguments as of `in_pass`."""

    def gradients(problem: ref.Problem, dtype: str | None = None) -> Leaves:
        return change(problem, naive_gradients(problem, dtype=dtype))

    title += "" if size is None else f", {size:g}"
    return WrongGradient(title, kind, place, size, made, gradients, _names(names), **more)


def in_lower_precision(lower: str) -> WrongGradient:
    """No mistake but the type: computed in "float32", "float16" or "bfloat16", and returned in the problem's."""

    def gradients(problem: ref.Problem, dtype: str | None = None) -> Leaves:
        return {k: np.asarray(v, dtype=problem.dtype) for k, v in naive_gradients(problem, dtype=lower).items()}

    return WrongGradient(
        f"computed in {lower}", "lower precision", "every", None, network, gradients, frozenset(), "imprecise"
    )


def _names(names: str) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split("|") if name.strip())
