"""NumPy's functions that only move elements, answered once for every arithmetic: by what they do to places.

The elements of all operands are numbered from 1, NumPy's function moves the numbers, and the arithmetic takes its
elements in that order; 0 is the place of a new zero, as `numpy.tril` and `numpy.pad` make them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from .array import Axes, NumPyArray

MOVING = frozenset({
    np.transpose, np.moveaxis, np.swapaxes, np.expand_dims, np.squeeze, np.reshape, np.ravel, np.broadcast_to,
    np.concatenate, np.stack, np.flip, np.roll, np.take, np.take_along_axis, np.tril, np.triu, np.pad, np.repeat,
    np.tile, np.diagonal,
})  # fmt: skip
"""The functions whose result consists of elements of their operands, and of zeros."""


def moved(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], kind: type
) -> tuple[list[Any], NumPyArray]:
    """The operands, and the place among their elements of every element of the function's result.

    Args:
        func: one of `MOVING`.
        args: its arguments; what is of the kind, or a list that holds something of the kind, is an operand.
        kwargs: its arguments by name.
        kind: the type of the arithmetic.

    Raises:
        TypeError: the function would bring in numbers of its own other than 0.

    >>> class Pair:
    ...     shape = (2,)
    >>> operands, places = moved(np.concatenate, ([Pair(), np.zeros(3)],), {}, Pair)
    >>> len(operands), places
    (2, array([1, 2, 3, 4, 5]))
    >>> moved(np.pad, (Pair(), 1), {}, Pair)[1]
    array([0, 1, 2, 0])
    """
    if func is np.pad:
        mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
        if mode not in ("constant", "edge", "reflect", "symmetric", "wrap") or np.any(kwargs.get("constant_values", 0)):
            raise TypeError("pad: only with zeros or with elements of the array")
    operands: list[Any] = []
    end = 1

    def numbered(x: Any) -> Any:
        if isinstance(x, list | tuple) and any(isinstance(part, kind) for part in x):
            return [numbers(part) for part in x]
        return numbers(x) if isinstance(x, kind) else x

    def numbers(operand: Any) -> NumPyArray:
        nonlocal end
        operands.append(operand)
        shape = np.shape(operand) if not isinstance(operand, kind) else operand.shape  # type: ignore[attr-defined]
        start, end = end, end + prod(shape)
        return np.arange(start, end).reshape(shape)

    places = func(*map(numbered, args), **{name: numbered(x) for name, x in kwargs.items()})
    return operands, np.asarray(places)


def is_basic(index: Any) -> bool:
    """Whether an index takes a view in NumPy: whole numbers, slices, None and one Ellipsis.

    >>> is_basic((0, None, ..., slice(2))), is_basic([0, 1]), is_basic(True)
    (True, False, False)
    """
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is ... or isinstance(p, slice) or type(p) is int for p in parts)


def axes_of(axis: Axes, ndim: int) -> tuple[int, ...]:
    """The axes that a reduction runs over, counted from 0 and in order; None means all.

    >>> axes_of(None, 2), axes_of((-1, 0), 3)
    ((0, 1), (0, 2))
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    found = tuple(sorted(np.lib.array_utils.normalize_axis_index(a, ndim) for a in given))
    if len(set(found)) < len(found):
        raise ValueError("duplicate value in 'axis'")
    return found


def groups(places: NumPyArray, axes: tuple[int, ...], keepdims: bool) -> tuple[NumPyArray, tuple[int, ...]]:
    """The places that a reduction brings together, one row a result, and the shape of the results.

    >>> groups(np.arange(4).reshape(2, 2), (0,), True)
    (array([[0, 2],
           [1, 3]]), (1, 2))
    """
    kept = [a for a in range(places.ndim) if a not in axes]
    rows = places.transpose(*kept, *axes)
    shape = rows.shape[: len(kept)]
    full = tuple(1 if a in axes else places.shape[a] for a in range(places.ndim))
    return rows.reshape(prod(shape), prod(places.shape[a] for a in axes)), full if keepdims else shape


def as_matrices(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """What `numpy.matmul` makes of two shapes: both with two axes at least, and the shape of the product.

    Raises:
        ValueError: an operand has no axis, or they do not fit.

    >>> as_matrices((3,), (2, 3, 4))
    ((1, 3), (2, 3, 4), (2, 4))
    """
    if not a or not b:
        raise ValueError(f"matmul: expected arrays with axes, got shapes {a} and {b}")
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if left[-1] != right[-2]:
        raise ValueError(f"matmul: shapes {a} and {b} do not fit: {left[-1]} columns and {right[-2]} rows")
    batch = left[:-2] if left[:-2] == right[:-2] else np.broadcast_shapes(left[:-2], right[:-2])
    return left, right, (*batch, *left[-2:-1] * (len(a) > 1), *right[-1:] * (len(b) > 1))


def answered(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What an array says of NumPy's functions that are methods or properties of it."""
    if not args or func not in _METHODS:
        return NotImplemented
    return _METHODS[func](args[0])(*args[1:], **kwargs)


def _sized(z: Any) -> Callable[..., int]:
    return lambda axis=None: z.size if axis is None else z.shape[axis]


_METHODS: Mapping[Callable[..., Any], Callable[[Any], Callable[..., Any]]] = MappingProxyType({
    np.sum: lambda z: z.sum, np.max: lambda z: z.max, np.amax: lambda z: z.max, np.min: lambda z: z.min,
    np.amin: lambda z: z.min, np.cumsum: lambda z: z.cumsum, np.shape: lambda z: lambda: z.shape,
    np.ndim: lambda z: lambda: z.ndim, np.size: _sized, np.zeros_like: lambda z: lambda: z.zeros(z.shape),
    np.ones_like: lambda z: lambda: z.zeros(z.shape) + 1,
})  # fmt: skip
