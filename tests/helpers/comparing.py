"""Comparing arrays and trees, and how far a product of so many roundings may be off."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.stats import f

import reference as ref
from reference.arithmetic.array import NumPyArray
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.network import passes
from reference.network.in_arithmetic import in_noise
from reference.rounding.distance import FACTOR, worst_place

RUNS = 32
ONCE_IN_A_BILLION = float(np.sqrt(f.isf(1e-9, RUNS, RUNS)))
"""The largest quotient of two root mean squares of so many runs of one error (Fisher's F), but for one in a billion."""

DTYPES = (np.float64, np.float32)


def assert_same(got: NumPyArray, expected: NumPyArray, what: str = "") -> None:
    """The same type, shape and numbers; NaN equals NaN, and −0 equals 0."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, f"{what}: {got.dtype} is not {expected.dtype}"
    assert got.shape == expected.shape, f"{what}: shape {got.shape} is not {expected.shape}"
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    assert np.all(same), f"{what} differs first at {np.argwhere(~same)[0]}:\n{got}\n{expected}"


def fraction(number: Any) -> Fraction:
    """The number, exactly."""
    return Fraction(*number.item().as_integer_ratio())


def derivatives(tree: ref.Gradients) -> dict[str, NumPyArray]:
    """Every leaf by its place, the loss excepted."""
    return tree.derivatives()


def assert_same_gradients(got: ref.Gradients, expected: ref.Gradients) -> None:
    """Leaf by leaf, the loss excepted."""
    left, right = derivatives(got), derivatives(expected)
    assert left.keys() == right.keys()
    for place in left:
        assert_same(left[place], right[place], place)


def leaves(record: Any) -> Iterable[NumPyArray]:
    """Every array of a network or problem."""
    mlp = record if isinstance(record, ref.MLP) else record.mlp
    for layer in mlp.layers:
        yield layer.weight
        if layer.bias is not None:
            yield layer.bias
    if isinstance(record, ref.Problem):
        yield record.x
        yield record.target


def assert_within_rounding(problem: ref.Problem, got: Any, expected: Any, dtype: Any = None) -> None:
    """Leaves by place that differ by rounding at the most: `FACTOR` σ of the customary formulas in a format."""
    fmt = get_format(problem.dtype if dtype is None else dtype)
    sigma = ref.rounding_scale(problem, fmt, textbook=True).leaves()
    worst = worst_place(got, expected, sigma, fmt)
    assert worst.scales <= FACTOR, str(worst)


def output_and_scale(problem: ref.Problem) -> tuple[Any, Any]:
    """The output of a network, and its rounding scale: the root mean square error of noisy forward passes."""
    noisy = in_noise(problem, NoiseSource(get_format(problem.dtype), RUNS, np.random.default_rng(0)), textbook=True)
    with np.errstate(all="ignore"):
        runs = passes.forward(noisy.network, noisy.x).output.data
        sigma = np.sqrt(np.mean((runs - runs[0]) ** 2, axis=0))
    return passes.forward(problem.network, problem.x).output, sigma


def assert_output_within_rounding(problem: ref.Problem, expected: Any) -> None:
    """The output of a network differs from what is expected by `FACTOR` σ at the most."""
    found, sigma = output_and_scale(problem)
    assert found.shape == np.shape(expected)
    assert np.all(np.abs(found - expected) <= FACTOR * sigma), (found, expected, sigma)


def gamma(operations: int, dtype: Any = np.float64) -> float:
    """γ_n = n·u/(1 − n·u): what n roundings multiply a product by, at the most (Higham 2002, lemma 3.1)."""
    unit = float(np.finfo(dtype).eps) / 2
    return operations * unit / (1 - operations * unit)
