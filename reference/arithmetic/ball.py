"""Ball arithmetic: arrays whose every element is an interval that provably holds the exact number.

`Ball` is an array type over python-flint's `arb` (Johansson 2017, Arb: efficient arbitrary-precision midpoint-radius
interval arithmetic). It answers NumPy's dispatch protocols and `dispatch.Arithmetic`, so the calculus runs on it
unchanged. A comparison that no element decides raises `Undecided`; under `Decisions(hull=True)` it makes a `Mask` with
a third state instead, and what is chosen by such a mask holds both sides.

Operations round to flint's precision, which all threads share: `ball_decisions.precision` sets it and holds a lock.

>>> from reference.arithmetic.ball_decisions import precision
>>> with precision(100):
...     third = Ball.exact(np.array([1.0])) / 3
...     low, high = third.bounds()
>>> bool(low[0] < high[0]), third.shape
(True, (1,))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from flint import arb, arb_mat, fmpq

from .array import Axes, NumPyArray
from .ball_decisions import RAISE, Decisions, Mask, as_mask
from .ball_elements import (
    BINARY,
    as_arb,
    exactly,
    function,
    larger,
    outward,
    quotient,
    restored,
    smaller,
    stored,
    unary,
)
from .ball_functions import REWRITTEN, broadcast, partial_sums, products, reduced, sums_at, tops, totals
from .ball_held import Held
from .ball_lists import COMPLEMENTS, ceilings_of, chosen, compared, joined, larger_ones
from .constants import Constant
from .places import MOVING, answered, as_matrices, axes_of, groups, moved


class Ball(Held, np.lib.mixins.NDArrayOperatorsMixin):
    """An array of balls.

    Attributes:
        shape: as of a NumPy array.
        decisions: what undecided comparisons do.
    """

    __slots__ = ()
    keeps = True
    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def exact(cls, values: object, decisions: Decisions = RAISE) -> Ball:
        """Floating numbers, integers or truth values, each exactly. −0.0 becomes 0.

        Raises:
            TypeError: the values are of another kind.
        """
        array = np.asarray(values)
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise TypeError(f"a Ball is made of floating numbers up to float64, got {array.dtype}")
        numbers = array.ravel().tolist()
        if array.ndim > 1 and array.size and not decisions.rational:
            rows = array.shape[0]
            return cls(None, array.shape, decisions, arb_mat(rows, array.size // rows, numbers))
        balls: list[Any] = list(map(arb, numbers))
        return cls(list(map(exactly, balls)) if decisions.rational else balls, array.shape, decisions)

    # ── the array ────────────────────────────────────────────────────────────────────────────────────

    @property
    def dtype(self) -> str:
        """No NumPy type holds balls."""
        return "arb"

    def __repr__(self) -> str:
        return f"Ball({np.array([as_arb(b).str(15) for b in self.flat], dtype=object).reshape(self.shape)!r})"

    def __array__(self, *_: object, **__: object) -> NumPyArray:
        raise TypeError("a Ball has no single value: take its bounds()")

    def __bool__(self) -> bool:
        raise TypeError("a Ball has no truth value: compare it")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, ([stored(b) for b in self.flat], self.shape, self.decisions)

    def bounds(self) -> tuple[NumPyArray, NumPyArray]:
        """The largest float64 below and the smallest above each element (a NaN ball gives ∓∞)."""
        pairs = [outward(b) for b in self.flat]
        low, high = (np.array([p[k] for p in pairs]).reshape(self.shape) for k in (0, 1))
        return low, high

    def _spread(self, shape: tuple[int, ...]) -> Sequence[Any]:
        """The elements broadcast to the shape."""
        return broadcast(self.flat, self.shape, shape)

    # ── NumPy's protocols ────────────────────────────────────────────────────────────────────────────

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        x = [self._like(i) for i in inputs]
        decisions = self.decisions
        if unary(ufunc) is not None:
            flat = list(map(function(ufunc, decisions.rational), x[0].flat))
            return Ball(flat, self.shape, decisions, ceilings=ceilings_of(ufunc, x[0].flat, flat))
        if ufunc in REWRITTEN:
            return REWRITTEN[ufunc](*x)
        if ufunc is np.matmul:
            return _matmul(x[0], x[1], decisions)
        if ufunc in COMPLEMENTS:
            return _compare(ufunc, x[0], x[1], decisions)
        if ufunc not in BINARY:
            return NotImplemented
        shape = np.broadcast_shapes(x[0].shape, x[1].shape)
        pairs = x[0]._spread(shape), x[1]._spread(shape)
        if ufunc is np.maximum and (x[0]._ceilings or x[1]._ceilings):
            known = (b._ceilings if b.shape == shape else {} for b in x)
            return Ball(larger_ones(*pairs, *known), shape, decisions)
        if decisions.rational:
            f = quotient if ufunc is np.true_divide else BINARY[ufunc]
            return Ball([exactly(f(a, b)) for a, b in zip(*pairs, strict=True)], shape, decisions)
        return Ball(list(map(BINARY[ufunc], *pairs)), shape, decisions)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where and len(args) == 3:
            return _where(args[0], self._like(args[1]), self._like(args[2]), self.decisions)
        if func in MOVING:
            operands, places = moved(func, args, kwargs, Ball)
            parts = [self._number(0), *map(self._like, operands)]
            return Ball(
                [b for p in parts for b in p.flat],
                (-1,),
                self.decisions,
                ceilings=joined([(p.size, p._ceilings) for p in parts]),
            )._taken(places)
        return answered(func, args, kwargs)

    def _like(self, x: object) -> Ball:
        return x if isinstance(x, Ball) else Ball.exact(x, self.decisions)

    def _reduced(self, f: Callable[[Any, Any], Any], axis: Axes, keepdims: bool) -> Ball:
        rows, shape = groups(self._places(), axes_of(axis, self.ndim), keepdims)
        return Ball(reduced(f, self.flat, rows), shape, self.decisions)

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Ball:
        """The sum over one axis, some or all."""
        rows, shape = groups(self._places(), axes_of(axis, self.ndim), keepdims)
        return Ball(totals(self.flat, rows) if rows.shape[1] else self.zeros(shape).flat, shape, self.decisions)

    def max(self, axis: Axes = None, keepdims: bool = False) -> Ball:
        """The largest element along one axis, some or all."""
        return self._reduced(larger, axis, keepdims)

    def min(self, axis: Axes = None, keepdims: bool = False) -> Ball:
        """The smallest element along one axis, some or all."""
        return self._reduced(smaller, axis, keepdims)

    def cumsum(self, axis: int | None = None) -> Ball:
        """The partial sums along an axis, or of all elements in C order."""
        if axis is None:
            return self.reshape(-1).cumsum(0)
        places = np.moveaxis(self._places(), axis, -1)
        sums = Ball(partial_sums(self.flat, places.reshape(-1, places.shape[-1])), places.shape, self.decisions)
        return sums._taken(np.moveaxis(sums._places(), -1, axis))

    # ── what the calculus asks of an arithmetic (see `dispatch`) ─────────────────────────────────────

    def magnitude(self) -> Ball:
        """|z|."""
        return Ball(list(map(abs, self.flat)), self.shape, self.decisions)

    def is_negative(self) -> Ball:
        """z < 0."""
        return self < 0

    def limited(self, bound: float) -> Ball:  # noqa: ARG002 (as every arithmetic takes it)
        """The same: nothing overflows."""
        return self

    def two_sum(self, other: Any) -> tuple[Ball, Ball]:
        """The sum, and 0: a ball carries its own error."""
        return self + other, self._number(0)

    def two_product(self, other: Any) -> tuple[Ball, Ball]:
        """The product, and 0: a ball carries its own error."""
        return self * other, self._number(0)

    def constant(self, c: Constant) -> tuple[Ball, Ball]:
        """The constant from its formula, and 0."""
        pi = Ball([arb.pi()], (), self.decisions)
        return c.formula(self._number, pi), self._number(0)

    def _number(self, value: int | Fraction) -> Ball:
        fraction = Fraction(value)
        exact = fmpq(fraction.numerator, fraction.denominator)
        return Ball([exact if self.decisions.rational else arb(exact)], (), self.decisions)

    def indicator(self, mask: NumPyArray | Mask) -> Ball:
        """1 and 0, and the ball from 0 to 1 where the mask is undecided."""
        return _where(mask, self._number(1), self._number(0), self.decisions)

    def parameter(self, values: object) -> Ball:
        """The values, exactly."""
        return self._like(values)

    def largest(self, axis: int = -1) -> tuple[NumPyArray, Ball]:
        """The mask of the largest midpoint along an axis, and that midpoint, an exact number, with the axis kept."""
        rows, shape = groups(self._places(), axes_of(axis, self.ndim), keepdims=True)
        best = tops(self.flat, rows)
        peaks = [b if isinstance(b, fmpq) else b.mid() for b in map(self.flat.__getitem__, best)]
        return self._places() == np.array(best).reshape(shape), Ball(peaks, shape, self.decisions)

    def zeros(self, shape: tuple[int, ...]) -> Ball:
        """Zeros of the shape."""
        return Ball(self._number(0).flat * prod(shape), shape, self.decisions)

    def added_at(self, shape: tuple[int, ...], index: Any) -> Ball:
        """Zeros of the shape with these values added at an index."""
        places = np.arange(prod(shape)).reshape(shape)[index]
        values = self._spread(places.shape)
        flat = sums_at(values, places.ravel().tolist(), self._number(0).flat[0], prod(shape))
        return Ball(flat, shape, self.decisions)

    def in_format(self, form: object) -> Ball:  # noqa: ARG002 (as every arithmetic takes it)
        """The same: balls are of no format."""
        return self

    stored_like = in_format

    def tanh_residual(self) -> Ball:
        """z − tanh z."""
        return self - np.tanh(self)


def _restore(elements: list[Any], shape: tuple[int, ...], decisions: Decisions) -> Ball:
    return Ball([restored(e) for e in elements], shape, decisions)


def _matmul(a: Ball, b: Ball, decisions: Decisions) -> Ball:
    left, right, shape = as_matrices(a.shape, b.shape)
    if prod(right[:-2]) == 1 and not decisions.rational:  # one product of all rows is quicker than many
        rows = prod(left[:-1])
        return Ball(None, shape, decisions, a.matrix(rows, left[-1]) * b.matrix(*right[-2:]))
    return Ball(products(a.flat, left, b.flat, right, decisions.rational), shape, decisions)


def _compare(ufunc: Any, a: Ball, b: Ball, decisions: Decisions) -> Any:
    shape = np.broadcast_shapes(a.shape, b.shape)
    known = a._ceilings if a.shape == shape else {}
    return compared(ufunc, a._spread(shape), b._spread(shape), known, shape, decisions)


def _where(mask: NumPyArray | Mask, a: Ball, b: Ball, decisions: Decisions) -> Ball:
    shape = np.broadcast_shapes(as_mask(mask).certain.shape, a.shape, b.shape)
    return Ball(chosen(mask, a._spread(shape), b._spread(shape), shape), shape, decisions)
