"""An array type whose every operation makes a fresh random rounding error, many runs side by side.

How large the errors are, and how comparisons are decided: `noise_model`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from . import dispatch as arithmetic
from .array import Axes, NumPyArray, Term
from .constants import Constant
from .formats import Format
from .noise_model import COMMON, common_error, is_inexact, product, rounded, summed, widened, with_noise
from .noise_source import NoiseSource, rounds_onto
from .noise_sums import added, begun_with, compared, cumulated, unheld
from .places import MOVING, answered, as_matrices, moved
from .stacked import Stacked, aligned, joined

_EXACT = {np.negative, np.positive, np.absolute, np.maximum, np.minimum, np.floor, np.ceil, np.trunc, np.rint,
          np.logical_and, np.logical_or,
          np.logical_xor, np.logical_not, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert}  # fmt: skip
_COMPARISONS = {np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal}


class Noisy(Stacked):
    """An array whose every operation makes a random rounding error, many runs at once.

    Attributes:
        data: (runs + 1, *shape), or (1, *shape) while no operation has rounded; data[0] has no noise.
        source: what draws the errors.
        factors: of exact matrix products, what was multiplied: what is added to them may be added before all of their
            terms. None of other numbers.
    """

    __slots__ = ("factors", "source")

    def __init__(
        self, data: NumPyArray, source: NoiseSource, factors: tuple[NumPyArray, NumPyArray] | None = None
    ) -> None:
        self.data = data
        self.source = source
        self.factors = factors

    @classmethod
    def exact(cls, values: object, source: NoiseSource) -> Noisy:
        """Values that carry no error."""
        return cls(np.asarray(values, dtype=float)[None], source)

    @classmethod
    def held(cls, values: object, source: NoiseSource) -> Noisy:
        """Values that carry an error where the format cannot hold them."""
        return cls(_operand(values, source), source)

    def _like(self, data: NumPyArray) -> Noisy:
        return Noisy(data, self.source)

    def __repr__(self) -> str:
        return f"Noisy({self.data[0]!r}, runs={self.source.runs}, format={self.source.format.name})"

    def __array__(self, *_: object, **__: object) -> NumPyArray:
        raise TypeError("a Noisy has many values: take its data or its spread()")

    def __bool__(self) -> bool:
        """The answer of every run; where they differ, that of the source."""
        if self.shape:
            raise ValueError(f"the truth value of an array of shape {self.shape} is ambiguous")
        answers = self.data != 0
        return bool(answers[0]) if np.all(answers == answers[0]) else self.source.decide()

    def spread(self) -> NumPyArray:
        """σ: the root mean square over the runs of their distance from the noise-free one."""
        if len(self.data) == 1:
            return np.zeros(self.shape)
        deviation = self.data[1:] - self.data[0]
        np.abs(deviation, out=deviation)
        peak = deviation.max(axis=0)
        scale = np.where((peak > 0) & np.isfinite(peak), peak, 1.0)
        deviation /= scale
        deviation *= deviation
        sigma = scale * np.sqrt(deviation.mean(axis=0))
        return np.where((sigma == 0) & (peak > 0), np.finfo(float).smallest_subnormal, sigma)

    # ── NumPy's protocols ────────────────────────────────────────────────────────────────────────────

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        source = widest(inputs)
        x = [_operand(i, source) for i in inputs]
        if ufunc is np.matmul:
            y = _matmul(source, *x)
            return Noisy(y, source, (x[0][0], x[1][0]) if len(y) == 1 else None)
        x = aligned(x)
        if ufunc in _COMPARISONS:
            return Noisy(compared(ufunc, *x), source)
        if ufunc is np.sign:
            return Noisy(np.sign(widened(x[0])), source)
        y = ufunc(*x)
        if ufunc in _EXACT:
            return Noisy(y, source)
        y = rounded(source, y, is_inexact(source, ufunc, x, y), common_error(ufunc))
        if ufunc is np.add:
            for term, other in zip(inputs, x[::-1], strict=True):
                if isinstance(term, Noisy) and term.factors is not None:
                    a, b = map(np.abs, term.factors)
                    y = begun_with(source, y, np.abs(other[0]), (a @ b).reshape(term.shape))
        return Noisy(y, source)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where and len(args) == 3:
            source = widest(args)
            return Noisy(np.where(*aligned([_operand(a, source) for a in args])), source)
        if func in MOVING:
            operands, places = moved(func, args, kwargs, Noisy)
            source = widest(operands)
            return Noisy(joined([_operand(x, source) for x in operands], places), source)
        return answered(func, args, kwargs)

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Noisy:
        """The sum over one axis, some or all, each run with the error of one order of summation."""
        return Noisy(summed(self.source, self.data, self._axes(axis), keepdims), self.source)

    def cumsum(self, axis: int | None = None) -> Noisy:
        """The partial sums along an axis (or of all elements in C order), with the errors of adding one by one."""
        if axis is None:
            return self.reshape(-1).cumsum(0)
        return Noisy(cumulated(self.source, self.data, normalize_axis_index(axis, self.ndim) + 1), self.source)

    def reshape(self, *shape: Any) -> Noisy:
        """Each in another shape, as `numpy.ndarray.reshape`."""
        return Noisy(super().reshape(*shape).data, self.source, self.factors)

    # ── what the calculus asks of an arithmetic (see `dispatch`) ─────────────────────────────────────

    def two_sum(self, other: object) -> tuple[Noisy, Noisy]:
        """x + y with its noise, and what the noise took away."""
        x, y = aligned([self.data, _operand(other, self.source)])
        with np.errstate(invalid="ignore"):  # of infinities
            exact, lost = map(np.asarray, arithmetic.two_sum(x, y))
        return self._split(exact, lost, is_inexact(self.source, np.add, [x, y], exact))

    def two_product(self, other: object) -> tuple[Noisy, Noisy]:
        """x·y with its noise, and what the noise took away."""
        x, y = aligned([self.data, _operand(other, self.source)])
        exact, lost = map(np.asarray, arithmetic.two_product(x, y))
        return self._split(exact, lost, is_inexact(self.source, np.multiply, [x, y], exact))

    def _split(self, exact: NumPyArray, lost: NumPyArray, inexact: NumPyArray) -> tuple[Noisy, Noisy]:
        result = Noisy(rounded(self.source, exact, inexact), self.source)
        with np.errstate(invalid="ignore"):
            lost = (exact - result.data) + lost
        if not np.isfinite(lost).all():
            lost = np.where(np.isfinite(lost), lost, 0.0)  # an infinity loses nothing, that of noise neither
        return result, Noisy(lost, self.source)

    def constant(self, c: Constant) -> tuple[Noisy, Noisy]:
        """The constant with an error of its own, and what the error took away."""
        high, low = c.in_dtype(np.dtype(float))
        result = Noisy(rounded(self.source, np.array([high]), np.array([True])), self.source)
        return result, Noisy((high - result.data) + low, self.source)

    def indicator(self, mask: object) -> Noisy:
        """1 and 0."""
        return Noisy(_operand(mask, self.source).astype(float), self.source)

    def parameter(self, values: object) -> Noisy:
        """The values, with an error where the format cannot hold them."""
        return Noisy(_operand(np.asarray(values, dtype=float), self.source), self.source)

    def largest(self, axis: int = -1) -> tuple[NumPyArray, Noisy]:
        """The mask of the largest entry along an axis in the noise-free run, and that entry of each run."""
        mask = np.asarray(arithmetic.largest(self.data[0], axis)[0])
        own = self._axes(axis)
        return mask, Noisy(np.where(mask, self.data, 0.0).sum(axis=own, keepdims=True), self.source)

    def added_at(self, shape: tuple[int, ...], index: Any) -> Noisy:
        """Zeros of the shape with these values added at an index; where several meet, with the error of their sum."""
        places = np.arange(prod(shape)).reshape(shape)[index]
        terms = aligned([self.data, places[None]])[0]
        terms = np.broadcast_to(terms, (len(terms), *places.shape)).reshape(len(terms), -1)
        sums = added(self.source, terms, places.ravel(), prod(shape))
        return Noisy(sums.reshape(len(sums), *shape), self.source)

    def in_format(self, form: Format | None) -> Noisy:
        """The same numbers as a step in another format takes them: rounded once where it cannot hold them."""
        source = self.source.in_format(form)
        if source is self.source:
            return self
        return Noisy(rounded(source, self.data, unheld(self.data, self.source.format, source.format)), source)

    def stored_like(self, like: object) -> Noisy:
        """The same numbers in the format of other ones; in the format of all, if those carry no noise."""
        return self.in_format(like.source.format if isinstance(like, Noisy) else None)

    def tanh_residual(self) -> Noisy:
        """z − tanh z."""
        return Noisy(rounded(self.source, np.asarray(arithmetic.tanh_residual(self.data)), self.data != 0), self.source)

    def in_turns(self, other: Noisy) -> Noisy:
        """Two runs of four from another way to the same numbers: a program goes one of the two.

        The runs are of either kind: those whose errors are functions of the numbers, and those whose are not.
        """
        x, y = aligned([self.data, other.data])
        if len(x) == len(y) == 1:
            return self
        run = np.arange(self.source.runs + 1).reshape(-1, *(1,) * (x.ndim - 1))
        return Noisy(np.where(run % 4 > 1, y, x), self.source)

    def across(self, at: float, shift: float, bits: int) -> Noisy:
        """The values, in two runs of four beyond `at` where value + shift rounds to at + shift in so many bits.

        A program that compares the sum finds a number there that is not.
        """
        met = rounds_onto(self.data, at, shift, bits)
        if not np.any(met):
            return self
        run = np.arange(self.source.runs + 1).reshape(-1, *(1,) * self.ndim)
        return self._like(np.where((run % 4 > 1) & met, 2 * at - self.data, self.data))

    def jitter(self, size: Term, reach: Term = 1.0, factor: Term = 0.0) -> Noisy:
        """The values with a further error of u·size: what a formula with a larger intermediate term makes.

        Such formulas also divide by what may overflow (1/(1 + e^−z)), and multiply the quotient by numbers up
        to `reach`: they lose results below reach divided by the largest number, and have that error besides. What
        underflows on the way may be multiplied by up to `factor`.
        The number that is rounded is about value + size: values that differ by less than it can tell err alike.
        A term that is 0 or tiny but for rounding, as d_y behind a norm of one number, is as large as most runs make it.
        """
        x, amounts = aligned([self.data, _operand(size, self.source)])
        amount = np.abs(amounts[:1])
        if len(amounts) > 1:
            amount = np.fmax(amount, np.median(np.abs(amounts[1:]), axis=0))
        fmt = self.source.format
        lost = (2 * reach / fmt.largest + factor * fmt.smallest) / fmt.unit_roundoff
        size = np.where(amount > 0, amount + lost, 0.0)
        through = x[0] + np.copysign(size[0], x[0])
        return Noisy(with_noise(self.source, x + 0 * size, size, size > 0, COMMON, through), self.source)


def _operand(x: object, source: NoiseSource) -> NumPyArray:
    """An operand with its axis of runs; numbers that the format cannot hold get their rounding error."""
    if isinstance(x, Noisy):
        return x.data
    values = np.asarray(x)
    if values.dtype.kind != "f":
        return values[None]
    values = np.asarray(values, dtype=float)
    if source.format.bits == 53:
        return values[None]
    good = source.representable(values) | np.isinf(values)
    return values[None] if np.all(good) else rounded(source, values[None], ~good[None])


def widest(operands: Iterable[Any]) -> NoiseSource:
    """The source of the noisy operands, that of the widest format if they have several."""
    sources = [x.source for x in operands if isinstance(x, Noisy)]
    if len(sources) == 1 or all(source is sources[0] for source in sources):
        return sources[0]
    return max(sources, key=lambda s: (s.format.bits, -s.format.smallest))


def _matmul(source: NoiseSource, a: NumPyArray, b: NumPyArray) -> NumPyArray:
    """The products of matrices of each run; rows of all leading axes at once where the second is one matrix."""
    left, right, shape = as_matrices(a.shape[1:], b.shape[1:])
    if prod(right[:-2]) == 1:
        left, right = (prod(left[:-1]), left[-1]), right[-2:]
    y = product(source, *aligned([a.reshape(len(a), *left), b.reshape(len(b), *right)]))
    return y.reshape(len(y), *shape)
