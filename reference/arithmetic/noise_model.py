"""How large the rounding error of an operation is, and the noise that stands for it.

Monte Carlo arithmetic (Parker 1997; Vignes 1993, CESTAC). With u the unit roundoff and ξ
uniform in [−1, 1], independent for every element, operation and run:

    f(x), x∘y      gets   ulp(result)·ξ      unless the result is exact in the emulated type
    Σ of n terms   gets   u·√(n/3·S² + (n/6 + 1)·Q)·ξ, S the sum and Q the sum of the squares
    A B            gets   the same for every inner product
    any of them    gets   ½η(ξ + ξ′) besides, η the smallest subnormal, ξ′ drawn once for a run: underflow

In half of the runs ξ is a function of the number that is rounded: equal numbers are rounded alike, so that the errors
of equal examples add up; in every other one of these of the number as the format holds it, so that those of examples
which it cannot tell apart do. Where f is a library's function, all elements share the part `COMMON` of their errors.

A format may round the operands of products first (TensorFloat-32), and may accumulate in more bits than it stores
(bfloat16 in float32): then the sums' u is that of the accumulation, and the stored result errs by up to an ulp.

The size for a sum is that of adding up one by one in a random order: u²·Σ sᵢ² over the partial sums sᵢ, whose
mean squares are (i/n)²S² + (i/n)(1 − i/n)Q. Equal terms err alike, n of them n times as far and not √n times (one part
in two of a sum of 4,096 equal float16 numbers is lost): with mᵢ the number of terms equal to the i-th, n stands for
Σ mᵢ and Q for Σ mᵢtᵢ², which are n and Q where all differ. Its terms are the largest of all runs: what is 0 without
noise, as y − t where they are equal, is rounded like any other number once it is not.

A comparison is decided with the deviation from the noise-free run times `WIDENING`, so that a unit that
another implementation may find on the other side of a kink is found there by some of the runs, and the
scale then holds both sides. Two runs in eight decide it with the deviation as it is: where a function jumps, the
deviation behind it is no rounding error, and widened it would put the units behind on a side where none can be.

Arrays here are those of `Noisy`: (runs + 1, …), or (1, …) while no operation has rounded.
"""

from __future__ import annotations

import numpy as np

from .array import NumPyArray
from .noise_source import FRACTION, NoiseSource, granularity, repeated, representable

WIDENING = 8.0
"""With 32 runs, 24 of them widened, a unit within 3 of its σ of a kink stays on one side in all runs once in
30,000 times."""
COMMON = 0.25
"""The part of their errors that all results of a library function share. By the mean over 4,000 numbers of a short
interval, NumPy's float32 tanh errs by up to 0.46 ulps, its sine by 0.29, its exponential by 0.14, torch's functions by
0.1 or less; this is 0.14 ulps by root mean square."""
_ARITHMETIC = {np.add, np.subtract, np.multiply, np.true_divide, np.reciprocal, np.sqrt, np.square}
"""Operations that IEEE 754 rounds correctly: they err to neither side."""
_INEXACT_AT_ZERO = {np.log, np.log2, np.log10, np.arccos}
_EXPONENT = np.uint64(0x7FF << 52)
_EVERYWHERE = np.array(True)


def rounded(source: NoiseSource, y: NumPyArray, inexact: NumPyArray, common: float = 0.0) -> NumPyArray:
    """y with an error of up to one ulp wherever the operation rounds: what good library functions promise."""
    everywhere = inexact is _EVERYWHERE or bool(inexact.all())
    if not everywhere and not inexact.any():
        return y
    ulps = binade(y)
    ulps *= 2
    return with_noise(source, y, ulps if everywhere else ulps * inexact, inexact, common)


def binade(y: NumPyArray) -> NumPyArray:
    """The power of two at or below each magnitude, at most 2^1022; 0 for what is smaller than 2^−1022."""
    found = (y.view(np.uint64) & _EXPONENT).view(float)
    return np.minimum(found, 2.0**1022, out=found)


def common_error(ufunc: np.ufunc) -> float:
    """The part of a function's error that all elements share."""
    return 0.0 if ufunc in _ARITHMETIC else COMMON


def is_inexact(source: NoiseSource, ufunc: np.ufunc, x: list[NumPyArray], y: NumPyArray) -> NumPyArray:
    """Where an operation on x that gives y rounds. An exact result is exact in every implementation."""
    if ufunc is np.add or ufunc is np.subtract:
        return _inexact_sum(source, x[0], x[1], y, ufunc)
    if ufunc is np.multiply or ufunc is np.square:
        x = [x[0], x[-1]]
        few, many = (x[0], x[1]) if x[0].size <= x[1].size else (x[1], x[0])
        exact = _power_of_two(few)
        if many is not few and not exact.all():
            exact = exact | _power_of_two(many)
        if not exact.any():
            return _EVERYWHERE
        tiny = np.abs(y) < source.format.smallest * 2.0**source.format.bits
        return ~exact | (tiny & _rounds(x[0]) & _rounds(x[1])) if tiny.any() else ~exact
    if ufunc is np.true_divide:
        exact = _power_of_two(x[1])
        if exact.any():
            exact = exact & ~(np.abs(y) < source.format.smallest_normal)
        return np.asarray(~exact & _rounds(x[0]))
    if ufunc is np.reciprocal:
        return np.asarray(~_power_of_two(x[0]))
    if ufunc is np.power:
        return np.asarray((x[0] != 0) & (x[0] != 1) & (x[1] != 0) & (x[1] != 1))
    return np.asarray(np.isfinite(x[0])) if ufunc in _INEXACT_AT_ZERO else np.asarray(np.isfinite(x[0]) & (x[0] != 0))


