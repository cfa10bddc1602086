"""What a compiled formula may ask of a row of float64 numbers: its sum, its ends, and where the largest one is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ..arithmetic.array import NumPyArray
from .compiled import jitted

FEW = 128
"""Numbers that NumPy adds up without cutting them in halves."""


@cache
def reductions() -> Mapping[str, Any]:
    """The `REDUCTIONS`, compiled."""

    # In NumPy's order: long rows in halves, and up to 128 numbers as eight sums at a time, of every eighth number each.
    def total_of_few(row: NumPyArray) -> float:
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
        eights = len(row) // 8
        for k in range(eights):
            s0 += row[8 * k]
            s1 += row[8 * k + 1]
            s2 += row[8 * k + 2]
            s3 += row[8 * k + 3]
            s4 += row[8 * k + 4]
            s5 += row[8 * k + 5]
            s6 += row[8 * k + 6]
            s7 += row[8 * k + 7]
        found = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
        for k in range(8 * eights, len(row)):
            found += row[k]
        return found

    total_of_few = jitted()(total_of_few)

    def total(row: NumPyArray) -> float:
        if len(row) <= FEW:
            return total_of_few(row)
        half = len(row) // 16 * 8
        return total(row[:half]) + total(row[half:])

    total = jitted()(total)

    def largest_number(row: NumPyArray) -> float:
        found = -np.inf
        for k in range(len(row)):
            found = row[k] if row[k] > found else found
        return found

    def least_number(row: NumPyArray) -> float:
        found = np.inf
        for k in range(len(row)):
            found = row[k] if row[k] < found else found
        return found

    def is_of_numbers(row: NumPyArray) -> bool:
        others = 0
        for k in range(len(row)):
            others += np.isnan(row[k])
        return others == 0

    # The largest of the largest, in whatever order, once it is known that none of them is NaN.
    of_numbers = jitted(fastmath={"reassoc", "nsz", "nnan"})
    largest_number, least_number = of_numbers(largest_number), of_numbers(least_number)
    is_of_numbers = jitted()(is_of_numbers)

    def most(row: NumPyArray) -> float:
        return largest_number(row) if is_of_numbers(row) else np.nan

    def least(row: NumPyArray) -> float:
        return least_number(row) if is_of_numbers(row) else np.nan

    def place(row: NumPyArray, top: float) -> int:
        for here in range(len(row)):
            if row[here] == top or (np.isnan(top) and np.isnan(row[here])):
                return here
        return 0

    return {"total": total} | {f.__name__: jitted()(f) for f in (least, most, place)}
