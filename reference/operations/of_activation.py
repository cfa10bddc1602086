"""Every activation of the table as an operation, with any leading axes, softmax and its kin along any axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .. import activations
from ..activations.row import Activation
from ..arithmetic.array import Array, NumPyArray, Term
from ..functions.recipe import recorded
from .probe import probe
from .row import Kept, Operation, Pullback, Unread


def _along(row: Activation, f: Callable[..., Array], axis: int, *arrays: Array) -> Array:
    """A function of rows (N, K) along an axis of arrays of any number of dimensions."""
    if not row.rowwise:
        return f(*arrays)
    if not arrays[0].ndim:
        return _along(row, f, axis, *(a.reshape(1) for a in arrays)).reshape(())
    last = axis in (-1, arrays[0].ndim - 1)
    moved = arrays if last else tuple(a.swapaxes(axis, -1) for a in arrays)
    y = f(*(m.reshape(-1, m.shape[-1]) for m in moved))
    y = y.reshape(*moved[0].shape[:-1], y.shape[-1])
    return y if last else y.swapaxes(axis, -1)


def sided_pullback(row: Activation, side: str | Mapping[float, str], x: Array, d_y: Array) -> Array:
    """d_x with another slope at the kinks: that from the "left", from the "right", or the "mean" of both.

    A mapping has the side at some of the kinks, by their place; at others the row's own slope is taken.
    """
    d_x = row.pullback(x, d_y)
    for kink in row.kinks:
        taken = side if isinstance(side, str) else side.get(kink.at)
        if taken is not None:
            d_x = np.where(x == kink.at, d_y * kink.slopes[taken], d_x)
    return d_x


def _slopes(row: Activation, side: str) -> Pullback:
    return lambda inputs, y, d_y: (sided_pullback(row, side, inputs[0], d_y),)


def of_activation(activation: str | Activation, dim: int = -1) -> Operation:
    """The operation that applies an activation.

    Args:
        activation: a row of `ACTIVATIONS`, or its name.
        dim: the axis that a row-wise one (softmax, glu, …) acts along.

    >>> of_activation("softmax").value(np.zeros((2, 1, 2)))
    array([[[0.5, 0.5]],
    <BLANKLINE>
           [[0.5, 0.5]]])
    """
    return _of_row(activations.get(activation), dim)


@recorded
def _of_row(row: Activation, dim: int) -> Operation:
    tangent = row.jvp if row.rowwise else lambda z, dz: row.derivative(z) * dz  # type: ignore[misc]
    last = dim == -1 or not row.rowwise
    return Operation(
        row.name,
        row.formula,
        row.source,
        ("input",),
        lambda x: _along(row, row.value, dim, x),
        lambda inputs, y, d_y: (_along(row, row.pullback, dim, inputs[0], d_y),),
        lambda inputs, y, changes: _along(row, tangent, dim, inputs[0], changes[0]),  # type: ignore[arg-type]
        probes=((_probe(dim),),),
        switches=lambda x: tuple(x - at for at in row.all_breaks),
        conventions={f"the slope from the {side}" if side != "mean" else "the mean of both slopes": _slopes(row, side)
                     for side in ("left", "right", "mean")} if row.kinks else {},
        parameters=dict(row.parameters) | ({"dim": dim} if row.rowwise else {}),
        textbook_value=lambda inputs, y: _textbook(row, row.textbook_value, dim, inputs[0]),
        textbook_pullback=lambda inputs, y, d_y: (_textbook_pullback(row, dim, inputs[0], d_y),),
        activation=row if last else None,
        kept=Kept(row.with_slope, lambda inputs, slope, d_y: (d_y * slope,)) if row.shares_parts else None,
        unread=Unread(("input", "output") if row.shares_parts else ("output",)),
    )  # fmt: skip


def activation_of(row: Operation) -> Activation | None:
    """The activation that a row applies along the last axis, if it is as it was made: with no mistake in it, say.

    >>> from dataclasses import replace
    >>> activation_of(of_activation("relu")).name, activation_of(replace(of_activation("relu"), name="other"))
    ('relu', None)
    """
    return row.activation if row.call is not None and row.call.maker is _of_row else None


def _probe(dim: int) -> NumPyArray:
    """An array of two axes at least, which has the axis, of 4 numbers along it."""
    axes = max(2, dim + 1, -dim)
    return probe(*(4 if k == dim % axes else 2 for k in range(axes)))


def _textbook(row: Activation, size: Callable[[Array], Term], dim: int, x: Array) -> Term:
    if not row.rowwise:
        return size(x)

    def sized(z: Array) -> Array:
        found = size(z)
        return z * 0 + found if isinstance(found, float | int) else found

    return _along(row, sized, dim, x)


def _textbook_pullback(row: Activation, dim: int, x: Array, d_y: Array) -> Array:
    """|d_y|·size for an elementwise row; the size in units of the largest |d_y| of each row for others."""
    if not row.rowwise:
        return np.abs(d_y) * row.textbook_derivative(x)

    def sized(z: Array, d: Array) -> Array:
        return z * 0 + row.textbook_derivative(z) * np.abs(d).max(axis=-1, keepdims=True)

    return _along(row, sized, dim, x, d_y)


def softmax(dim: int = -1) -> Operation:
    """softmax along an axis.

    >>> softmax(dim=0) == of_activation("softmax", dim=0)
    True
    """
    return of_activation("softmax", dim)


def log_softmax(dim: int = -1) -> Operation:
    """log_softmax along an axis."""
    return of_activation("log_softmax", dim)


def softmin(dim: int = -1) -> Operation:
    """Softmin along an axis."""
    return of_activation("softmin", dim)


def glu(dim: int = -1) -> Operation:
    """The gated linear unit, its halves along an axis."""
    return of_activation("glu", dim)


MAKERS: tuple[Callable[..., Operation], ...] = (softmax, log_softmax, softmin, glu)
