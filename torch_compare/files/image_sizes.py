"""What convolutions, windows and shuffles make of images, and what their parameters ask for, counted beforehand.

K places of the kernel, M positions of it, N examples, C channels of the image: its windows are N·C·K·M numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any, TypeAlias

Shape: TypeAlias = "tuple[int, ...]"
Parameters: TypeAlias = "Mapping[str, Any]"

# ── a step ───────────────────────────────────────────────────────────────────────────────────────────


def _positions(image: Shape, kernel: Shape, p: Parameters) -> Shape:
    """M along each axis, one at least; as many as the image is long where it is padded to stay as it is."""
    if p["padding"] == "same":
        return image
    around = (0,) * len(image) if p["padding"] == "valid" else p["padding"]
    ends = zip(image, kernel, around, p["dilation"], p["stride"], strict=True)
    return tuple(max((n + 2 * b - d * (k - 1) - 1) // s + 1, 1) for n, k, b, d, s in ends)


def _image(positions: Shape, kernel: Shape, p: Parameters) -> Shape:
    """The lengths of what a transposed convolution makes, before its padding is taken off."""
    ends = zip(positions, kernel, p["dilation"], p["stride"], p["output_padding"], strict=True)
    return tuple((m - 1) * s + d * (k - 1) + 1 + more for m, k, d, s, more in ends)


def _convolved(shapes: Sequence[Shape], p: Parameters) -> tuple[int, int]:
    """The numbers of the windows, and of the largest array."""
    x, weight = shapes[:2]
    kernel = weight[2:]
    examples, given = prod(x[: -len(kernel) - 1]), x[-len(kernel) :]
    channels = weight[1] * p["groups"]
    if "output_padding" in p:
        windows = examples * channels * prod(kernel) * prod(given)
        made = examples * channels * prod(_image(given, kernel, p))
    else:
        positions = prod(_positions(given, kernel, p))
        windows, made = examples * channels * prod(kernel) * positions, examples * weight[0] * positions
    return windows, max(windows, made, *map(prod, shapes))


def convolution_size(shapes: Sequence[Shape], p: Parameters) -> int:
    """The numbers of the largest array that a convolution makes, at the most."""
    return _convolved(shapes, p)[1]


def convolution_work(shapes: Sequence[Shape], p: Parameters) -> int:
    """Its multiply-adds: each number of the windows goes into as many channels as its group has on the other side."""
    return _convolved(shapes, p)[0] * shapes[1][0] // int(p["groups"])


def _unfolded(shapes: Sequence[Shape], p: Parameters) -> int:
    (x,), kernel = shapes, p["kernel_size"]
    return max(prod(x[:-2]) * prod(kernel) * prod(_positions(x[-2:], kernel, p)), prod(x))


def _folded(shapes: Sequence[Shape], p: Parameters) -> int:
    (x,) = shapes
    return max(prod(x), prod(x[:-1]) // prod(p["kernel_size"]) * (prod(p["output_size"]) + 1))


SIZES: Mapping[str, Callable[[Sequence[Shape], Parameters], int]] = MappingProxyType({
    **{f"conv{axes}d": convolution_size for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": convolution_size for axes in (1, 2, 3)},
    "unfold": _unfolded, "fold": _folded, "local_response_norm": lambda s, p: prod(s[0]) * p["size"],
})  # fmt: skip
"""(shapes, parameters) ↦ the numbers of the largest array that a step makes, at the most."""

# ── a row, which checks itself with images as large as its parameters ask for ────────────────────────


def _whole(p: Parameters, name: str, axes: int, otherwise: int) -> Shape:
    """A parameter along each axis, whatever was given."""
    value = p.get(name, otherwise)
    found = [abs(n) for n in (value if isinstance(value, tuple) else (value,)) if isinstance(n, int)] or [otherwise]
    return tuple(found[min(k, len(found) - 1)] for k in range(axes))


def _windows(p: Parameters, kernel: Shape) -> int:
    """A bound of an image in which the kernel has two positions along each axis, and of its windows."""
    axes = len(kernel)
    steps, apart = _whole(p, "stride", axes, 1), _whole(p, "dilation", axes, 1)
    around, more = _whole(p, "padding", axes, 0), _whole(p, "output_padding", axes, 0)
    ends = zip(kernel, steps, apart, around, more, strict=True)
    lengths = [(2 * s + d * k + 2 * b + m, 3 + 2 * b // max(s, 1)) for k, s, d, b, m in ends]
    image, positions = (prod(along) for along in zip(*lengths, strict=True))
    return max(image, prod(kernel) * positions)


def _asked_by_convolution(axes: int) -> Callable[[Parameters], int]:
    kernel = (2,) * axes
    return lambda p: 2 * (_whole(p, "groups", 1, 1)[0] + 4) * _windows(p, kernel)


def _asked_by_unfold(p: Parameters) -> int:
    return 4 * _windows(p, _whole(p, "kernel_size", 2, 1))


def _asked_by_fold(p: Parameters) -> int:
    kernel, image, around = (_whole(p, name, 2, 0) for name in ("kernel_size", "output_size", "padding"))
    return 4 * prod(max(k, 1) for k in kernel) * prod(n + 2 * b + 1 for n, b in zip(image, around, strict=True))


ASKED: Mapping[str, Callable[[Parameters], int]] = MappingProxyType({
    **{f"conv{axes}d": _asked_by_convolution(axes) for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _asked_by_convolution(axes) for axes in (1, 2, 3)},
    "unfold": _asked_by_unfold, "fold": _asked_by_fold,
    "pixel_shuffle": lambda p: 8 * _whole(p, "upscale_factor", 1, 1)[0] ** 2,
    "pixel_unshuffle": lambda p: 8 * _whole(p, "downscale_factor", 1, 1)[0] ** 2,
    "local_response_norm": lambda p: 8 * (_whole(p, "size", 1, 1)[0] + 1) ** 2,
})  # fmt: skip
"""parameters ↦ the numbers of the largest array that the row is checked with, at the most."""
