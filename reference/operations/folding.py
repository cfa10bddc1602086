"""The windows of images as columns, and their adjoint, which adds columns up where windows have places in common.

N examples, C channels; K places of the kernel, M positions of it; n the lengths of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TypeAlias

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .arguments import expect, per_axis
from .moving import Back, moving
from .probe import probe
from .row import Operation
from .windows import Shape, Windows, columns, images

Lengths: TypeAlias = "int | Sequence[int]"
_SOURCE = "Chellapilla, Puri & Simard 2006, High performance convolutional neural networks for document processing"
_AXES = 2


def _windows(name: str, kernel_size: Lengths, dilation: Lengths, padding: Lengths, stride: Lengths) -> Windows:
    kernel, steps = per_axis(name, "kernel_size", kernel_size, _AXES, 1), per_axis(name, "stride", stride, _AXES, 1)
    around = per_axis(name, "padding", padding, _AXES, 0)
    return Windows(kernel, steps, per_axis(name, "dilation", dilation, _AXES, 1), around, around)


def _positions(name: str, w: Windows, image: Shape, given: str) -> Shape:
    found = w.positions(image)
    expect(name, min(found) > 0, given, f"an image that the kernel {w.kernel} fits in", image)
    return found


def _columns(w: Windows, x: Array, positions: Shape) -> Array:
    """(…, C, n₁, n₂) to (…, C·K, M)."""
    *leading, channels = x.shape[:-_AXES]
    image = x.shape[-_AXES:]
    read = columns(w, x.reshape(prod(leading) * channels, 1, *image), positions)
    return read.reshape(*leading, channels * prod(w.kernel), prod(positions))


def _image(w: Windows, read: Array, image: Shape, positions: Shape) -> Array:
    """The adjoint: (…, C·K, M) to (…, C, n₁, n₂)."""
    *leading, high, count = read.shape
    channels = high // prod(w.kernel)
    parts = read.reshape(prod(leading) * channels, prod(w.kernel), count)
    return images(w, parts, 1, image, positions).reshape(*leading, channels, *image)


def _elsewhere(w: Windows) -> dict[str, Windows]:
    """Kernels that stand where they did not, by what was left out."""
    one, zero = (1,) * _AXES, (0,) * _AXES
    found = {}
    if w.stride != one:
        found["the stride left out"] = replace(w, stride=one)
    if w.dilation != one:
        found["the dilation left out"] = replace(w, dilation=one)
    if w.before != zero:
        found["the padding not taken off"] = replace(w, before=zero)
    return found


@recorded
def unfold(kernel_size: Lengths, dilation: Lengths = 1, padding: Lengths = 0, stride: Lengths = 1) -> Operation:
    """The window at each position of the kernel as a column: (N, C, n₁, n₂) to (N, C·K, M); N may be left out.

    Args:
        kernel_size: k.
        dilation: how far one place that the kernel reads is from the next.
        padding: zeros around the image.
        stride: how far one position is from the next.

    >>> unfold((1, 2)).value(np.array([[[1.0, 2.0, 3.0]]]))
    array([[1., 2.],
           [2., 3.]])
    """
    w = _windows("unfold", kernel_size, dilation, padding, stride)

    def value(x: Array) -> Array:
        expect("unfold", x.ndim in (3, 4), "input", "shape (N, C, n₁, n₂) or (C, n₁, n₂)", f"shape {x.shape}")
        return _columns(w, x, _positions("unfold", w, tuple(x.shape[-_AXES:]), "input"))

    def back_of(windows: Windows) -> Back:
        return lambda shape, d: _image(windows, d, shape[-_AXES:], w.positions(shape[-_AXES:]))

    def mean(shape: Shape, d: Array) -> Array:
        return back_of(w)(shape, d) / np.maximum(back_of(w)(shape, np.ones(d.shape)), 1)

    lengths = tuple(max(n, 1) for n in w.image((2,) * _AXES))
    mistakes = {name: back_of(other) for name, other in _elsewhere(w).items()}
    if _overlap(w, lengths):
        mistakes["the mean of what windows have in common"] = mean
    return moving(
        "unfold",
        "U(x), the windows of x",
        value,
        back_of(w),
        (probe(2, 2, *lengths), probe(1, *lengths)),
        {"kernel_size": w.kernel, "dilation": w.dilation, "padding": w.before, "stride": w.stride},
        mistakes,
        source=_SOURCE,
    )


def _overlap(w: Windows, image: Shape) -> bool:
    """Whether some place of the image is read twice."""
    places = w.places(image, w.positions(image))
    return bool((np.bincount(places.ravel(), minlength=prod(image) + 1)[:-1] > 1).any())


@recorded
def fold(
    output_size: Lengths, kernel_size: Lengths, dilation: Lengths = 1, padding: Lengths = 0, stride: Lengths = 1
) -> Operation:
    """The adjoint of `unfold`: (N, C·K, M) to (N, C, *output_size), every column added where its window stands.

    Args:
        output_size: n, of the image.
        kernel_size: k.
        dilation: how far one place of the kernel is from the next.
        padding: zeros around the image, that what is added there is lost in.
        stride: how far one position is from the next.

    >>> fold((1, 3), (1, 2)).value(np.array([[1.0, 2.0], [10.0, 20.0]]))
    array([[[ 1., 12., 20.]]])
    """
    w = _windows("fold", kernel_size, dilation, padding, stride)
    image = per_axis("fold", "output_size", output_size, _AXES, 1)
    positions = _positions("fold", w, image, "output_size")
    high, count = prod(w.kernel), prod(positions)

    def value(x: Array) -> Array:
        fits = x.ndim in (2, 3) and x.shape[-1] == count and x.shape[-2] % high == 0
        expect("fold", fits, "input", f"shape (N, C·{high}, {count}) or without N", f"shape {x.shape}")
        return _image(w, x, image, positions)

    def back_of(windows: Windows) -> Back:
        return lambda shape, d: _columns(windows, d, positions)

    return moving(
        "fold",
        "U*(x), the columns of x added up where windows stand",
        value,
        back_of(w),
        (probe(2, 2 * high, count), probe(high, count)),
        {"output_size": image, "kernel_size": w.kernel, "dilation": w.dilation, "padding": w.before,
         "stride": w.stride},
        {name: back_of(other) for name, other in _elsewhere(w).items()},
        source=_SOURCE,
    )  # fmt: skip


MAKERS: tuple[Callable[..., Operation], ...] = (unfold, fold)
