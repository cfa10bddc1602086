"""One problem, every pair of sources: who agrees with whom, in what units, and why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import reference as ref
from reference import differences
from reference.rounding.distance import FACTOR, worst_place
from reference.rounding.scale import FORMATS, Format, rounding_scale

from ..torch_side.deviations import deviations
from ..torch_side.gradients import torch_gradients
from ..verdict.checks import check, expected_leaves, judge
from .certificates import LARGEST, against_certificate
from .outcome import Outcome, measured

ENTRIES = 24
"""Differences and complex steps judge this many seeded random elements of each problem."""


def compare(problem: ref.Problem, seed: int = 0, *, certify: bool = True) -> tuple[Outcome, ...]:
    """Compare every pair of sources on a problem; with the certificate if it is small (see `LARGEST`) and asked."""
    seed %= 2**63
    fmt = FORMATS[str(problem.dtype)]
    expected = expected_leaves(problem)

    def scale(textbook: bool, name: str = fmt.name) -> dict[str, Any]:
        found = rounding_scale(problem, name, textbook=textbook, seed=seed)
        return found.leaves()

    accurate = scale(False)
    torch_leaves = _torch_leaves(problem, expected)
    outcomes = [_torch(problem, torch_leaves, expected, fmt, accurate, lambda: scale(True))]
    deviates = outcomes[0].verdict.startswith("deviation")
    accurate64, own = accurate, expected
    if fmt.name != "float64":
        found = ref.gradients(problem)
        own = found.leaves()
        place = worst_place(own, expected, accurate, fmt)
        outcomes.append(measured("float32 ~ float64 reference", place.scales, place.ulps, str(place)))
        accurate64 = scale(False, "float64")
    double = problem.in_float64()
    outcomes += _differences(double, expected, accurate64, torch_leaves, accurate, scale, deviates, seed)
    if certify and problem.mlp.parameters * problem.x.shape[0] <= LARGEST:
        given = {"reference": own} | ({} if deviates else {"torch": torch_leaves})
        outcomes += against_certificate(problem, given, fmt, accurate, lambda: scale(True), seed)
    return tuple(outcomes)


def _torch_leaves(problem: ref.Problem, expected: dict[str, Any]) -> dict[str, Any]:
    """torch's gradients by place; NaN throughout where torch refuses to compute them (bce of a NaN, say)."""
    try:
        with np.errstate(all="ignore"):
            given = torch_gradients(problem)
    except RuntimeError:
        return {place: np.full(np.shape(leaf), np.nan) for place, leaf in expected.items()}
    return given.leaves()


def _torch(
    problem: ref.Problem,
    leaves: dict[str, Any],
    expected: dict[str, Any],
    fmt: Format,
    accurate: Any,
    textbook: Callable[[], Any],
) -> Outcome:
    pair = "reference ~ torch"
    verdict = judge(problem, leaves, expected, fmt, accurate, textbook)
    if verdict.status == "unresolved":
        return Outcome(pair, "not judged")
    if verdict.agrees:
        return Outcome(pair, verdict.scale, verdict.worst.scales, verdict.worst.ulps)
    rows = _explaining(problem, leaves, fmt)
    if rows:
        return Outcome(pair, f"deviation: {' + '.join(rows)}")
    return Outcome(pair, "disagrees", verdict.worst.scales, verdict.worst.ulps, str(verdict))


def _explaining(problem: ref.Problem, leaves: dict[str, Any], fmt: Format) -> list[str]:
    """The names of the published deviations that explain torch's gradients; none if they do not.

    They must say that torch leaves no number there, or torch must agree with the problem in which torch's own
    formulas stand for those of the oracle.
    """
    rows = deviations(problem)
    if not all(np.all(np.isfinite(leaf)) for leaf in leaves.values()):
        return [row.name for row in rows if row.as_torch is None]
    theirs, names = problem, []
    for row in rows:
        if row.as_torch is not None:
            theirs = row.as_torch(theirs)
            names.append(row.name)
    return names if names and check(theirs, leaves, fmt.name).agrees else []


def _differences(
    problem: ref.Problem,
    expected: dict[str, Any],
    accurate: dict[str, Any],
    torch_leaves: dict[str, Any],
    torch_accurate: dict[str, Any],
    scale: Callable[[bool], dict[str, Any]],
    deviates: bool,
    seed: int,
) -> Iterator[Outcome]:
    with np.errstate(all="ignore"):
        central = differences.central_difference(problem, entries=ENTRIES, seed=seed)
        stepped = differences.complex_step(problem, entries=ENTRIES, seed=seed)
    value, bar = central.value.leaves(), central.error.leaves()
    fmt = FORMATS["float64"]
    for pair, leaves, rounding in (
        ("reference ~ central_difference", expected, accurate),
        ("torch ~ central_difference", torch_leaves, None),
    ):
        if rounding is None:
            if deviates:
                yield Outcome(pair, "deviation")
                continue
            wider = scale(True)
            rounding = {k: np.maximum(torch_accurate[k], wider[k]) for k in torch_accurate}
        worst = (-1.0, 0.0, "")
        for leaf, found in value.items():
            allowed = bar[leaf] + FACTOR * rounding[leaf]
            with np.errstate(all="ignore"):
                error = np.abs(leaves[leaf] - found)
                ratio = np.where(np.isfinite(found) & np.isfinite(allowed), error / allowed, np.nan)
                ratio = np.where((error == 0) & np.isfinite(allowed), 0.0, ratio)
            if np.all(np.isnan(ratio)):
                continue
            at = np.unravel_index(np.nanargmax(ratio), ratio.shape)
            if ratio[at] > worst[0]:
                ulps = float(error[at] / fmt.ulp(leaves[leaf][at]))
                text = f"{leaf}{[int(i) for i in at]}: {leaves[leaf][at]!r}, difference {found[at]!r} ± {allowed[at]!r}"
                worst = (float(ratio[at]), ulps, text)
        if worst[0] < 0:
            yield Outcome(pair, "not judged")
        else:
            yield Outcome(pair, "bar" if worst[0] <= 1 else "disagrees", *worst[:2], worst[2] if worst[0] > 1 else "")
    yield _complex_step(stepped.leaves(), expected, accurate, lambda: scale(True))


def _complex_step(
    stepped: dict[str, Any], expected: dict[str, Any], accurate: dict[str, Any], textbook: Callable[[], dict[str, Any]]
) -> Outcome:
    pair, fmt = "reference ~ complex_step", FORMATS["float64"]
    judged = {}
    for leaf, found in stepped.items():
        judged[leaf] = np.where(np.isnan(found), expected[leaf], found)
    if all(np.all(np.isnan(found)) for found in stepped.values()):
        return Outcome(pair, "not judged")
    place = worst_place(judged, expected, accurate, fmt)
    if place.scales <= FACTOR:
        return Outcome(pair, "accurate", place.scales, place.ulps)
    wider = textbook()
    place = worst_place(judged, expected, {k: np.maximum(accurate[k], wider[k]) for k in judged}, fmt)
    return measured(pair, place.scales, place.ulps, str(place), "textbook")
