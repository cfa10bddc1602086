"""A map of the errors of every leaf in rounding scales, small enough to be kept with a verdict and to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.arithmetic.formats import Format
from reference.rounding.distance import in_scales

ROWS, COLUMNS = 32, 64
"""Cells of a map at the most; of a larger leaf each holds the worst of several neighbouring elements."""

ErrorMap = tuple[tuple[float, ...], ...]
"""Rows of errors in rounding scales; NaN where nothing decides."""


def error_maps(
    leaves: Mapping[str, Any], expected: Mapping[str, Any], sigma: Mapping[str, Any], fmt: Format
) -> dict[str, ErrorMap]:
    """The map of every leaf: its first axis goes down, all others go across; a vector is one row."""
    return {
        leaf: error_map(in_scales(given, np.asarray(expected[leaf]), np.asarray(sigma[leaf]), fmt))
        for leaf, given in leaves.items()
    }


def error_map(scales: Any) -> ErrorMap:
    """Errors in rounding scales as a map.

    >>> error_map(np.array([1.0, np.nan, 40.0]))
    ((1.0, nan, 40.0),)
    >>> small = error_map(np.arange(128.0 * 96).reshape(96, 128))
    >>> len(small), len(small[0]), small[0][0], small[-1][-1] == 128 * 96 - 1
    (32, 64, 257.0, True)
    """
    flat = np.asarray(scales, dtype=float)
    flat = flat.reshape(flat.shape[0] if flat.ndim > 1 else 1, -1)
    if not flat.size:
        return ()
    for axis, most in ((0, ROWS), (1, COLUMNS)):
        count = flat.shape[axis]
        starts = np.arange(min(count, most)) * count // min(count, most)
        flat = np.fmax.reduceat(flat, starts, axis=axis)
    return tuple(tuple(row) for row in flat.tolist())
