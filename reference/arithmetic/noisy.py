"""Arithmetic whose every operation makes a fresh random rounding error, many runs side by side.

Monte Carlo arithmetic (Parker 1997; Vignes 1993, CESTAC). With u the unit roundoff and ξ
uniform in [−1, 1], independent for every element, operation and run:

    f(x), x∘y      gets   ulp(result)·ξ      unless the result is exact in the emulated type
    Σ of n terms   gets   u·√(n/3·S² + (n/6 + 1)·Q)·ξ, S the sum and Q the sum of the squares
    A B            gets   the same for every inner product
    any of them    gets   ½η(ξ + ξ′) besides, η the smallest subnormal, ξ′ drawn once for a run: underflow

In half of the runs ξ is the same for every element of an operation: equal numbers are rounded alike, so that
the errors of equal examples add up.

A format may round the operands of products first (TensorFloat-32), and may accumulate in more bits than it stores
(bfloat16 in float32): then the sums' u is that of the accumulation, and the stored result errs by up to an ulp.

The size for a sum is that of adding up one by one in a random order: u²·Σ sᵢ² over the partial sums sᵢ, whose
mean squares are (i/n)²S² + (i/n)(1 − i/n)Q. Its terms are the largest of all runs: what is 0 without noise, as y − t
where they are equal, is rounded like any other number once it is not.

A comparison is decided with the deviation from the noise-free run times `WIDENING`, so that a unit that
another implementation may find on the other side of a kink is found there by some of the runs, and the
scale then holds both sides. Two runs in eight decide it with the deviation as it is: where a function jumps, the
deviation behind it is no rounding error, and widened it would put the units behind on a side where none can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import dispatch as arithmetic
from .array import Array, NumPyArray, Term
from .constants import Constant
from .noise_source import NoiseSource, granularity, representable

WIDENING = 8.0
"""With 32 runs, 24 of them widened, a unit within 3 of its σ of a kink stays on one side in all runs once in
30,000 times."""


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

    def __init__(self, data: Array, source: NoiseSource) -> None:
        self.data = data
        self.source = source

    @classmethod
    def exact(cls, values: Array, source: NoiseSource) -> Noisy:
        """Values that carry no error."""
        return cls(np.asarray(values, dtype=float)[None], source)

    @classmethod
    def held(cls, values: Array, source: NoiseSource) -> Noisy:
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
        """What every run answers; where they differ, what the source decides."""
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
            return _matmul(self.source, *(_operand(x, self.source) for x in inputs))
        x = _aligned([_operand(i, self.source) for i in inputs])
        if ufunc in _COMPARISONS:
            return Noisy(ufunc(_widened(x[0] - x[1]), 0), self.source)
        if ufunc is np.sign:
            return Noisy(np.sign(_widened(x[0])), self.source)
        y = ufunc(*x)
        if ufunc in _EXACT:
            return Noisy(y, self.source)
        return _rounded(self.source, y, _inexact(self.source, ufunc, x, y))

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
        y = self.data.sum(axis=axes, keepdims=keepdims)
        if len(self.data) == 1 and _exact_sum(self.source, self.data, axes, keepdims):
            return _stored(self.source, y)
        sizes = _largest_of_runs(self.data)[None]
        terms = (sizes != 0).sum(axis=axes, keepdims=keepdims)
        peak = sizes.max(axis=axes, keepdims=True)
        scaled = sizes / np.where((peak > 0) & np.isfinite(peak), peak, 1.0)
        length = np.sqrt((scaled * scaled).sum(axis=axes, keepdims=keepdims)) * peak.reshape(y[:1].shape)
        total = _largest_of_runs(y)[None]
        return _accumulated(self.source, y, _summation(terms, total, length) * (terms > 1), terms)

    def max(self) -> Noisy:
        """The largest element of each run."""
        return Noisy(self.data.max(axis=tuple(range(1, self.data.ndim))), self.source)

    # ── what the calculus asks of an arithmetic (see `arithmetic.Arithmetic`) ────────────────────────

    def magnitude(self) -> Noisy:
        """|z|."""
        return Noisy(np.abs(self.data), self.source)

    def limited(self, bound: float) -> Noisy:
        """z within ±bound."""
        return Noisy(np.clip(self.data, -bound, bound), self.source)

    def two_sum(self, other: Any) -> tuple[Noisy, Noisy]:
        """x + y with its noise, and what the noise took away."""
        x, y = _aligned([self.data, _operand(other, self.source)])
        exact, lost = arithmetic.two_sum(x, y)
        return self._split(exact, lost, _inexact(self.source, np.add, [x, y], exact))

    def two_product(self, other: Any) -> tuple[Noisy, Noisy]:
        """x·y with its noise, and what the noise took away."""
        x, y = _aligned([self.data, _operand(other, self.source)])
        exact, lost = arithmetic.two_product(x, y)
        return self._split(exact, lost, _inexact(self.source, np.multiply, [x, y], exact))

    def _split(self, exact: Array, lost: Array, inexact: Array) -> tuple[Noisy, Noisy]:
        result = _rounded(self.source, exact, inexact)
        return result, Noisy((exact - result.data) + lost, self.source)

    def constant(self, c: Constant) -> tuple[Noisy, Noisy]:
        """The constant with an error of its own, and what the error took away."""
        high, low = c.in_dtype(np.dtype(float))
        result = _rounded(self.source, np.array([high]), np.array([True]))
        return result, Noisy((high - result.data) + low, self.source)

    def indicator(self, mask: Any) -> Noisy:
        """1 and 0."""
        return Noisy(_operand(mask, self.source).astype(float), self.source)

    def parameter(self, values: Any) -> Noisy:
        """The values, with an error where the format cannot hold them."""
        return Noisy(_operand(np.asarray(values, dtype=float), self.source), self.source)

    def largest(self) -> tuple[Array, Noisy]:
        """The mask of the largest entry per row in the noise-free run, and that entry of each run."""
        mask, _ = arithmetic.largest(self.data[0])
        return mask, Noisy(np.where(mask, self.data, 0.0).sum(axis=2, keepdims=True), self.source)

    def tanh_residual(self) -> Noisy:
        """z − tanh z."""
        return _rounded(self.source, arithmetic.tanh_residual(self.data), self.data != 0)

    def jitter(self, size: Term, reach: float = 1.0) -> Noisy:
        """The values with a further error of u·size: what a formula with a larger intermediate term makes.

        Such formulas also divide by what may overflow (1/(1 + e^−z)), and multiply the quotient by numbers up
        to `reach`: they lose results below reach divided by the largest number, and have that error besides.
        """
        x, amount = _aligned([self.data, _operand(size, self.source)])
        amount = np.abs(amount[:1])
        lost = 2 * reach / self.source.format.largest / self.source.format.unit_roundoff
        size = np.where(amount > 0, amount + lost, 0.0)
        return _noisy(self.source, x + 0 * size, size, size > 0)


def _operand(x: Any, source: NoiseSource) -> Array:
    """An operand with its axis of runs; numbers that the format cannot hold get their rounding error."""
    if isinstance(x, Noisy):
        return x.data
    values = np.asarray(x)
    if values.dtype.kind != "f":
        return values[None]
    values = values.astype(float)
    good = source.representable(values)
    return values[None] if np.all(good) else _rounded(source, values[None], ~good[None]).data


def _aligned(operands: list[Array]) -> list[Array]:
    """The operands with as many axes each: NumPy would align the axis of runs with another one."""
    ndim = max(x.ndim for x in operands)
    return [x.reshape(x.shape[0], *(1,) * (ndim - x.ndim), *x.shape[1:]) for x in operands]


def _widened(gap: Array) -> Array:
    """The gap with its deviation from the noise-free run widened, in six runs of eight."""
    run = np.arange(len(gap)).reshape(-1, *(1,) * (gap.ndim - 1)) % 8
    return gap[:1] + np.where((run == 3) | (run == 4), 1.0, WIDENING) * (gap - gap[:1])


def _power_of_two(x: Array) -> Array:
    mantissa = np.abs(np.frexp(x)[0])
    return (mantissa == 0.0) | (mantissa == 0.5)


def _inexact(source: NoiseSource, ufunc: np.ufunc, x: list[Array], y: Array) -> Array:
    """Where an operation rounds. An exact result is exact in every implementation."""
    if ufunc in (np.add, np.subtract):
        lost = arithmetic.two_sum(x[0], -x[1] if ufunc is np.subtract else x[1])[1] != 0
        return lost | ~source.representable(y)
    if ufunc is np.multiply:
        shift = _power_of_two(x[0]) | _power_of_two(x[1])
        tiny = (np.abs(y) < source.format.smallest * 2.0**source.format.bits) & (x[0] != 0) & (x[1] != 0)
        return ~shift | tiny
    if ufunc is np.true_divide:
        return ~_power_of_two(x[1]) & (x[0] != 0)
    return (x[0] != 0) | (ufunc is np.log)


def _rounded(source: NoiseSource, y: Array, inexact: Array) -> Noisy:
    """y with an error of up to one ulp wherever the operation rounds: what good library functions promise."""
    if not np.any(inexact):
        return Noisy(y, source)
    size = np.ldexp(1.0, np.frexp(y)[1])
    return _noisy(source, y, np.where(inexact, size, 0.0), inexact)


def _noisy(source: NoiseSource, y: Array, size: Array, terms: Array) -> Noisy:
    """y + u·size·ξ + ½η·terms·(ξ + ξ′) wherever the number of terms rounded is not 0."""
    if not np.any(terms):
        return Noisy(y, source)
    amplitude = source.format.unit_roundoff * size
    shape = np.broadcast_shapes(y.shape[1:], amplitude.shape[1:])
    xi = source.errors(shape)
    noise = amplitude * xi
    if np.min(np.abs(y[:1])) < source.format.smallest * 2.0 ** (source.format.bits + 8):
        alike = source.errors((1,) * len(shape))
        noise = noise + source.format.smallest * np.rint(terms * (xi + alike) * 2.0).astype(float) / 4
    return Noisy(y + noise, source)


def _accumulated(source: NoiseSource, y: Array, size: Array, terms: Array) -> Noisy:
    """Sums y with the error of their accumulation, and that of the rounding to the format where it is another."""
    bits = source.format.accumulation
    if bits is None:
        return _noisy(source, y, size, terms)
    finer = size * 2.0 ** (source.format.bits - bits)
    stored = np.where(terms > 0, np.ldexp(1.0, np.frexp(y)[1]), 0.0)
    return _noisy(source, y, finer + stored, np.minimum(terms, 1.0))


def _stored(source: NoiseSource, y: Array) -> Noisy:
    """Sums y that the accumulation holds exactly, rounded to the format where that is coarser."""
    if source.format.accumulation is None:
        return Noisy(y, source)
    return _rounded(source, y, ~source.representable(y))


def _operand_of_product(source: NoiseSource, x: Array) -> Array:
    """x rounded to what the format's matrix products take."""
    bits = source.format.operands
    if bits is None:
        return x
    inexact = ~representable(x, bits)
    size = np.where(inexact, np.ldexp(2.0 ** (source.format.bits - bits), np.frexp(x)[1]), 0.0)
    return _noisy(source, x, size, inexact).data


