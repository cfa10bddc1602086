"""Fits of a finished gradient to the one that was given: a factor, a weight decay, clipping; or nothing.

`made` is the leaf that a backward pass makes, `given` the one to be explained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..mistakes.finished import DECAYS, ROUND, clipped, decayed_at, factor_at, normalised_at
from ..mistakes.mistake import Mistake, told_from
from .evidence import BY_NORM, PLAIN, Evidence, norm, ratio
from .named_factors import UNKNOWN, Named, nearest, product
from .row_fits import row_mistakes

TELLING = 2.0**-10
"""How near a norm, or a rate, is to a round number that it is by intention: there are 12 of them in a decade, so that
chance comes so near to one in a hundred cases."""
AS_CLOSE, FITTED = 1.0, 2.0
"""A factor has a name if the named one comes within the first of these (σ), or within the second of what the plain
factor leaves that fits best: else the plain one explains the numbers better."""
SIZES = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10)
"""First digits of the bounds that people clip to."""


@dataclass(frozen=True)
class Fit:
    """How a leaf that was made becomes the one that was given.

    Attributes:
        mistakes: what is done to it; none if it is the same.
        factors: those of the mistakes that are factors, if no other is among them.
        away: how far the leaf is from the given one then, see `Evidence.away`.
    """

    mistakes: tuple[Mistake, ...] = ()
    factors: tuple[Mistake, ...] = ()
    away: float = 0.0


def leaf_fits(
    evidence: Evidence, place: str, made: Any, floor: float = 0.0, before: tuple[Mistake, ...] = ()
) -> Iterator[Fit]:
    """The simplest ways from a leaf that was made to the one given.

    Args:
        evidence: what was given.
        place: which leaf.
        made: what a backward pass makes there.
        floor: of the norm of its rounding errors.
        before: what was done elsewhere, whose constants are tried before others are fitted.
    """
    away = evidence.away(place, made, floor)
    if away <= BY_NORM:
        yield Fit(away=away)
    if away <= BY_NORM * PLAIN:
        return

    def same(leaf: Any, factor: float = 1.0, share: float = 1.0) -> bool:
        return evidence.same(place, leaf, floor * abs(factor), share)

    found = [*_factors(evidence, place, made, before, same)]
    if evidence.is_parameter(place):
        found += [*_clipped(evidence, place, made, same), *_decayed(evidence, place, made, before, same)]
    found += [Fit((m,)) for m in row_mistakes(evidence.given[place], made, place)]
    for fit in found:
        leaves = {place: made}
        for mistake in fit.mistakes:
            leaves = mistake.leaves(evidence.problem, leaves)
        yield replace(fit, away=evidence.away(place, leaves[place], floor))


Same = Callable[..., bool]
"""(leaf, factor that its rounding errors have, share of the slack) ↦ whether it is the one given."""


# ── factors ──────────────────────────────────────────────────────────────────────────────────────────


def _factors(evidence: Evidence, place: str, made: Any, before: tuple[Mistake, ...], same: Same) -> Iterator[Fit]:
    given = evidence.given[place]
    if not np.any(given):
        zero = Mistake("gradient missing", place, "yours is 0", form="factor", constant=0.0)
        yield _fit([factor_at([place], place, zero)])
        return
    c = evidence.ratio(place, given, made)
    if not np.isfinite(c) or c == 0 or not same(c * made, c):
        return
    known = list({m.habit: m for m in before if m.form == "factor" and m.constant != 0}.values())
    for like in known:
        if same(like.constant * made, like.constant):
            yield _fit([factor_at([place], place, like)])
            return
    if len(known) == 2:
        both = known[0].constant * known[1].constant
        if same(both * made, both):
            yield _fit([factor_at([place], place, like) for like in known])
            return
    size, noise = norm(given), evidence.noise[place]
    named = nearest(evidence.table, c, noise)
    known_ones, plain = (evidence.away(place, factor * made, 0.0) for factor in (product(named), c))
    if known_ones <= max(AS_CLOSE, FITTED * plain) and same(product(named) * made, product(named), PLAIN):
        yield _fit([factor_at([place], place, _named_factor(n)) for n in named])
        return
    if c > 0 and evidence.is_parameter(place):
        if near_round(size, noise):
            yield Fit((normalised_at(place, near_round(size, noise), noise),))
        if near_round(evidence.norm, evidence.least_noise):
            yield _fit([factor_at([place], place, _unnamed_factor(evidence, place, c))])
    yield _fit([factor_at([place], place, _unnamed_factor(evidence, place, c))])


def _fit(factors: list[Mistake]) -> Fit:
    return Fit(tuple(factors), tuple(factors))


def _named_factor(named: Named) -> Mistake:
    return Mistake(named.kinds[0], "", named.text, form="factor", constant=named.value, also=named.kinds[1:])


def _unnamed_factor(evidence: Evidence, place: str, c: float) -> Mistake:
    noise = evidence.noise[place]
    if abs(c - 1) < 0.01:
        what = f"that is off by a relative {c - 1:.3g}: one factor on the way to all of them is inaccurate"
    else:
        what = f"{told_from(c, 1.0, noise)}{_fraction(c, noise)} {UNKNOWN}"
        what += ": a learning rate, perhaps" if _is_rate(c, noise) else ""
    name, size = "constant factor", near_round(evidence.norm, evidence.least_noise)
    if c > 0 and size:
        done = "clipped, or normalised," if c < 1 else "normalised"
        name, what = "gradient clipped", f"the norm of all parameters' gradients is {done} to {size:g}"
    return Mistake(name, "", what, vague=True, form="factor", constant=c, uncertainty=noise)


def _is_rate(c: float, noise: float) -> bool:
    """Whether a factor is one that people choose as a learning rate: below 1, of one digit or two."""
    return 0 < c < 1 and noise <= TELLING and abs(float(f"{c:.2g}") - c) <= max(4 * noise, 1e-12) * c


def _fraction(c: float, noise: float) -> str:
    """The fraction of small numbers that a factor is, which chance meets in one of a thousand factors; "" if none."""
    if not noise <= 2.0**-20 or not 1e-3 < abs(c) < 1e3:
        return ""
    near = Fraction(c).limit_denominator(32)
    if float(f"{c:.2g}") == float(f"{c:.12g}"):
        return ""
    told = near.denominator > 2 and abs(near.numerator) < 64 and abs(float(near) - c) <= 4 * noise * abs(c)
    return f" = {near}" if told else ""


def near_round(value: float, noise: float) -> float:
    """The number that people choose (1, 0.5, 2.5, 10, 0.01) next to a value; 0 if none is within its noise, and told.

    >>> near_round(0.49999999, 1e-7), near_round(0.4321, 1e-7), near_round(0.4321, 0.2)
    (0.5, 0.0, 0.0)
    """
    if not 0 < value < np.inf:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    nearest_one = float(min(SIZES, key=lambda digit: abs(digit * power - value)) * power)
    return nearest_one if abs(nearest_one - value) <= max(min(noise, TELLING), ROUND) * value else 0.0


# ── clipping and decay ───────────────────────────────────────────────────────────────────────────────


def _clipped(evidence: Evidence, place: str, made: Any, same: Same) -> Iterator[Fit]:
    """Every element limited to ±v, v the largest that was given, which occurs more than once; a factor besides."""
    given, bound = evidence.given[place], evidence.bound
    if bound == 0 or not np.any(np.abs(given) == bound):
        return
    if same(np.clip(made, -bound, bound)):
        yield Fit((clipped(bound),))
        return
    inside = np.abs(given) < bound
    c = ratio(given[inside], np.asarray(made)[inside])
    if np.isfinite(c) and c != 0:
        named = nearest(evidence.table, c, evidence.noise[place])
        if same(np.clip(product(named) * made, -bound, bound), product(named)):
            yield Fit((*(factor_at([place], place, _named_factor(n)) for n in named), clipped(bound)))


def _decayed(evidence: Evidence, place: str, made: Any, before: tuple[Mistake, ...], same: Same) -> Iterator[Fit]:
    """c·made + λ·direction, the parameter or its sign, if c is 1 or has a name."""
    given, noise = evidence.given[place], evidence.noise[place]
    for along, shape in DECAYS.items():
        direction = shape(evidence.parameter(place))
        known = [m for m in before if m.form == along]
        if known:
            rate = known[0].constant
            c = evidence.ratio(place, given - rate * direction, made)
        else:
            weight = 1 / evidence.sigma[place]
            c, rate = _factor_and_rate(given * weight, made * weight, direction * weight)
        if not (np.isfinite(c) and np.isfinite(rate)) or not same(c * made + rate * direction, c):
            continue
        named = () if abs(c - 1) <= BY_NORM * noise else nearest(evidence.table, c, noise)
        c = product(named)
        rate = rate if known else evidence.ratio(place, given - c * made, direction)
        if rate != 0 and same(c * made + rate * direction, c):
            scaled = tuple(factor_at([place], place, _named_factor(n)) for n in named)
            yield Fit((*scaled, decayed_at(place, along, rate, noise)), scaled)


def _factor_and_rate(given: Any, made: Any, direction: Any) -> tuple[float, float]:
    """The c and λ of given = c·made + λ·direction, by least squares; c = 1 if that leaves c open."""
    a, b, g = (np.ravel(v) for v in (made, direction, given))
    if a.size < 3:
        return 1.0, ratio(g - a, b)
    (aa, ab, bb), (ag, bg) = (a @ a, a @ b, b @ b), (a @ g, b @ g)
    determinant = aa * bb - ab * ab
    if not determinant > 0:
        return 1.0, ratio(g - a, b)
    return float((ag * bb - bg * ab) / determinant), float((bg * aa - ag * ab) / determinant)
