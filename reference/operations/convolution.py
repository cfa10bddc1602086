"""Convolutions and transposed convolutions along one, two and three axes, with torch's parameters.

N examples, C channels in, O channels out, G groups; n the lengths of the image, k those of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from ..functions.recipe import recorded
from .arguments import expect, per_axis, whole
from .convolution_mistakes import convolution_mistakes
from .convolved import Convolution, pullback_of, pushforward_of, value_of, wrong_pullback
from .probe import probe
from .row import Inputs, Operation
from .windows import Shape

Lengths: TypeAlias = "int | Sequence[int]"
"""One number for all axes, or one for each."""

_MANY = 4
"""Groups: more of them are checked with one channel each, for there may be thousands."""
_SOURCE = "Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, "


def _lengths(c: Convolution, kernel: Shape) -> Shape:
    """Of the smallest input that the kernel has two positions on along each axis; of one longer than its padding."""
    w = c.windows(kernel)
    if not c.transposed:
        return tuple(max(n, 1) for n in w.image((2,) * c.axes))
    short = [1 - n - more for n, more in zip(w.image((2,) * c.axes), c.more, strict=True)]
    return tuple(2 + max(0, -(-n // s)) for n, s in zip(short, w.stride, strict=True))


def _probe(c: Convolution, each: int, kernel: Shape, *leading: int) -> Inputs:
    """Inputs with so many channels a group on both sides; a bias where there are examples."""
    channels = each * c.groups
    x = probe(*leading, channels, *_lengths(c, kernel))
    weight = probe(channels, each, *kernel, start=5)
    return (x, weight, probe(channels, start=2)) if leading else (x, weight)


def _row(c: Convolution, parameters: dict[str, Any]) -> Operation:
    # "same" puts no zero before an image for a kernel of two
    square, line = (3 if c.padding == "same" else 2,) * c.axes, (*(1,) * (c.axes - 1), 2)
    return Operation(
        c.name,
        "U*(Wᵀ X) + b 1ᵀ, U the windows of Y" if c.transposed else "W U(x) + b 1ᵀ, U the windows of x",
        _SOURCE + ("§4" if c.transposed else "§2"),
        ("x", "weight", "bias"),
        value_of(c),
        pullback_of(c),
        pushforward_of(c),
        probes=(_probe(c, 1 if c.groups > _MANY else 2, square, 2), _probe(c, 1, line)),
        optional=("bias",),
        mistakes={name: wrong_pullback(c, wrong) for name, wrong in convolution_mistakes(c).items()},
        parameters=parameters,
    )


def _convolution(axes: int, stride: Lengths, padding: Lengths | str, dilation: Lengths, groups: int) -> Operation:
    name = f"conv{axes}d"
    read = partial(per_axis, name, axes=axes)
    steps, apart = read("stride", stride, least=1), read("dilation", dilation, least=1)
    if isinstance(padding, str):
        expect(name, padding in ("same", "valid"), "padding", "'same', 'valid' or numbers", padding)
        expect(name, padding != "same" or max(steps) == 1, "stride", "1 with padding 'same'", stride)
        around: Shape | str = padding
    else:
        around = read("padding", padding, least=0)
    count = whole(name, "groups", groups, 1)
    return _row(
        Convolution(name, axes, steps, around, apart, count, (0,) * axes, transposed=False),
        {"stride": steps, "padding": around, "dilation": apart, "groups": count},
    )


@recorded
def conv1d(stride: Lengths = 1, padding: Lengths | str = 0, dilation: Lengths = 1, groups: int = 1) -> Operation:
    """y[c, o] = b[c] + Σ W[c, q, j]·x[q, o·stride + j·dilation − padding] over the channels q of c's group and over j.

    The kernel is not flipped: what is called so is a correlation. x (N, C, n) or (C, n), W (O, C/G, k), b (O,).

    Args:
        stride: how far one position of the kernel is from the next.
        padding: zeros at both ends; "valid" for none, "same" for as many as keep the length (stride 1).
        dilation: how far one number that the kernel reads is from the next.
        groups: G: the output channels of a group see the input channels of that group.

    >>> import numpy as np
    >>> conv1d(stride=2).value(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[[1.0, 10.0]]]))
    array([[21., 43.]])
    """
    return _convolution(1, stride, padding, dilation, groups)


@recorded
def conv2d(stride: Lengths = 1, padding: Lengths | str = 0, dilation: Lengths = 1, groups: int = 1) -> Operation:
    """`conv1d` along two axes: x (N, C, n₁, n₂) or (C, n₁, n₂), W (O, C/G, k₁, k₂), b (O,)."""
    return _convolution(2, stride, padding, dilation, groups)


@recorded
def conv3d(stride: Lengths = 1, padding: Lengths | str = 0, dilation: Lengths = 1, groups: int = 1) -> Operation:
    """`conv1d` along three axes: x (N, C, n₁, n₂, n₃) or (C, n₁, n₂, n₃), W (O, C/G, k₁, k₂, k₃), b (O,)."""
    return _convolution(3, stride, padding, dilation, groups)


def _transposed(
    axes: int, stride: Lengths, padding: Lengths, output_padding: Lengths, groups: int, dilation: Lengths
) -> Operation:
    name = f"conv_transpose{axes}d"
    read = partial(per_axis, name, axes=axes)
    steps, around = read("stride", stride, least=1), read("padding", padding, least=0)
    more, apart = read("output_padding", output_padding, least=0), read("dilation", dilation, least=1)
    fits = all(m < max(s, d) for m, s, d in zip(more, steps, apart, strict=True))
    expect(name, fits, "output_padding", "less than stride or dilation", output_padding)
    count = whole(name, "groups", groups, 1)
    return _row(
        Convolution(name, axes, steps, around, apart, count, more, transposed=True),
        {"stride": steps, "padding": around, "output_padding": more, "groups": count, "dilation": apart},
    )


@recorded
def conv_transpose1d(
    stride: Lengths = 1, padding: Lengths = 0, output_padding: Lengths = 0, groups: int = 1, dilation: Lengths = 1
) -> Operation:
    """The adjoint of `conv1d` in its image: y[c, o·stride + j·dilation − padding] has W[q, c, j]·x[q, o] added.

    x (N, C, n) or (C, n), W (C, O/G, k), b (O,); y has the length (n − 1)·stride + (k − 1)·dilation + 1 − 2·padding
    + output_padding. b[c] is added everywhere.

    Args:
        stride: how far what one number of x makes is from what the next one makes.
        padding: how many numbers are taken off both ends.
        output_padding: how many more stand at the end than must.
        groups: G.
        dilation: how far apart the numbers are that the kernel makes.

    >>> import numpy as np
    >>> conv_transpose1d(stride=2).value(np.array([[1.0, 2.0]]), np.array([[[1.0, 10.0, 100.0]]]))
    array([[  1.,  10., 102.,  20., 200.]])
    """
    return _transposed(1, stride, padding, output_padding, groups, dilation)


@recorded
def conv_transpose2d(
    stride: Lengths = 1, padding: Lengths = 0, output_padding: Lengths = 0, groups: int = 1, dilation: Lengths = 1
) -> Operation:
    """`conv_transpose1d` along two axes: x (N, C, n₁, n₂) or (C, n₁, n₂), W (C, O/G, k₁, k₂), b (O,)."""
    return _transposed(2, stride, padding, output_padding, groups, dilation)


@recorded
def conv_transpose3d(
    stride: Lengths = 1, padding: Lengths = 0, output_padding: Lengths = 0, groups: int = 1, dilation: Lengths = 1
) -> Operation:
    """`conv_transpose1d` along three axes: x (N, C, n₁, n₂, n₃) or without N, W (C, O/G, k₁, k₂, k₃), b (O,)."""
    return _transposed(3, stride, padding, output_padding, groups, dilation)


MAKERS: tuple[Callable[..., Operation], ...] = (
    conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d,
)  # fmt: skip
