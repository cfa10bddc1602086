"""Networks whose arithmetic is exact, and random ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.array import NumPyArray

ELEMENTWISE = tuple(sorted(name for name, row in ref.ACTIVATIONS.items() if not row.rowwise))
ROWWISE = tuple(sorted(name for name, row in ref.ACTIVATIONS.items() if row.rowwise))
EXACT = ("identity", "relu", "relu6", "hardtanh", "square")
"""Activations that map integers to integers, with derivatives that are integers."""
HOMOGENEOUS = ("identity", "relu", "leaky_relu")


def integers(rng: np.random.Generator, *shape: int, size: int = 2) -> NumPyArray:
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
