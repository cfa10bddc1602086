"""Convolutions and their transposes, along any number of axes: one product of matrices with the image's windows.

With the windows of the image in columns, U(x), a convolution is Y = W U(x), and a transposed one its adjoint,
Y = U*(Wᵀ X), which adds the columns up where they came from: each has the other in its backward pass. Derived in the
README of this room, "Convolutions".

N examples, G groups. R channels on the side of the positions m, Q on that of the image n: a convolution makes R of Q,
a transposed one Q of R. K and M are the products of the kernel's lengths and of the numbers of its positions.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from ..arithmetic.array import Array
from .arguments import expect
from .products import sum_of
from .row import Inputs, Pullback, Selective
from .windows import Shape, Windows, columns, images

Pair: TypeAlias = "tuple[Array | None, Array | None]"
_EVERY = range(3)


@dataclass(frozen=True, slots=True)
class Convolution:
    """What a row was made with.

    Attributes:
        name: of the row.
        axes: the number of axes of an image.
        stride: along each axis.
        padding: zeros at both ends of each axis, or "same" or "valid".
        dilation: along each axis.
        groups: G.
        more: how much longer than it must be the image of a transposed one is, along each axis.
        transposed: whether it is one.
    """

    name: str
    axes: int
    stride: Shape
    padding: Shape | str
    dilation: Shape
    groups: int
    more: Shape
    transposed: bool

    def windows(self, kernel: Shape) -> Windows:
        """Where a kernel stands; "same" puts the odd zero at the end."""
        zero = (0,) * self.axes
        if self.padding == "same":
            around = tuple(d * (k - 1) for d, k in zip(self.dilation, kernel, strict=True))
            before = tuple(total // 2 for total in around)
            after = tuple(total - b for total, b in zip(around, before, strict=True))
            return Windows(kernel, self.stride, self.dilation, before, after)
        both = zero if isinstance(self.padding, str) else self.padding
        return Windows(kernel, self.stride, self.dilation, both, both)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The shapes of one convolution, and where its kernel stands.

    Attributes:
        windows: where.
        groups: G.
        examples: N.
        image: n.
        positions: m.
    """

    windows: Windows
    groups: int
    examples: int
    image: Shape
    positions: Shape

    def matrix(self, weight: Array) -> Array:
        """W: (R, Q/G, *k) to (G, R/G, Q/G·K)."""
        return weight.reshape(self.groups, weight.shape[0] // self.groups, prod(weight.shape[1:]))

    def rows(self, y: Array) -> Array:
        """A row for each channel: (N, R, *m) to (G, R/G, N·M)."""
        return y.swapaxes(0, 1).reshape(self.groups, y.shape[1] // self.groups, self.examples * prod(self.positions))

    def of_rows(self, rows: Array) -> Array:
        """The inverse of `rows`."""
        channels = self.groups * rows.shape[1]
        return rows.reshape(channels, self.examples, *self.positions).swapaxes(0, 1)

    def columns(self, x: Array) -> Array:
        """U(x): the window of each position as a column, (N, Q, *n) to (G, Q/G·K, N·M)."""
        read = columns(self.windows, x.swapaxes(0, 1), self.positions)
        return read.reshape(self.groups, prod(read.shape[:2]) // self.groups, read.shape[2])

    def of_columns(self, read: Array) -> Array:
        """U*: the adjoint of `columns`; what windows have in common is added up."""
        kernel = prod(self.windows.kernel)
        parts = read.reshape(self.groups * read.shape[1] // kernel, kernel, read.shape[2])
        return images(self.windows, parts, self.examples, self.image, self.positions).swapaxes(0, 1)


def sizes_of(c: Convolution, x: Array, weight: Array, bias: Array | None) -> Sizes:
    """The shapes of a convolution of examples x (N, C, …) with these inputs.

    Raises:
        ValueError: they do not fit.
    """
    kernel = tuple(weight.shape[2:])
    fits = weight.ndim == c.axes + 2 and min(weight.shape) > 0 and weight.shape[0] % c.groups == 0
    layout = "(C, O/groups, *kernel)" if c.transposed else "(O, C/groups, *kernel)"
    expect(c.name, fits, "weight", f"shape {layout} for groups={c.groups} and {c.axes} axes", tuple(weight.shape))
    channels, made = weight.shape[0], weight.shape[1] * c.groups
    if not c.transposed:
        channels, made = made, channels
    expect(c.name, x.shape[1] == channels, "x", f"{channels} channels for weight {weight.shape}", f"shape {x.shape}")
    if bias is not None:
        expect(c.name, tuple(bias.shape) == (made,), "bias", f"shape ({made},)", tuple(bias.shape))
    w, given = c.windows(kernel), tuple(x.shape[2:])
    if c.transposed:
        found = tuple(n + more for n, more in zip(w.image(given), c.more, strict=True))
        image, positions = found, given
    else:
        found = w.positions(given)
        image, positions = given, found
    expect(c.name, min(found) > 0, "x", f"an image that the kernel {kernel} fits in", f"shape {x.shape}")
    return Sizes(w, c.groups, x.shape[0], image, positions)


def channel_rows(x: Array) -> Array:
    """A row for each channel: (N, C, *n) to (C, N·S)."""
    return x.swapaxes(0, 1).reshape(x.shape[1], x.shape[0] * prod(x.shape[2:]))


# ── one convolution, of examples (N, C, …) ───────────────────────────────────────────────────────────


def product(c: Convolution, s: Sizes, x: Array, weight: Array) -> Array:
    """W U(x), or the transposed one: U*(Wᵀ X)."""
    w = s.matrix(weight)
    if c.transposed:
        return s.of_columns(w.swapaxes(-1, -2) @ s.rows(x))
    return s.of_rows(w @ s.columns(x))


def product_pullback(c: Convolution, s: Sizes, x: Array, weight: Array, d_y: Array, wanted: Container[int]) -> Pair:
    """d_x = U*(Wᵀ d_Y) and d_W = d_Y U(x)ᵀ; of the transposed one d_x = W U(d_y) and d_W = X U(d_y)ᵀ."""
    w, d = s.matrix(weight), s.columns(d_y) if c.transposed else s.rows(d_y)
    d_x = d_weight = None
    if 0 in wanted:
        d_x = s.of_rows(w @ d) if c.transposed else s.of_columns(w.swapaxes(-1, -2) @ d)
    if 1 in wanted:
        rows, columns = (s.rows(x), d) if c.transposed else (d, s.columns(x))
        d_weight = (rows @ columns.swapaxes(-1, -2)).reshape(*weight.shape)
    return d_x, d_weight


# ── the row's functions: the bias, and one example without an axis of examples ───────────────────────

Gradients: TypeAlias = "tuple[Array | None, ...]"
Backward: TypeAlias = "Callable[..., Gradients]"
"""(sizes, x, weight, bias, d_y) ↦ the gradients; x and d_y with the axis of examples."""


def _opened(c: Convolution, x: Array, name: str = "x") -> Array:
    """With an axis of examples."""
    ndim = c.axes + 2
    expect(c.name, x.ndim in (ndim, ndim - 1), name, f"{ndim} dimensions, or {ndim - 1} without examples", x.shape)
    return x if x.ndim == ndim else x[None]


def _given(c: Convolution, inputs: Inputs) -> tuple[Sizes, Array, Array, Array | None]:
    x, weight, bias = (*inputs, None)[:3]
    opened = _opened(c, x)
    return sizes_of(c, opened, weight, bias), opened, weight, bias


def _as_channels(c: Convolution, bias: Array) -> Array:
    return bias.reshape(-1, *(1,) * c.axes)


def value_of(c: Convolution) -> Callable[..., Array]:
    """The row's value."""

    def value(x: Array, weight: Array, bias: Array | None = None) -> Array:
        sizes, examples, *_ = _given(c, (x, weight, bias))
        y = product(c, sizes, examples, weight)
        if bias is not None:
            y = y + _as_channels(c, bias)
        return y if x.ndim == y.ndim else y[0]

    return value


def backward(c: Convolution) -> Backward:
    """The right gradients; a bias is added at every place of every example, so its gradient is the sum over both."""

    def gradients(
        s: Sizes, x: Array, weight: Array, bias: Array | None, d_y: Array, wanted: Container[int] = _EVERY
    ) -> Gradients:
        d_bias = None if bias is None or 2 not in wanted else channel_rows(d_y).sum(axis=1)
        return (*product_pullback(c, s, x, weight, d_y, wanted), d_bias)

    return gradients


def pullback_of(c: Convolution) -> Selective:
    """The row's pullback."""
    right = backward(c)
    return Selective(lambda inputs, d_y, wanted: _of_examples(c, lambda *given: right(*given, wanted), inputs, d_y))


def wrong_pullback(c: Convolution, gradients: Backward) -> Pullback:
    """A pullback of other gradients of examples."""
    return lambda inputs, y, d_y: _of_examples(c, gradients, inputs, d_y)


def _of_examples(c: Convolution, gradients: Backward, inputs: Inputs, d_y: Array) -> Gradients:
    d_x, *rest = gradients(*_given(c, inputs), _opened(c, d_y, "d_y"))
    shown = d_x if d_x is None or inputs[0].ndim == d_x.ndim else d_x[0]
    return (shown, *rest)[: len(inputs)]


def pushforward_of(c: Convolution) -> Callable[[Inputs, Array, Inputs], Array]:
    """The row's pushforward: the product is linear in each factor."""
    value = value_of(c)

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        (x, weight, *_), (dx, dw, *db) = inputs, changes
        return sum_of([
            None if dx is None else value(dx, weight),
            None if dw is None else value(x, dw),
            *(None if d is None else _as_channels(c, d) for d in db),
        ], y)  # fmt: skip

    return pushforward
