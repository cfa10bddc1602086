"""One problem, every pair of sources: who agrees with whom, in what units, and why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

import reference as ref
from reference import differences
from reference.rounding.distance import FACTOR, worst_place
from reference.rounding.scale import FORMATS, RUNS, Format, Rounding, rounding_errors

from ..torch_side.deviations import deviations
from ..torch_side.gradients import torch_gradients
from ..verdict.checks import check, expected_leaves, judge
from ..verdict.status import Status
from .certificates import against_certificate, small_enough
from .outcome import PairOutcome, PairVerdict, measured

ENTRIES = 24
"""Differences and complex steps judge this many seeded random elements of each problem."""
DOUBLE = FORMATS["float64"]
Leaves = dict[str, Any]
Scale = Callable[[], Leaves]
"""A rounding scale by place, measured where it is first asked for."""


def compare(problem: ref.Problem, seed: int = 0, *, certify: bool = True) -> tuple[PairOutcome, ...]:
    """Compare every pair of sources on a problem; with the certificate if it is small (see `LARGEST`) and asked."""
    seed %= 2**63
    fmt = FORMATS[str(problem.dtype)]
    expected, theirs = expected_leaves(problem), _torch_leaves(problem)

    @cache
    def rounding(textbook: bool, name: str) -> Rounding:
        return rounding_errors(problem, name, textbook=textbook, seed=seed)

    def scale(textbook: bool, name: str) -> Leaves:
        return dict(rounding(textbook, name).sigma)

    def textbook() -> Rounding:
        return rounding(True, fmt.name)

    accurate = scale(False, fmt.name)
    torch = _against_torch(problem, theirs, expected, fmt, rounding(False, fmt.name), textbook)
    deviates = torch.verdict is PairVerdict.DEVIATION
    outcomes = [torch]
    own = expected
    if fmt is not DOUBLE:
        own = ref.gradients(problem).leaves()
        place = worst_place(own, expected, accurate, fmt)
        outcomes.append(measured("float32 ~ float64 reference", place.scales, place.ulps, str(place)))
    double, accurate_double = problem.in_float64(), scale(False, DOUBLE.name)
    central = _central_difference(double, seed)
    outcomes.append(_within_bar("reference ~ central_difference", expected, accurate_double, central))
    if deviates:
        outcomes.append(PairOutcome("torch ~ central_difference", PairVerdict.DEVIATION))
    else:
        pair = "torch ~ central_difference"
        found = _within_bar(pair, theirs, accurate, central)
        if found.verdict is PairVerdict.DISAGREES:
            found = _within_bar(pair, theirs, _wider(accurate, scale(True, fmt.name)), central)
        outcomes.append(found)
    double_textbook = partial(scale, True, DOUBLE.name)
    outcomes.append(_against_complex_step(double, expected, accurate_double, double_textbook, seed))
    if certify and small_enough(problem):
        given = {"reference": own} | ({} if deviates else {"torch": theirs})
        outcomes += against_certificate(problem, given, fmt, rounding(False, fmt.name), textbook, seed)
    return tuple(outcomes)


def _wider(one: Leaves, other: Leaves) -> Leaves:
    """The larger of two rounding scales, element by element."""
    return {place: np.maximum(one[place], other[place]) for place in one}


# ── torch ────────────────────────────────────────────────────────────────────────────────────────────


def _torch_leaves(problem: ref.Problem) -> Leaves:
    """torch's gradients by place; NaN throughout if torch refuses to compute them (bce of a NaN, say)."""
    try:
        with np.errstate(all="ignore"):
            return torch_gradients(problem).leaves()
    except RuntimeError:
        return {place: np.full(shape, np.nan) for place, shape in problem.gradient_shapes().items()}


def _against_torch(
    problem: ref.Problem,
    leaves: Leaves,
    expected: Leaves,
    fmt: Format,
    accurate: Rounding,
    textbook: Callable[[], Rounding],
) -> PairOutcome:
    pair = "reference ~ torch"
    verdict = judge(problem, leaves, expected, fmt, accurate, textbook)
    if verdict.within:
        return PairOutcome(pair, PairVerdict(verdict.scale), verdict.worst.scales, verdict.worst.ulps)
    rows = _explaining(problem, leaves, fmt)
    if rows:
        return PairOutcome(pair, PairVerdict.DEVIATION, deviations=rows)
    if verdict.status is Status.UNRESOLVED:
        return PairOutcome(pair, PairVerdict.NOT_JUDGED)
    return PairOutcome(pair, PairVerdict.DISAGREES, verdict.worst.scales, verdict.worst.ulps, str(verdict))


