"""Small helpers by concern: comparing arrays, bounds, exact networks and random ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

import reference as ref

Array = Any

ELEMENTWISE = tuple(sorted(name for name, row in ref.ACTIVATIONS.items() if not row.rowwise))
ROWWISE = tuple(sorted(name for name, row in ref.ACTIVATIONS.items() if row.rowwise))
EXACT = ("identity", "relu", "relu6", "hardtanh", "square")
"""Activations that map integers to integers, with derivatives that are integers."""
HOMOGENEOUS = ("identity", "relu", "leaky_relu")
DTYPES = (np.float64, np.float32)


# ── comparing ────────────────────────────────────────────────────────────────────────────────────────


def assert_same(got: Array, expected: Array, what: str = "") -> None:
    """The same type, shape and numbers; NaN equals NaN, and −0 equals 0."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, f"{what}: {got.dtype} is not {expected.dtype}"
    assert got.shape == expected.shape, f"{what}: shape {got.shape} is not {expected.shape}"
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    assert np.all(same), f"{what} differs first at {np.argwhere(~same)[0]}:\n{got}\n{expected}"


def fraction(number: Any) -> Fraction:
    """The number, exactly."""
    return Fraction(*number.item().as_integer_ratio())


def derivatives(tree: ref.Gradients) -> dict[str, Array]:
    """Every leaf by its place, the loss excepted."""
    return {place: leaf for place, leaf in tree.leaves().items() if place != "loss"}


def assert_same_gradients(got: ref.Gradients, expected: ref.Gradients) -> None:
    """Leaf by leaf, the loss excepted."""
    left, right = derivatives(got), derivatives(expected)
    assert left.keys() == right.keys()
    for place in left:
        assert_same(left[place], right[place], place)


def leaves(record: Any) -> Iterable[Array]:
    """Every array of a network or problem."""
    mlp = record if isinstance(record, ref.MLP) else record.mlp
    for layer in mlp.layers:
        yield layer.weight
        if layer.bias is not None:
            yield layer.bias
    if isinstance(record, ref.Problem):
        yield record.x
        yield record.target


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────────


def gamma(operations: int, dtype: Any = np.float64) -> float:
    """γ_n = n·u/(1 − n·u): what n roundings multiply a product by, at the most (Higham 2002, lemma 3.1)."""
    unit = float(np.finfo(dtype).eps) / 2
    return operations * unit / (1 - operations * unit)


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────


def integers(rng: np.random.Generator, *shape: int, size: int = 2) -> Array:
    """Small integers as floats: sums of their products are exact, in any order."""
    return rng.integers(-size, size + 1, shape).astype(float)


def exact_mlp(rng: np.random.Generator, widths: Sequence[int], names: Sequence[str], bias: bool = True) -> ref.MLP:
    """Integer weights and biases. With integer inputs and `EXACT` activations, float64 makes no rounding error.

    At most 4 layers of width 8 with one square stay far below 2^53.
    """
    return ref.MLP(
        tuple(
            ref.Layer(integers(rng, o, i), integers(rng, o) if bias else None, name)
            for (i, o), name in zip(pairwise(widths), names, strict=True)
        )
    )


def exact_names(rng: np.random.Generator, depth: int) -> list[str]:
    """One `EXACT` activation a layer, `square` at most once, lest the integers outgrow the type."""
    names = [str(rng.choice([n for n in EXACT if n != "square"])) for _ in range(depth)]
    if rng.random() < 0.5:
        names[int(rng.integers(depth))] = "square"
    return names


def random_mlp(rng: np.random.Generator, depth: int, dtype: Any = np.float64, names: Sequence[str] = ()) -> ref.MLP:
    """Normal weights and biases, widths 1 to 6, any activation of the table unless `names` restricts them."""
    choice = tuple(names) or tuple(ref.ACTIVATIONS)
    widths = rng.integers(1, 7, depth + 1)
    layers = []
    for fan_in, width in pairwise(widths):
        row = ref.ACTIVATIONS[str(rng.choice(choice))]
        fan_out = int(width) * row.shrink
        bias = rng.normal(size=fan_out).astype(dtype) if rng.random() < 0.7 else None
        layers.append(ref.Layer(rng.normal(size=(fan_out, int(fan_in))).astype(dtype), bias, row))
    return ref.MLP(tuple(layers))
