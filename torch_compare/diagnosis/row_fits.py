"""Rows and columns of a finished gradient that are left at 0, or stand in each other's place.

N rows, K columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..mistakes.finished import lines_zeroed_at, rows_of_others_at
from ..mistakes.mistake import Mistake
from .evidence import distance

FEWEST = 3
"""Columns by which a row is known: one of fewer may look like another by chance."""
MOST = 512
"""Rows, of more of which none is looked for among the others."""
ALIKE = 2.0**-4
"""A row is another's if it is nearer to it than this, relative to both: then the whole leaf is put to the test."""


def row_mistakes(given: Any, made: Any, place: str) -> Iterator[Mistake]:
    """The rows or columns that explain a leaf that was given (N, K) by one that was made; none fits any better.

    >>> made = np.arange(1.0, 7.0).reshape(2, 3)
    >>> [mistake.what for mistake in row_mistakes(made * [[1.0], [0.0]], made, "input")]
    ['row 1 is 0']
    """
    if np.shape(given) != np.shape(made) or np.ndim(made) != 2:
        return
    for axis in (0, 1):
        lost = np.flatnonzero(~np.any(given, axis=1 - axis) & np.any(made, axis=1 - axis))
        if 0 < lost.size < made.shape[axis]:
            kept = np.any(given, axis=1 - axis, keepdims=True)
            if distance(given, made * kept) <= ALIKE:
                yield lines_zeroed_at(place, [int(i) for i in lost], made.shape[axis], axis)
    order = _sources(given, made)
    if order is not None:
        yield rows_of_others_at(place, order)


def _sources(given: Any, made: Any) -> list[int] | None:
    """The row of what was made that each given row is; None if they do not fit, or all are their own."""
    n, k = made.shape
    if not (1 < n <= MOST and k >= FEWEST) or not np.all(np.any(made, axis=1)):
        return None
    sizes = [np.sqrt((a * a).sum(axis=1)) for a in (given, made)]
    square = sizes[0][:, None] ** 2 + sizes[1] ** 2 - 2 * given @ made.T
    order = [int(i) for i in np.argmin(square, axis=1)]
    if order == [*range(n)] or distance(given, made[order]) > ALIKE:
        return None
    return order
