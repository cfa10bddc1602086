"""The rounding scale: how far a correct implementation's gradient strays, measured and not chosen.

`Noisy` runs the calculus with a fresh random rounding error in every operation, many runs side by side:
the spread of the results is the error that any correct implementation of that precision makes, element by
element (Parker 1997, *Monte Carlo arithmetic*; Vignes 1993, CESTAC). With u the unit roundoff and ξ
uniform in [−1, 1], independent for every element, operation and run:

    f(x), x∘y      gets   u·|result|·ξ       unless the result is exact in the emulated type
    A B            gets   u·√k·√((A∘A)(B∘B))·ξ    for an inner length k
    Σ of n terms   gets   u·√n·√(Σ x²)·ξ
    any of them    gets   ½η·ξ               besides, η the smallest subnormal: underflow

A comparison is decided with the deviation from the noise-free run times `WIDENING`, so that a unit that
another implementation may find on the other side of a kink is found there by some of the runs, and the
scale then holds both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from . import arithmetic
from .arithmetic import Array, Constant
from .mlp import Gradients, Layer, Problem, gradients, unchecked
from .rows import Activation, Loss

RUNS = 32
"""Noisy runs: the root mean square over 32 is within 40% of σ in 99.9% of elements (χ² with 32 degrees)."""
WIDENING = 8.0
"""With 32 runs a unit within 3 of its σ of a kink stays on one side in all runs once in 10⁵ times."""


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Attributes:
        name: as NumPy or torch spell it.
        bits: of the significand, the hidden one included: the unit roundoff is 2^−bits.
        smallest: the smallest positive subnormal number.
        largest: the largest finite number.
    """

    name: str
    bits: int
    smallest: float
    largest: float

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next larger number (Higham 2002, §2.1)."""
        return 2.0**-self.bits

    def ulp(self, values: Array) -> Array:
        """The unit in the last place of each value, as float64."""
        _, exponent = np.frexp(np.asarray(values, dtype=float))
        return np.maximum(np.ldexp(1.0, exponent - self.bits), self.smallest)


FORMATS: Mapping[str, Format] = {
    f.name: f
    for f in (
        Format("float64", 53, 2.0**-1074, float(np.finfo(np.float64).max)),
        Format("float32", 24, 2.0**-149, float(np.finfo(np.float32).max)),
        Format("tf32", 11, 2.0**-136, float(np.finfo(np.float32).max)),
        Format("float16", 11, 2.0**-24, 65504.0),
        Format("bfloat16", 8, 2.0**-133, (2 - 2.0**-7) * 2.0**127),
    )
}
"""IEEE 754-2019, table 3.5; bfloat16 and TensorFloat-32 as their hardware documents them."""


def get_format(dtype: Any) -> Format:
    """The format of that name or NumPy type.

    Raises:
        ValueError: there is none; the message lists those that exist.

    >>> get_format("bfloat16").unit_roundoff, get_format(np.float32).bits
    (0.00390625, 24)
    """
    if isinstance(dtype, Format):
        return dtype
    try:
        name = dtype if isinstance(dtype, str) and dtype in FORMATS else np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in FORMATS:
        raise ValueError(f"dtype: expected one of {', '.join(FORMATS)}, got {name}")
    return FORMATS[name]


@dataclass(frozen=True, eq=False)
class Source:
    """Where the errors come from: one generator, format and number of runs for a whole computation."""

    format: Format
    runs: int
    rng: np.random.Generator

    def errors(self, shape: tuple[int, ...]) -> Array:
        """ξ for every run and element; the first run is free of noise."""
        xi = np.empty((self.runs + 1, *shape), dtype=np.float32)
        xi[0] = 0
        xi[1:] = self.rng.random((self.runs, *shape), dtype=np.float32) * 2 - 1
        return xi

    def representable(self, values: Array) -> Array:
        """Whether each float64 value is a number of the format (its range apart)."""
        if self.format.bits == 53:
            return np.ones(np.shape(values), dtype=bool)
        c = values * (2.0 ** (53 - self.format.bits) + 1)
        return (c - (c - values)) == values


def granularity(values: Array) -> float:
    """A power of two that every value is a multiple of: 0 where there is no other value than 0."""
    nonzero = values[values != 0]
    if not nonzero.size:
        return 0.0
    mantissa, exponent = np.frexp(nonzero)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    return float(np.min(np.ldexp((whole & -whole).astype(float), exponent - 53)))


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

    def __init__(self, data: Array, source: Source) -> None:
        self.data = data
        self.source = source

    @classmethod
    def exact(cls, values: Array, source: Source) -> Noisy:
        """Values that carry no error."""
        return cls(np.asarray(values, dtype=float)[None], source)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one run."""
        return tuple(self.data.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of dimensions of one run."""
        return int(self.data.ndim) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64: the emulated format is that of the source."""
        return self.data.dtype

    @property
    def T(self) -> Noisy:
        """Each run transposed."""
        return Noisy(np.moveaxis(self.data, 0, -1).T, self.source)

    def __getitem__(self, index: Any) -> Noisy:
        index = index if isinstance(index, tuple) else (index,)
        return Noisy(self.data[(slice(None), *index)], self.source)

    def __repr__(self) -> str:
        return f"Noisy({self.data[0]!r}, runs={self.source.runs}, format={self.source.format.name})"

    def spread(self) -> Array:
        """σ: the root mean square over the runs of their distance from the noise-free one."""
        if len(self.data) == 1:
            return np.zeros(self.shape)
        deviation = np.abs(self.data[1:] - self.data[0])
        peak = deviation.max(axis=0)
        scale = np.where((peak > 0) & np.isfinite(peak), peak, 1.0)
        return scale * np.sqrt(np.mean((deviation / scale) ** 2, axis=0))

    # ── NumPy's protocols ────────────────────────────────────────────────────────────────────────────

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        if ufunc is np.matmul:
            return _matmul(self.source, *(_operand(x, self.source) for x in inputs))
        x = _aligned([_operand(i, self.source) for i in inputs])
        if ufunc in _COMPARISONS:
            gap = x[0] - x[1]
            return Noisy(ufunc(gap[:1] + WIDENING * (gap - gap[:1]), 0), self.source)
        if ufunc is np.sign:
            return Noisy(np.sign(x[0][:1] + WIDENING * (x[0] - x[0][:1])), self.source)
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
        first = self.data[:1]
        terms = (first != 0).sum(axis=axes, keepdims=keepdims)
        if len(self.data) == 1 and _exact_sum(self.source, first, axes, keepdims):
            return Noisy(y, self.source)
        peak = np.abs(first).max(axis=axes, keepdims=True)
        scaled = first / np.where((peak > 0) & np.isfinite(peak), peak, 1.0)
        length = np.sqrt((scaled * scaled).sum(axis=axes, keepdims=keepdims))
        length = length * peak.reshape(length.shape)
        size = np.where(terms > 1, np.sqrt(terms) * length, 0.0)
        return _noisy(self.source, y, size)

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

    def jitter(self, size: Any) -> Noisy:
        """The values with a further error of u·size: what a formula with a larger intermediate term makes."""
        x, amount = _aligned([self.data, _operand(size, self.source)])
        return _noisy(self.source, x + 0 * amount[:1], np.abs(amount[:1]))


def _operand(x: Any, source: Source) -> Array:
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


def _power_of_two(x: Array) -> Array:
    return np.isin(np.abs(np.frexp(x)[0]), (0.0, 0.5))


def _inexact(source: Source, ufunc: np.ufunc, x: list[Array], y: Array) -> Array:
    """Where an operation rounds. An exact result is exact in every implementation."""
    if ufunc in (np.add, np.subtract):
        if source.format.bits == 53:
            return arithmetic.two_sum(x[0], -x[1] if ufunc is np.subtract else x[1])[1] != 0
        return ~source.representable(y)
    if ufunc is np.multiply:
        shift = _power_of_two(x[0]) | _power_of_two(x[1])
        tiny = (np.abs(y) < source.format.smallest * 2.0**source.format.bits) & (x[0] != 0) & (x[1] != 0)
        return ~shift | tiny
    if ufunc is np.true_divide:
        return ~_power_of_two(x[1]) & (x[0] != 0)
    return (x[0] != 0) | (ufunc is np.log)


def _rounded(source: Source, y: Array, inexact: Array) -> Noisy:
    """y with a relative error wherever the operation rounds."""
    if not np.any(inexact):
        return Noisy(y, source)
    size = np.where(inexact, np.abs(y), 0.0)
    return _noisy(source, y, size, inexact)


def _noisy(source: Source, y: Array, size: Array, inexact: Array | None = None) -> Noisy:
    """y + u·size·ξ + ½η·ξ, where the size (or `inexact`) is not 0."""
    rounds = size > 0 if inexact is None else inexact
    if not np.any(rounds):
        return Noisy(y, source)
    amplitude = source.format.unit_roundoff * size + np.where(rounds, source.format.smallest / 2, 0.0)
    shape = np.broadcast_shapes(y.shape[1:], amplitude.shape[1:])
    xi = source.errors(shape)
    if source.format.smallest < 2.0**-1000:
        xi = np.where(amplitude < 2.0**-1060, np.round(2 * xi), xi)
    return Noisy(y + amplitude * xi, source)


def _exact_sum(source: Source, terms: Array, axes: tuple[int, ...], keepdims: bool) -> bool:
    """Whether a sum of these terms is exact in every order: multiples of one number, few enough."""
    grain = granularity(terms)
    if grain == 0:
        return True
    total = np.abs(terms).sum(axis=axes, keepdims=keepdims).max()
    return bool(total <= grain * 2.0**source.format.bits)


def _matmul(source: Source, a: Array, b: Array) -> Noisy:
    y = a @ b
    first, second = a[0], b[0]
    if len(a) == 1 and len(b) == 1:
        grain = granularity(first) * granularity(second)
        if grain == 0 or float(np.max(np.abs(first) @ np.abs(second))) <= grain * 2.0**source.format.bits:
            return Noisy(y, source)
    row = np.abs(first).max(axis=1, keepdims=True)
    column = np.abs(second).max(axis=0, keepdims=True)
    row_scale, column_scale = (np.where((m > 0) & np.isfinite(m), m, 1.0) for m in (row, column))
    left, right = first / row_scale, second / column_scale
    length = np.sqrt((left * left) @ (right * right)) * row_scale * column_scale
    return _noisy(source, y, (np.sqrt(first.shape[1]) * length)[None], (length > 0)[None] | ((row > 0) & (column > 0))[None])


# ── the scale of a problem ───────────────────────────────────────────────────────────────────────────


def rounding_scale(
    problem: Problem, dtype: Any = None, *, textbook: bool = False, runs: int = RUNS, seed: int = 0
) -> Gradients:
    """σ of every gradient: the size of the rounding errors of a correct implementation.

    Args:
        problem: the problem, of any floating type; its numbers are taken as exact.
        dtype: the format that the implementation computes in; the problem's own if not given.
        textbook: allow besides for the customary formulas, whose intermediate terms are larger than their
            results (1 − y² for tanh′, softmax − t, …): each row states its own.
        runs: how many noisy runs to take the root mean square of.
        seed: of the noise.

    Returns:
        A tree like the gradients, every leaf the σ of each element; `.loss` is that of the loss.

    Raises:
        ValueError: the format is unknown, or there are fewer than 2 runs.

    >>> from .mlp import initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> bool(np.all(rounding_scale(problem).layers[0].weight < 1e-15))
    True
    """
    if runs < 2:
        raise ValueError(f"runs: expected at least 2, got {runs}")
    source = Source(get_format(problem.dtype if dtype is None else dtype), runs, np.random.default_rng(seed))
    noisy = problem.map(lambda values: Noisy.exact(values, source))
    if textbook:
        noisy = _textbook(noisy)
    if noisy.target.dtype.kind == "f":
        noisy = noisy.replace(target=noisy.target.astype(float))
    with np.errstate(all="ignore"):
        return gradients(noisy).map(lambda leaf: leaf.spread() if isinstance(leaf, Noisy) else np.zeros(np.shape(leaf)))


def _textbook(problem: Problem) -> Problem:
    layers = tuple(
        unchecked(Layer, weight=layer.weight, bias=layer.bias, activation=_textbook_activation(layer.activation))
        for layer in problem.mlp.layers
    )
    return problem.replace(
        mlp=unchecked(type(problem.mlp), layers=layers), loss=_textbook_loss(problem.loss)
    )


def _textbook_activation(row: Activation) -> Activation:
    """The row with the noise of the customary formula's intermediate terms."""

    def value(z: Noisy) -> Noisy:
        return row.value(z).jitter(row.textbook_value(z))

    def derivative(z: Noisy) -> Noisy:
        assert row.derivative is not None
        return row.derivative(z).jitter(row.textbook_derivative(z))

    def vjp(z: Noisy, d_y: Noisy) -> Noisy:
        assert row.vjp is not None
        largest = Noisy(np.abs(d_y.data).max(axis=2, keepdims=True), d_y.source)
        return row.vjp(z, d_y).jitter(row.textbook_derivative(z) * largest)

    changes = {"value": value} | ({"vjp": vjp} if row.rowwise else {"derivative": derivative})
    return _changed(row, changes)


def _textbook_loss(row: Loss) -> Loss:
    """The row with the noise of the customary formula's intermediate terms."""

    def value(y: Noisy, t: Array) -> Noisy:
        return row.value(y, t).jitter(row.textbook_value(y, t))

    def gradient(y: Noisy, t: Array) -> Noisy:
        return row.gradient(y, t).jitter(row.textbook_gradient(y, t))

    return _changed(row, {"value": value, "gradient": gradient})


def _changed(row: Any, changes: dict[str, Any]) -> Any:
    return unchecked(type(row), **({f.name: getattr(row, f.name) for f in fields(row)} | changes))
