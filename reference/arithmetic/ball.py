"""Ball arithmetic: arrays whose every element is an interval that provably holds the exact number.

`Ball` is an array type over python-flint's `arb` (Johansson 2017, Arb: efficient arbitrary-precision
midpoint-radius interval arithmetic). It answers NumPy's dispatch protocols and `dispatch.Arithmetic`, so
the calculus runs on it unchanged. A comparison that no element decides raises `Undecided`; under
`Decisions(hull=True)` it makes a `Mask` with a third state instead, and what is chosen by such a mask holds
both sides.

Operations round to flint's precision, which all threads share: `ball_decisions.precision` sets it and holds a lock.

>>> from reference.arithmetic.ball_decisions import precision
>>> with precision(100):
...     third = Ball.exact(np.array([1.0])) / 3
...     low, high = third.bounds()
>>> bool(low[0] < high[0]), third.shape
(True, (1,))
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, arb_mat, fmpq

from .array import NumPyArray
from .ball_decisions import RAISE, Decisions, Mask, as_mask
from .ball_elements import UNARY, as_arb, exactly, function, larger, outward, quotient, restored, smaller, stored
from .ball_lists import COMPLEMENTS, ceilings_of, chosen, compared, larger_ones, rational_product
from .constants import Constant

_BINARY: dict[Any, Callable[[Any, Any], Any]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.true_divide: operator.truediv,
    np.maximum: larger, np.minimum: smaller,
}  # fmt: skip


class Ball(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of balls.

    Attributes:
        shape: as of a NumPy array.
        decisions: what undecided comparisons do.
    """

    __slots__ = ("_ceilings", "_flat", "_matrix", "decisions", "shape")
    __hash__ = None  # type: ignore[assignment]

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
        if not decisions.rational:
            return cls([arb(v) for v in numbers], array.shape, decisions)
        return cls([exactly(arb(v)) for v in numbers], array.shape, decisions)

    # ── the array ────────────────────────────────────────────────────────────────────────────────────

    @property
    def flat(self) -> list[Any]:
        """Every `arb`, in C order."""
        if self._flat is None:
            self._flat = self.matrix.entries()
        return self._flat

    @property
    def matrix(self) -> arb_mat:
        """The array of two dimensions as an `arb_mat`."""
        if self._matrix is None:
            rows, columns = self.shape
            self._matrix = arb_mat(rows, columns, self.flat)
        return self._matrix

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> str:
        """No NumPy type holds balls."""
        return "arb"

    @property
    def T(self) -> Ball:  # noqa: N802 (NumPy's name)
        """The transpose."""
        if self.ndim == 2 and not self.decisions.rational:
            return Ball(None, self.shape[::-1], self.decisions, self.matrix.transpose())
        return self._taken(self._places().T)

    def _places(self) -> NumPyArray:
        return np.arange(self.size).reshape(self.shape)

    def _taken(self, places: NumPyArray) -> Ball:
        flat = self.flat
        return Ball([flat[i] for i in np.ravel(places).tolist()], np.shape(places), self.decisions)

    def __getitem__(self, index: Any) -> Ball:
        return self._taken(self._places()[index])

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
        flat = self.flat
        if self.shape == shape:
            return flat
        repeats = int(np.prod(shape)) // max(1, len(flat))
        if len(flat) == 1 or shape[len(shape) - self.ndim :] == self.shape:
            return flat * repeats
        return [flat[i] for i in np.broadcast_to(self._places(), shape).ravel().tolist()]

    # ── NumPy's protocols ────────────────────────────────────────────────────────────────────────────

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        x = [self._like(i) for i in inputs]
        decisions = self.decisions
        if ufunc in UNARY:
            flat = list(map(function(ufunc, decisions.rational), x[0].flat))
            return Ball(flat, self.shape, decisions, ceilings=ceilings_of(ufunc, x[0].flat, flat))
        if ufunc is np.sign:
            return self._sign()
        if ufunc is np.matmul:
            return _matmul(x[0], x[1], decisions)
        if ufunc in COMPLEMENTS:
            return _compare(ufunc, x[0], x[1], decisions)
        if ufunc not in _BINARY:
            return NotImplemented
        shape = np.broadcast_shapes(x[0].shape, x[1].shape)
        if ufunc is np.maximum and (x[0]._ceilings or x[1]._ceilings):
            return _maximum(x[0], x[1], shape, decisions)
        pairs = x[0]._spread(shape), x[1]._spread(shape)
        if decisions.rational:
            f = quotient if ufunc is np.true_divide else _BINARY[ufunc]
            return Ball([exactly(f(a, b)) for a, b in zip(*pairs, strict=True)], shape, decisions)
        return Ball(list(map(_BINARY[ufunc], *pairs)), shape, decisions)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where:
            return _where(args[0], self._like(args[1]), self._like(args[2]), self.decisions)
        if func is np.concatenate:
            axis = kwargs.get("axis", 0)
            parts = [self._like(a) for a in args[0]]
            ends = np.cumsum([0, *(p.size for p in parts)]).tolist()
            places = np.concatenate([p._places() + end for p, end in zip(parts, ends, strict=False)], axis=axis)
            return Ball([b for p in parts for b in p.flat], (ends[-1],), self.decisions)._taken(places)
        return NotImplemented

    def _like(self, x: object) -> Ball:
        return x if isinstance(x, Ball) else Ball.exact(x, self.decisions)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Ball:
        """The sum over an axis (or all)."""
        if axis is None:
            shape = (1,) * self.ndim if keepdims else ()
            return Ball([sum(self.flat)], shape, self.decisions)
        axis %= self.ndim
        flat, length = self.flat, self.shape[axis]
        shape = self.shape[:axis] + (1,) * keepdims + self.shape[axis + 1 :]
        places = np.moveaxis(self._places(), axis, -1).reshape(-1, length).tolist()
        return Ball([sum([flat[i] for i in row]) for row in places], shape, self.decisions)

    def _sign(self) -> Ball:
        positive, negative = self > 0, self < 0
        return self.indicator(positive) - self.indicator(negative)

    # ── what the calculus asks of an arithmetic (see `dispatch`) ─────────────────────────────────────

    def magnitude(self) -> Ball:
        """|z|."""
        return Ball(list(map(abs, self.flat)), self.shape, self.decisions)

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

    def largest(self) -> tuple[NumPyArray, Ball]:
        """The mask of the largest midpoint per row (N, K), and that midpoint (N, 1), an exact number."""
        middles = [as_arb(b).mid() for b in self.flat]
        n, k = self.shape
        best = [max(range(r * k, (r + 1) * k), key=middles.__getitem__) for r in range(n)]
        mask = self._places() == np.array(best)[:, None]
        peaks = [self.flat[i] if isinstance(self.flat[i], fmpq) else middles[i] for i in best]
        return mask, Ball(peaks, (n, 1), self.decisions)

    def tanh_residual(self) -> Ball:
        """z − tanh z."""
        return self - np.tanh(self)


