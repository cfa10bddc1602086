"""Operations on the elements of whole balls: comparing, choosing, and products of rational matrices.

Elements come as lists that are broadcast already. The logarithm of a ball that reaches down to 0 is a NaN, of which
only a ceiling is known: a number that it is below. Ceilings are given by the index of the element.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import cast

import numpy as np
from flint import arb, fmpq, fmpq_mat

from .array import NumPyArray
from .ball_decisions import Decisions, Mask, Undecided, as_mask
from .ball_elements import Comparison, Element, as_arb, exactly, larger

COMPLEMENTS: Mapping[np.ufunc, tuple[Comparison, Comparison]] = MappingProxyType(
    {
        np.greater: (operator.gt, operator.le),
        np.greater_equal: (operator.ge, operator.lt),
        np.less: (operator.lt, operator.ge),
        np.less_equal: (operator.le, operator.gt),
        np.equal: (operator.eq, operator.ne),
        np.not_equal: (operator.ne, operator.eq),
    }
)
"""For each comparison: what certainly holds, and what certainly contradicts it. Both may be False at once."""


def compared(
    ufunc: np.ufunc,
    left: Sequence[Element],
    right: Sequence[Element],
    ceilings: dict[int, arb],
    shape: tuple[int, ...],
    decisions: Decisions,
) -> NumPyArray | Mask:
    """A comparison as an array of truth values, or as a `Mask` where it is not decided and may stay so.

    Args:
        ufunc: the comparison.
        left: the elements on its left.
        right: the elements on its right.
        ceilings: of elements on the left.
        shape: of both, to which the answers are brought.
        decisions: whether an undecided comparison may stay so.

    Raises:
        Undecided: it may not.
    """
    certain, possible = decided(ufunc, left, right, ceilings)
    if certain == possible:
        return np.array(certain, dtype=bool).reshape(shape)
    if not decisions.hull:
        first = next(i for i, (c, p) in enumerate(zip(certain, possible, strict=True)) if c != p)
        place = tuple(int(i) for i in np.unravel_index(first, shape))
        raise Undecided(ufunc.__name__, place, left[first], right[first])
    return Mask(*(np.array(m, dtype=bool).reshape(shape) for m in (certain, possible)))


def decided(
    ufunc: np.ufunc, left: Sequence[Element], right: Sequence[Element], ceilings: dict[int, arb]
) -> tuple[list[bool], list[bool]]:
    """Where a comparison certainly holds, and where it may; ceilings are what elements on the left are below."""
    holds, fails = COMPLEMENTS[ufunc]
    certain = list(map(holds, left, right))
    possible = [c or not fails(x, y) for c, x, y in zip(certain, left, right, strict=True)]
    for i, ceiling in ceilings.items() if ufunc is np.greater else ():
        possible[i] = certain[i] or not ceiling < right[i]
    return certain, possible


def chosen(
    mask: NumPyArray | Mask, left: Sequence[Element], right: Sequence[Element], shape: tuple[int, ...]
) -> list[Element]:
    """The left elements where the mask holds and the right ones elsewhere; both in one ball where it is undecided."""
    certain = np.broadcast_to(as_mask(mask).certain, shape).ravel().tolist()
    flat = [x if m else y for m, x, y in zip(certain, left, right, strict=True)]
    if isinstance(mask, Mask):
        for i in np.flatnonzero(np.broadcast_to(mask.undecided, shape)).tolist():
            flat[i] = as_arb(left[i]).union(as_arb(right[i]))
    return flat


def larger_ones(
    left: Sequence[Element], right: Sequence[Element], left_ceilings: dict[int, arb], right_ceilings: dict[int, arb]
) -> list[Element]:
    """The larger ones: a logarithm that is certainly below the other operand needs no lower end."""
    flat = list(map(larger, left, right))
    for ceilings, other in ((left_ceilings, right), (right_ceilings, left)):
        for i, ceiling in ceilings.items():
            if ceiling < other[i]:
                flat[i] = other[i]
    return flat


def ceilings_of(ufunc: np.ufunc, before: list[Element], after: list[Element]) -> dict[int, arb]:
    """The ceilings of what a ufunc made of the elements before: there are some for logarithms only."""
    if ufunc is not np.log and ufunc is not np.log1p:
        return {}
    found = {i: _reaching_down(ufunc, as_arb(before[i])) for i, b in enumerate(after) if _is_nan(b)}
    return {i: ceiling for i, ceiling in found.items() if ceiling is not None}


def joined(parts: Sequence[tuple[int, dict[int, arb]]]) -> dict[int, arb]:
    """The ceilings of arrays one after the other, each given by its size and ceilings."""
    starts = accumulate((size for size, _ in parts), initial=0)
    return {start + i: c for start, (_, known) in zip(starts, parts, strict=False) for i, c in known.items()}


def _reaching_down(ufunc: np.ufunc, x: arb) -> arb | None:
    """A bound that log x (or log1p x) is below, for a ball x that reaches down to where it is −∞; None if unknown."""
    top = x.upper() if ufunc is np.log else (x + 1).upper()
    return top.log() if top > 0 else None


def _is_nan(b: Element) -> bool:
    """Whether nothing is known of the element."""
    return isinstance(b, arb) and bool(b.is_nan())


def rational_product(
    product: list[Element], left: list[Element], right: list[Element], shape: tuple[int, ...]
) -> list[Element]:
    """The entries of a product of matrices, exact where the row and the column hold rational numbers only."""
    n, m = shape
    k = len(left) // n
    rows = [i for i in range(n) if all(isinstance(e, fmpq) for e in left[i * k : (i + 1) * k])]
    columns = [j for j in range(m) if all(isinstance(e, fmpq) for e in right[j::m])]
    entries = list(map(exactly, product))
    if rows and columns:
        a = fmpq_mat(len(rows), k, cast("list[fmpq]", [e for i in rows for e in left[i * k : (i + 1) * k]]))
        b = fmpq_mat(k, len(columns), cast("list[fmpq]", [right[r * m + j] for r in range(k) for j in columns]))
        for (i, j), e in zip(((i, j) for i in rows for j in columns), (a * b).entries(), strict=True):
            entries[i * m + j] = exactly(e)
    return entries
