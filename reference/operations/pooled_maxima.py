"""The largest element of every window, which gets the whole gradient. Derived in this room's README, "Pooling"."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import indicator, zeros
from ..functions.basics import zero
from ..functions.recipe import recorded
from .lines import Lines, Offset, handed_back, inside, offsets, padded, taken, total
from .pooled import Counts, LinesOf, Pool, adaptive_pool, pooling, sliding_pool
from .row import Operation, Pullback

Shares: TypeAlias = "Callable[[Sequence[Array]], Sequence[Array]]"
"""For each element of a window, whether it is a largest one ↦ what part of the gradient it gets."""


def _elements(x: Array, lines: Lines) -> list[Array]:
    """The elements of every window, K arrays (…, O₁, …); −∞ for what lies outside the axes."""
    whole = padded(x, lines)
    found = []
    for offset in offsets(lines):
        within = inside(lines, offset)
        element = taken(whole, lines, offset)
        found.append(element if within.all() else np.where(within, element, -np.inf))
    return found


def _best_of_others(elements: Sequence[Array]) -> list[Array]:
    """For each element the largest of all others of its window, as `reductions.best_of_others` has it along an axis."""
    nothing = [zeros(elements[0].shape, elements[0]) - np.inf]
    before = nothing + list(accumulate(elements[:-1], np.maximum))
    after = nothing + list(accumulate(reversed(elements[1:]), np.maximum))
    return [np.maximum(a, b) for a, b in zip(before, reversed(after), strict=True)]


def _tops(x: Array, lines: Lines) -> list[Array]:
    """Whether each element is no less than all others of its window, as 1 and 0; none outside the axes is."""
    elements = _elements(x, lines)
    found = []
    for offset, element, others in zip(offsets(lines), elements, _best_of_others(elements), strict=True):
        within = inside(lines, offset)
        top = indicator(element >= others, element)
        found.append(top if within.all() else np.where(within, top, 0))
    return found


def _first(tops: Sequence[Array]) -> list[Array]:
    left = zero(tops[0]) + 1
    found = []
    for top in tops:
        found.append(left * top)
        left = left * (1 - top)
    return found


def _last(tops: Sequence[Array]) -> list[Array]:
    return _first(tops[::-1])[::-1]


def _even(tops: Sequence[Array]) -> list[Array]:
    total = reduce(operator.add, tops)
    return [top / total for top in tops]


def _each(tops: Sequence[Array]) -> Sequence[Array]:
    return tops


def _all(tops: Sequence[Array]) -> list[Array]:
    return [(zero(top) + 1) / len(tops) for top in tops]


def _handed_back(
    lines_of: LinesOf, shares: Shares, place: Callable[[Lines, Offset], Offset] = lambda lines, k: k
) -> Pullback:
    """Each element gets its share; overlapping windows add up."""

    def pullback(inputs: tuple[Any, ...], y: Array, d: Array) -> tuple[Array]:
        lines = lines_of(inputs[0])
        parts = shares(_tops(inputs[0], lines))
        order = {k: j for j, k in enumerate(offsets(lines))}
        handed = [d * parts[order[place(lines, k)]] for k in order]
        return (total(handed_back(handed, lines)),)

    return pullback


def _overwritten(lines_of: LinesOf) -> Pullback:
    """The last window that an element is the largest of leaves its gradient there, and no other."""

    def pullback(inputs: tuple[Any, ...], y: Array, d: Array) -> tuple[Array]:
        lines = lines_of(inputs[0])
        shares = _first(_tops(inputs[0], lines))
        mine = handed_back(shares, lines)
        found = zero(mine[0])
        for share, part in zip(mine, handed_back([d * share for share in shares], lines), strict=True):
            found = np.where(share > 0, part, found)
        return (found,)

    return pullback


def _maximum_of(pool: Pool) -> Operation:
    """The row: its value, its gradient to the first largest element, and what others do."""
    lines_of = pool.lines_of

    def value(x: Array) -> Array:
        return reduce(np.maximum, _elements(x, lines_of(x)))

    def pushforward(inputs: tuple[Any, ...], y: Array, changes: tuple[Any, ...]) -> Array:
        lines = lines_of(inputs[0])
        change = padded(changes[0], lines)
        parts = zip(offsets(lines), _first(_tops(inputs[0], lines)), strict=True)
        return reduce(operator.add, (share * taken(change, lines, k) for k, share in parts))

    def switches(x: Array) -> tuple[Array, ...]:
        """What an element leads all others of its window by; 1 outside the axes, where nothing ever leads."""
        lines = lines_of(x)
        elements = _elements(x, lines)
        gaps = zip(offsets(lines), elements, _best_of_others(elements), strict=True)
        return tuple(np.where(inside(lines, k), element - others, 1) for k, element, others in gaps)

    return pooling(
        pool,
        "max of x in the window",
        value,
        _handed_back(lines_of, _first),
        pushforward,
        [pool.probe, *_off_diagonal(pool)],
        switches=switches,
        conventions={
            "all to the last of equal ones": _handed_back(lines_of, _last),
            "equal ones share the gradient evenly": _handed_back(lines_of, _even),
        },
        mistakes=_mistakes(pool),
    )


def _mistakes(pool: Pool) -> dict[str, Pullback]:
    lines_of, found = pool.lines_of, {}
    if pool.largest > 1:
        found["the gradient spread over the whole window"] = _handed_back(lines_of, _all)
        found["the whole gradient to each of equal ones"] = _handed_back(lines_of, _each)
    if pool.overlap:
        found["overlapping windows overwritten"] = _overwritten(lines_of)
    if _off_diagonal(pool):
        found["row and column of the largest exchanged"] = _handed_back(lines_of, _first, _transposed)
    return found


def _transposed(lines: Lines, offset: Offset) -> Offset:
    """Row and column within a window exchanged, where it is square."""
    square = len(lines) > 1 and len(lines[-1].places) == len(lines[-2].places)
    return (*offset[:-2], offset[-1], offset[-2]) if square else offset


def _off_diagonal(pool: Pool) -> list[NumPyArray]:
    """A probe with the largest element of a square window beside its diagonal; none if no window has such a place."""
    beside = (*(0,) * (pool.axes - 1), 1)
    if beside not in set(offsets(pool.lines)) or _transposed(pool.lines, beside) == beside:
        return []
    able = inside(pool.lines, beside) & inside(pool.lines, _transposed(pool.lines, beside))
    marks = [np.zeros(able.shape) for _ in offsets(pool.lines)]
    marks[list(offsets(pool.lines)).index(beside)].flat[able.argmax()] = 8
    return [pool.probe + np.asarray(total(handed_back(marks, pool.lines)))] if able.any() else []


def _max_pool(
    name: str, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Operation:
    given = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    return _maximum_of(sliding_pool(name, axes, given | {"ceil_mode": ceil_mode}))


@recorded
def max_pool1d(
    kernel_size: Counts,
    stride: Counts | None = None,
    padding: Counts = 0,
    dilation: Counts = 1,
    ceil_mode: bool = False,
) -> Operation:
    """The largest of every window along the last axis; the first of equal ones gets the gradient.

    Args:
        kernel_size: the elements of a window.
        stride: from one window to the next; kernel_size if not given.
        padding: places before and after the axis that the windows may begin at, which count as −∞.
        dilation: from one element of a window to the next.
        ceil_mode: whether a last window may reach beyond the padding.

    >>> max_pool1d(2).value(np.array([1.0, 3.0, 2.0, 0.0]))
    array([3., 2.])
    """
    return _max_pool("max_pool1d", 1, kernel_size, stride, padding, dilation, ceil_mode)


@recorded
def max_pool2d(
    kernel_size: Counts,
    stride: Counts | None = None,
    padding: Counts = 0,
    dilation: Counts = 1,
    ceil_mode: bool = False,
) -> Operation:
    """The largest of every window of the last two axes; parameters as of `max_pool1d`, one number or one an axis."""
    return _max_pool("max_pool2d", 2, kernel_size, stride, padding, dilation, ceil_mode)


@recorded
def max_pool3d(
    kernel_size: Counts,
    stride: Counts | None = None,
    padding: Counts = 0,
    dilation: Counts = 1,
    ceil_mode: bool = False,
) -> Operation:
    """The largest of every window of the last three axes; parameters as of `max_pool1d`, one number or one an axis."""
    return _max_pool("max_pool3d", 3, kernel_size, stride, padding, dilation, ceil_mode)


def _adaptive(name: str, axes: int, output_size: Any) -> Operation:
    return _maximum_of(adaptive_pool(name, axes, output_size))


@recorded
def adaptive_max_pool1d(output_size: Counts) -> Operation:
    """The largest of each of so many windows along the last axis, from ⌊o·n/O⌋ to before ⌈(o + 1)·n/O⌉."""
    return _adaptive("adaptive_max_pool1d", 1, output_size)


@recorded
def adaptive_max_pool2d(output_size: Counts | Sequence[int | None]) -> Operation:
    """The same of the last two axes; None keeps the length of one."""
    return _adaptive("adaptive_max_pool2d", 2, output_size)


@recorded
def adaptive_max_pool3d(output_size: Counts | Sequence[int | None]) -> Operation:
    """The same of the last three axes; None keeps the length of one."""
    return _adaptive("adaptive_max_pool3d", 3, output_size)


MAKERS: tuple[Callable[..., Operation], ...] = (
    max_pool1d, max_pool2d, max_pool3d, adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d,
)  # fmt: skip
