"""How a `Ball` holds its elements: as a list, as one matrix of flint's, or as both, whichever was asked for."""

from __future__ import annotations

from math import prod
from typing import Any, Self

import numpy as np
from flint import arb, arb_mat

from .array import NumPyArray
from .ball_decisions import RAISE, Decisions
from .places import axes_of
from .shaped import Shaped


class Held(Shaped):
    """Elements in C order: a product of matrices makes no list of them, and a list no matrix, until one is wanted.

    Attributes:
        shape: as of a NumPy array.
        decisions: what undecided comparisons do.
    """

    __slots__ = ("_ceilings", "_flat", "_matrix", "decisions", "shape")

    def __init__(
        self,
        flat: list[Any] | None,
        shape: tuple[int, ...],
        decisions: Decisions = RAISE,
        matrix: arb_mat | None = None,
        ceilings: dict[int, arb] | None = None,
    ) -> None:
        self._flat = flat
        self._matrix = matrix
        self.shape = shape
        self.decisions = decisions
        self._ceilings = ceilings or {}

    @property
    def flat(self) -> list[Any]:
        """Every `arb`, in C order."""
        if self._flat is None:
            assert self._matrix is not None
            self._flat = self._matrix.entries()
        return self._flat

    def matrix(self, rows: int, columns: int) -> arb_mat:
        """The elements in C order as an `arb_mat` of so many rows and columns."""
        if self._matrix is None or (self._matrix.nrows(), self._matrix.ncols()) != (rows, columns):
            self._matrix = arb_mat(rows, columns, self.flat)
        return self._matrix

    @property
    def rows(self) -> arb_mat:
        """The elements in C order as the `arb_mat` that is at hand, or as one of as many rows as the array has."""
        if self._matrix is not None:
            return self._matrix
        rows = self.shape[0] if self.ndim > 1 and self.size else 1
        return self.matrix(rows, self.size // rows)

    @property
    def T(self) -> Self:  # noqa: N802 (NumPy's name)
        """The axes in reverse order."""
        return self.swapaxes(0, 1) if self.ndim == 2 else self.transpose()

    def swapaxes(self, first: int, second: int) -> Self:
        """Two axes exchanged."""
        axes = {*axes_of((first,), self.ndim), *axes_of((second,), self.ndim)}
        one = prod(self.shape[:-2]) == 1 and not self.decisions.rational and not self._ceilings
        if not one or axes != {self.ndim - 2, self.ndim - 1}:
            return super().swapaxes(first, second)
        *leading, rows, columns = self.shape
        turned = self.matrix(rows, columns).transpose()
        return type(self)(None, (*leading, columns, rows), self.decisions, turned)

    def reshape(self, *shape: Any) -> Self:
        """The same elements in another shape, as `numpy.ndarray.reshape`."""
        found = np.empty(self.shape, dtype=bool).reshape(*shape).shape
        return type(self)(self._flat, found, self.decisions, self._matrix, self._ceilings)

    def _taken(self, places: NumPyArray) -> Self:
        flat, order = self.flat, np.ravel(places).tolist()
        known = self._ceilings
        ceilings = {i: known[place] for i, place in enumerate(order) if place in known} if known else None
        return type(self)([flat[i] for i in order], np.shape(places), self.decisions, ceilings=ceilings)