def _largest_of_runs(x: Array) -> Array:
    """The largest magnitude of every element over the runs."""
    return np.abs(x[0]) if len(x) == 1 else np.abs(x).max(axis=0)


def _summation(terms: Array, total: Array, length: Array) -> Array:
    """√(n/3·S² + (n/6 + 1)·Q): see the head of the module."""
    return np.sqrt(terms / 3) * total + np.sqrt(terms / 6 + 1) * length


def _exact_sum(source: NoiseSource, terms: Array, axes: tuple[int, ...], keepdims: bool) -> bool:
    """Whether a sum of these terms is exact in every order: multiples of one number, few enough.

    The total is below the bound, not at it: one that float64 has rounded down to the bound is not exact.
    """
    grain = granularity(terms)
    if grain == 0:
        return True
    total = np.abs(terms).sum(axis=axes, keepdims=keepdims).max()
    return bool(total < grain * 2.0 ** (source.format.accumulation or source.format.bits))


def _matmul(source: NoiseSource, a: Array, b: Array) -> Noisy:
    a, b = _operand_of_product(source, a), _operand_of_product(source, b)
    y = a @ b
    first, second = _largest_of_runs(a), _largest_of_runs(b)
    if len(a) == 1 and len(b) == 1:
        grain = granularity(first) * granularity(second)
        bits = source.format.accumulation or source.format.bits
        if grain == 0 or float(np.max(first @ second)) < grain * 2.0**bits:
            return _stored(source, y)
    row, column = first.max(axis=1, keepdims=True), second.max(axis=0, keepdims=True)
    row_scale, column_scale = (np.where((m > 0) & np.isfinite(m), m, 1.0) for m in (row, column))
    left, right = first / row_scale, second / column_scale
    length = np.sqrt((left * left) @ (right * right)) * row_scale * column_scale
    # Products that are all exactly 0 (disjoint supports) add up to 0 in every implementation, underflow or not.
    pairs = (first != 0).astype(float) @ (second != 0).astype(float)
    terms = np.where(pairs > 0, float(first.shape[1]), 0.0)[None]
    return _accumulated(source, y, _summation(terms, _largest_of_runs(y)[None], length[None]), terms)
