"""Error-free transformations: what a rounded sum or product loses, by operators alone, for every type that rounds.

`dispatch` asks for it of NumPy's numbers; a `Symbol` writes the same lines down.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

SPLITTER: Mapping[int, float] = MappingProxyType({53: 2.0**27 + 1, 24: 2.0**12 + 1, 11: 2.0**6 + 1, 64: 2.0**32 + 1})
"""2^⌈p/2⌉ + 1 by the significand's bits p: Veltkamp's splitting constant (Dekker 1971, §5)."""


def lost_by_sum(x: Any, y: Any, s: Any) -> Any:
    """x + y − s for s = fl(x + y), exactly (Knuth, TAOCP 2, §4.2.2, theorem B).

    >>> lost_by_sum(1.0, 2.0**-60, 1.0) == 2.0**-60
    True
    """
    part = s - x
    return (x - (s - part)) + (y - part)


def lost_by_product(x: Any, y: Any, p: Any, splitter: Any) -> Any:
    """x·y − p for p = fl(x·y), exactly, barring underflow (Dekker 1971, §5).

    >>> x = 1 + 2.0**-30
    >>> lost_by_product(x, x, x * x, SPLITTER[53]) == 2.0**-60
    True
    """
    xh, xl = _split(x, splitter)
    yh, yl = _split(y, splitter)
    return ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


def _split(x: Any, splitter: Any) -> tuple[Any, Any]:
    """x as a sum of two numbers of half the significand each (Veltkamp)."""
    c = splitter * x
    high = c - (c - x)
    return high, x - high
