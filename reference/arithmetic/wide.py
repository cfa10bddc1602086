"""Numbers of a narrow type held in float64, and a 0 and a 1 that cost nothing."""

from __future__ import annotations

from typing import Any

import numpy as np


class Wide(np.ndarray[Any, Any]):
    """float16 or float32 numbers in float64, on the way to a result that will be rounded to their type again.

    float64 has more than twice their digits: what its own roundings lose is not worth keeping, and `two_sum`,
    `two_product` and `constant_parts` of `dispatch` keep `NOTHING`.
    """

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's own answer; a choice between wide numbers is one, too, which NumPy forgets."""
        if func is np.where and len(args) == 3:
            return _chosen(*args).view(Wide)
        return super().__array_function__(func, types, args, kwargs)


def _chosen(mask: Any, x: Any, y: Any) -> Any:
    """`numpy.where`, by the numbers' bits where shapes are equal: no branch is taken that a processor would guess."""
    mask, x, y = np.asarray(mask), np.asarray(x, float), np.asarray(y, float)
    if not mask.shape == x.shape == y.shape or mask.dtype != bool:
        return np.where(mask, x, y)
    ours, others = x.view(np.int64), y.view(np.int64)
    chosen = ours ^ others
    chosen &= -mask.view(np.int8).astype(np.int64)  # all bits where the mask is true
    chosen ^= others
    return chosen.view(float)


class Nothing(float):
    """0 as a term that is not there: what it is added to or multiplies is not gone through.

    >>> x = np.array([1.0, 2.0])
    >>> (x + NOTHING) is x, x * NOTHING
    (True, 0.0)
    """

    __slots__ = ()
    __array_ufunc__ = None  # NumPy's operators leave the answer to these

    def __add__(self, x: Any) -> Any:
        return x

    def __rsub__(self, x: Any) -> Any:
        return x

    def __sub__(self, x: Any) -> Any:
        return -x

    def __neg__(self) -> Nothing:
        return self

    def __mul__(self, _: Any) -> Nothing:
        return self

    __radd__, __rmul__, __truediv__ = __add__, __mul__, __mul__


NOTHING = Nothing()
"""The one that is used."""


class Same(float):
    """1 as a factor that is not there: what it multiplies is not gone through.

    >>> x = np.array([1.0, 2.0])
    >>> (x * SAME) is x
    True
    """

    __slots__ = ()
    __array_ufunc__ = None

    def __mul__(self, x: Any) -> Any:
        return x

    __rmul__ = __mul__


SAME = Same(1.0)
"""The one that is used."""
