"""Arrays as the calculus sees them: the protocol that `numpy.ndarray`, `Noisy` and `Ball` all answer.

The formulas of this package ask for operators, ``@``, reductions, and NumPy's functions, which reach the other types
through NumPy's dispatch protocols. Shapes stand in the docstrings, with one legend a module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from .constants import Constant

NumPyArray: TypeAlias = NDArray[Any]
"""NumPy's own array, of any number type."""
DType: TypeAlias = "np.dtype[Any] | str"
"""A number type: NumPy's, or "arb" of balls, which NumPy has none for."""

Axes: TypeAlias = "int | tuple[int, ...] | None"
"""What a reduction runs over: one axis, some, or all."""


class Array(Protocol):  # noqa: PLW1641 (arrays are no keys)
    """An array of numbers in some arithmetic; what an operator's other operand may be, each arithmetic decides."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102 (NumPy's names mean what they mean in NumPy; so below)
    @property
    def ndim(self) -> int: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def dtype(self) -> DType: ...  # noqa: D102
    @property
    def T(self) -> Array: ...  # noqa: D102, N802
    @property
    def reshape(self) -> Any: ...  # noqa: D102 (NumPy's overloads fit no simpler type; so below)
    @property
    def transpose(self) -> Any: ...  # noqa: D102
    @property
    def swapaxes(self) -> Any: ...  # noqa: D102
    def sum(self, axis: Axes = None, *, keepdims: bool = False) -> Array: ...  # noqa: D102
    def max(self, axis: Axes = None, *, keepdims: bool = False) -> Array: ...  # noqa: D102
    def min(self, axis: Axes = None, *, keepdims: bool = False) -> Array: ...  # noqa: D102

    def __array__(self) -> NumPyArray: ...
    def __getitem__(self, index: Any, /) -> Array: ...
    def __neg__(self) -> Array: ...
    def __invert__(self) -> Array: ...
    def __add__(self, other: Any, /) -> Array: ...
    def __radd__(self, other: Any, /) -> Array: ...
    def __sub__(self, other: Any, /) -> Array: ...
    def __rsub__(self, other: Any, /) -> Array: ...
    def __mul__(self, other: Any, /) -> Array: ...
    def __rmul__(self, other: Any, /) -> Array: ...
    def __truediv__(self, other: Any, /) -> Array: ...
    def __rtruediv__(self, other: Any, /) -> Array: ...
    def __matmul__(self, other: Any, /) -> Array: ...
    def __lt__(self, other: Any, /) -> Array: ...
    def __le__(self, other: Any, /) -> Array: ...
    def __gt__(self, other: Any, /) -> Array: ...
    def __ge__(self, other: Any, /) -> Array: ...
    def __eq__(self, other: object, /) -> Array: ...  # type: ignore[override]
    def __ne__(self, other: object, /) -> Array: ...  # type: ignore[override]
    def __and__(self, other: Any, /) -> Array: ...
    def __or__(self, other: Any, /) -> Array: ...


Term: TypeAlias = "Array | float"
"""A part of a formula: an array, or a plain number where that part is the same everywhere."""


class Arithmetic(Array, Protocol):
    """An array type other than `numpy.ndarray`: it answers the functions of the same names in `dispatch` besides."""

    @property
    def keeps(self) -> bool:
        """See `dispatch.keeps`."""
        ...

    def magnitude(self) -> Array:
        """See `dispatch.magnitude`."""
        ...

    def is_negative(self) -> Array:
        """See `dispatch.is_negative`."""
        ...

    def limited(self, bound: float) -> Array:
        """See `dispatch.limited`."""
        ...

    def finite(self) -> Array:
        """See `dispatch.finite`."""
        ...

    def two_sum(self, other: Term) -> tuple[Array, Array]:
        """See `dispatch.two_sum`."""
        ...

    def two_product(self, other: Term) -> tuple[Array, Array]:
        """See `dispatch.two_product`."""
        ...

    def constant(self, c: Constant) -> tuple[Array, Array]:
        """See `dispatch.constant_parts`."""
        ...

    def indicator(self, mask: Array) -> Array:
        """See `dispatch.indicator`."""
        ...

    def parameter(self, values: object) -> Array:
        """See `dispatch.parameter`."""
        ...

    def largest(self, axis: int) -> tuple[Array, Array]:
        """See `dispatch.largest`."""
        ...

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """See `dispatch.zeros`."""
        ...

    def added_at(self, shape: tuple[int, ...], index: Any) -> Array:
        """See `dispatch.added_at`; these are the values."""
        ...

    def in_format(self, form: Any) -> Array:
        """See `dispatch.in_format`."""
        ...

    def stored_like(self, like: Any) -> Array:
        """See `dispatch.stored_like`."""
        ...

    def tanh_residual(self) -> Array:
        """See `dispatch.tanh_residual`."""
        ...


def is_numpy(values: object) -> TypeIs[NumPyArray]:
    """Whether these are NumPy's own numbers (and not another arithmetic's).

    >>> is_numpy(np.ones(2)), is_numpy(np.float32(1)), is_numpy(1.0)
    (True, True, False)
    """
    return isinstance(values, np.ndarray | np.generic)


def kept(values: Any) -> Any:
    """A read-only copy with the same order in memory, which no later change of the values reaches.

    Another arithmetic's array comes back as it is: its elements are not changed by anybody.

    >>> given = np.array([1.0, 2.0])
    >>> copy = kept(given)
    >>> given[0] = 5.0
    >>> copy, copy.flags.writeable, given.flags.writeable
    (array([1., 2.]), False, True)
    """
    if not isinstance(values, np.ndarray):
        return values
    copy = np.array(values, order="K")
    copy.flags.writeable = False
    return copy


def empty_like(values: Any) -> Any:
    """An array of the shape and type of NumPy's floating numbers that has none of them: NaN, and the memory of one.

    What is no such array comes back as it is.

    >>> empty_like(np.ones((2, 3))).strides, empty_like(np.arange(3))
    ((0, 0), array([0, 1, 2]))
    """
    if type(values) is not np.ndarray or values.dtype.kind != "f":
        return values
    return np.broadcast_to(np.asarray(np.nan, values.dtype), values.shape)


def refuse_masked(place: str, values: object) -> None:
    """Raise TypeError if the values are a masked array, or a list that holds one: a mask is no number to compute with.

    >>> refuse_masked("x", np.ma.masked_less([[0.5, -1.0]], 0.0))
    Traceback (most recent call last):
    ...
    TypeError: x: a masked array, whose mask would be lost: give .filled(value), or .data if it hides nothing
    """
    if type(values) in (list, tuple):
        for index, part in enumerate(values):  # type: ignore[arg-type, var-annotated]
            if not isinstance(part, float | int):
                refuse_masked(f"{place}[{index}]", part)
    elif isinstance(values, np.ndarray) and type(values) is not np.ndarray and isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{place}: a masked array, whose mask would be lost: give .filled(value), or .data if it hides nothing"
        )


def widened(array: NumPyArray) -> NumPyArray:
    """ml_dtypes' bfloat16, which NumPy itself lacks, as float32, which holds all its numbers; else the same array."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def with_room(z: Array) -> Array:
    """NumPy's float16 as float32, where a sum or a count leaves its range that the mean does not; else z itself.

    >>> with_room(np.full(9, 60000, np.float16)).sum() / 9
    np.float32(60000.0)
    """
    return z.astype(np.float32) if is_numpy(z) and z.dtype == np.float16 else z


def typed_like(z: Array, like: Array) -> Array:
    """What was computed `with_room`, in the type of NumPy's numbers that it is of again; else z itself."""
    return z.astype(like.dtype, copy=False) if is_numpy(z) and is_numpy(like) else z
