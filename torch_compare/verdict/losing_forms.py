"""Formulas of a step's own function that lose digits: right, and less precise than the customary ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network.unchecked import changed
from reference.rounding.measured import measured_errors
from reference.rounding.scale import Rounding

from .by_scale import ByScale
from .lower_precision import looks_like_rounding


def losing_form(
    problem: ref.Problem,
    leaves: Mapping[str, Any],
    expected: Mapping[str, Any],
    wider: Rounding,
    fmt: Format,
    seed: int,
) -> str | None:
    """What is said of gradients whose errors are the rounding of a formula that loses digits; None if of none.

    The formula runs in noisy arithmetic, so that its errors have their own sizes and directions: those of a variance
    move whole rows.

    Args:
        problem: what they are gradients of.
        leaves: the given arrays by place.
        expected: the right ones.
        wider: the rounding errors of correct ones, customary formulas included.
        fmt: the format that they were computed in.
        seed: of the noise.
    """
    found = None
    for text, other in _forms(problem):
        if found is None:
            found = ByScale(problem, leaves, expected, wider, fmt)
            if found.one_mistake_explains():
                return None
        with np.errstate(all="ignore"):
            rounding = wider.wider(measured_errors(other, fmt, textbook=True, seed=seed))
        by_form = ByScale(problem, leaves, expected, rounding, fmt)
        if by_form.within and looks_like_rounding(by_form):
            lost = np.log10(max(found.worst.scales, 1.0))
            return f"{text}; it loses {lost:.1f} digits in {found.worst.leaf}"
    return None


def _forms(problem: ref.Problem) -> Iterator[tuple[str, ref.Problem]]:
    """Each formula that loses digits, in the words for it, and the problem with it wherever a step has it."""
    if not isinstance(problem.network, ref.Network):
        return
    steps = problem.network.steps
    for name, what in dict.fromkeys((step.operation.name, what) for step in steps for what in step.operation.losing):
        other = tuple(_with(step, what) if step.operation.name == name else step for step in steps)
        yield f"{name} computes {what}", problem.replace(network=changed(problem.network, steps=other))


def _with(step: ref.Step, what: str) -> ref.Step:
    value, pullback = step.operation.losing[what]
    return changed(step, operation=changed(step.operation, value=value, pullback=pullback))
