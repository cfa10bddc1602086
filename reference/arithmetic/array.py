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
    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> Array: ...  # noqa: D102

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

    def magnitude(self) -> Array:
        """See `dispatch.magnitude`."""
        ...

    def limited(self, bound: float) -> Array:
        """See `dispatch.limited`."""
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

    def largest(self) -> tuple[Array, Array]:
        """See `dispatch.largest`."""
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
