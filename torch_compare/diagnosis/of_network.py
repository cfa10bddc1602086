"""The mistake behind wrong gradients of a network of operations: in which step, and what was done there.

Every known mistake is made in the oracle's own formulas, and what comes of it held against what was given, in the
rounding scale of the right gradients first. The nearest few are then measured in noisy arithmetic of their own: one
explains the numbers if every element lies within the rounding of the wrong gradients. If none does, it is said at which
step, on the way back from the loss, the numbers first differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network import graph, passes
from reference.rounding.distance import FACTOR, worst_place, worst_places
from reference.rounding.scale import rounding_errors

from ..mistakes.finished import factor_at
from ..mistakes.mistake import Mistake, leaves_with
from ..mistakes.network_pass import NetworkPass
from ..mistakes.of_network import network_mistakes
from .named_factors import constants, nearest, product
from .trial import with_storing
from .wording import Diagnosis, listed, number, sentence

Numbers = Mapping[str, Any]
"""Arrays by place."""
WORK = 2e10
"""Multiply-adds that making the mistakes may take; a pass costs `OVERHEAD` a step besides, in the same units."""
OVERHEAD = 2e5
TRIED = 6
"""So many of the nearest are tried in noisy arithmetic."""
RUNS = 16
SHARE = 4.0
"""An explanation leaves a fourth of the error at the most, by root mean square and in rounding scales."""
CLOSER = 8.0
"""One that leaves so many times more than another, and more than rounding, is no rival of it."""


@dataclass(frozen=True)
class _Fit:
    """A mistake that comes near.

    Attributes:
        mistake: what was done.
        away: root mean square of what it leaves of the worst leaf, in rounding scales of the right gradients.
        scales: the largest distance of an element, in its own rounding scales.
    """

    mistake: Mistake
    away: float
    scales: float = np.inf


def diagnose_network(
    problem: ref.Problem,
    given: Numbers,
    expected: Numbers,
    scale: Numbers,
    fmt: Format,
    seed: int = 0,
    stored: Mapping[str, Format] = MappingProxyType({}),
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
    wrong = _wrong(held, expected, scale, fmt)
    fits, stopped = _nearest(problem, held, expected, scale, wrong)
    tried = [_tried(fit, problem, held, fmt, seed, stored) for fit in fits[:TRIED]]
    standing = sorted((f for f in tried if f.scales <= FACTOR), key=lambda f: (f.mistake.vague, f.scales > 1.0, f.away))
    factor = _factor(problem, held, expected, scale, wrong, fmt)
    if not standing:
        return factor or Diagnosis(_nothing_fits(problem, held, wrong), stopped=stopped)
    first, *rest = standing
    rivals = [f.mistake for f in rest if f.away <= max(CLOSER * first.away, 1.0)]
    names = [(m.name,) for m in rivals if m.name != first.mistake.name]
    told = dict.fromkeys(sentence((m,), problem) for m in rivals)
    text = sentence((first.mistake,), problem, first.scales)
    return Diagnosis(
        text, (first.mistake.name,), first.scales, " or ".join(list(told)[:2]), tuple(dict.fromkeys(names)),
        stopped=stopped,
    )  # fmt: skip


def _wrong(held: Numbers, expected: Numbers, scale: Numbers, fmt: Format) -> set[str]:
    """The leaves that have an element beyond rounding, the loss left out."""
    places = worst_places(held, expected, scale, fmt)
    return {place for place, worst in places.items() if place != "loss" and worst.scales > FACTOR}


# ── known mistakes ───────────────────────────────────────────────────────────────────────────────────


def _nearest(
    problem: ref.Problem,
    held: Numbers,
    expected: Numbers,
    scale: Numbers,
    wrong: set[str],
) -> tuple[list[_Fit], str]:
    """The mistakes that leave little of the errors, the nearest first, and what was left out of the search."""
    network = problem.graph
    before = {place: _rms(held[place], expected[place], scale[place]) for place in held if place != "loss"}
    most = max(before.values(), default=0.0)
    spent, each = 0.0, 3.0 * passes.work(network, problem.x) + OVERHEAD * len(network.steps)
    found, stopped, right = [], "", NetworkPass.of(problem)
    for mistake in _likely(problem, wrong):
        spent += each
        if spent > WORK:
            stopped = f"stopped after {WORK:.0e} multiply-adds: it looked at the likeliest mistakes".replace("e+", "e")
            break
        try:
            made = leaves_with((mistake,), problem, right)
        except (ValueError, IndexError, AssertionError, np.linalg.LinAlgError):
            continue  # it cannot be made here
        away = max(
            (_rms(held[place], made[place], _wider(scale, made, expected, place)) for place in before), default=0
        )
        if away <= most / SHARE:
            found.append(_Fit(mistake, float(away)))
    return sorted(found, key=lambda f: f.away), stopped


def _likely(problem: ref.Problem, wrong: set[str]) -> Iterator[Mistake]:
    """The mistakes that reach every leaf that is wrong: those of a step from which all of them can be reached."""
    network = problem.graph
    reached = {step.name: _leaves_behind(network, step, problem) for step in network.steps}
    for mistake in network_mistakes(problem):
        behind = reached.get(mistake.where)
        if behind is None or wrong <= behind:
            yield mistake


def _leaves_behind(network: ref.Network, step: ref.Step, problem: ref.Problem) -> set[str]:
    """The leaves that a step's output depends on."""
    needed = set(step.outputs)
    for earlier in reversed(network.steps):
        if needed & set(earlier.outputs):
            needed |= {name for name in earlier.inputs if name is not None}
    return needed & set(problem.leaves())


