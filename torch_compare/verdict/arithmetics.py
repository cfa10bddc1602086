"""The verdict by one arithmetic: what sums accumulate in, how many noisy runs, what other rounding may explain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS, Format
from reference.rounding.distance import WorstElement
from reference.rounding.measured import measured_errors
from reference.rounding.scale import RUNS, SCREEN_RUNS, Rounding

from ..diagnosis.small_mistake import small_mistake
from ..diagnosis.wording import Diagnosis
from .by_scale import ByScale
from .given import Given
from .losing_forms import losing_form
from .lower_precision import ENOUGH, cut_off, looks_like_rounding, lower_precision
from .overflow import beyond_rounding, underflows
from .rounded_kinks import rounded_kinks
from .status import Status
from .verdict import Verdict, judge, lost_digits

LEFT = 0.25
"""A mistake that accounts for errors leaves so much of their root mean square at the most, as in other searches."""

SCREEN = 0.5
"""What is within half of every limit of σ from `SCREEN_RUNS` is within the limit of σ. Most correct gradients are, and
need no more runs."""

Judged = tuple[Verdict, Callable[[], Rounding]]
"""A verdict, and the wider of the two scales."""


def arithmetic_of(fmt: Format, accumulate: str | None) -> Format:
    """The format with what its sums accumulate in: float32 below float32, as tensor cores and CPUs do."""
    single = FORMATS["float32"]
    if accumulate not in (None, "same", "float32"):
        raise ValueError(f'accumulate: expected "float32" or "same", got {accumulate!r}')
    return fmt if accumulate == "same" or fmt.bits >= single.bits else fmt.accumulating_in(single)


def more_rounding(
    problem: ref.Problem,
    given: Given,
    expected: Mapping[str, Any],
    verdict: Verdict,
    wider: Callable[[], Rounding],
    how: tuple[Callable[[Format], Judged], tuple[Format, Format, bool], int],
) -> Verdict | None:
    """The verdict if other rounding explains the errors: where subnormals are flushed, of sums, of a coarser format."""
    by, (fmt, arithmetic, coarse_sums), seed = how

    def imprecise(verdict: Verdict, text: str) -> Verdict:
        return replace(verdict, status=Status.IMPRECISE, diagnosis=Diagnosis(text, sought=False))

    if underflows(problem, fmt):
        flushed, _ = by(arithmetic.flushing())
        if flushed.agrees:
            return flushed
    if coarse_sums:
        found, of_sums = by(fmt)
        decided = not any(np.isnan(worst.scales) for worst in found.places.values())
        explains = decided and (found.agrees or (found.within and _sums(given, expected)))
        looks_so = explains and looks_like_rounding(ByScale(problem, given.leaves, expected, of_sums(), fmt))
        if looks_so and not _is_one_mistake(problem, given, expected, verdict, wider(), arithmetic):
            return imprecise(found, f"sums accumulated in {fmt.name}, not in float32")
    if np.isnan(verdict.worst.scales):
        return None
    cut = cut_off(given, expected)
    if cut:
        return imprecise(verdict, f"the numbers are cut off to {cut}, not rounded to nearest")
    losing = losing_form(problem, given.leaves, expected, wider(), arithmetic, seed)
    if losing:
        return imprecise(verdict, losing)
    return coarser_precision(problem, given, expected, verdict, wider(), arithmetic, seed)


def coarser_precision(
    problem: ref.Problem,
    given: Given,
    expected: Mapping[str, Any],
    verdict: Verdict,
    wider: Rounding,
    fmt: Format,
    seed: int,
) -> Verdict | None:
    """The verdict if the errors are those of a coarser format, which is named."""
    lower = lower_precision(problem, given, expected, wider, fmt, seed)
    if lower is None:
        return None
    text = f"the errors are those of {lower}, not of {_name(fmt)}"
    return replace(verdict, status=Status.IMPRECISE, diagnosis=Diagnosis(text, sought=False), coarser=lower)


def _is_one_mistake(
    problem: ref.Problem, given: Given, expected: Mapping[str, Any], verdict: Verdict, wider: Rounding, fmt: Format
) -> bool:
    """Whether a factor or one known mistake leaves no more than the rounding of sums in float32: that explains more.

    The errors of coarse sums are independent, and no one number makes them right, if there are enough of them. Those of
    coarse steps may look like a mistake, as a slope 1 − 1 for e⁻⁹ like that of relu; then they are not all that is off.
    """
    beyond = [place for place, worst in verdict.places.items() if place != "loss" and worst.scales > 1]
    if not beyond or min(np.size(given.leaves[place]) for place in beyond) < ENOUGH:
        return False
    leaves = {place: leaf for place, leaf in given.leaves.items() if np.all(np.isfinite(leaf))}
    with np.errstate(all="ignore"):
        return small_mistake(problem, leaves, expected, wider, fmt, share=LEFT) is not None


def _sums(given: Given, expected: Mapping[str, Any]) -> bool:
    """Whether every leaf may come of coarse sums: they may lose most of it, but leave no zeros where there are none."""
    return all(np.any(values) or not np.any(expected[place]) for place, values in given.leaves.items())


def judge_with(
    problem: ref.Problem, given: Given, expected: Mapping[str, Any], fmt: Format, seed: int, strict: bool
) -> Judged:
    """The verdict by one arithmetic, from few runs if they leave no doubt, else from all; and its wider scale.

    In formats coarser than float32 the accurate scale has activations that are computed in float32 and rounded once. If
    only every step rounded to the format explains the errors, the verdict says so: JAX's activations round every step.
    """

    def by(attempt: Format, strict: bool = strict) -> Judged:
        return _judge_by(problem, given, expected, attempt, seed, strict)

    stepped = _stepped(problem, fmt)
    if not stepped:
        return by(fmt)
    finer = fmt.evaluating_in(FORMATS["float32"])
    scale = _scale(problem, given, expected, finer, seed)
    quick = scale(False, SCREEN_RUNS)
    first = ByScale(problem, given.leaves, expected, quick, finer)
    if all(excess <= SCREEN for excess in first.in_limits().values()):
        verdict = judge(problem, given.leaves, expected, finer, quick, lambda: quick, strict=strict, first=first)
        if verdict.agrees:
            return verdict, partial(_wider, scale)
    by_steps = by(fmt, strict=False)
    if not by_steps[0].agrees:
        return by_steps
    once, wider = by(finer)
    if once.agrees or once.status is Status.IMPRECISE:
        return once, wider
    found, _ = by_steps
    if once.status is Status.WRONG and _is_one_mistake(problem, given, expected, once, wider(), finer):
        return once, wider
    if once.within or rounded_kinks(problem, fmt) or beyond_rounding(problem, fmt):
        return by(fmt) if strict else by_steps  # what is said there comes before the steps
    text = _in_steps(stepped, fmt, once.worst, strict)
    if isinstance(problem.network, ref.Network) and not strict:
        alone = len(problem.network.steps) == 1
        how = 'dtype="float32"' if alone else f'Step(..., compute="float32", store="{_name(fmt)}")'
        text += f"; where yours computes in float32, say so with {how}, for a mistake may hide in these steps"
    status = Status.IMPRECISE if strict else found.status
    said = replace(found, status=status, scale="textbook", diagnosis=Diagnosis(text, sought=False))
    return replace(said, accurate=once.accurate), by_steps[1]


def _stepped(problem: ref.Problem, fmt: Format) -> list[str]:
    """The activations, by name, whose every step a coarse format may round though correct kernels round them once."""
    if fmt.accumulation is None:
        return []
    if isinstance(problem.network, ref.Network):
        return list(dict.fromkeys(step.operation.name for step in problem.network.steps if not step.compute))
    rows = (layer.activation for layer in problem.mlp.layers)
    return list(dict.fromkeys(row.name for row in rows if row.one_rounding))


def _name(fmt: Format) -> str:
    """The format's name without what its sums accumulate in."""
    return fmt.name.partition(" accumulated")[0]


