"""Linear statistics of the errors of gradients: what thousands of elements say together that none says alone.

s = (given − expected)/σ are the errors in rounding scales, g = expected/σ the gradient in them, and r the errors of the
noisy runs. A mistake moves the gradient in a direction d: a factor moves it along g, another mistake along the
change that it makes. The projection ⟨d, s⟩ sees it, in units of its standard error, which is measured on the same runs:

    |⟨d, s⟩| / √(mean over runs of ⟨d, r⟩²)

Correlated rounding is in the runs, hence in the standard error. 1 + ⟨g, s⟩/⟨g, g⟩ is the factor between what was given
and the gradient, fitted by least squares. The mean square of s sees what has no direction.

Every limit is what correct gradients stay below, as measured; `LIMITS` says where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ..arithmetic.array import NumPyArray
from ..network.gradients import layer_of, place_of
from .distance import FACTOR, Leaves
from .scale import Rounding

WHOLE, LAYER, LEAF, UNIT, SIZE, MISTAKE = "whole", "layer", "leaf", "unit", "size", "mistake"
LIMITS: Mapping[str, float] = MappingProxyType(
    {WHOLE: 12.0, LAYER: 12.0, LEAF: 12.0, UNIT: 16.0, SIZE: 8.0, MISTAKE: 12.0}
)
"""Standard errors, and root mean squares of s for `SIZE`; of many elements. A few are judged more like one of them, by
`FACTOR`/√n: n is their number, or (Σd²)²/Σd⁴, how many elements a direction lies in."""


@dataclass(frozen=True)
class Statistic:
    """One statistic of the errors.

    Attributes:
        kind: one of `LIMITS`.
        place: the leaf, the layer, the row or column of a leaf that it is taken over; "every gradient".
        errors: its size in standard errors; for `SIZE` the root mean square in rounding scales.
        elements: how many it is about.
        factor: what the given numbers are times the expected ones, of a projection on the gradient.
    """

    kind: str
    place: str
    errors: float
    elements: float
    factor: float = float("nan")

    @property
    def limit(self) -> float:
        """What correct gradients stay below."""
        return max(LIMITS[self.kind], FACTOR / np.sqrt(max(self.elements, 1.0)))

    @property
    def excess(self) -> float:
        """In units of its limit."""
        return self.errors / self.limit

    @property
    def in_full(self) -> bool:
        """Whether a change made once, no more and no less, leaves a projection on it within the limit."""
        return self.factor != 0 and abs(1 - 1 / self.factor) * self.errors <= self.limit

    def __str__(self) -> str:
        if self.kind == SIZE:
            return f"{self.place} is off by {self.errors:.3g} σ by root mean square"
        if self.kind == MISTAKE:
            return f"moved by {self.factor:.3g} × what {self.place} would do, {self.errors:.3g} standard errors from 0"
        factor = f"{self.factor:.{_places(self.factor)}g}"
        return f"{self.place} is {factor} × the oracle's, {self.errors:.3g} standard errors from 1"


def _places(factor: float) -> int:
    """Significant digits that tell a factor from 1."""
    apart = abs(factor - 1)
    return 3 if not 0 < apart < 0.1 else min(17, 3 - int(np.floor(np.log10(apart))) - 1 + (factor >= 1))


@dataclass(frozen=True)
class Whitened:
    """Errors, gradient and runs of the leaves in rounding scales, by place; the loss is no part of them.

    Elements without a scale, and those whose numbers are not finite, are 0 everywhere: they are judged one by one.
    """

    error: dict[str, NumPyArray]
    gradient: dict[str, NumPyArray]
    runs: dict[str, NumPyArray]

    @classmethod
    def of(cls, leaves: Leaves, expected: Leaves, rounding: Rounding) -> Whitened:
        """Of given leaves, the expected ones, and the rounding errors of correct ones."""
        error, gradient, runs = {}, {}, {}
        with np.errstate(all="ignore"):
            for place, given in leaves.items():
                if place == "loss":
                    continue
                sigma, exact = rounding.sigma[place], np.asarray(expected[place], dtype=float)
                s = (np.asarray(given, dtype=float) - exact) / sigma
                g = exact / sigma
                judged = (sigma > 0) & np.isfinite(s) & np.isfinite(g)
                error[place], gradient[place] = np.where(judged, s, 0.0), np.where(judged, g, 0.0)
                runs[place] = rounding.errors[place]
        return cls(error, gradient, runs)

    def without(self, factor: float) -> Whitened:
        """The errors less those of gradients that are all this much larger, relative to themselves."""
        error = {place: self.error[place] - factor * g for place, g in self.gradient.items()}
        return Whitened(error, self.gradient, self.runs)

    def of_zeros(self, places: Iterable[str]) -> Whitened:
        """The errors that zeros would have in place of the given numbers at these places, and nothing of the others."""
        gradient = {place: self.gradient[place] for place in places}
        error, runs = {p: -g for p, g in gradient.items()}, {p: self.runs[p] for p in gradient}
        return Whitened(error, gradient, runs)


def statistics(white: Whitened) -> Iterator[Statistic]:
    """The mean squares of every leaf, and the projections on the gradient: whole, by layer, leaf, row and column."""
    yield from sizes(white)
    peak = _largest(white.gradient)
    if not peak > 0:
        return
    leaves: dict[str, _Sums] = {}
    for place, gradient in white.gradient.items():
        d, error, runs = gradient / peak, white.error[place], white.runs[place]
        for axis in range(d.ndim if d.ndim > 1 else 0):
            sums = _sums(d, error, runs, axis)
            yield from _of_units(place, sums, d.ndim, axis, peak)
        leaves[place] = sums.total() if d.ndim > 1 else _sums(d[None], error[None], runs[:, None], 0).total()
        yield leaves[place].projection(LEAF, place, peak)
    for layer in sorted({layer for layer in map(layer_of, leaves) if layer is not None}):
        parts = [sums for place, sums in leaves.items() if layer_of(place) == layer]
        if len(parts) > 1:
            yield _Sums.added(parts).projection(LAYER, place_of(layer), peak)
    if len(leaves) > 1:
        yield _Sums.added(list(leaves.values())).projection(WHOLE, "every gradient", peak)


def sizes(white: Whitened) -> Iterator[Statistic]:
    """The root mean square of each leaf of several elements, over those that have a scale, in units of the runs'."""
    for place, error in white.error.items():
        runs = white.runs[place]
        squares = np.einsum("r...,r...->...", runs, runs)
        judged = squares > 0
        count = int(np.count_nonzero(judged))
        if count > 1:
            with np.errstate(over="ignore"):
                expected = np.sqrt(squares[judged].mean(dtype=float) / len(runs))
                yield Statistic(SIZE, place, float(np.sqrt(np.mean(error[judged] ** 2)) / expected), count)