def _rounds(x: NumPyArray) -> NumPyArray:
    """Where a factor is not 0 in every run: one that underflowed is 0 in some, and its products underflow in any."""
    nonzero = x != 0
    return nonzero if nonzero.all() else nonzero.any(axis=0, keepdims=True)


def _inexact_sum(source: NoiseSource, a: NumPyArray, b: NumPyArray, y: NumPyArray, ufunc: np.ufunc) -> NumPyArray:
    """Where y = a ± b rounds: y less the larger term is exact, and then it is not the other one (Dekker 1971, §4)."""
    coarse = ~source.representable(y) if source.format.bits < 53 else None
    if coarse is not None and coarse.all():
        return _EVERYWHERE
    with np.errstate(invalid="ignore"):  # an infinity less itself
        lost = (y - a != b) | (y - b != a) if ufunc is np.add else (a - y != b) | (y + b != a)
    return np.asarray(lost if coarse is None else lost | coarse)


def with_noise(
    source: NoiseSource,
    y: NumPyArray,
    size: NumPyArray,
    terms: NumPyArray,
    common: float = 0.0,
    through: NumPyArray | None = None,
) -> NumPyArray:
    """y + u·size·ξ + ½η·terms·(ξ + ξ′) wherever the number of terms rounded is not 0.

    Args:
        source: what draws the errors.
        y: the numbers of every run.
        size: of the errors, in units of u.
        terms: how many numbers are rounded, of which each may underflow.
        common: see `NoiseSource.errors`.
        through: the number that is rounded on the way to y, if it is another one: equal ones err alike.
    """
    if not terms.any():
        return y
    amplitude = source.format.unit_roundoff * size
    exact, shape = y[0] if through is None else through, y.shape[1:]
    if amplitude.shape[1:] != shape:
        shape = np.broadcast_shapes(shape, amplitude.shape[1:])
        exact = np.broadcast_to(exact, shape)
    xi = source.errors(exact, common)
    least = source.format.smallest * 2.0 ** (source.format.bits + 8)
    near = np.abs(y[:1])
    below = None
    # of those that are numbers: one example that overflows says nothing of the underflow of another
    if near.size and np.fmin.reduce(near, axis=None) < least and np.any(terms * (near < least)):
        alike = source.errors(np.zeros((1,) * len(shape)))
        below = source.underflows(terms * (xi + alike))
    noise = xi[1:]
    noise *= amplitude[-source.runs :]  # all runs but the first, or the only one
    if below is not None:
        noise += below[1:]
    noise += y[-source.runs :]
    xi[0] = y[0]
    return xi


def widened(gap: NumPyArray) -> NumPyArray:
    """The gap with its deviation from the noise-free run widened, in six runs of eight."""
    run = np.arange(len(gap)).reshape(-1, *(1,) * (gap.ndim - 1)) % 8
    return gap[:1] + np.where((run == 3) | (run == 4), 1.0, WIDENING) * (gap - gap[:1])


def summed(source: NoiseSource, x: NumPyArray, axes: tuple[int, ...], keepdims: bool) -> NumPyArray:
    """The sums of x over axes, each run with the error of one order of summation."""
    if not axes:
        return x
    y = x.sum(axis=axes, keepdims=keepdims)
    if len(x) == 1 and _exact_sum(source, x, axes, keepdims):
        return stored_once(source, y)
    sizes = _largest_of_runs(x)[None]
    nonzero = sizes != 0
    peak = sizes.max(axis=axes, keepdims=True, initial=0.0)
    scaled = sizes / np.where((peak > 0) & np.isfinite(peak), peak, 1.0)
    squares = scaled * scaled

    def length(weighted: NumPyArray) -> NumPyArray:
        return np.sqrt(weighted.sum(axis=axes, keepdims=keepdims)) * peak.reshape(y[:1].shape)

    terms, apart, times = nonzero.sum(axis=axes, keepdims=keepdims), length(squares), _occurrences(source, x, axes)
    together, equal = terms, apart
    if times is not None:
        together = (times * nonzero).sum(axis=axes, keepdims=keepdims)
        equal = length(squares * times)
    size = summation(together, _largest_of_runs(y)[None], equal, apart)
    return accumulated(source, y, size * (terms > 1), terms)


