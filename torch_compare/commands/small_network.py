"""The small network that `explain` shows: the chapter's 2-2-1 network, or another by its widths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

import reference as ref
from reference.losses.row import probe

WIDTHS = (2, 2, 1)
X = ((1.0, 0.5),)
WEIGHTS = (((0.75, -0.5), (-1.0, 0.125)), ((0.5, 0.375),))
BIASES = ((0.25, 0.375), (0.5,))
TARGET = ((0.25,),)
"""Multiples of 1/8, so that nothing but the activation rounds in the first layer; on no kink of the table."""
PATHS, UNITS, LAYERS = 8, 4, 4
"""What is small: paths from E down to one weight, units of a layer, and layers."""


def example(activation: str = "tanh", loss: str = "half_squared_error", widths: Sequence[int] = WIDTHS) -> ref.Problem:
    """A small problem of one example with this activation in all layers.

    Raises:
        ValueError: no row has that name, the activation does not act element by element, the loss does not take what
            the network puts out, or the network is not small.

    >>> example("tanh").mlp.layers[0].weight
    array([[ 0.75 , -0.5  ],
           [-1.   ,  0.125]])
    """
    row, judged = ref.activations.get(activation), ref.losses.get(loss)
    if row.rowwise:
        names = ", ".join(name for name, other in ref.ACTIVATIONS.items() if not other.rowwise)
        raise ValueError(
            f"explain: {row.name} acts along a whole row, and the example's nodes each have a derivative of their own; "
            f"choose one of {names}"
        )
    x, weights, biases = _numbers(tuple(widths))
    layers = (ref.Layer(w, b, row) for w, b in zip(weights, biases, strict=True))
    chapter = tuple(widths) == WIDTHS and judged.target == "real"
    target = np.array(TARGET) if chapter else probe(judged.target, widths[-1])[1][:1]
    return ref.Problem(ref.MLP(tuple(layers)), x, target, loss=judged)


def _numbers(widths: tuple[int, ...]) -> tuple[Any, list[Any], list[Any]]:
    """The example, the weights and the biases: the chapter's, or others that are multiples of 1/8."""
    if widths == WIDTHS:
        return np.array(X), [np.array(w) for w in WEIGHTS], [np.array(b) for b in BIASES]
    if not (2 <= len(widths) <= LAYERS + 1 and 1 <= min(widths) <= max(widths) <= UNITS and prod(widths[2:]) <= PATHS):
        raise ValueError(
            f"--widths: expected a small network, of {LAYERS} layers and {UNITS} units a layer at the most, with at "
            f"most {PATHS} paths from E down to a weight; got {','.join(map(str, widths))}"
        )
    rng = np.random.default_rng(0)

    def eighths(*shape: int) -> Any:
        return rng.choice([-1, 1], shape) * rng.integers(1, 9, shape) / 8

    shapes = [(o, i) for i, o in pairwise(widths)]
    return eighths(1, widths[0]), [eighths(*shape) for shape in shapes], [eighths(o) for o, _ in shapes]
