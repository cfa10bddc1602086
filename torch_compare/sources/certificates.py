"""The certified gradients among the sources: what proves the others, and what checks the proof.

The certificate shares the calculus with the reference, run in ball arithmetic; the multiprecision difference of
the loss shares no derivative formula with either, and must agree with the certificate to `DIGITS` digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import numpy as np

import reference as ref
from reference.arithmetic.ball_decisions import Undecided
from reference.arithmetic.ball_elements import as_arb
from reference.arithmetic.formats import Format
from reference.differences.multiprecision import BITS, multiprecision_difference
from reference.network import passes
from reference.rounding.certified import ball_gradients, certified_gradients
from reference.rounding.distance import worst_place
from reference.rounding.scale import Rounding

from ..verdict.overflow import beyond_rounding
from ..verdict.verdict import judge
from .outcome import PairOutcome, PairVerdict, measured

DIGITS = 40
LARGEST = 3000
"""Multiply-adds of a forward pass up to which `verify` certifies a problem: a twentieth of a second."""
ENTRIES = 4
"""Multiprecision differences judge this many seeded random elements of each certified problem."""


def small_enough(problem: ref.Problem) -> bool:
    """Whether `verify` certifies a problem; of an MLP, parameters times examples count."""
    return passes.work(problem.network, problem.x) <= LARGEST


def against_certificate(
    problem: ref.Problem,
    given: Mapping[str, Mapping[str, Any]],
    fmt: Format,
    accurate: Rounding,
    textbook: Callable[[], Rounding],
    seed: int,
) -> Iterator[PairOutcome]:
    """Compare the given sources' leaves (by the source's name) with the certificate, and that with differences.

    The reference must lie within the accurate scale; torch may need the textbook one.
    """
    certificate = certified_gradients(problem)
    if certificate.status != "certified":
        yield PairOutcome("reference ~ certified", PairVerdict.UNRESOLVED, text=certificate.undecided)
        return
    nearest = certificate.map(lambda leaf: leaf.nearest).leaves()
    for source, leaves in given.items():
        pair = f"{source} ~ certified"
        if beyond_rounding(problem, fmt):
            yield PairOutcome(pair, PairVerdict.NOT_JUDGED)
            continue
        if source == "reference":
            place = worst_place(leaves, nearest, accurate.sigma, fmt)
            yield measured(pair, place.scales, place.ulps, str(place))
        else:
            verdict = judge(problem, leaves, nearest, fmt, accurate, textbook)
            worst = verdict.worst
            found = PairVerdict(verdict.scale) if verdict.within else PairVerdict.DISAGREES
            yield PairOutcome(pair, found, worst.scales, worst.ulps, "" if verdict.within else str(verdict))
    yield against_differences(problem, seed)


def against_differences(problem: ref.Problem, seed: int, entries: int = ENTRIES) -> PairOutcome:
    """The certificate's balls against central differences of the loss alone, both at several hundred bits.

    An element counts as judged if the difference's bar and the certificate's radius are below 10^−40 of the
    leaf's largest gradient.
    """
    pair = "certified ~ multiprecision_difference"
    try:
        balls = ball_gradients(problem, BITS).leaves()
        differences = multiprecision_difference(problem, entries=entries, seed=seed)
    except Undecided:
        return PairOutcome(pair, PairVerdict.NOT_JUDGED)
    worst, text = -1.0, ""
    for place, value in differences.value.derivatives().items():
        bars = np.ravel(differences.error[place])
        exact = cast(ref.Ball, balls[place]).flat
        largest = max(float(abs(b.mid())) for b in map(as_arb, exact))
        for index in np.flatnonzero(np.isfinite(bars)).tolist():
            ball = as_arb(exact[index])
            apart = float(abs(cast(ref.Ball, value).flat[index] - ball).upper())
            if largest == 0 or max(bars[index], float(ball.rad())) > largest * 10.0**-DIGITS:
                continue
            if apart / largest > worst:
                worst = apart / largest
                text = f"{place}.flat[{index}]: certified {ball}, difference {cast(ref.Ball, value).flat[index]}"
    if worst < 0:
        return PairOutcome(pair, PairVerdict.NOT_JUDGED)
    return measured(pair, worst, 0.0, text, PairVerdict.DIGITS, limit=2 * 10.0**-DIGITS)
