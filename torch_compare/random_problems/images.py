"""Random inputs of convolutions, of windows and of what shuffles channels: small images, kernels of one number too."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from numpy.random import Generator

import reference as ref

from .drawn import Draw, Drawn, row_of
from .numbers import real
from .shapes import Shape, length, shape


def _each(rng: Generator, axes: int, least: int, most: int) -> int | Shape:
    """One number for all axes, or one for each."""
    found = tuple(int(n) for n in rng.integers(least, most + 1, axes))
    return found if rng.random() < 0.5 else found[0]


def _kernel(rng: Generator, axes: int) -> Shape:
    return tuple(int(n) for n in rng.integers(1, 4 if axes < 3 else 3, axes))


def _maybe(rng: Generator, **drawn: Any) -> dict[str, Any]:
    """Some of the parameters; the others are left out."""
    return {name: value for name, value in drawn.items() if rng.random() < 0.5}


def _leading(rng: Generator) -> Shape:
    return (int(rng.integers(1, 4)),) if rng.random() < 0.8 else ()


def _groups(rng: Generator) -> int:
    return int(rng.choice([1, 1, 2, 3]))


def _lengths(kernel: Shape, stride: Any, dilation: Any, rng: Generator) -> Shape:
    """An image in which the kernel has one position at least, and some places beyond the last at times."""
    along = (value if isinstance(value, tuple) else (value,) * len(kernel) for value in (stride, dilation))
    return tuple(
        d * (k - 1) + 1 + s * int(rng.integers(0, 3)) + int(rng.integers(0, 2))
        for k, s, d in zip(kernel, *along, strict=True)
    )


def _of_inputs(rng: Generator, row: ref.Operation, x: Shape, weight: Shape, made: int) -> Drawn:
    bias = real(rng, (made,)) if rng.random() < 0.6 else None
    return row, (real(rng, x), real(rng, weight), bias)


def _convolution(axes: int) -> Draw:
    def drawn(rng: Generator, name: str) -> Drawn:
        kernel, groups = _kernel(rng, axes), _groups(rng)
        found = _maybe(rng, stride=_each(rng, axes, 1, 3), dilation=_each(rng, axes, 1, 2))
        size = _lengths(kernel, found.get("stride", 1), found.get("dilation", 1), rng)
        kind = rng.random()
        if kind < 0.2:
            found["padding"] = "valid"
        elif kind < 0.4:
            found = {**found, "padding": "same", "stride": 1}
        elif kind < 0.7:
            found["padding"] = _each(rng, axes, 0, 2)
        each, made = int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
        row = row_of(name, groups=groups, **found)
        return _of_inputs(rng, row, (*_leading(rng), groups * each, *size), (made, each, *kernel), made)

    return drawn


def _transposed(axes: int) -> Draw:
    def drawn(rng: Generator, name: str) -> Drawn:
        kernel, groups = _kernel(rng, axes), _groups(rng)
        found = _maybe(rng, stride=_each(rng, axes, 1, 3), dilation=_each(rng, axes, 1, 2))
        steps, apart = (v if isinstance(v, tuple) else (v,) for v in (found.get("stride", 1), found.get("dilation", 1)))
        if rng.random() < 0.5:
            found["output_padding"] = int(rng.integers(0, max(min(steps), min(apart))))
        size = tuple(int(n) for n in rng.integers(1, 4, axes))
        if min(size) > 1 and min(kernel) > 1 and rng.random() < 0.6:
            found["padding"] = 1  # what is left is (n − 1)·stride + k − 2 long at least
        each, channels = int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
        row = row_of(name, groups=groups, **found)
        return _of_inputs(rng, row, (*_leading(rng), channels, *size), (channels, each, *kernel), groups * each)

    return drawn


def _windows(rng: Generator) -> tuple[dict[str, Any], Shape]:
    """Windows, and an image that they fit in."""
    kernel = _kernel(rng, 2)
    found = _maybe(rng, stride=_each(rng, 2, 1, 3), dilation=_each(rng, 2, 1, 2), padding=_each(rng, 2, 0, 1))
    return found | {"kernel_size": kernel}, _lengths(kernel, found.get("stride", 1), found.get("dilation", 1), rng)


def _unfold(rng: Generator, name: str) -> Drawn:
    found, size = _windows(rng)
    return row_of(name, **found), (real(rng, (*_leading(rng), int(rng.integers(1, 3)), *size)),)


def _fold(rng: Generator, name: str) -> Drawn:
    found, size = _windows(rng)
    image = (*_leading(rng), int(rng.integers(1, 3)), *size)
    columns = ref.operations.unfold(**found).value(real(rng, image))
    return row_of(name, output_size=size, **found), (real(rng, columns.shape),)


def _pixels(rng: Generator, name: str) -> Drawn:
    r, (high, wide) = int(rng.integers(1, 4)), (int(n) for n in rng.integers(1, 3, 2))
    leading = (*shape(rng, most=2), int(rng.integers(1, 3)))
    if name == "pixel_shuffle":
        return row_of(name, r), (real(rng, (*leading[:-1], leading[-1] * r * r, high, wide)),)
    return row_of(name, r), (real(rng, (*leading, high * r, wide * r)),)


def _channels(rng: Generator, name: str) -> Drawn:
    groups = int(rng.integers(1, 4))
    size = (length(rng), groups * int(rng.integers(1, 4)), length(rng), *shape(rng, most=1))
    return row_of(name, groups), (real(rng, size),)


def _local_response(rng: Generator, name: str) -> Drawn:
    found = _maybe(rng, alpha=float(rng.choice([1e-4, 0.5, 2.0])), beta=float(rng.choice([0.75, 0.5, 1.0])), k=2.0)
    size = (length(rng), length(rng), length(rng), *shape(rng, most=1))
    return row_of(name, int(rng.integers(1, 6)), **found), (real(rng, size),)


IMAGES: Mapping[str, Draw] = MappingProxyType({
    **{f"conv{axes}d": _convolution(axes) for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _transposed(axes) for axes in (1, 2, 3)},
    "unfold": _unfold, "fold": _fold, "pixel_shuffle": _pixels, "pixel_unshuffle": _pixels,
    "channel_shuffle": _channels, "local_response_norm": _local_response,
})  # fmt: skip
