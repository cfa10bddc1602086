"""The mistake behind wrong gradients of a network of operations: in which step, and what was done there.

Every known mistake is made in the oracle's own formulas, and what comes of it held against what was given, in the
rounding scale of the right gradients first. The nearest few are then measured in noisy arithmetic of their own: one
explains the numbers if every element lies within the rounding of the wrong gradients. If none does, it is said at which
step, on the way back from the loss, the numbers first differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS, Format
from reference.network import graph
from reference.rounding.distance import FACTOR, worst_place, worst_places
from reference.rounding.measured import measured_errors

from ..mistakes.finished import factor_at
from ..mistakes.mistake import Mistake, leaves_with
from ..torch_side.deviations import deviations
from .evidence import norm, ratio
from .finished_network import finished
from .missing_gradients import missing, without
from .named_factors import UNKNOWN, UNNAMED, constants, product
from .named_factors import nearest as nearest_factors
from .network_search import SHARE, Fit, Numbers, Subject, nearest, pairs, rms
from .pattern import pattern
from .trial import CLOSEST, tell_enough, with_storing
from .wording import Diagnosis, listed, number, sentence
from .wording import places as said_places

FEW_ZEROS = 4
"""Numbers that may all cancel to 0 by rounding are fewer."""
TRIED = 6
"""So many of the nearest are tried in noisy arithmetic."""
RUNS = 16
LIMIT = 8.0
"""σ of the wrong gradients within which an explanation stands. Measured: every mistake that was named rightly fits to
5 of its own σ or less, and every fit of 8 to 32 σ that was seen told of a mistake that nobody had made."""
NEAR = 6.0
"""Standard errors within which a fitted factor is one that has a name, as in `small_mistake`."""
TINY = np.finfo(float).tiny
CLOSER = 8.0
"""One that leaves so many times more than another, and more than rounding, is no rival of it."""


def diagnose_network(
    problem: ref.Problem,
    given: Numbers,
    expected: Numbers,
    scale: Numbers,
    fmt: Format,
    seed: int = 0,
    stored: Mapping[str, Format] = MappingProxyType({}),
    beyond: Collection[str] = (),
) -> Diagnosis:
    """Name the mistake that explains gradients of a network which are not the problem's; arguments as of `diagnose`.

    >>> net = ref.Network({"w": np.eye(2) + 0.5}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "gelu", "h")])
    >>> problem = ref.Problem(net, np.array([[0.3, -0.8], [1.2, 0.4]]), np.ones((2, 2)), loss="inner_product")
    >>> import torch_compare as tc
    >>> d_h = np.ones((2, 2))  # gelu's derivative is missing
    >>> tc.check(problem, {"w": d_h.T @ problem.x["x"], "x": d_h @ net.parameters["w"]}).diagnosis.names
    ('activation derivative missing',)
    """
    held = {place: np.asarray(values, dtype=float) for place, values in given.items()}
    broken = _not_finite(problem, held, fmt)
    if broken:
        return Diagnosis(broken, ("not finite",))
    subject = Subject(problem, held, expected, scale, fmt, stored)
    lost = missing(subject, subject.wrong())
    if lost is None:
        return _searched(subject, seed, set(beyond))
    if lost.explained:
        return lost.diagnosis(problem)
    found = _searched(subject, seed, set(beyond), most=1)
    if found.names and found.names != UNNAMED:
        return found
    return lost.with_rest(_searched(without(subject, lost.places), seed, set(beyond)), problem)


def _searched(subject: Subject, seed: int, beyond: set[str], most: int = 2) -> Diagnosis:
    """The mistake behind wrong gradients, or so many, or the first step that is wrong."""
    problem, wrong = subject.problem, subject.wrong()
    fits, firsts, stopped = nearest(subject, wrong)
    standing = _standing(fits, subject, seed)
    factor = _factor(subject, wrong)
    if not standing and (factor is None or factor.names == UNNAMED):
        standing = _standing(finished(subject, wrong), subject, seed)
    if factor and factor.names != UNNAMED and standing and standing[0].of_forward and not subject.loss_is_wrong():
        return factor  # it asks for no other function
    if not standing and factor is None and most > 1:
        standing = _standing(pairs(subject, wrong, firsts), subject, seed)
    if not standing:
        return factor or Diagnosis(_nothing_fits(subject, wrong, beyond), stopped=stopped)
    first, *rest = standing
    rivals = [f for f in rest if _as_close(f, first) and f.loss >= first.loss]
    names = [_names(f) for f in rivals if _names(f) != _names(first)]
    said = [m.habit for m in first.mistakes]
    told = dict.fromkeys(sentence(f.mistakes, problem) for f in rivals if [m.habit for m in f.mistakes] != said)
    text = sentence(first.mistakes, problem, first.scales)
    return Diagnosis(
        text, _names(first), first.scales, " or ".join(list(told)[:2]), tuple(dict.fromkeys(names)), stopped=stopped
    )


def _names(fit: Fit) -> tuple[str, ...]:
    return tuple(name for name, _ in dict.fromkeys(mistake.habit for mistake in fit.mistakes))


def _as_close(fit: Fit, best: Fit) -> bool:
    """Whether a fit leaves no more than another, or than rounding."""
    return fit.away <= max(CLOSER * best.away, 1.0)


def _standing(fits: Sequence[Fit], subject: Subject, seed: int) -> list[Fit]:
    """Those of the nearest that explain every element within the rounding of the wrong gradients, the best first.

    Where no loss was given, nothing tells of another forward pass: a mistake in the backward pass that is as close, and
    no vaguer, comes first.
    """
    tried = [_tried(fit, subject, seed) for fit in fits[:TRIED]]
    best = sorted(
        (f for f in tried if np.isfinite(f.scales)), key=lambda f: (not f.loss, f.vague, f.scales > 1.0, f.away)
    )
    if not best or "loss" in subject.held:
        return best
    first = best[0]
    likelier = [f for f in best if first.of_forward > f.of_forward and f.vague <= first.vague and _as_close(f, first)]
    return likelier + [f for f in best if f not in likelier]


def _tried(fit: Fit, subject: Subject, seed: int) -> Fit:
    """The fit with its distance in the rounding scales of the wrong gradients; ∞ if it explains little."""
    other, fmt = subject.problem, subject.fmt
    for mistake in fit.mistakes:
        other = mistake.problem(other)
    made = leaves_with(fit.mistakes, subject.problem)
    sigma = with_storing(measured_errors(other, fmt, textbook=True, runs=RUNS, seed=seed).sigma, made, subject.stored)
    worst = worst_places(subject.held, made, sigma, fmt)
    scales = max((np.inf if np.isnan(w.scales) else w.scales for p, w in worst.items() if p != "loss"), default=0.0)
    loss = "loss" not in worst or worst["loss"].scales <= FACTOR
    stands = _explains(subject, subject.places, sigma, float(scales), fit.mistakes)
    stands = stands and not _leaves_numbers(subject, made)
    return replace(fit, scales=float(scales) if stands else np.inf, loss=loss)


def _leaves_numbers(subject: Subject, made: Numbers) -> bool:
    """Whether an explanation makes numbers of a leaf that is 0 everywhere: no rounding makes so many of them 0."""
    least = FACTOR * subject.fmt.smallest
    lost = (place for place in subject.places if not np.any(subject.held[place]))
    return any(np.count_nonzero(np.abs(made[place]) > least) >= FEW_ZEROS for place in lost)


def _explains(
    subject: Subject, places: Sequence[str], sigma: Numbers, scales: float, mistakes: tuple[Mistake, ...]
) -> bool:
    """Whether an explanation is close, and closer than chance: where noise is as large as the errors, anything fits.

    Args:
        subject: the gradients.
        places: the leaves that it explains.
        sigma: the rounding scales of what it makes.
        scales: the farthest element from that.
        mistakes: the explanation.
    """
    if not scales <= min(LIMIT, subject.worst / SHARE):
        return False
    told = [np.abs(subject.held[p] - subject.expected[p]) / np.maximum(sigma[p], TINY) for p in places]
    units = np.nan_to_num(np.concatenate([np.ravel(t) for t in told]), posinf=np.inf)
    return tell_enough(units / max(scales, CLOSEST), mistakes, subject.fmt)


# ── factors ──────────────────────────────────────────────────────────────────────────────────────────


def _factor(subject: Subject, wrong: set[str]) -> Diagnosis | None:
    """The diagnosis if all wrong leaves are the right ones times one factor."""
    problem, held, expected, unit = subject.problem, subject.held, subject.expected, subject.fmt.unit_roundoff
    places = tuple(place for place in held if place in wrong)
    c, noise = _common(subject, places)
    if not np.isfinite(c) or c in (0.0, 1.0):
        return None
    made = {place: c * expected[place] for place in places}
    wide = {p: max(1.0, abs(c)) * np.asarray(subject.scale[p]) + unit * abs(made[p]) for p in places}
    worst = worst_place({place: held[place] for place in places}, made, wide, subject.fmt)
    before, left = (max(rms(held[p], side[p], wide[p]) for p in places) for side in (expected, made))
    if left > max(before / SHARE, 1.0):
        return None  # errors that are few scales large stay within the limit with almost any factor
    named = nearest_factors(constants(problem), c, noise)
    where = "every gradient" if len(places) == len(subject.places) else said_places(places, problem)
    if len(named) == 1 and abs(product(named) - c) <= NEAR * noise * abs(c):
        like = Mistake(
            named[0].kinds[0], "", named[0].text, form="factor", constant=named[0].value, also=named[0].kinds[1:]
        )
    else:
        what = f"{number(c, noise)} {UNKNOWN}"
        like = Mistake("constant factor", "", what, vague=True, form="factor", constant=c, uncertainty=noise)
    mistake = factor_at(places, where, like)
    if not _explains(subject, places, wide, worst.scales, (mistake,)):
        return None
    return Diagnosis(sentence((mistake,), problem, worst.scales), (mistake.name,), worst.scales)


def _common(subject: Subject, places: Sequence[str]) -> tuple[float, float]:
    """The factor that fits the leaves best, by least squares in rounding scales, and its relative uncertainty."""
    sides: list[list[Any]] = [[], []]
    for place in places:
        scale = np.asarray(subject.scale[place], dtype=float)
        right = np.asarray(subject.expected[place], dtype=float)
        width = scale + subject.fmt.unit_roundoff * np.abs(right)
        judged = (width > 0) & np.isfinite(width)
        for side, values in zip(sides, (subject.held[place], right), strict=True):
            side.append(np.asarray(values)[judged] / width[judged])
    held, right = (np.concatenate(side) if side else np.zeros(0) for side in sides)
    with np.errstate(all="ignore"):
        c, size = ratio(held, right), norm(right)
    return c, max(subject.fmt.unit_roundoff, max(1.0, 1 / abs(c)) / size) if c and size else np.inf


# ── where nothing fits ───────────────────────────────────────────────────────────────────────────────


def _nothing_fits(subject: Subject, wrong: set[str], beyond: set[str]) -> str:
    """The step at which the numbers first differ on the way back from the loss.

    Of leaves that only a statistic sees beyond the limit (`beyond`) the others need not be right.
    """
    text = "no known mistake explains it"
    double = subject.fmt.bits == FORMATS["float64"].bits  # torch's kernels of coarser types compute in float32
    for row in deviations(subject.problem.in_dtype(np.float64 if double else np.float32)):
        text += f"; torch is known to deviate here by {row.name} ({row.where}): {row.what}"
    if subject.loss_is_wrong():
        text += "; the loss is wrong, too, so the forward pass differs: compare the values of the steps first"
    right = [place for place in subject.places if place not in wrong] if wrong else []
    steps, found = subject.problem.graph.steps, wrong or beyond
    first_use = {name: step for step in reversed(steps) for name in step.inputs}  # all uses have a part in its gradient
    for step in reversed(steps):
        own = [name for name in step.inputs if name is not None and name in subject.held and first_use[name] is step]
        bad = [name for name in own if name in found]
        if bad:
            said = [n + pattern(n, subject.held, subject.expected, subject.scale, subject.fmt) for n in bad]
            text += f"; going back from the loss, {listed(said)} of the step {step.name} "
            text += f"({step.operation.name}) {_are(bad)} the first that {_are(bad)} wrong"
            good = [name for name in own if name in right]
            text += f", while {listed(good)} of the same step {_are(good)} right" if good else ""
            if wrong and not right and len(steps) > 1 and not subject.loss_is_wrong():
                return text + "; nothing given is right, so the forward pass or the loss may be another one"
            return text + (f"; right {_are(right)} {listed(right)}" if right and not good else "")
    return text


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _not_finite(problem: ref.Problem, held: Numbers, fmt: Format) -> str:
    """Which leaves hold numbers that are not finite, and the step whose numbers leave the format's range first."""
    bad = {place: ~np.isfinite(values) for place, values in held.items()}
    spoilt = [place for place in held if np.any(bad[place])]
    if not spoilt:
        return ""
    place = spoilt[0]
    at = [int(i) for i in np.argwhere(np.atleast_1d(bad[place]))[0]]
    text = f"{place}: {int(np.sum(bad[place]))} of {bad[place].size} elements are not finite, the first at {at}"
    text += f"; so are elements of {listed(spoilt[1:], 4)}" if len(spoilt) > 1 else ""
    with np.errstate(all="ignore"):
        values = graph.forward(problem.graph, problem.x).values
    for step in problem.graph.steps:
        largest = max((float(np.abs(values[name]).max(initial=0.0)) for name in step.outputs), default=0.0)
        if not largest <= fmt.largest:
            return f"{text}; the output of {step.name} ({step.operation.name}) is beyond the range of {fmt.name}"
    return text
