"""An array type whose every operation makes a fresh random rounding error, many runs side by side.

How large the errors are, and how comparisons are decided: `noise_model`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import dispatch as arithmetic
from .array import NumPyArray, Term
from .constants import Constant
from .noise_model import COMMON, common_error, is_inexact, product, rounded, summed, widened, with_noise
from .noise_source import NoiseSource

_EXACT = {np.negative, np.positive, np.absolute, np.maximum, np.minimum, np.logical_and, np.logical_or,
          np.logical_not, np.bitwise_and, np.bitwise_or, np.invert}  # fmt: skip
_COMPARISONS = {np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal}


class Noisy(np.lib.mixins.NDArrayOperatorsMixin):
    """An array whose every operation makes a random rounding error, many runs at once.

    Attributes:
        data: (runs + 1, *shape), or (1, *shape) while no operation has rounded; data[0] has no noise.
        source: what draws the errors.
    """

    __slots__ = ("data", "source")

    def __init__(self, data: NumPyArray, source: NoiseSource) -> None:
        self.data = data
        self.source = source

    @classmethod
    def exact(cls, values: object, source: NoiseSource) -> Noisy:
        """Values that carry no error."""
        return cls(np.asarray(values, dtype=float)[None], source)

    @classmethod
    def held(cls, values: object, source: NoiseSource) -> Noisy:
        """Values that carry an error where the format cannot hold them."""
        return cls(_operand(values, source), source)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one run."""
        return tuple(self.data.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of dimensions of one run."""
        return int(self.data.ndim) - 1

    @property
    def size(self) -> int:
        """The number of elements of one run."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64: the emulated format is that of the source."""
        return self.data.dtype

    @property
    def T(self) -> Noisy:  # noqa: N802 (NumPy's name)
        """Each run transposed."""
        return Noisy(np.moveaxis(self.data, 0, -1).T, self.source)

    def __getitem__(self, index: Any) -> Noisy:
        index = index if isinstance(index, tuple) else (index,)
        return Noisy(self.data[(slice(None), *index)], self.source)

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

    def reshape(self, *shape: Any) -> Noisy:
        """Each run in another shape, as `numpy.ndarray.reshape`."""
        return Noisy(self.data.reshape(len(self.data), *self.data[0].reshape(*shape).shape), self.source)

    def spread(self) -> NumPyArray:
        """σ: the root mean square over the runs of their distance from the noise-free one."""
        if len(self.data) == 1:
            return np.zeros(self.shape)
        deviation = np.abs(self.data[1:] - self.data[0])
        peak = deviation.max(axis=0)
        scale = np.where((peak > 0) & np.isfinite(peak), peak, 1.0)
        sigma = scale * np.sqrt(np.mean((deviation / scale) ** 2, axis=0))
        return np.where((sigma == 0) & (peak > 0), np.finfo(float).smallest_subnormal, sigma)

    # ── NumPy's protocols ────────────────────────────────────────────────────────────────────────────

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        if ufunc is np.matmul:
            return Noisy(product(self.source, *(_operand(x, self.source) for x in inputs)), self.source)
        x = _aligned([_operand(i, self.source) for i in inputs])
        if ufunc in _COMPARISONS:
            return Noisy(ufunc(widened(x[0] - x[1]), 0), self.source)
        if ufunc is np.sign:
            return Noisy(np.sign(widened(x[0])), self.source)
        y = ufunc(*x)
        if ufunc in _EXACT:
            return Noisy(y, self.source)
        return Noisy(rounded(self.source, y, is_inexact(self.source, ufunc, x, y), common_error(ufunc)), self.source)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where:
            return Noisy(np.where(*_aligned([_operand(a, self.source) for a in args])), self.source)
        if func is np.concatenate:
            parts = [_operand(a, self.source) for a in args[0]]
            runs = max(len(p) for p in parts)
            parts = [np.broadcast_to(p, (runs, *p.shape[1:])) for p in parts]
            axis = kwargs.get("axis", 0)
            return Noisy(np.concatenate(parts, axis=axis + (axis >= 0)), self.source)
        return NotImplemented

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Noisy:
        """The sum over an axis (or all), each run with the error of one order of summation."""
        axes = tuple(range(1, self.data.ndim)) if axis is None else (axis % self.ndim + 1,)
        return Noisy(summed(self.source, self.data, axes, keepdims), self.source)

    def max(self) -> Noisy:
        """The largest element of each run."""
        return Noisy(self.data.max(axis=tuple(range(1, self.data.ndim))), self.source)

    # ── what the calculus asks of an arithmetic (see `dispatch`) ─────────────────────────────────────

    def magnitude(self) -> Noisy:
        """|z|."""
        return Noisy(np.abs(self.data), self.source)

    def limited(self, bound: float) -> Noisy:
        """z within ±bound."""
        return Noisy(np.clip(self.data, -bound, bound), self.source)

    def two_sum(self, other: object) -> tuple[Noisy, Noisy]:
        """x + y with its noise, and what the noise took away."""
        x, y = _aligned([self.data, _operand(other, self.source)])
        exact, lost = map(np.asarray, arithmetic.two_sum(x, y))
        return self._split(exact, lost, is_inexact(self.source, np.add, [x, y], exact))

    def two_product(self, other: object) -> tuple[Noisy, Noisy]:
        """x·y with its noise, and what the noise took away."""
        x, y = _aligned([self.data, _operand(other, self.source)])
        exact, lost = map(np.asarray, arithmetic.two_product(x, y))
        return self._split(exact, lost, is_inexact(self.source, np.multiply, [x, y], exact))

    def _split(self, exact: NumPyArray, lost: NumPyArray, inexact: NumPyArray) -> tuple[Noisy, Noisy]:
        result = Noisy(rounded(self.source, exact, inexact), self.source)
        return result, Noisy((exact - result.data) + lost, self.source)

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

    def largest(self) -> tuple[NumPyArray, Noisy]:
        """The mask of the largest entry per row in the noise-free run, and that entry of each run."""
        mask = np.asarray(arithmetic.largest(self.data[0])[0])
        return mask, Noisy(np.where(mask, self.data, 0.0).sum(axis=2, keepdims=True), self.source)

    def tanh_residual(self) -> Noisy:
        """z − tanh z."""
        return Noisy(rounded(self.source, np.asarray(arithmetic.tanh_residual(self.data)), self.data != 0), self.source)

    def jitter(self, size: Term, reach: float = 1.0) -> Noisy:
        """The values with a further error of u·size: what a formula with a larger intermediate term makes.

        Such formulas also divide by what may overflow (1/(1 + e^−z)), and multiply the quotient by numbers up
        to `reach`: they lose results below reach divided by the largest number, and have that error besides.
        """
        x, amount = _aligned([self.data, _operand(size, self.source)])
        amount = np.abs(amount[:1])
        lost = 2 * reach / self.source.format.largest / self.source.format.unit_roundoff
        size = np.where(amount > 0, amount + lost, 0.0)
        return Noisy(with_noise(self.source, x + 0 * size, size, size > 0, COMMON), self.source)


def _operand(x: object, source: NoiseSource) -> NumPyArray:
    """An operand with its axis of runs; numbers that the format cannot hold get their rounding error."""
    if isinstance(x, Noisy):
        return x.data
    values = np.asarray(x)
    if values.dtype.kind != "f":
        return values[None]
    values = values.astype(float)
    good = source.representable(values)
    return values[None] if np.all(good) else rounded(source, values[None], ~good[None])


def _aligned(operands: list[NumPyArray]) -> list[NumPyArray]:
    """The operands with as many axes each: NumPy would align the axis of runs with another one."""
    ndim = max(x.ndim for x in operands)
    return [x.reshape(x.shape[0], *(1,) * (ndim - x.ndim), *x.shape[1:]) for x in operands]
