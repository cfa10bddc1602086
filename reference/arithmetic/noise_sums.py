"""Partial sums, sums at places, and what infinities and a narrower format ask of the noise.

The errors are those of `noise_model`, whose head explains them. Arrays are those of `Noisy`: (runs + 1, …), or (1, …)
while no operation has rounded.
"""

from __future__ import annotations

import numpy as np

from .array import NumPyArray
from .formats import Format
from .noise_model import accumulated, binade, rounded, stored_once, summation, widened, with_noise
from .noise_source import NoiseSource, between_steps, granularity, multiplicities, nearest, representable


def compared(ufunc: np.ufunc, x: NumPyArray, y: NumPyArray) -> NumPyArray:
    """A comparison with the deviation of every run widened; infinities are compared as they are."""
    with np.errstate(invalid="ignore"):  # an infinity less itself
        gap = x - y
        if np.isfinite(gap).all():
            return np.asarray(ufunc(widened(gap), 0))
        return np.where(np.isfinite(gap), ufunc(widened(gap), 0), ufunc(x, y))


def unheld(values: NumPyArray, old: Format, new: Format) -> NumPyArray:
    """Which numbers of one format another one cannot hold: for want of bits, or below its smallest normal number.

    >>> from .formats import get_format
    >>> unheld(np.array([1.0, 1 + 2.0**-10, 2.0**-30]), get_format("float32"), get_format("bfloat16")).tolist()
    [False, True, False]
    """
    long = ~representable(values, new.bits) if new.bits < old.bits else np.zeros(values.shape, dtype=bool)
    if new.smallest <= old.smallest:
        return long
    return long | between_steps(values, new)


def cumulated(source: NoiseSource, x: NumPyArray, axis: int) -> NumPyArray:
    """The partial sums of x along an axis, each with the rounding errors of all sums before it.

    A sum sⱼ errs by u·sⱼ·ξⱼ, and the error goes on into all that follow; the square of it counts mⱼ times where mⱼ
    terms are equal to the j-th, as in a sum. The first term of all is no sum, and a sum with 0 is exact.
    """
    y = x.cumsum(axis=axis)
    bits = source.format.accumulation or source.format.bits
    sizes = np.abs(x).max(axis=0, keepdims=True)
    grain = granularity(x) if len(x) == 1 else 0.0
    exact = len(x) == 1 and (grain == 0 or bool(np.max(sizes.cumsum(axis=axis), initial=0.0) < grain * 2.0**bits))
    added_up = sizes != 0
    rounds = added_up & (added_up.cumsum(axis=axis) > 1)
    if exact or not np.any(rounds):
        return stored_once(source, y) if exact else y
    times = multiplicities(x[0], axis - 1, source.format.bits)[None]
    size = _finite(np.where(rounds, np.abs(y).max(axis=0, keepdims=True) * np.sqrt(times), 0.0))
    errors = (size * 2.0**-bits * source.errors(y[0])).cumsum(axis=axis)
    return _brought_back(source, y + errors, rounds)


def added(source: NoiseSource, x: NumPyArray, places: NumPyArray, size: int) -> NumPyArray:
    """So many zeros with terms added at their places, each with the error of a sum of as many terms as it has.

    Args:
        source: what draws the errors.
        x: the terms of every run (runs + 1, T).
        places: where each is added (T,).
        size: the number of places P; the result has the shape (runs + 1, P).
    """

    def total(weights: NumPyArray) -> NumPyArray:
        return np.bincount(places, weights, minlength=size)

    y = np.stack([total(run) for run in x])
    sizes = np.abs(x).max(axis=0, initial=0.0)
    bits = source.format.accumulation or source.format.bits
    grain = granularity(x) if len(x) == 1 else 0.0
    exact = len(x) == 1 and (grain == 0 or bool(np.max(total(sizes), initial=0.0) < grain * 2.0**bits))
    terms = total((sizes != 0).astype(float))
    if exact or not np.any(terms > 1):
        return stored_once(source, y) if exact else y
    peak = np.zeros(size)
    np.maximum.at(peak, places, sizes)
    scaled = sizes / np.where((peak > 0) & np.isfinite(peak), peak, 1.0)[places]
    times = _alike(nearest(x[0], source.format.bits), places) * (sizes != 0)
    squares, together = scaled * scaled, total(times)
    lengths = (np.sqrt(total(squares * weights)) * peak for weights in (times, np.ones_like(times)))
    error = summation(together, np.abs(y).max(axis=0), *lengths)
    terms = np.where(terms > 1, terms, 0.0)
    return accumulated(source, y, (error * (terms > 0))[None], terms[None])


def begun_with(source: NoiseSource, y: NumPyArray, first: NumPyArray, partial: NumPyArray) -> NumPyArray:
    """y, exact sums and a term more, with the error of taking that term first, as torch's addmm takes a bias.

    Args:
        source: what draws the errors.
        y: the results of every run.
        first: the size of the term.
        partial: what the sums of the other terms may come to on the way. Where the term is a whole number of ulps of
            both together, every order is exact.
    """
    bits = source.format.accumulation or source.format.bits
    most = first + partial
    lost = ~representable(most, bits) | (most - partial != first)
    ulps = np.where(lost, 2.0 ** (source.format.bits - bits + 1) * binade(most), 0.0)
    return with_noise(source, y, ulps[None], lost[None])


def _alike(values: NumPyArray, places: NumPyArray) -> NumPyArray:
    """How many of the terms of the same place are equal to each."""
    order = np.lexsort((values, places))
    starts = np.ones(len(values), dtype=bool)
    starts[1:] = (np.diff(values[order]) != 0) | (np.diff(places[order]) != 0)
    group = np.cumsum(starts) - 1
    found = np.empty(len(values))
    found[order] = np.bincount(group)[group]
    return found


def _finite(size: NumPyArray) -> NumPyArray:
    """The size of an error, 0 where the number that errs is infinite."""
    return np.where(np.isfinite(size), size, 0.0)


def _brought_back(source: NoiseSource, y: NumPyArray, inexact: NumPyArray) -> NumPyArray:
    """Sums from their accumulation, rounded to the format where that is another one."""
    return y if source.format.accumulation is None else rounded(source, y, np.broadcast_to(inexact, y.shape))
