"""Means and norms of every window. Derived in this room's README, "Pooling".

Letters: A the number that a window's sum is divided by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import parameter, zeros
from ..functions.recipe import recorded
from .arguments import expect, whole
from .lines import Lines, handed_back, offsets, padded, spread, summed, taken, total
from .moments import vector_norm
from .pooled import Counts, Pool, adaptive_pool, pooling, sliding_pool
from .row import Inputs, Operation, Pullback

Areas = Callable[[Lines], NumPyArray]
"""The windows ↦ A of each (O₁, …), or one number for all."""


def _product(numbers: Sequence[NumPyArray]) -> NumPyArray:
    return np.asarray(reduce(np.multiply.outer, numbers))


def _elements(lines: Lines) -> NumPyArray:
    """How many elements each window has on the axes."""
    return _product([line.inside.sum(axis=0) for line in lines])


def _reach(lines: Lines) -> NumPyArray:
    """The same with the padding, though not what a last window reaches beyond it."""
    return _product([line.reach for line in lines])


def _whole_window(lines: Lines) -> NumPyArray:
    return np.asarray(np.prod([len(line.places) for line in lines]))


def _divided(x: Array, areas: NumPyArray) -> Array:
    same = areas.size > 0 and bool(np.all(areas == areas.flat[0]))
    return x / int(areas.flat[0]) if same else x / parameter(areas, x)


def _mean_of(pool: Pool, areas: Areas, others: Mapping[str, Areas]) -> Operation:
    """The row of sums divided by A.

    Args:
        pool: the windows.
        areas: A.
        others: wrong ones, by what is wrong with them; those that give the same at the probe are left out.
    """

    def value(x: Array) -> Array:
        lines = pool.lines_of(x)
        return _divided(summed(x, lines), areas(lines))

    def pullback_with(areas: Areas) -> Pullback:
        def pullback(inputs: Inputs, y: Array, d: Array) -> tuple[Array]:
            lines = pool.lines_of(inputs[0])
            return (spread(_divided(d, areas(lines)), lines),)

        return pullback

    def overwritten(inputs: Inputs, y: Array, d: Array) -> tuple[Array]:
        """The last window that an element lies in leaves its gradient there."""
        lines = pool.lines_of(inputs[0])
        each = _divided(d, areas(lines))
        found = zeros(tuple(inputs[0].shape), each)
        ones = np.ones(tuple(line.count for line in lines))
        count = len(list(offsets(lines)))
        for there, part in zip(handed_back([ones] * count, lines), handed_back([each] * count, lines), strict=True):
            found = np.where(np.asarray(there) > 0, part, found)
        return (found,)

    right = areas(pool.lines)
    mistakes = {what: pullback_with(f) for what, f in others.items() if np.any(f(pool.lines) != right)}
    if pool.overlap:
        mistakes["overlapping windows overwritten"] = overwritten
    return pooling(
        pool,
        "Σ x in the window / A",
        value,
        pullback_with(areas),
        lambda inputs, y, changes: value(changes[0]),
        [pool.probe],
        mistakes=mistakes,
    )


def _one(lines: Lines) -> NumPyArray:
    return np.asarray(1)


def _avg_pool(name: str, axes: int, divisor: int | None = None, **parameters: Any) -> Operation:
    with_padding = parameters["count_include_pad"]
    expect(name, isinstance(with_padding, bool), "count_include_pad", "True or False", with_padding)
    pool = sliding_pool(name, axes, parameters)
    others: dict[str, Areas] = {
        "the division by the size of the window left out": _one,
        "all windows divided by the size of a whole one": _whole_window,
    }
    if divisor is None:
        right, wrong = (_reach, _elements) if with_padding else (_elements, _reach)
        return _mean_of(pool, right, others | {"the padding counted the other way": wrong})
    number = whole(name, "divisor_override", divisor)
    expect(name, number != 0, "divisor_override", "a whole number other than 0", divisor)
    return _mean_of(pool, lambda lines: np.asarray(number), others)


@recorded
def avg_pool1d(
    kernel_size: Counts,
    stride: Counts | None = None,
    padding: Counts = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Operation:
    """The mean of every window along the last axis.

    Args:
        kernel_size: the elements of a window.
        stride: from one window to the next; kernel_size if not given.
        padding: places before and after the axis that the windows may begin at, which count as 0.
        ceil_mode: whether a last window may reach beyond the padding; what does is not counted.
        count_include_pad: whether the padding is counted among the elements that the sum is divided by.

    >>> avg_pool1d(2, padding=1).value(np.array([2.0, 4.0, 8.0])), avg_pool1d(2).value(np.array([2.0, 4.0]))
    (array([1., 6.]), array([3.]))
    """
    return _avg_pool(
        "avg_pool1d", 1, kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )  # fmt: skip


@recorded
def avg_pool2d(
    kernel_size: Counts,
    stride: Counts | None = None,
    padding: Counts = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Operation:
    """The mean of every window of the last two axes, or its sum divided by another number; see `avg_pool1d`."""
    return _avg_pool(
        "avg_pool2d", 2, divisor_override, kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad, divisor_override=divisor_override,
    )  # fmt: skip


@recorded
def avg_pool3d(
    kernel_size: Counts,
    stride: Counts | None = None,
    padding: Counts = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Operation:
    """The mean of every window of the last three axes, or its sum divided by another number; see `avg_pool1d`."""
    return _avg_pool(
        "avg_pool3d", 3, divisor_override, kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad, divisor_override=divisor_override,
    )  # fmt: skip


def _adaptive(name: str, axes: int, output_size: Any) -> Operation:
    others: dict[str, Areas] = {
        "the division by the size of the window left out": _one,
        "all windows divided by the size of a whole one": _whole_window,
    }
    return _mean_of(adaptive_pool(name, axes, output_size), _elements, others)


@recorded
def adaptive_avg_pool1d(output_size: Counts) -> Operation:
    """The mean of each of so many windows along the last axis, from ⌊o·n/O⌋ to before ⌈(o + 1)·n/O⌉."""
    return _adaptive("adaptive_avg_pool1d", 1, output_size)


@recorded
def adaptive_avg_pool2d(output_size: Counts | Sequence[int | None]) -> Operation:
    """The same of the last two axes; None keeps the length of one."""
    return _adaptive("adaptive_avg_pool2d", 2, output_size)


@recorded
def adaptive_avg_pool3d(output_size: Counts | Sequence[int | None]) -> Operation:
    """The same of the last three axes; None keeps the length of one."""
    return _adaptive("adaptive_avg_pool3d", 3, output_size)


# ── norms ────────────────────────────────────────────────────────────────────────────────────────────


def _lp_pool(
    name: str, axes: int, norm_type: float, kernel_size: Counts, stride: Counts | None, ceil_mode: bool
) -> Operation:
    even = isinstance(norm_type, int | float) and norm_type >= 2 and norm_type % 2 == 0
    expect(name, even, "norm_type", "an even number: to another power torch raises x with its sign", norm_type)
    given = {"norm_type": norm_type, "kernel_size": kernel_size, "stride": stride, "ceil_mode": ceil_mode}
    pool = sliding_pool(name, axes, given)
    norm = vector_norm(float(norm_type), dim=-1)

    def gathered(x: Array, lines: Lines) -> Array:
        """(…, O₁, …, K): 0 for what lies outside the axes."""
        whole = padded(x, lines)
        return np.stack([taken(whole, lines, k) for k in offsets(lines)], axis=-1)

    def factor(lines: Lines, x: Array) -> Any:
        """(K/A)^(1/p): torch takes the mean of what lies on the axes for that of the whole window."""
        whole, left = _whole_window(lines), _elements(lines)
        if np.all(left == whole):
            return 1
        return np.power(
            parameter(np.broadcast_to(whole, left.shape), x) / parameter(left, x), 1 / parameter(norm_type, x)
        )

    def value(x: Array) -> Array:
        lines = pool.lines_of(x)
        return norm.value(gathered(x, lines)) * factor(lines, x)

    def pullback_with(of_norm: Pullback) -> Pullback:
        def pullback(inputs: Inputs, y: Array, d: Array) -> tuple[Array]:
            (x,) = inputs
            lines = pool.lines_of(x)
            z = gathered(x, lines)
            d_z = cast(Array, of_norm((z,), norm.value(z), d * factor(lines, x))[0])
            parts = [d_z[..., j] for j, _ in enumerate(offsets(lines))]
            return (total(handed_back(parts, lines)),)

        return pullback

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        lines = pool.lines_of(inputs[0])
        z, dz = gathered(inputs[0], lines), gathered(changes[0], lines)
        pushed: Array = norm.pushforward((z,), norm.value(z), (dz,))
        return pushed * factor(lines, inputs[0])

    return pooling(
        pool,
        "(Σ xᵖ in the window)^(1/p)",
        value,
        pullback_with(norm.pullback),
        pushforward,
        [-pool.probe],
        switches=lambda x: norm.switches(gathered(x, pool.lines_of(x))),
        mistakes={what: pullback_with(wrong) for what, wrong in norm.mistakes.items() if "axis" not in what},
    )


@recorded
def lp_pool1d(
    norm_type: float, kernel_size: Counts, stride: Counts | None = None, ceil_mode: bool = False
) -> Operation:
    """The norm of every window along the last axis.

    Args:
        norm_type: p, an even number.
        kernel_size: the elements of a window.
        stride: from one window to the next; kernel_size if not given.
        ceil_mode: whether a last window may reach beyond the axis; its norm is made larger, by (K/A)^(1/p) if it has A
            elements of K, as torch's.

    >>> lp_pool1d(2, 2).value(np.array([3.0, 4.0, 0.0, 1.0]))
    array([5., 1.])
    """
    return _lp_pool("lp_pool1d", 1, norm_type, kernel_size, stride, ceil_mode)


@recorded
def lp_pool2d(
    norm_type: float, kernel_size: Counts, stride: Counts | None = None, ceil_mode: bool = False
) -> Operation:
    """The norm of every window of the last two axes; parameters as of `lp_pool1d`."""
    return _lp_pool("lp_pool2d", 2, norm_type, kernel_size, stride, ceil_mode)


MAKERS: tuple[Callable[..., Operation], ...] = (
    avg_pool1d, avg_pool2d, avg_pool3d, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, lp_pool1d,
    lp_pool2d,
)  # fmt: skip
