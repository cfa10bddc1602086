"""Which elements of a leaf are wrong: one, a row, a column, a tile; left at 0, or off by one factor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.arithmetic.formats import Format
from reference.rounding.distance import FACTOR, in_scales

HALF = 0.5
"""Of a block that is said more elements are wrong: the others may be right by chance, 0 where 0 is expected."""


def pattern(place: str, given: Mapping[str, Any], expected: Mapping[str, Any], scale: Any, fmt: Format) -> str:
    """Which elements of a leaf are wrong, in brackets, and what they have in common; "" if all are.

    A block is written as NumPy indexes it, each axis by the places of its wrong elements where those are evenly spaced.

    >>> right = {"w": np.ones((2, 8))}
    >>> given = {"w": np.where(np.arange(8) < 6, 1.0, 0.0) * right["w"]}
    >>> from reference.arithmetic.formats import FORMATS
    >>> pattern("w", given, right, {"w": np.full((2, 8), 1e-16)}, FORMATS["float64"])
    ' (at [:, 6:] alone, where it is 0)'
    """
    wrong = np.atleast_1d(in_scales(given[place], expected[place], scale[place], fmt) > FACTOR)
    at = np.argwhere(wrong)
    if len(at) > 1 and not np.any(given[place]):
        return " (0 everywhere)"
    if len(at) == 0 or (len(at) == wrong.size and wrong.size > 1):
        return ""
    values, right = (np.atleast_1d(np.asarray(a[place], dtype=float)) for a in (given, expected))
    if len(at) == 1:
        index = tuple(int(i) for i in at[0])
        what = f" at {list(index)} alone" if wrong.size > 1 else ""
        return f" ({what.strip()}: yours {values[index]:.6g}, the oracle's {right[index]:.6g})".replace("(: ", "(")
    common = _in_common(values[wrong], right[wrong])
    if wrong.ndim == 2:
        for axis, name in ((0, "row"), (1, "column")):
            if len(set(at[:, axis].tolist())) == 1:
                return f" (in {name} {int(at[0, axis])} alone{common})"
    block = tuple(_evenly(np.unique(at[:, axis]), n) for axis, n in enumerate(wrong.shape))
    inside = wrong[block]
    if inside.size < wrong.size and len(at) > HALF * inside.size:
        return f" (at [{_index(block)}] alone{common})"
    return f" ({len(at)} of {wrong.size} elements)"


def _evenly(places: Any, length: int) -> slice:
    """Places of an axis as a slice, if each is as far from the next; else the whole axis."""
    first, last = int(places[0]), int(places[-1]) + 1
    steps = {int(s) for s in np.diff(places)} or {1}
    if len(steps) > 1:
        return slice(None)
    step = steps.pop()
    if step > 1 and last + step > length:
        last = length
    return slice(first or None, last if last < length else None, step if step > 1 else None)


def _index(block: tuple[slice, ...]) -> str:
    """A block as NumPy indexes it; whole axes in front of it, if there are several, as an ellipsis.

    >>> _index((slice(None), slice(None), slice(16, None), slice(None, None, 2)))
    '..., 16:, ::2'
    """
    leading = next(k for k, part in enumerate(block) if part != slice(None))
    parts = ["..."] if leading > 1 else [":"] * leading
    return ", ".join(parts + [_written(part) for part in block[leading:]])


def _written(part: slice) -> str:
    if part.stop is not None and part.stop == (part.start or 0) + 1:
        return str(part.start or 0)
    first, last, step = ("" if bound is None else str(bound) for bound in (part.start, part.stop, part.step))
    return f"{first}:{last}" + (f":{step}" if step else "")


def _in_common(given: Any, expected: Any) -> str:
    """Whether all wrong elements are 0, or have the same factor."""
    if not np.any(given):
        return ", where it is 0"
    with np.errstate(all="ignore"):
        factors = given / expected
        middle = float(np.median(factors))
        same = np.all(np.abs(factors - middle) <= np.abs(middle - 1) * 2.0**-6)
    return f", × {middle:.6g}" if same and abs(middle - 1) > 1e-5 else (f", × (1 {middle - 1:+.3g})" if same else "")
