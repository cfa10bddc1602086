"""Random shapes and axes: lengths of 1 are frequent, and so are axes counted from the end."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

Shape = tuple[int, ...]
LENGTHS = (1, 1, 2, 2, 3, 3, 4, 5)


def length(rng: Generator) -> int:
    """The length of an axis: 1 to 5."""
    return int(rng.choice(LENGTHS))


def shape(rng: Generator, least: int = 0, most: int = 3) -> Shape:
    """A shape of least to most axes."""
    return tuple(length(rng) for _ in range(int(rng.integers(least, most + 1))))


def broadcastable(rng: Generator, size: Shape) -> Shape:
    """A shape that is broadcast to this one: leading axes are missing, or axes have the length 1."""
    missing = int(rng.integers(len(size) + 1)) if rng.random() < 0.5 else 0
    return tuple(1 if rng.random() < 0.3 else n for n in size[missing:])


def broadcast_pair(rng: Generator, most: int = 3) -> tuple[Shape, Shape]:
    """Two shapes that are broadcast to a third one.

    >>> np.broadcast_shapes(*broadcast_pair(np.random.default_rng(0)))
    (3, 3, 2)
    """
    size = shape(rng, most=most)
    one = tuple(1 if rng.random() < 0.2 else n for n in size)
    pair = one, broadcastable(rng, size)
    return pair if rng.random() < 0.7 else (pair[1], pair[0])


def axis_of(rng: Generator, size: Shape) -> int:
    """One axis of a shape that has some, counted from either end."""
    return int(rng.integers(-len(size), len(size)))


def axes_of(rng: Generator, size: Shape) -> int | Shape | None:
    """What a reduction runs along: one axis, some, or None for all."""
    kind = rng.random()
    if kind < 0.2:
        return None
    if kind < 0.6:
        return axis_of(rng, size)
    count = int(rng.integers(1, len(size) + 1))
    chosen = np.sort(rng.permutation(len(size))[:count]).tolist()
    return tuple(axis - len(size) if rng.random() < 0.5 else axis for axis in chosen)