def _occurrences(source: NoiseSource, x: NumPyArray, axes: tuple[int, ...]) -> NumPyArray | None:
    """How many of the terms of the same sum are equal to each; None if all differ."""
    terms = x[0]
    if len(axes) == 1:
        times = repeated(terms, axes[0] - 1, source.format.bits)
        return None if times is None else times[None]
    last = tuple(range(terms.ndim - len(axes), terms.ndim))
    own = tuple(a - 1 for a in axes)
    rows = np.moveaxis(terms, own, last)
    times = repeated(rows.reshape(*rows.shape[: last[0]], -1), -1, source.format.bits)
    return None if times is None else np.moveaxis(times.reshape(rows.shape), last, own)[None]


def product(source: NoiseSource, a: NumPyArray, b: NumPyArray) -> NumPyArray:
    """A B, each run with the errors of its inner products; the axes between that of runs and the last two broadcast."""
    a, b = _operand_of_product(source, a), _operand_of_product(source, b)
    y = a @ b
    first, second = _largest_of_runs(a), _largest_of_runs(b)
    if len(a) == 1 and len(b) == 1:
        grain = granularity(first) * granularity(second)
        bits = source.format.accumulation or source.format.bits
        underflows = source.format.accumulation is None and grain < source.format.smallest
        if grain == 0 or (not underflows and float(np.max(first @ second, initial=0.0)) < grain * 2.0**bits):
            return stored_once(source, y)
    row, column = first.max(axis=-1, keepdims=True, initial=0.0), second.max(axis=-2, keepdims=True, initial=0.0)
    row_scale, column_scale = (np.where((m > 0) & np.isfinite(m), m, 1.0) for m in (row, column))
    left, right = first / row_scale, second / column_scale
    squares = (left * left, right * right)
    nonzero = ((first != 0).astype(float), (second != 0).astype(float))

    def length(total: NumPyArray) -> NumPyArray:
        return (np.sqrt(total) * row_scale * column_scale)[None]

    # Products that are all exactly 0 (disjoint supports) add up to 0 in every implementation, underflow or not.
    terms, square = (nonzero[0] @ nonzero[1])[None], squares[0] @ squares[1]
    together, apart = terms, square
    of_row = repeated(a[0], -1, source.format.bits)
    of_column = None if of_row is None else repeated(b[0], -2, source.format.bits)
    if of_row is not None and of_column is not None:
        # every term weighted by a bound of the number of terms equal to it
        together, apart = (np.minimum((one * of_row) @ two, one @ (two * of_column)) for one, two in (nonzero, squares))
        together = together[None]
    size = summation(together, _largest_of_runs(y)[None], length(apart), length(square))
    return accumulated(source, y, size, terms)


def _operand_of_product(source: NoiseSource, x: NumPyArray) -> NumPyArray:
    """x rounded to what the format's matrix products take."""
    bits = source.format.operands
    if bits is None:
        return x
    inexact = ~representable(x, bits)
    size = np.where(inexact, 2.0 ** (source.format.bits - bits + 1) * binade(x), 0.0)
    return with_noise(source, x, size, inexact)


def accumulated(source: NoiseSource, y: NumPyArray, size: NumPyArray, terms: NumPyArray) -> NumPyArray:
    """Sums y with the error of their accumulation, and that of the rounding to the format where it is another."""
    bits = source.format.accumulation
    if not np.isfinite(size).all():
        size = np.where(np.isfinite(size), size, 0.0)  # an infinite sum does not err
    if bits is None:
        return with_noise(source, y, size, terms)
    finer = size * 2.0 ** (source.format.bits - bits)
    stored = np.where(terms > 0, 2 * binade(y), 0.0)
    return with_noise(source, y, finer + stored, np.minimum(terms, 1.0))


def stored_once(source: NoiseSource, y: NumPyArray) -> NumPyArray:
    """Sums y that the accumulation holds exactly, rounded to the format where that is coarser."""
    if source.format.accumulation is None:
        return y
    return rounded(source, y, ~source.stores(y))


def _largest_of_runs(x: NumPyArray) -> NumPyArray:
    """The largest magnitude of every element over the runs."""
    return np.abs(x[0]) if len(x) == 1 else np.abs(x).max(axis=0)


def summation(terms: NumPyArray, total: NumPyArray, equal: NumPyArray, length: NumPyArray) -> NumPyArray:
    """√(Σm/3·S² + Σm/6·Σmt² + Q): see the head of the module."""
    return np.sqrt(terms / 3) * total + np.hypot(np.sqrt(terms / 6) * equal, length)


def _exact_sum(source: NoiseSource, terms: NumPyArray, axes: tuple[int, ...], keepdims: bool) -> bool:
    """Whether a sum of these terms is exact in every order: multiples of one number, few enough.

    The total is below the bound, not at it: one that float64 has rounded down to the bound is not exact.
    """
    grain = granularity(terms)
    if grain == 0:
        return True
    total = np.abs(terms).sum(axis=axes, keepdims=keepdims).max()
    return bool(total < grain * 2.0 ** (source.format.accumulation or source.format.bits))


def _power_of_two(x: NumPyArray) -> NumPyArray:
    """Whether each number is 0 or a power of two, by which a product or a quotient is exact."""
    floats = x if x.dtype == np.float64 else x.astype(float)
    return np.asarray((floats.view(np.uint64) & FRACTION) == 0)
