"""Checks of what an operation is given: an error names the operation, the input and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy


def expect(operation: str, fits: bool, name: str, expected: str, got: object) -> None:
    """Raise ValueError unless what was given under this name fits.

    >>> expect("bmm", False, "mat2", "shape (2, 3, P)", (2, 4, 4))
    Traceback (most recent call last):
    ...
    ValueError: bmm: mat2: expected shape (2, 3, P), got (2, 4, 4)
    """
    if not fits:
        raise ValueError(f"{operation}: {name}: expected {expected}, got {got}")


def whole(operation: str, name: str, value: object, least: int | None = None) -> int:
    """The value as an int.

    Raises:
        TypeError: no whole number.
        ValueError: a smaller one than allowed.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{operation}: {name}: expected a whole number, got {value!r}")
    expect(operation, least is None or bool(value >= least), name, f"{least} at least", value)
    return int(value)


def wholes(operation: str, name: str, values: object) -> tuple[int, ...]:
    """The values as ints; one alone stands for a tuple of one."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        return (whole(operation, name, values),)
    return tuple(whole(operation, name, value) for value in values)


def per_axis(operation: str, name: str, value: object, axes: int, least: int) -> tuple[int, ...]:
    """One number for each axis; one alone stands for all.

    Raises:
        TypeError: no whole numbers.
        ValueError: too small ones, or too many.

    >>> per_axis("conv2d", "stride", 2, 2, 1), per_axis("conv2d", "stride", (1, 2), 2, 1)
    ((2, 2), (1, 2))
    """
    given = wholes(operation, name, value)
    expect(operation, len(given) in (1, axes), name, f"one number or {axes}", value)
    expect(operation, min(given) >= least, name, f"{least} at least", value)
    return given * axes if len(given) == 1 else given


def axis_of(operation: str, dim: int, ndim: int, name: str = "dim") -> int:
    """The axis counted from 0.

    Raises:
        ValueError: the array has no such axis.

    >>> axis_of("cat", -1, 3)
    2
    """
    expect(operation, -ndim <= dim < ndim, name, f"an axis of {ndim}", dim)
    return dim % ndim


def axes_of(operation: str, dims: Sequence[int], ndim: int, name: str = "dims") -> tuple[int, ...]:
    """The axes counted from 0, no two alike."""
    axes = tuple(axis_of(operation, dim, ndim, name) for dim in dims)
    expect(operation, len(set(axes)) == len(axes), name, "no axis twice", tuple(dims))
    return axes


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """The index that takes a part along one axis and all of those before it.

    >>> np.arange(6).reshape(2, 3)[along(1, slice(1, 3))]
    array([[1, 2],
           [4, 5]])
    """
    return (*(slice(None),) * axis, part)


def indices(operation: str, name: str, index: Any, size: int, *, negative: bool = False) -> NumPyArray:
    """An array of indices into an axis, counted from 0.

    Args:
        operation: its name, for the error.
        name: of the input.
        index: whole numbers of any shape.
        size: of the axis.
        negative: whether indices from −size to −1 count from the end, as in some of torch's functions.

    Raises:
        TypeError: no whole numbers.
        ValueError: an index beyond the axis: the first one is named.

    >>> indices("embedding", "input", np.array([[0, 7]]), 5)
    Traceback (most recent call last):
    ...
    ValueError: embedding: input[0, 1]: expected an index from 0 to 4, got 7
    """
    if not is_numpy(index) or index.dtype.kind not in "iu":
        kind = getattr(index, "dtype", type(index).__name__)
        raise TypeError(f"{operation}: {name}: expected whole numbers, got {kind}")
    array = np.asarray(index)
    least = -size if negative else 0
    beyond = (array < least) | (array >= size)
    if beyond.any():
        at = tuple(int(i) for i in np.argwhere(beyond)[0])
        place = f"{name}[{', '.join(map(str, at))}]" if at else name
        expect(operation, False, place, f"an index from {least} to {size - 1}", array[at])
    return np.where(array < 0, array + size, array) if negative else array


def check_axes(operation: str, name: str, x: Array, ndim: int) -> None:
    """Raise ValueError unless x has so many axes."""
    expect(operation, x.ndim == ndim, name, f"an array of {ndim} dimension{'s' * (ndim != 1)}", f"shape {x.shape}")


def check_fits(operation: str, name: str, x: Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless x is broadcast to the shape, and not the shape to that of x."""
    fits = x.ndim <= len(shape) and all(n in (1, m) for n, m in zip(x.shape[::-1], shape[::-1], strict=False))
    expect(operation, fits, name, f"a shape that is broadcast to {shape}", x.shape)