def _in_steps(names: list[str], fmt: Format, worst: WorstElement, strict: bool) -> str:
    """What is said where only the rounding of every step explains the errors."""
    name = _name(fmt)
    at = f"[{', '.join(map(str, worst.index))}]" if worst.index else ""
    which = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    text = (
        f"{which} computed step by step in {name}, not in float32 with one rounding, which loses {lost_digits(worst)} "
    )
    return f"{text}in {worst.leaf}{at}" + (", and strict=True forgives none" if strict else "")


def _scale(
    problem: ref.Problem, given: Given, expected: Mapping[str, Any], fmt: Format, seed: int
) -> Callable[..., Rounding]:
    """(textbook, runs) ↦ the rounding errors of that scale, measured once."""

    @cache
    def scale(textbook: bool, runs: int = RUNS) -> Rounding:
        found = measured_errors(problem, fmt, textbook=textbook, seed=seed, runs=runs)
        return _stored(found, given, expected, fmt)

    return scale


def _judge_by(
    problem: ref.Problem, given: Given, expected: Mapping[str, Any], fmt: Format, seed: int, strict: bool
) -> Judged:
    """The verdict by exactly this arithmetic, and its wider scale."""
    scale, leaves = _scale(problem, given, expected, fmt, seed), given.leaves
    quick = scale(False, SCREEN_RUNS)
    first = ByScale(problem, leaves, expected, quick, fmt)
    if all(excess <= SCREEN for excess in first.in_limits().values()):
        quickly = judge(problem, leaves, expected, fmt, quick, lambda: quick, strict=strict, first=first)
        return quickly, partial(_wider, scale)
    verdict = judge(problem, leaves, expected, fmt, scale(False), lambda: scale(True), strict=strict)
    return verdict, partial(_wider, scale)


def _wider(scale: Callable[..., Rounding]) -> Rounding:
    """The errors of all runs, those of the customary formulas among them."""
    return scale(False).wider(scale(True))


def _stored(scale: Rounding, given: Given, expected: Mapping[str, Any], fmt: Format) -> Rounding:
    """The scale with the rounding of leaves that are stored more coarsely than they were computed, or were printed."""
    for place, kept in given.stored_coarser(fmt).items():
        scale = scale.stored(place, expected[place], kept)
    return given.with_printing(scale, expected)
