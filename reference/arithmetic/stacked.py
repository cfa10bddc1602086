"""Arrays of one shape stacked along an axis of their own: what does not depend on what the numbers are.

The stack may hold one array only where all are the same: (1, *shape) stands for as many as there are.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from . import dispatch as arithmetic
from .array import Axes, NumPyArray
from .places import axes_of, is_basic
from .shaped import Shaped


class Stacked(Shaped, np.lib.mixins.NDArrayOperatorsMixin):
    """A stack of arrays that passes for one of them.

    Attributes:
        data: (stack, *shape), or (1, *shape) while all are the same.
    """

    __slots__ = ("data",)
    data: NumPyArray
    keeps = False

    @abstractmethod
    def _like(self, data: NumPyArray) -> Self:
        """Other numbers of the same kind."""

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The shape of one of them."""
        return self.data.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The number type."""
        return self.data.dtype

    def transpose(self, *axes: Any) -> Self:
        """The axes of each in another order, as `numpy.ndarray.transpose`."""
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        order = range(self.ndim)[::-1] if given is None or axes == () else normalize_axis_tuple(given, self.ndim)
        return self._like(self.data.transpose(0, *(a + 1 for a in order)))

    def swapaxes(self, first: int, second: int) -> Self:
        """Two axes of each exchanged."""
        a, b = (normalize_axis_index(axis, self.ndim) + 1 for axis in (first, second))
        return self._like(self.data.swapaxes(a, b))

    def reshape(self, *shape: Any) -> Self:
        """Each in another shape, as `numpy.ndarray.reshape`."""
        found = np.broadcast_to(0, self.shape).reshape(*shape).shape
        return self._like(self.data.reshape(len(self.data), *found))

    def number_holding(self, numbers: NumPyArray) -> Self:
        """See `dispatch.number_holding`."""
        return self._like(arithmetic.number_holding(self.data, numbers))

    def __getitem__(self, index: Any) -> Self:
        if not is_basic(index):
            return super().__getitem__(index)
        index = index if isinstance(index, tuple) else (index,)
        return self._like(self.data[(slice(None), *index)])

    def _taken(self, places: NumPyArray) -> Self:
        return self._like(self.data.reshape(len(self.data), self.size)[:, places])

    def _axes(self, axis: Axes) -> tuple[int, ...]:
        return tuple(a + 1 for a in axes_of(axis, self.ndim))

    def max(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """The largest element of each along one axis, some or all."""
        return self._like(self.data.max(axis=self._axes(axis), keepdims=keepdims))

    def min(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """The smallest element of each along one axis, some or all."""
        return self._like(self.data.min(axis=self._axes(axis), keepdims=keepdims))

    def magnitude(self) -> Self:
        """|z|; see `dispatch.magnitude`."""
        return self._like(np.asarray(arithmetic.magnitude(self.data)))

    def is_negative(self) -> Self:
        """Where each number is below 0; see `dispatch.is_negative`."""
        return self._like(self.data < 0)

    def limited(self, bound: float) -> Self:
        """z within ±bound; see `dispatch.limited`."""
        return self._like(np.asarray(arithmetic.limited(self.data, bound)))

    def zeros(self, shape: tuple[int, ...]) -> Self:
        """Zeros of the shape."""
        return self._like(np.zeros((1, *shape)))


def aligned(operands: list[NumPyArray]) -> list[NumPyArray]:
    """The operands with as many axes each: NumPy would align the axis of the stack with another one."""
    ndim = max(x.ndim for x in operands)
    return [x if x.ndim == ndim else x.reshape(x.shape[0], *(1,) * (ndim - x.ndim), *x.shape[1:]) for x in operands]


def joined(parts: list[NumPyArray], places: NumPyArray) -> NumPyArray:
    """The elements at these places of all parts, one part after the other; place 0 is a zero."""
    stack = max(map(len, parts))
    flat = [np.zeros((1, 1), dtype=parts[0].dtype), *(p.reshape(len(p), -1) for p in parts)]
    return np.concatenate([np.broadcast_to(p, (stack, p.shape[1])) for p in flat], axis=1)[:, places]
