"""What people get wrong in the backward pass of a convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from ..arithmetic.array import Array
from .convolved import Backward, Convolution, Gradients, Sizes, backward
from .windows import Windows


def convolution_mistakes(c: Convolution) -> dict[str, Backward]:
    """Every mistake by its name; those that make no difference with these parameters are left out."""
    one, zero = (1,) * c.axes, (0,) * c.axes
    found: dict[str, Backward] = {
        "the kernel not flipped in the input's gradient": _of_weight(c, _flipped),
        "the weight's gradient flipped": _of_d_weight(c, _flipped),
        "the weight's gradient of the last example alone": _last_example(c),
        "the mean of the bias's gradient": _of_d_bias(c, lambda d_y: d_y.shape[0] * prod(d_y.shape[2:])),
        "the bias's gradient averaged over the examples": _of_d_bias(c, lambda d_y: d_y.shape[0]),
        "the bias's gradient averaged over the places": _of_d_bias(c, lambda d_y: prod(d_y.shape[2:])),
    }
    if c.axes > 1:
        found["the kernel's axes exchanged in the weight's gradient"] = _of_d_weight(c, _axes_exchanged)
    if c.stride != one:
        found["the stride left out"] = _of_windows(c, lambda w: replace(w, stride=one))
    if c.dilation != one:
        found["the dilation left out"] = _of_windows(c, lambda w: replace(w, dilation=one))
    if c.padding not in (zero, "valid"):
        found["the padding not taken off"] = _of_windows(c, lambda w: replace(w, before=zero))
    if c.groups > 1:
        found["the groups mixed in the input's gradient"] = _of_weight(c, lambda w: _next_group(c, w))
    else:
        found["the weight's channels exchanged in the input's gradient"] = _of_weight(c, _channels_exchanged)
        found["the weight's gradient with its channels exchanged"] = _of_d_weight(c, _channels_exchanged)
    return found


def _of_weight(c: Convolution, change: Callable[[Array], Array]) -> Backward:
    """The input's gradient of another weight."""
    right = backward(c)
    return lambda s, x, weight, bias, d_y: right(s, x, change(weight), bias, d_y)


def _of_d_weight(c: Convolution, change: Callable[[Array], Array]) -> Backward:
    def gradients(s: Sizes, x: Array, weight: Array, bias: Array | None, d_y: Array) -> Gradients:
        d_x, d_weight, d_bias = backward(c)(s, x, weight, bias, d_y)
        return d_x, None if d_weight is None else change(d_weight), d_bias

    return gradients


def _of_windows(c: Convolution, change: Callable[[Windows], Windows]) -> Backward:
    """The backward pass of a kernel that stands elsewhere than it did."""
    right = backward(c)

    def gradients(s: Sizes, x: Array, weight: Array, bias: Array | None, d_y: Array) -> Gradients:
        return right(replace(s, windows=change(s.windows)), x, weight, bias, d_y)

    return gradients


def _of_d_bias(c: Convolution, divisor: Callable[[Array], int]) -> Backward:
    def gradients(s: Sizes, x: Array, weight: Array, bias: Array | None, d_y: Array) -> Gradients:
        d_x, d_weight, d_bias = backward(c)(s, x, weight, bias, d_y)
        return d_x, d_weight, None if d_bias is None else d_bias / divisor(d_y)

    return gradients


def _last_example(c: Convolution) -> Backward:
    def gradients(s: Sizes, x: Array, weight: Array, bias: Array | None, d_y: Array) -> Gradients:
        d_x, _, d_bias = backward(c)(s, x, weight, bias, d_y)
        return d_x, backward(c)(replace(s, examples=1), x[-1:], weight, bias, d_y[-1:])[1], d_bias

    return gradients


def _flipped(weight: Array) -> Array:
    return np.flip(weight, axis=tuple(range(2, weight.ndim)))


def _axes_exchanged(weight: Array) -> Array:
    return weight.swapaxes(-1, -2) if weight.shape[-1] == weight.shape[-2] else weight


def _channels_exchanged(weight: Array) -> Array:
    return weight.swapaxes(0, 1) if weight.shape[0] == weight.shape[1] else weight


def _next_group(c: Convolution, weight: Array) -> Array:
    """Every group with the kernels of the one before it."""
    return np.roll(weight, weight.shape[0] // c.groups, axis=0)
