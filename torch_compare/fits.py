"""What may have been done to a finished gradient: a factor, a weight decay, clipping; or nothing.

`made` is the leaf that a backward pass makes, `given` the one to be explained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import reference as ref

from .constants import Named, constants, nearest, product
from .mistakes import Leaves, Mistake

BY_NORM = 8.0
"""Correct gradients stay within 0.8 of the scale's norm, by norm; wrong ones may have a larger scale of their own. Ten
times that is the first sieve, and their own scale the second."""
ROUGHEST = 0.4
"""The largest slack: less than the distance of a factor 2. In FP8, 8 σ are more than the gradient itself, and every
mistake would count as none at all."""
FEW = 8
"""A constant without a name has to explain more numbers than so many."""
SIZES = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10)
"""First digits of the bounds that people clip to."""


@dataclass(frozen=True)
class Evidence:
    """What was given, and how far it may stray.

    Attributes:
        problem: the problem, in float64.
        given: arrays by place, in float64.
        noise: place ↦ the norm of its rounding scale, relative to the norm of the right gradient.
        table: the factors that have a name.
        bound: the largest magnitude among the parameters' gradients, if it occurs more than once; else 0.
        norm: of all parameters' gradients together.
    """

    problem: ref.Problem
    given: Mapping[str, Any]
    noise: Mapping[str, float]
    table: tuple[Named, ...] = field(default=())
    bound: float = 0.0
    norm: float = 0.0

    @cached_property
    def trace(self) -> ref.Trace:
        """Of the right forward pass."""
        return ref.forward(self.problem.mlp, self.problem.x)

    @classmethod
    def of(cls, problem: ref.Problem, given: Mapping[str, Any], expected: Any, scale: Any) -> Evidence:
        """The evidence that given arrays are, from the right ones and their rounding scales."""
        noise = {}
        for place in given:
            size, sigma = norm(expected[place]), np.ravel(scale[place])
            rounding = norm(sigma[np.isfinite(sigma)])
            noise[place] = rounding / size if size > 0 else 0.0
        arrays = {place: np.asarray(values, dtype=float) for place, values in given.items()}
        parameters = [np.abs(np.ravel(v)) for k, v in arrays.items() if is_parameter(k)]
        flat = np.concatenate(parameters) if parameters else np.zeros(0)
        largest = float(flat.max(initial=0.0))
        bound = largest if np.sum(flat == largest) > 1 else 0.0
        return cls(problem, arrays, noise, constants(problem), bound, norm(flat))

    def slack(self, place: str) -> float:
        """The relative distance, by norm, up to which a leaf counts as roughly the same."""
        return min(ROUGHEST, BY_NORM * self.noise[place])

    def parameter(self, place: str) -> Any:
        """The weight or bias that a place is the gradient of."""
        layer = self.problem.mlp.layers[int(place[len("layers[") : place.index("]")])]
        return layer.weight if place.endswith("weight") else layer.bias


def is_parameter(place: str) -> bool:
    """Whether a place is the gradient of a weight or a bias."""
    return place.startswith("layers")


def norm(values: Any) -> float:
    """The Euclidean norm of all elements; of huge ones too, whose squares overflow."""
    flat = np.abs(np.ravel(np.asarray(values, dtype=float)))
    peak = float(flat.max(initial=0.0))
    return float(np.linalg.norm(flat / peak)) * peak if 0 < peak < np.inf else peak


def distance(given: Any, made: Any) -> float:
    """‖given − made‖ relative to the larger of both norms."""
    if np.shape(given) != np.shape(made):
        return float("inf")
    size = max(norm(given), norm(made))
    away = norm(np.asarray(given) - made) / size if size > 0 else 0.0
    return away if np.isfinite(away) else float("inf")


def ratio(a: Any, b: Any) -> float:
    """The factor c that brings c·b nearest to a; not finite where there is none."""
    a, b = np.ravel(np.asarray(a, dtype=float)), np.ravel(np.asarray(b, dtype=float))
    peak = float(np.abs(b).max(initial=0.0))
    return float(a @ (b / peak) / ((b / peak) @ (b / peak)) / peak) if 0 < peak < np.inf else float("nan")


@dataclass(frozen=True)
class Fit:
    """How a leaf that was made becomes the one that was given.

    Attributes:
        mistakes: what is done to it; none where it is the same.
        factors: those of the mistakes that are factors, if no other is among them.
    """

    mistakes: tuple[Mistake, ...] = ()
    factors: tuple[Mistake, ...] = ()


SAME = Fit()


def leaf_fits(evidence: Evidence, place: str, made: Any, before: tuple[Mistake, ...]) -> Iterator[Fit]:
    """The simplest ways from a leaf that was made to the one given: what was done elsewhere before comes first."""
    given, slack = evidence.given[place], evidence.slack(place)
    if distance(given, made) <= slack:
        yield SAME
        return
    found = list(_factors(evidence, place, given, made, slack, before))
    yield from found
    if is_parameter(place) and not found:
        yield from _clipped(evidence, place, given, made, slack)
        yield from _decayed(evidence, place, given, made, slack, before)


# ── factors ──────────────────────────────────────────────────────────────────────────────────────────


def factor_at(places: Iterable[str], where: str, like: Mistake) -> Mistake:
    """The same factor at these leaves."""
    scaled, c = frozenset(places), like.constant

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        return {k: v * c if k in scaled else v for k, v in leaves.items()}

    return Mistake(
        like.name, where, like.what, leaves=change, vague=like.vague, form="factor", constant=c,
        uncertainty=like.uncertainty, also=like.also,
    )  # fmt: skip


def _factors(
    evidence: Evidence, place: str, given: Any, made: Any, slack: float, before: tuple[Mistake, ...]
) -> Iterator[Fit]:
    if not np.any(given):
        zero = Mistake("gradient missing", place, "yours is 0", form="factor", constant=0.0)
        yield _fit([factor_at([place], place, zero)])
        return
    c = ratio(given, made)
    if not np.isfinite(c) or c == 0 or distance(given, c * made) > slack:
        return
    known = {m.habit: m for m in before if m.form == "factor" and m.constant != 0}
    for like in known.values():
        if distance(given, like.constant * made) <= slack + like.uncertainty:
            yield _fit([factor_at([place], place, like)])
            return
    if len(known) == 2:
        a, b = known.values()
        if distance(given, a.constant * b.constant * made) <= slack:
            yield _fit([factor_at([place], place, a), factor_at([place], place, b)])
            return
    named = nearest(evidence.table, c, slack)
    if distance(given, product(named) * made) <= slack:
        yield _fit([factor_at([place], place, _named_factor(n)) for n in named])
        return
    size = norm(given)
    if c > 0 and is_round(size) and is_parameter(place) and not is_round(evidence.norm):
        yield Fit((_normalised(place, size),))
    if np.size(given) > 1:
        yield _fit([factor_at([place], place, _unnamed_factor(evidence, place, c))])


def _fit(factors: list[Mistake]) -> Fit:
    return Fit(tuple(factors), tuple(factors))


def _named_factor(named: Named) -> Mistake:
    return Mistake(named.kinds[0], "", named.text, form="factor", constant=named.value, also=named.kinds[1:])


def _unnamed_factor(evidence: Evidence, place: str, c: float) -> Mistake:
    if abs(c - 1) < 0.01:
        what = f"that is off by a relative {c - 1:.3g}: one factor on the way to all of them is inaccurate"
    else:
        what = f"{c:.6g} is no number that this problem has: a learning rate, perhaps"
    name = "constant factor"
    if 0 < c < 1 and is_round(evidence.norm):
        name, what = (
            "gradient clipped",
            f"the norm of all parameters' gradients is clipped, or normalised, to {evidence.norm:.6g}",
        )
    noise = evidence.noise[place]
    return Mistake(name, "", what, vague=True, form="factor", constant=c, uncertainty=noise)


def is_round(value: float) -> bool:
    """Whether a number is one that people choose: 1, 0.5, 2.5, 10, 0.01; to the precision of float32."""
    if not 0 < value < np.inf:
        return False
    digits = value / 10.0 ** np.floor(np.log10(value))
    return bool(np.any(np.abs(digits - np.array(SIZES)) < 1e-6))


def _normalised(place: str, size: float) -> Mistake:
    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        if place not in leaves:
            return leaves
        leaf = leaves[place]
        return leaves | {place: leaf * (size / np.sqrt((leaf * leaf).sum()))}

    what = f"the norm of this gradient by itself is clipped, or normalised, to {size:.6g}"
    return Mistake("gradient clipped", place, what, leaves=change, form="norm", constant=size)


# ── clipping and decay ───────────────────────────────────────────────────────────────────────────────


def _clipped(evidence: Evidence, place: str, given: Any, made: Any, slack: float) -> Iterator[Fit]:
    """Every element limited to ±v, v the largest that was given, which occurs more than once; a factor besides."""
    bound = evidence.bound
    inside = np.abs(given) < bound
    if bound == 0 or not np.any(inside) or np.all(inside):
        return
    c = ratio(given[inside], made[inside])
    if not np.isfinite(c) or c == 0:
        return
    mistake = _clip(bound)
    if distance(given, np.clip(made, -bound, bound)) <= slack:
        yield Fit((mistake,))
        return
    named = nearest(evidence.table, c, slack)
    if distance(given, np.clip(product(named) * made, -bound, bound)) <= slack:
        yield Fit((*(factor_at([place], place, _named_factor(n)) for n in named), mistake))


def _clip(bound: float) -> Mistake:
    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        return {k: np.minimum(np.maximum(v, -bound), bound) if is_parameter(k) else v for k, v in leaves.items()}

    what = f"every element is clipped to ±{bound:.6g}"
    return Mistake("gradient clipped", "every weight and bias", what, leaves=change, form="clip", constant=bound)


DECAYS: dict[str, Callable[[Any], Any]] = {"the weights": lambda w: w, "the weights' signs": np.sign}


def _decayed(
    evidence: Evidence, place: str, given: Any, made: Any, slack: float, before: tuple[Mistake, ...]
) -> Iterator[Fit]:
    """c·made + λ·direction, the parameter or its sign, where c is 1 or has a name."""
    for along, shape in DECAYS.items():
        direction = shape(evidence.parameter(place))
        known = [m for m in before if m.form == along]
        if known:
            rate = known[0].constant
            c = ratio(given - rate * direction, made)
        else:
            c, rate = _factor_and_rate(given, made, direction)
        if not (np.isfinite(c) and np.isfinite(rate)) or distance(given, c * made + rate * direction) > slack:
            continue
        named = () if abs(c - 1) <= slack else nearest(evidence.table, c, slack)
        c = product(named)
        rate = rate if known else ratio(given - c * made, direction)
        if rate != 0 and distance(given, c * made + rate * direction) <= slack:
            scaled = tuple(factor_at([place], place, _named_factor(n)) for n in named)
            yield Fit((*scaled, _decay(place, along, rate, evidence.noise[place])), scaled)
            return


def _factor_and_rate(given: Any, made: Any, direction: Any) -> tuple[float, float]:
    """The c and λ of given = c·made + λ·direction, by least squares; NaN where they are not determined."""
    a, b, g = (np.ravel(v) for v in (made, direction, given))
    if a.size < 3:
        return float("nan"), float("nan")
    (aa, ab, bb), (ag, bg) = (a @ a, a @ b, b @ b), (a @ g, b @ g)
    determinant = aa * bb - ab * ab
    if not determinant > 0:
        return float("nan"), float("nan")
    return float((ag * bb - bg * ab) / determinant), float((bg * aa - ag * ab) / determinant)


def _decay(place: str, along: str, rate: float, uncertainty: float) -> Mistake:
    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        if place not in leaves:
            return leaves
        index = int(place[len("layers[") : place.index("]")])
        layer = problem.mlp.layers[index]
        parameter = layer.weight if place.endswith("weight") else layer.bias
        return leaves | {place: leaves[place] + DECAYS[along](parameter) * rate}

    what = f"{rate:.6g} × {along} is added: a weight decay that belongs to the optimiser"
    return Mistake(
        "weight decay mixed in", place, what, leaves=change, form=along, constant=rate, uncertainty=uncertainty
    )