def _restore(elements: list[Any], shape: tuple[int, ...], decisions: Decisions) -> Ball:
    return Ball([restored(e) for e in elements], shape, decisions)


def _matmul(a: Ball, b: Ball, decisions: Decisions) -> Ball:
    if a.ndim != 2 or b.ndim > 2:
        raise ValueError(f"matmul: expected matrices, got shapes {a.shape} and {b.shape}")
    right = b if b.ndim == 2 else Ball(b.flat, (b.size, 1), decisions)
    product = Ball(None, (a.shape[0], right.shape[1]), decisions, a.matrix * right.matrix)
    if decisions.rational:
        product = Ball(rational_product(product.flat, a.flat, right.flat, product.shape), product.shape, decisions)
    return product if b.ndim == 2 else Ball(product.flat, (a.shape[0],), decisions)


def _maximum(x: Ball, y: Ball, shape: tuple[int, ...], decisions: Decisions) -> Ball:
    known = (b._ceilings if b.shape == shape else {} for b in (x, y))
    return Ball(larger_ones(x._spread(shape), y._spread(shape), *known), shape, decisions)


def _compare(ufunc: Any, a: Ball, b: Ball, decisions: Decisions) -> Any:
    shape = np.broadcast_shapes(a.shape, b.shape)
    known = a._ceilings if a.shape == shape else {}
    return compared(ufunc, a._spread(shape), b._spread(shape), known, shape, decisions)


def _where(mask: NumPyArray | Mask, a: Ball, b: Ball, decisions: Decisions) -> Ball:
    shape = np.broadcast_shapes(as_mask(mask).certain.shape, a.shape, b.shape)
    return Ball(chosen(mask, a._spread(shape), b._spread(shape), shape), shape, decisions)
