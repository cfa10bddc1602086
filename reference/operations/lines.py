"""Windows that slide along axes, and the places of the elements in each: what all pooling has in common.

Letters: n the length of an axis, O the number of windows along it, K of elements in a window. The elements of a window
of several axes are counted in C order, so the first is the first that torch visits.

>>> line = sliding("max_pool1d", 5, 3, 2, 1)
>>> line.inside.tolist(), taken(padded(np.arange(5.0), (line,)), (line,), (0,)).tolist()
([[False, True, True], [True, True, True], [True, True, False]], [0.0, 1.0, 3.0])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from .arguments import expect


@dataclass(frozen=True)
class Sharing:
    """The windows that have each element of an axis, C at the most, from the first window on.

    Attributes:
        windows: their numbers (C, n).
        elements: the element's number in each (C, n).
        there: whether there is another window (C, n).
    """

    windows: NumPyArray
    elements: NumPyArray
    there: NumPyArray


@dataclass(frozen=True)
class Line:
    """The windows along one axis.

    Attributes:
        length: n.
        around: how many places before and after the axis the windows reach.
        places: of the k-th element of every window, counted from the first place around: a slice where it can be one.
        inside: whether it is an element of the axis (K, O).
        reach: the elements of every window that lie on the axis or on its padding (O,).
    """

    length: int
    around: tuple[int, int]
    places: tuple[Any, ...]
    inside: NumPyArray
    reach: NumPyArray

    @cached_property
    def sharing(self) -> Sharing:
        """Which windows have each element of the axis."""
        element, window = np.nonzero(self.inside)
        places = np.stack([np.arange(self.length + sum(self.around))[part] for part in self.places])
        place = places[element, window] - self.around[0]
        order = np.lexsort((element, window, place))
        place, element, window = place[order], element[order], window[order]
        turn = np.arange(len(place)) - np.searchsorted(place, place)
        shape = (int(turn.max(initial=0)) + 1, self.length)
        found = Sharing(np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, bool))
        for filled, values in ((found.windows, window), (found.elements, element), (found.there, True)):
            filled[turn, place] = values
        return found

    @property
    def count(self) -> int:
        """O."""
        return int(self.inside.shape[1])


Lines = tuple[Line, ...]
Offset = tuple[int, ...]


def sliding(
    operation: str, n: int, kernel: int, stride: int, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> Line:
    """Windows o·stride − padding + k·dilation, as many as torch makes of an axis.

    With `ceil_mode` the last one may reach beyond the padding, but none begins there.

    Raises:
        ValueError: no window fits, or one has no element of the axis.
    """
    free = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (free + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1
    expect(operation, count > 0, "input", f"axes that a window of {kernel} fits into", f"length {n}")
    starts = np.arange(count) * stride - padding
    places = starts + dilation * np.arange(kernel)[:, None]
    inside = (places >= 0) & (places < n)
    expect(operation, bool(inside.any(axis=0).all()), "input", "an element in every window", f"length {n}")
    around = (padding, max(0, int(places.max()) - n + 1))
    slices = tuple(
        slice(first, first + stride * (count - 1) + 1, stride) for first in (places[:, 0] + padding).tolist()
    )
    return Line(n, around, slices, inside, np.minimum(starts + kernel, n + padding) - starts)


def adapted(operation: str, n: int, count: int) -> Line:
    """So many windows, from ⌊o·n/O⌋ to before ⌈(o + 1)·n/O⌉: they overlap where O does not divide n."""
    expect(operation, n > 0, "input", "axes that are not empty", f"length {n}")
    window = np.arange(count)
    starts, ends = window * n // count, -(-(window + 1) * n // count)
    return stretches(n, starts, ends)


def stretches(n: int, starts: NumPyArray, ends: NumPyArray) -> Line:
    """Windows from each start to before each end, of any length."""
    places = starts + np.arange((ends - starts).max(initial=1))[:, None]
    inside = places < ends
    kept = np.minimum(places, n - 1)
    step = int(starts[1] - starts[0]) if len(starts) > 1 else 1
    regular = bool(inside.all()) and step > 0 and bool(np.all(np.diff(starts) == step))
    found = tuple(slice(int(k[0]), int(k[-1]) + 1, step) if regular else k for k in kept)
    return Line(n, (0, 0), found, inside, ends - starts)


def offsets(lines: Lines) -> Iterator[Offset]:
    """The elements of a window, in C order."""
    return product(*(range(len(line.places)) for line in lines))


def inside(lines: Lines, offset: Offset) -> NumPyArray:
    """Whether an element of each window lies on the axes (O₁, …)."""
    return _all_of([line.inside[k] for line, k in zip(lines, offset, strict=True)])


def _all_of(masks: Sequence[NumPyArray]) -> NumPyArray:
    found: NumPyArray = reduce(np.logical_and.outer, masks)
    return found


def _lengths(lines: Lines) -> tuple[int, ...]:
    """Of the axes with what is around them."""
    return tuple(line.length + sum(line.around) for line in lines)


def _index(lines: Lines, offset: Offset, after: int) -> tuple[Any, ...]:
    parts = [line.places[k] for line, k in zip(lines, offset, strict=True)]
    if not all(isinstance(part, slice) for part in parts):
        parts = list(np.ix_(*(np.arange(n)[part] for n, part in zip(_lengths(lines), parts, strict=True))))
    return (..., *parts, *(slice(None),) * after)


def padded(x: Array, lines: Lines, after: int = 0) -> Array:
    """x with zeros wherever a window reaches beyond its last axes, or those before the last so many."""
    widths = [line.around for line in lines] + [(0, 0)] * after
    return np.pad(x, [(0, 0)] * (x.ndim - len(widths)) + widths) if np.any(widths) else x


def taken(x: Array, lines: Lines, offset: Offset, after: int = 0) -> Array:
    """One element of every window (…, O₁, …) of a `padded` x; what lies outside the axes is any number."""
    return x[_index(lines, offset, after)]


def handed_back(parts: Sequence[Array], lines: Lines) -> list[Array]:
    """What the windows of every element have for it: as many arrays (…, n₁, …) as windows may share one.

    Summed up, it is the adjoint of all `taken` together; the later an array stands, the later is its window.

    Args:
        parts: for each element of a window what is handed to it (…, O₁, …).
        lines: the windows.
    """
    stacked = np.stack(list(parts), axis=-1 - len(lines))
    flat = stacked.reshape(*stacked.shape[: stacked.ndim - len(lines) - 1], -1)
    sizes, counts = [len(line.places) for line in lines], [line.count for line in lines]
    found: list[Array] = []
    for shared in product(*(range(len(line.sharing.windows)) for line in lines)):
        own = [(line.sharing, c) for line, c in zip(lines, shared, strict=True)]
        element = np.ravel_multi_index(_grid([sharing.elements[c] for sharing, c in own]), sizes)
        window = np.ravel_multi_index(_grid([sharing.windows[c] for sharing, c in own]), counts)
        there = _all_of([sharing.there[c] for sharing, c in own])
        part = flat[..., element * prod(counts) + window]
        found.append(part if there.all() else np.where(there, part, 0))
    return found


def total(parts: Sequence[Array]) -> Array:
    """Their sum, in any order."""
    return parts[0] if len(parts) == 1 else np.stack(list(parts)).sum(axis=0)


def _grid(indices: Sequence[NumPyArray]) -> tuple[NumPyArray, ...]:
    return tuple(np.meshgrid(*indices, indexing="ij"))


# ── sums over windows, axis by axis ──────────────────────────────────────────────────────────────────


def summed(x: Array, lines: Lines) -> Array:
    """The sum of every window (…, O₁, …): along one axis after the other, the last one first.

    >>> summed(np.arange(4.0), (sliding("avg_pool1d", 4, 2, 1),))
    array([1., 3., 5.])
    """
    for after, line in enumerate(reversed(lines)):
        whole = padded(x, (line,), after)
        parts = [_within(taken(whole, (line,), k, after), line, k, after) for k in offsets((line,))]
        x = total(parts)
    return x


def spread(d: Array, lines: Lines) -> Array:
    """The adjoint of `summed`: every element gets the sum of its windows' numbers.

    >>> spread(np.array([1.0, 2.0]), (sliding("avg_pool1d", 4, 2, 2),))
    array([1., 1., 2., 2.])
    """
    for after, line in zip(reversed(range(len(lines))), lines, strict=True):
        ends = (slice(None),) * after
        parts = [d[(..., window, *ends)] for window in line.sharing.windows]
        there = [_along(mask, after) for mask in line.sharing.there]
        d = total([part if m.all() else np.where(m, part, 0) for m, part in zip(there, parts, strict=True)])
    return d


def _along(mask: NumPyArray, after: int) -> NumPyArray:
    """For arrays with so many axes after."""
    return mask.reshape(-1, *(1,) * after)


def _within(x: Array, line: Line, offset: Offset, after: int) -> Array:
    """x, and 0 for the windows whose k-th element does not lie on the axis."""
    (k,) = offset
    return x if line.inside[k].all() else np.where(_along(line.inside[k], after), x, 0)
