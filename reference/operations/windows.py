"""Windows of an image: the places that a kernel reads, what stands there in columns, and columns added back.

n the lengths of the image, k those of the kernel, m the numbers of its positions; S, K and M their products; A rows.
N examples, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..arithmetic.dispatch import added_at, zeros

Shape: TypeAlias = "tuple[int, ...]"
Index: TypeAlias = "tuple[Any, ...]"


@dataclass(frozen=True, slots=True)
class Windows:
    """Where a kernel stands: along each axis, position o reads the places o·stride + j·dilation − before, 0 ≤ j < k.

    Attributes:
        kernel: k.
        stride: how far one position is from the next.
        dilation: how far one place that is read is from the next.
        before: zeros that stand before the image.
        after: zeros that stand after it.
    """

    kernel: Shape
    stride: Shape
    dilation: Shape
    before: Shape
    after: Shape

    @property
    def reach(self) -> Shape:
        """From the first place that is read to the last."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def positions(self, image: Shape) -> Shape:
        """The number of positions along each axis of an image, below 1 where the kernel does not fit in."""
        ends = zip(image, self.before, self.after, self.reach, self.stride, strict=True)
        return tuple((n + b + a - r) // s + 1 for n, b, a, r, s in ends)

    def image(self, positions: Shape) -> Shape:
        """The shortest image with so many positions along each axis."""
        ends = zip(positions, self.before, self.after, self.reach, self.stride, strict=True)
        return tuple((m - 1) * s + r - b - a for m, b, a, r, s in ends)

    def parts(self, positions: Shape) -> Iterator[tuple[Index, Index]]:
        """Each place of the kernel, and what it reads at all positions: indices of (C, *k, …) and of padded images."""
        for place in np.ndindex(*self.kernel):
            starts = (j * d for j, d in zip(place, self.dilation, strict=True))
            ends = zip(starts, self.stride, positions, strict=True)
            part = (slice(first, first + (m - 1) * s + 1, s) for first, s, m in ends)
            yield (slice(None), *place), (..., *part)

    def padded(self, image: Shape, positions: Shape) -> tuple[Shape, Index]:
        """The lengths of an image with zeros before it, and behind it as far as the kernel reads; where it stands."""
        ends = zip(image, self.before, self.reach, self.stride, positions, strict=True)
        lengths = tuple(max(b + n, (m - 1) * s + r) for n, b, r, s, m in ends)
        return lengths, (..., *(slice(b, b + n) for b, n in zip(self.before, image, strict=True)))

    def places(self, image: Shape, positions: Shape) -> NumPyArray:
        """The place in the flat image that each place of the kernel reads at each position: (K, M); S beyond the image.

        >>> Windows((2,), (1,), (1,), (1,), (0,)).places((3,), (3,))
        array([[3, 0, 1],
               [0, 1, 2]])
        """
        axes = len(image)
        place: Any = 0
        inside: Any = True
        for axis, (n, m, k) in enumerate(zip(image, positions, self.kernel, strict=True)):
            read = self.dilation[axis] * np.arange(k)[:, None] + self.stride[axis] * np.arange(m) - self.before[axis]
            lengths = [1] * (2 * axes)
            lengths[axis], lengths[axes + axis] = k, m
            read = read.reshape(lengths)
            place = place * n + read
            inside = inside & (read >= 0) & (read < n)
        return np.where(inside, place, prod(image)).reshape(prod(self.kernel), prod(positions))


def of_all(places: NumPyArray, size: int, examples: int) -> NumPyArray:
    """The places of so many images of a size S that stand in one row: (K, M) to (K, N·M); N·S beyond them.

    >>> of_all(np.array([[2, 0]]), 2, 2)
    array([[4, 0, 4, 2]])
    """
    alone = places[:, None, :]
    starts = size * np.arange(examples)[:, None]
    return np.where(alone < size, alone + starts, examples * size).reshape(len(places), -1)


def gathered(rows: Array, places: NumPyArray) -> Array:
    """What stands at the places of each row: (A, S) to (A, *places.shape); 0 at the place S.

    >>> gathered(np.array([[5.0, 7.0]]), np.array([[0, 1], [1, 2]]))
    array([[[5., 7.],
            [7., 0.]]])
    """
    with_zero = np.concatenate([rows, zeros((rows.shape[0], 1), rows)], axis=1)
    return with_zero[:, places]


def scattered(parts: Array, places: NumPyArray, size: int) -> Array:
    """The adjoint: zeros with each part added at its place, (A, *places.shape) to (A, S).

    >>> scattered(np.array([[[1.0, 2.0], [4.0, 8.0]]]), np.array([[0, 1], [1, 2]]), 2)
    array([[1., 6.]])
    """
    return added_at((parts.shape[0], size + 1), (slice(None), places), parts)[:, :size]


def columns(w: Windows, x: Array, positions: Shape) -> Array:
    """What each place of the kernel reads at each position: (C, N, *n) to (C, K, N·M), 0 beyond the image.

    Of NumPy's arrays by slices, which are several times as fast as places are, and end in the order that products read.

    >>> columns(Windows((2,), (1,), (1,), (1,), (0,)), np.array([[[5.0, 6.0, 7.0]]]), (3,))
    array([[[0., 5., 6.],
            [5., 6., 7.]]])
    """
    (channels, examples), image = x.shape[:2], tuple(x.shape[2:])
    if not is_numpy(x):
        rows = x.reshape(channels, examples * prod(image))
        return gathered(rows, of_all(w.places(image, positions), prod(image), examples))
    lengths, inside = w.padded(image, positions)
    around = np.zeros((channels, examples, *lengths), x.dtype)
    around[inside] = x
    read = np.empty((channels, *w.kernel, examples, *positions), x.dtype)
    for place, part in w.parts(positions):
        read[place] = around[part]
    return read.reshape(channels, prod(w.kernel), examples * prod(positions))


def images(w: Windows, read: Array, examples: int, image: Shape, positions: Shape) -> Array:
    """The adjoint of `columns`: (C, K, N·M) to (C, N, *n); what positions have in common is added up, place by place.

    >>> images(Windows((2,), (1,), (1,), (0,), (0,)), np.array([[[1.0, 2.0], [4.0, 8.0]]]), 1, (3,), (2,))
    array([[[1., 6., 8.]]])
    """
    channels = read.shape[0]
    if not is_numpy(read):
        places = of_all(w.places(image, positions), prod(image), examples)
        return scattered(read, places, examples * prod(image)).reshape(channels, examples, *image)
    lengths, inside = w.padded(image, positions)
    around = np.zeros((channels, examples, *lengths), read.dtype)
    given = read.reshape(channels, *w.kernel, examples, *positions)
    for place, part in w.parts(positions):
        around[part] += given[place]
    return around[inside]
