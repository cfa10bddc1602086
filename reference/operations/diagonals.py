"""Diagonals taken and put, their sum, and differences of neighbours: linear in the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import added_at
from ..functions.recipe import recorded
from .arguments import along, axes_of, axis_of, check_axes, expect, whole
from .moving import moving, placed
from .probe import probe
from .row import Operation

Shape = tuple[int, ...]


def _places(rows: int, columns: int, offset: int) -> tuple[NumPyArray, NumPyArray]:
    """Rows and columns of the places on a diagonal."""
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    return np.arange(count) + max(-offset, 0), np.arange(count) + max(offset, 0)


def _taken(name: str, x: Any, offset: int, dims: tuple[int, int]) -> Array:
    """The diagonal of two axes, along the last axis of the result."""
    moved = np.moveaxis(x, axes_of(name, dims, x.ndim), (0, 1))
    places = _places(moved.shape[0], moved.shape[1], offset)
    expect(name, len(places[0]) > 0, "offset", f"a diagonal of {moved.shape[:2]}", offset)
    found: Array = np.moveaxis(moved[places], 0, -1)
    return found


def _put(d: Any, shape: Shape, offset: int, dims: tuple[int, int]) -> Array:
    """Zeros of the shape with the numbers along the last axis of d put on the diagonal of two axes."""
    axes = tuple(dim % len(shape) for dim in dims)
    rest = [n for k, n in enumerate(shape) if k not in axes]
    rows, columns = (shape[axis] for axis in axes)
    full: Any = added_at((rows, columns, *rest), _places(rows, columns, offset), np.moveaxis(d, -1, 0))
    back: Array = np.moveaxis(full, (0, 1), axes)
    return back


def _least(dims: tuple[int, int]) -> int:
    """The fewest dimensions in which the two axes are there, and are not the same one."""
    least = max(2, *(dim + 1 if dim >= 0 else -dim for dim in dims))
    return least + ((dims[0] - dims[1]) % least == 0 and dims[0] != dims[1])


def _square(offset: int, dims: tuple[int, int]) -> Shape:
    """A shape that has the axes, with two places on the diagonal."""
    shape = [2] * _least(dims)
    for dim in dims:
        shape[dim] = abs(offset) + 2
    return tuple(shape)


@recorded
def diagonal(offset: int = 0, dim1: int = 0, dim2: int = 1) -> Operation:
    """The diagonal of two axes, j − i = offset, along a new last axis."""
    offset, dims = whole("diagonal", "offset", offset), (dim1, dim2)
    return moving(
        "diagonal",
        "y[…, k] = x[k, k + offset, …]",
        lambda x: _taken("diagonal", x, offset, dims),
        lambda shape, d: _put(d, shape, offset, dims),
        (probe(*_square(offset, dims)),),
        {"offset": offset, "dim1": dim1, "dim2": dim2},
        {"put on the other side of the main diagonal": lambda shape, d: _put(d, shape, -offset, dims)}
        if offset
        else {"copied along the rows": lambda shape, d: _put(d, shape, 0, dims) + np.zeros(shape) + d.sum() / d.size},
    )


@recorded
def diag_embed(offset: int = 0, dim1: int = -2, dim2: int = -1) -> Operation:
    """Zeros with the last axis of x on the diagonal of two new axes: the adjoint of `diagonal`."""
    offset, dims = whole("diag_embed", "offset", offset), (dim1, dim2)

    def value(x: Array) -> Array:
        expect("diag_embed", x.ndim > 0, "input", "a dimension at least", f"shape {x.shape}")
        axes = axes_of("diag_embed", dims, x.ndim + 1)
        size, rest = x.shape[-1] + abs(offset), iter(x.shape[:-1])
        return _put(x, tuple(size if k in axes else next(rest) for k in range(x.ndim + 1)), offset, dims)

    def back(shape: Shape, d: Array) -> Array:
        return _taken("diag_embed", d, offset, dims)

    return moving(
        "diag_embed",
        "y[k, k + offset, …] = x[…, k]",
        value,
        back,
        (probe(*(2,) * (_least(dims) - 1)),),
        {"offset": offset, "dim1": dim1, "dim2": dim2},
        {"the gradients of all rows added up": lambda shape, d: back(shape, d) * 0 + d.sum()},
    )


@recorded
def diag(diagonal: int = 0) -> Operation:
    """The diagonal of a matrix, or a matrix with a vector on its diagonal."""
    offset, dims = whole("diag", "diagonal", diagonal), (0, 1)

    def value(x: Array) -> Array:
        if x.ndim == 1:
            return _put(x, (x.shape[0] + abs(offset),) * 2, offset, dims)
        check_axes("diag", "input", x, 2)
        return _taken("diag", x, offset, dims)

    def back(shape: Shape, d: Array) -> Array:
        return _taken("diag", d, offset, dims) if len(shape) == 1 else _put(d, shape, offset, dims)

    return moving(
        "diag",
        "y[k] = x[k, k + diagonal], or the other way",
        value,
        back,
        (probe(*_square(offset, dims)), probe(2)),
        {"diagonal": diagonal},
        {"the order of the diagonal reversed": lambda shape, d: back(shape, np.flip(d, tuple(range(d.ndim))))},
    )


@recorded
def trace() -> Operation:
    """The sum of the main diagonal of a matrix."""

    def value(x: Array) -> Array:
        check_axes("trace", "input", x, 2)
        return _taken("trace", x, 0, (0, 1)).sum()

    def back(shape: Shape, d: Array) -> Array:
        return _put(np.broadcast_to(d, (min(shape),)), shape, 0, (0, 1))

    return moving(
        "trace",
        "Σ x[k, k]",
        value,
        back,
        (probe(2, 3), probe(1, 1)),
        mistakes={"all elements given the gradient": lambda shape, d: np.broadcast_to(d, shape)},
    )


@recorded
def diff(n: int = 1, dim: int = -1) -> Operation:
    """Differences of neighbours along an axis, n times over."""
    n, dim = whole("diff", "n", n, least=0), whole("diff", "dim", dim)

    def value(x: Array) -> Array:
        axis = axis_of("diff", dim, x.ndim)
        expect("diff", x.shape[axis] > n, "input", f"more than {n} elements along axis {dim}", f"shape {x.shape}")
        for _ in range(n):
            x = x[along(axis, slice(1, None))] - x[along(axis, slice(-1))]
        return x

    def back(shape: Shape, d: Array) -> Array:
        axis = dim % len(shape)
        for _ in range(n):
            longer = (*d.shape[:axis], d.shape[axis] + 1, *d.shape[axis + 1 :])
            d = placed(d, longer, axis, 1) - placed(d, longer, axis, 0)
        return d

    ndim = max(2, dim + 1 if dim >= 0 else -dim)
    shape = [2] * ndim
    shape[dim] = n + 2
    return moving(
        "diff",
        "y[k] = x[k + 1] − x[k]",
        value,
        back,
        (probe(*shape),),
        {"n": n, "dim": dim},
        {"the sign": lambda shape, d: -back(shape, d)} if n else {},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (diagonal, diag_embed, diag, trace, diff)