def _wider(scale: Numbers, made: Numbers, expected: Numbers, place: str) -> Any:
    """The rounding scale of a leaf, as many times as the wrong one is larger than the right one."""
    size = float(np.abs(expected[place]).max(initial=0.0))
    times = max(1.0, float(np.abs(made[place]).max(initial=0.0)) / size) if size else 1.0
    usual = float(np.median(scale[place])) if np.size(scale[place]) else 0.0
    return np.maximum(scale[place], usual) * times


def _rms(given: Any, made: Any, sigma: Any) -> float:
    """The root mean square of a difference in rounding scales; ∞ where there is none and the numbers differ."""
    apart = np.abs(np.asarray(given, dtype=float) - made)
    with np.errstate(all="ignore"):
        off = np.where(apart == 0, 0.0, apart / np.where(sigma > 0, sigma, 0.0))
    off = np.where(np.isnan(off), np.inf, off)
    return float(np.sqrt(np.mean(np.square(np.minimum(off, 1e150)))))


def _tried(
    fit: _Fit, problem: ref.Problem, held: Numbers, fmt: Format, seed: int, stored: Mapping[str, Format]
) -> _Fit:
    """The fit with its distance in the rounding scales of the wrong gradients."""
    other = fit.mistake.problem(problem)
    made = leaves_with((fit.mistake,), problem)
    sigma = rounding_errors(other, fmt, textbook=True, runs=RUNS, seed=seed).sigma
    judged = {place: values for place, values in held.items() if place != "loss"}
    worst = worst_place(judged, made, with_storing(sigma, made, stored), fmt)
    return _Fit(fit.mistake, fit.away, float(np.inf if np.isnan(worst.scales) else worst.scales))


# ── factors ──────────────────────────────────────────────────────────────────────────────────────────


def _factor(
    problem: ref.Problem,
    held: Numbers,
    expected: Numbers,
    scale: Numbers,
    wrong: set[str],
    fmt: Format,
) -> Diagnosis | None:
    """The diagnosis if all wrong leaves are the right ones times one factor."""
    places = tuple(place for place in held if place in wrong)
    if not places:
        return None
    c = _common(held, expected, places)
    if not np.isfinite(c) or c == 1:
        return None
    made = {place: c * expected[place] for place in places}
    wide = {
        place: max(1.0, abs(c)) * np.asarray(scale[place]) + fmt.unit_roundoff * abs(made[place]) for place in places
    }
    worst = worst_place({place: held[place] for place in places}, made, wide, fmt)
    if not worst.scales <= FACTOR:
        return None
    named = nearest(constants(problem), c, fmt.unit_roundoff)
    where = "every gradient" if len(places) == len([p for p in held if p != "loss"]) else listed(places)
    if len(named) == 1 and abs(product(named) - c) <= FACTOR * fmt.unit_roundoff * abs(c):
        like = Mistake(
            named[0].kinds[0], "", named[0].text, form="factor", constant=named[0].value, also=named[0].kinds[1:]
        )
    else:
        what = f"{number(c)} is no number that this problem has"
        like = Mistake(
            "constant factor", "", what, vague=True, form="factor", constant=c, uncertainty=fmt.unit_roundoff
        )
    mistake = factor_at(places, where, like)
    return Diagnosis(sentence((mistake,), problem, worst.scales), (mistake.name,), worst.scales)


def _common(held: Numbers, expected: Numbers, places: Sequence[str]) -> float:
    """The factor of the largest element."""
    place = max(places, key=lambda p: float(np.abs(expected[p]).max(initial=0.0)))
    at = np.unravel_index(np.argmax(np.abs(expected[place])), np.shape(expected[place]))
    with np.errstate(all="ignore"):
        return float(np.asarray(held[place])[at] / np.asarray(expected[place])[at])


# ── where nothing fits ───────────────────────────────────────────────────────────────────────────────


def _nothing_fits(problem: ref.Problem, held: Numbers, wrong: set[str]) -> str:
    """The step at which the numbers first differ on the way back from the loss."""
    right = [place for place in held if place not in wrong and place != "loss"]
    for step in reversed(problem.graph.steps):
        own = [name for name in step.inputs if name is not None and name in held]
        bad = [name for name in own if name in wrong]
        if bad:
            text = f"no known mistake explains it; going back from the loss, {listed(bad)} of the step {step.name} "
            text += f"({step.operation.name}) {_are(bad)} the first that {_are(bad)} wrong"
            good = [name for name in own if name not in wrong]
            text += f", while {listed(good)} of the same step {_are(good)} right" if good else ""
            if not right and len(problem.graph.steps) > 1:
                return text + "; nothing given is right, so the forward pass or the loss may be another one"
            return text + (f"; right {_are(right)} {listed(right)}" if right and not good else "")
    return "no known mistake explains it"


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
