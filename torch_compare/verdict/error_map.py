"""A map of the errors of every leaf in rounding scales, small enough to be kept with a verdict and to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from reference.arithmetic.formats import Format
from reference.rounding.distance import FACTOR, in_scales

ROWS, COLUMNS = 32, 64
"""Cells of a map at the most; of a larger leaf each holds the worst of several neighbouring elements."""


class ErrorMap(NamedTuple):
    """The errors of a leaf as a map.

    Attributes:
        cells: rows of errors in rounding scales; NaN where nothing decides.
        shape: of the leaf.
        down: how many of its leading axes go down; the others go across.
        beyond: how many of its elements are beyond `FACTOR` rounding scales.
    """

    cells: tuple[tuple[float, ...], ...]
    shape: tuple[int, ...]
    down: int
    beyond: int


def error_maps(
    leaves: Mapping[str, Any], expected: Mapping[str, Any], sigma: Mapping[str, Any], fmt: Format
) -> dict[str, ErrorMap]:
    """The map of every leaf."""
    return {
        leaf: error_map(in_scales(given, np.asarray(expected[leaf]), np.asarray(sigma[leaf]), fmt))
        for leaf, given in leaves.items()
    }


def error_map(scales: Any) -> ErrorMap:
    """Errors in rounding scales as a map; a vector is one row.

    >>> error_map(np.array([1.0, np.nan, 40.0])).cells
    ((1.0, nan, 40.0),)
    >>> small = error_map(np.arange(128.0 * 96).reshape(96, 128)).cells
    >>> len(small), len(small[0]), small[0][0], small[-1][-1] == 128 * 96 - 1
    (32, 64, 257.0, True)
    """
    array = np.asarray(scales, dtype=float)
    down = _axes_down(array.shape)
    beyond = int(np.sum(array > FACTOR))
    if not array.size:
        return ErrorMap((), array.shape, down, beyond)
    flat = array.reshape(prod(array.shape[:down]), -1)
    for axis, most in ((0, ROWS), (1, COLUMNS)):
        count = flat.shape[axis]
        starts = np.arange(min(count, most)) * count // min(count, most)
        flat = np.fmax.reduceat(flat, starts, axis=axis)
    return ErrorMap(tuple(tuple(row) for row in flat.tolist()), array.shape, down, beyond)


def _axes_down(shape: tuple[int, ...]) -> int:
    """How many leading axes go down: so many that the fewest elements share a cell.

    >>> [_axes_down(shape) for shape in ((), (7,), (4, 3), (64, 3, 7, 7), (1, 128, 64))]
    [0, 0, 1, 1, 2]
    """
    if len(shape) < 2:
        return 0
    return min(range(1, len(shape)), key=lambda n: max(prod(shape[:n]) / ROWS, prod(shape[n:]) / COLUMNS))
