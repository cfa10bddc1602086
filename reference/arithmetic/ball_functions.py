"""Reductions and products of whole balls in any number of dimensions, on lists of their elements in C order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from flint import arb_mat

from .array import NumPyArray
from .ball_elements import Element, as_arb
from .ball_lists import rational_product

Shape = tuple[int, ...]


def reduced(f: Callable[[Any, Any], Any], flat: Sequence[Element], rows: NumPyArray) -> list[Element]:
    """The elements of every row of places, brought together by f."""
    return [reduce(f, [flat[i] for i in row]) for row in rows.tolist()]


def totals(flat: Sequence[Element], rows: NumPyArray) -> list[Any]:
    """The sum of the elements of every row of places."""
    return [sum([flat[i] for i in row]) for row in rows.tolist()]


def partial_sums(flat: Sequence[Element], rows: NumPyArray) -> list[Any]:
    """The partial sums of the elements of every row of places, row after row."""
    return [total for row in rows.tolist() for total in accumulate([flat[i] for i in row])]


def sums_at(flat: Sequence[Element], places: Sequence[int], zero: Element, size: int) -> list[Any]:
    """So many zeros, with every element added at its place."""
    found: list[Any] = [None] * size
    for place, element in zip(places, flat, strict=True):
        before = found[place]
        found[place] = element if before is None else before + element
    return [zero if total is None else total for total in found]


def tops(flat: Sequence[Element], rows: NumPyArray) -> list[int]:
    """The place of the largest midpoint of every row of places."""
    middles = [as_arb(b).mid() for b in flat]
    return [max(row, key=middles.__getitem__) for row in rows.tolist()]


def products(left: list[Any], left_shape: Shape, right: list[Any], right_shape: Shape, rational: bool) -> list[Any]:
    """The elements of products of matrices, for every index that the leading axes have when they are broadcast.

    Args:
        left: the elements of matrices (n, k).
        left_shape: (…, n, k).
        right: the elements of matrices (k, m).
        right_shape: (…, k, m).
        rational: whether what is rational is kept so.
    """
    (n, k), m = left_shape[-2:], right_shape[-1]
    if prod(right_shape[:-2]) == 1:  # one product of all rows is quicker than many
        n = prod(left_shape[:-1])
        left_shape = (n, k)
    batch = np.broadcast_shapes(left_shape[:-2], right_shape[:-2])
    first = [left[i * n * k : (i + 1) * n * k] for i in range(prod(left_shape[:-2]))]
    second = [right[i * k * m : (i + 1) * k * m] for i in range(prod(right_shape[:-2]))]
    matrices = [arb_mat(n, k, part) for part in first], [arb_mat(k, m, part) for part in second]
    found: list[Any] = []
    for i, j in zip(_members(left_shape[:-2], batch), _members(right_shape[:-2], batch), strict=True):
        entries: list[Any] = (matrices[0][i] * matrices[1][j]).entries()
        found += rational_product(entries, first[i], second[j], (n, m)) if rational and n else entries
    return found


def _members(shape: Shape, batch: Shape) -> list[int]:
    """Which of the matrices stands at each index of the broadcast leading axes."""
    numbers: list[int] = np.broadcast_to(np.arange(prod(shape)).reshape(shape), batch).ravel().tolist()
    return numbers
