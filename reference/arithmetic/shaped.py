"""What an array's shape alone answers: axes in another order, another shape, an index."""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from typing import Any, Self

import numpy as np

from .array import NumPyArray


class Shaped:
    """An array that can take its elements in any order: all else follows from what NumPy does to their places.

    Attributes:
        shape: as of a NumPy array.
    """

    __slots__ = ()
    shape: tuple[int, ...]

    @abstractmethod
    def _taken(self, places: NumPyArray) -> Self:
        """The elements at these places of the array in C order."""

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def T(self) -> Self:  # noqa: N802 (NumPy's name)
        """The axes in reverse order."""
        return self.transpose()

    def transpose(self, *axes: Any) -> Self:
        """The axes in another order, as `numpy.ndarray.transpose`."""
        return self._taken(self._places().transpose(*axes))

    def swapaxes(self, first: int, second: int) -> Self:
        """Two axes exchanged."""
        return self._taken(self._places().swapaxes(first, second))

    def reshape(self, *shape: Any) -> Self:
        """The same elements in another shape, as `numpy.ndarray.reshape`."""
        return self._taken(self._places().reshape(*shape))

    def finite(self) -> Self:
        """The same numbers: an arithmetic other than NumPy's has no largest one; see `dispatch.finite`."""
        return self

    def __getitem__(self, index: Any) -> Self:
        return self._taken(self._places()[index])

    def _places(self) -> NumPyArray:
        return np.arange(self.size).reshape(self.shape)
