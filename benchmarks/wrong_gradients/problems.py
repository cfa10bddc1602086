"""The problems that wrong gradients are made on: small random networks, each a function of its seed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import reference as ref

MakeProblem = Callable[..., ref.Problem]
"""(seed, dtype="float64") ↦ a problem."""


def network(
    seed: int,
    dtype: str = "float64",
    *,
    widths: tuple[int, ...] = (8, 8, 8, 8, 8),
    activation: str | ref.Activation = "tanh",
    last: str | ref.Activation = "identity",
    loss: str | ref.Loss = "mse",
    reduction: str = "mean",
    examples: int = 6,
    bias: bool = True,
) -> ref.Problem:
    """A random network with a random batch, every number of which the precision holds.

    Weights are normal with variance 1/I, so that the gradients of deep networks keep their size.
    """
    rng = np.random.default_rng(seed)
    rows = [*[activation] * (len(widths) - 2), last]
    layers = []
    for (fan_in, fan_out), row in zip(pairwise(widths), rows, strict=True):
        weight = (rng.normal(size=(fan_out, fan_in)) / np.sqrt(fan_in)).astype(dtype)
        layers.append(ref.Layer(weight, (0.3 * rng.normal(size=fan_out)).astype(dtype) if bias else None, row))
    x = rng.normal(size=(examples, widths[0])).astype(dtype)
    judge = ref.losses.get(loss)
    shape = (examples, widths[-1])
    target: Any
    if judge.target in ("classes", "indices"):
        target = rng.integers(0, widths[-1], examples)
        if judge.ignore_index is not None and judge.ignore_index >= 0:
            target[: 1 + examples // 4] = judge.ignore_index
    else:
        target = (rng.random(shape) if judge.target == "probabilities" else rng.normal(size=shape)).astype(dtype)
    return ref.Problem(ref.MLP(tuple(layers)), x, target, judge, reduction)


def class_weights(k: int = 8) -> tuple[float, ...]:
    """A weight a class, no two alike: 1/4, 2/4, …, k/4."""
    return tuple(float(w) for w in 0.25 * np.arange(1, k + 1))