def towards(white: Whitened, changes: Sequence[tuple[str, NumPyArray]]) -> list[Statistic]:
    """The projections on changes of the gradient; those that change nothing are left out.

    Args:
        white: errors, gradient and runs.
        changes: the name of a mistake, and what it changes in rounding scales, all leaves in one array (`flat`).
    """
    peaks = [float(np.abs(change).max(initial=0.0)) for _, change in changes]
    kept = [(name, change / peak) for (name, change), peak in zip(changes, peaks, strict=True) if 0 < peak < np.inf]
    if not kept:
        return []
    d, error = np.stack([change for _, change in kept]), flat(white.error)
    runs = np.concatenate([r.reshape(len(r), -1) for r in white.runs.values()], axis=1)
    sums = _Sums(d @ error, (d**2).sum(axis=1), (d**4).sum(axis=1), runs @ d.astype(np.float32).T)
    found, scale = sums.deviations(), [peak for peak in peaks if 0 < peak < np.inf]
    with np.errstate(all="ignore"):
        amounts, elements = sums.error / sums.square / scale, sums.square**2 / sums.fourth
    return [
        Statistic(MISTAKE, name, float(found[i]), float(elements[i]), float(amounts[i]))
        for i, (name, _) in enumerate(kept)
    ]


def flat(arrays: Mapping[str, NumPyArray]) -> NumPyArray:
    """All leaves in one array."""
    return np.concatenate([np.ravel(a) for a in arrays.values()]) if arrays else np.zeros(0)


def worst_statistic(found: Iterable[Statistic]) -> Statistic | None:
    """The one furthest beyond its limit, or nearest to it."""
    return max(found, key=lambda statistic: statistic.excess, default=None)


def _largest(arrays: Mapping[str, NumPyArray]) -> float:
    return max((float(np.abs(a).max(initial=0.0)) for a in arrays.values()), default=0.0)


# ── sums over elements ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Sums:
    """⟨d, s⟩, ⟨d, d⟩ and Σ d⁴ (…), and ⟨d, r⟩ (runs, …) over some of the elements, d at most 1 in size."""

    error: NumPyArray
    square: NumPyArray
    fourth: NumPyArray
    runs: NumPyArray

    @classmethod
    def added(cls, parts: list[_Sums]) -> _Sums:
        """The sums over all of the parts."""
        columns = zip(*((p.error, p.square, p.fourth, p.runs) for p in parts), strict=True)
        return cls(*(np.sum(column, axis=0) for column in columns))

    def total(self) -> _Sums:
        """The sums over everything."""
        runs = self.runs.reshape(len(self.runs), -1).sum(axis=1)
        return _Sums(self.error.sum(), self.square.sum(), self.fourth.sum(), runs)

    def deviations(self) -> NumPyArray:
        """|⟨d, s⟩| in units of its standard error; 0 where it has none."""
        standard = np.sqrt(np.mean(self.runs.astype(float) ** 2, axis=0))
        with np.errstate(all="ignore"):
            return np.where(standard > 0, np.abs(self.error) / np.where(standard > 0, standard, 1.0), 0.0)

    def projection(self, kind: str, place: str, peak: float) -> Statistic:
        """The statistic of one sum; the direction is d times the peak."""
        with np.errstate(all="ignore"):
            factor = 1 + float(self.error / self.square / peak) if self.square > 0 else 1.0
            elements = float(self.square**2 / self.fourth) if self.fourth > 0 else 1.0
            return Statistic(kind, place, float(self.deviations()), elements, factor)


def _sums(d: NumPyArray, error: NumPyArray, runs: NumPyArray, axis: int) -> _Sums:
    """The sums over all axes but one."""
    others = tuple(a for a in range(d.ndim) if a != axis)
    letters = "".join(chr(ord("a") + a) for a in range(d.ndim))
    of_runs = np.einsum(f"r{letters},{letters}->r{letters[axis]}", runs, d.astype(np.float32))
    with np.errstate(all="ignore"):
        return _Sums((d * error).sum(axis=others), (d**2).sum(axis=others), (d**4).sum(axis=others), of_runs)


def _of_units(place: str, sums: _Sums, ndim: int, axis: int, peak: float) -> Iterator[Statistic]:
    """The unit, feature or example (row or column of a leaf) that is furthest off."""
    found = sums.deviations()
    if found.size > 1:
        worst = int(np.argmax(found))
        at = ", ".join(str(worst) if a == axis else ":" for a in range(ndim))
        one = _Sums(sums.error[worst], sums.square[worst], sums.fourth[worst], sums.runs[:, worst])
        yield one.projection(UNIT, f"{place}[{at}]", peak)