def _explaining(problem: ref.Problem, leaves: Leaves, fmt: Format) -> tuple[str, ...]:
    """The names of the published deviations that explain torch's gradients; none if they do not.

    They must say that torch leaves no number there, or torch must agree with the problem in which torch's own
    formulas stand for those of the oracle.
    """
    rows = deviations(problem)
    if not all(np.all(np.isfinite(leaf)) for leaf in leaves.values()):
        return tuple(row.name for row in rows if row.as_torch is None)
    theirs, names = problem, []
    for row in rows:
        if row.as_torch is not None:
            theirs = row.as_torch(theirs)
            names.append(row.name)
    return tuple(names) if names and check(theirs, leaves, fmt.name).within else ()


# ── differences ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Central:
    """Central differences by place, and the error bar of each; NaN if none was taken."""

    value: Leaves
    bar: Leaves


@dataclass(frozen=True)
class _Farthest:
    """The element that is furthest from a difference: its error in units of the bar, in ulps, and in words."""

    bars: float
    ulps: float
    text: str


def _central_difference(double: ref.Problem, seed: int) -> _Central:
    with np.errstate(all="ignore"):
        found = differences.central_difference(double, entries=ENTRIES, seed=seed)
    return _Central(found.value.leaves(), found.error.leaves())


def _within_bar(pair: str, leaves: Leaves, rounding: Leaves, central: _Central) -> PairOutcome:
    """Leaves against central differences: an error counts from the bar and the rounding of the leaf together."""
    found = (_farthest(place, leaves[place], rounding[place], central) for place in central.value)
    judged = [one for one in found if one is not None]
    if not judged:
        return PairOutcome(pair, PairVerdict.NOT_JUDGED)
    worst = max(judged, key=lambda one: one.bars)
    return measured(pair, worst.bars, worst.ulps, worst.text, PairVerdict.BAR, limit=1)


def _farthest(place: str, leaf: Any, rounding: Any, central: _Central) -> _Farthest | None:
    """The element of one leaf that is furthest from its difference; None if none can be judged."""
    value, allowed = central.value[place], central.bar[place] + FACTOR * rounding
    with np.errstate(all="ignore"):
        error = np.abs(leaf - value)
        ratio = np.where(np.isfinite(value) & np.isfinite(allowed), error / allowed, np.nan)
        ratio = np.where((error == 0) & np.isfinite(allowed), 0.0, ratio)
    if np.all(np.isnan(ratio)):
        return None
    at = np.unravel_index(np.nanargmax(ratio), ratio.shape)
    text = f"{place}{[int(i) for i in at]}: {leaf[at]!r}, difference {value[at]!r} ± {allowed[at]!r}"
    return _Farthest(float(ratio[at]), float(error[at] / DOUBLE.ulp(leaf[at])), text)


def _against_complex_step(
    double: ref.Problem, expected: Leaves, accurate: Leaves, textbook: Scale, seed: int
) -> PairOutcome:
    pair = "reference ~ complex_step"
    stepped = _complex_step(double, seed)
    if all(np.all(np.isnan(found)) for found in stepped.values()):
        return PairOutcome(pair, PairVerdict.NOT_JUDGED)
    judged: Leaves = {p: np.where(np.isnan(found), expected[p], found) for p, found in stepped.items()}
    place = worst_place(judged, expected, accurate, DOUBLE)
    if place.scales <= FACTOR:
        return PairOutcome(pair, PairVerdict.ACCURATE, place.scales, place.ulps)
    wider = _wider(accurate, textbook())
    place = worst_place(judged, expected, wider, DOUBLE)
    if place.scales > FACTOR:
        place = worst_place(judged, expected, _wider(wider, _forward_rounding(double, stepped, seed)), DOUBLE)
    return measured(pair, place.scales, place.ulps, str(place), PairVerdict.TEXTBOOK)


def _complex_step(double: ref.Problem, seed: int, stretch: float = 1.0) -> Leaves:
    with np.errstate(all="ignore"):
        return differences.complex_step(double, entries=ENTRIES, seed=seed, stretch=stretch).leaves()


def _forward_rounding(double: ref.Problem, stepped: Leaves, seed: int) -> Leaves:
    """The rounding of the complex step's own pass: the root mean square change when its imaginary parts round anew.

    It goes forward, and there cancels what on the way back does not.
    """
    stretches = np.random.default_rng(seed).uniform(1, 2, RUNS)
    runs = [_complex_step(double, seed, float(stretch)) for stretch in stretches]
    return {
        place: np.hypot.reduce([np.nan_to_num(run[place] - leaf) for run in runs]) / np.sqrt(RUNS)
        for place, leaf in stepped.items()
    }
