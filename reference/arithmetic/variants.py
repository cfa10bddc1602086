"""Variants of an array side by side: one pass through a network gives what as many passes would.

>>> import numpy as np
>>> z = Variants(np.array([[1.0, 4.0], [9.0, 16.0]]))
>>> z.shape, np.sqrt(z).sum().data
((2,), array([3., 7.]))
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from . import dispatch as arithmetic
from .array import Axes, NumPyArray
from .constants import Constant
from .places import MOVING, answered, as_matrices, moved
from .stacked import Stacked, aligned, joined


class Variants(Stacked):
    """Arrays of NumPy's own numbers, real or complex, on each of which every operation acts by itself."""

    __slots__ = ()

    def __init__(self, data: NumPyArray) -> None:
        self.data = data

    def _like(self, data: NumPyArray) -> Variants:
        return Variants(data)

    def __repr__(self) -> str:
        return f"Variants({self.data!r})"

    def __array__(self, *_: object, **__: object) -> NumPyArray:
        raise TypeError("Variants have many values: take their data")

    @property
    def real(self) -> Variants:
        """The real parts."""
        return Variants(self.data.real)

    def each(self, function: Callable[..., Any], *others: Any) -> Variants:
        """What a function of elements, written for NumPy's arrays, makes of every variant."""
        return Variants(np.asarray(function(*aligned([self.data, *map(_operand, others)]))))

    # ── NumPy's protocols ────────────────────────────────────────────────────────────────────────────

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        x = list(map(_operand, inputs))
        return Variants(_matmul(*x) if ufunc is np.matmul else np.asarray(ufunc(*aligned(x))))

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where and len(args) == 3:
            return Variants(np.where(*aligned(list(map(_operand, args)))))
        if func in MOVING:
            operands, places = moved(func, args, kwargs, Variants)
            return Variants(joined(list(map(_operand, operands)), places))
        return answered(func, args, kwargs)

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Variants:
        """The sum over one axis, some or all."""
        return Variants(np.asarray(self.data.sum(axis=self._axes(axis), keepdims=keepdims)))

    def cumsum(self, axis: int | None = None) -> Variants:
        """The partial sums along an axis, or of all elements in C order."""
        if axis is None:
            return self.reshape(-1).cumsum(0)
        return Variants(self.data.cumsum(axis=normalize_axis_index(axis, self.ndim) + 1))

    # ── what the calculus asks of an arithmetic (see `dispatch`) ─────────────────────────────────────

    def finite(self) -> Variants:
        """z with infinities replaced by the largest finite numbers."""
        return self.each(arithmetic.finite)

    def two_sum(self, other: object) -> tuple[Variants, Variants]:
        """x + y rounded, and what the rounding took away."""
        return self._pair(arithmetic.two_sum, other)

    def two_product(self, other: object) -> tuple[Variants, Variants]:
        """x·y rounded, and what the rounding took away."""
        return self._pair(arithmetic.two_product, other)

    def _pair(self, exactly: Callable[..., Any], other: object) -> tuple[Variants, Variants]:
        result, lost = exactly(*aligned([self.data, _operand(other)]))
        return Variants(np.asarray(result)), Variants(np.asarray(lost))

    def constant(self, c: Constant) -> tuple[Any, Any]:
        """The constant as NumPy's numbers have it."""
        return c.in_dtype(self.dtype)

    def indicator(self, mask: object) -> Variants:
        """1 and 0."""
        return Variants(_operand(mask).astype(self.dtype))

    def parameter(self, values: object) -> Variants:
        """The values, the same in every variant."""
        return Variants(np.asarray(arithmetic.parameter(values, self.data))[None])

    def largest(self, axis: int = -1) -> tuple[Variants, Variants]:
        """The mask of the largest entry of each along an axis, and that entry."""
        mask, peak = arithmetic.largest(self.data, self._axes(axis)[0])
        return Variants(np.asarray(mask)), Variants(np.asarray(peak))

    def added_at(self, shape: tuple[int, ...], index: Any) -> Variants:
        """Zeros of the shape with these values added at an index."""
        places = np.arange(prod(shape)).reshape(shape)[index]
        total = np.zeros((len(self.data), prod(shape)), dtype=self.dtype)
        every: Any = (slice(None), places)
        np.add.at(total, every, aligned([self.data, places[None]])[0])
        return Variants(total.reshape(-1, *shape))

    def in_format(self, form: object) -> Variants:  # noqa: ARG002 (as every arithmetic takes it)
        """The same numbers: as of a NumPy array, their format is their type."""
        return self

    def stored_like(self, like: object) -> Variants:  # noqa: ARG002 (as every arithmetic takes it)
        """The same numbers."""
        return self

    def tanh_residual(self) -> Variants:
        """z − tanh z."""
        return self.each(arithmetic.tanh_residual)


def _operand(x: object) -> NumPyArray:
    """An operand with its axis of variants."""
    return x.data if isinstance(x, Variants) else np.asarray(x)[None]


def _matmul(a: NumPyArray, b: NumPyArray) -> NumPyArray:
    left, right, shape = as_matrices(a.shape[1:], b.shape[1:])
    y = np.matmul(*aligned([a.reshape(len(a), *left), b.reshape(len(b), *right)]))
    return y.reshape(len(y), *shape)
