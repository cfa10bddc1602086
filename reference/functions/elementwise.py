"""How functions of elements and of rows are evaluated: their common parts once, and in blocks that a cache holds.

A formula of twenty operations writes twenty arrays. In a block that the cache holds each of them is there when the next
operation reads it; a large array would come from memory every time.

A NumPy type of fewer digits is evaluated in float64, which has more than twice as many, and rounded once. What
`two_sum` and `two_product` would keep is far below that rounding, so that they keep nothing there (`Wide`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias, cast

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..arithmetic.wide import Wide
from .compiled import loop_of
from .compiled_rows import loop_of_rows
from .written import note, noted

Parts: TypeAlias = "tuple[Any, ...]"
Function: TypeAlias = "Callable[[Array], Array]"

_FLOAT64 = np.dtype(np.float64)
BLOCK = 2**15
"""Elements: 256 KiB of float64, two of which a second-level cache of 512 KiB holds; measured, 2¹⁴ costs the same."""


def elementwise(
    shared: Callable[[Array], Parts] | None = None, *, widen: bool = True
) -> Callable[[Callable[..., Array]], Function]:
    """The function z ↦ formula(z, *shared(z)) of a formula.

    Args:
        shared: z ↦ parts that several formulas are made of; None for a formula of z alone.
        widen: whether a narrow type is evaluated in float64; not where its own roundings decide, as of a threshold.

    >>> @elementwise()
    ... def cube(z):
    ...     return z * z * z
    >>> cube(np.array([2.0, 3.0]))
    array([ 8., 27.])
    """

    def decorate(formula: Callable[..., Array]) -> Function:
        @wraps(formula)
        def function(z: Array) -> Array:
            (y,) = _of_elements(shared, (formula,), z, widen)
            return y

        note(function, shared, formula, widen)
        return function

    return decorate


def share_parts(f: Function | None, g: Function | None) -> bool:
    """Whether `together` saves anything."""
    return _written(f)[0] is not None and _written(f)[0] is _written(g)[0]


def together(f: Function, g: Function, z: Array) -> tuple[Array, Array]:
    """f(z) and g(z), of two functions with the same parts, which are computed once.

    >>> from reference.functions.gates import silu, silu_derivative
    >>> together(silu, silu_derivative, np.array([0.0]))
    (array([0.]), array([0.5]))
    """
    (shared, first, widen), (_, second, _) = _written(f), _written(g)
    y, slope = _of_elements(shared, (first, second), z, widen)
    return y, slope


def rowwise(formula: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a formula that acts along the last axis: (*arrays (…, K), or None) ↦ arrays (…, M).

    >>> rowwise(lambda z: (z * 2, z.sum(axis=-1, keepdims=True)))(np.array([[[1.0, 2.0]]]))
    (array([[[2., 4.]]]), array([[[3.]]]))
    """

    @wraps(formula)
    def function(z: Array, *more: Array | None) -> Any:
        if not is_numpy(z):
            return formula(z, *more)
        arrays = (z, *more)
        loop = loop_of_rows(formula, arrays)
        if loop is not None:
            found = loop(arrays)
            return found if len(found) > 1 else found[0]
        if z.size <= BLOCK:
            return _rounded(formula(*_widened(*arrays)), z) if _narrow(z) else formula(*arrays)
        leading = np.broadcast_shapes(*(a.shape[:-1] for a in arrays if a is not None))
        rows = tuple(None if a is None else _as_rows(a, leading) for a in arrays)
        blocks = _in_blocks(formula, rows, max(1, BLOCK // z.shape[-1]), z.dtype)
        shaped = tuple(y.reshape(*leading, y.shape[-1]) for y in blocks)
        return shaped if len(shaped) > 1 else shaped[0]

    return function


def _as_rows(a: Array, leading: tuple[int, ...]) -> Array:
    if a.shape[:-1] != leading or not a.ndim:
        a = np.broadcast_to(a, (*leading, a.shape[-1] if a.ndim else 1))
    return cast(Array, a.reshape(-1, a.shape[-1]))


def _written(f: Function | None) -> tuple[Any, Any, bool]:
    """The parts and the formula of a function, and whether it is widened."""
    return noted(f) or (None, None, False)


def _of_elements(
    shared: Callable[[Array], Parts] | None, formulas: tuple[Callable[..., Array], ...], z: Array, widen: bool
) -> Parts:
    def evaluate(z: Array) -> Parts:
        parts = () if shared is None else shared(z)
        return tuple(formula(z, *parts) for formula in formulas)

    if not is_numpy(z):
        return evaluate(z)
    loop = loop_of(shared, formulas, z) if widen else None
    if loop is not None:
        return loop(z) if z.size > BLOCK else tuple(_ordered_like(z, y) for y in loop(z))
    widen = widen and _narrow(z)
    if z.size <= BLOCK:
        return _rounded(evaluate(*_widened(z)), z) if widen else evaluate(z)
    return tuple(y.reshape(z.shape) for y in _in_blocks(evaluate, (z.reshape(-1),), BLOCK, z.dtype, widen))


def _ordered_like(z: NumPyArray, y: NumPyArray) -> NumPyArray:
    """y in the order in memory that NumPy's functions of z have (blocks have none): by it sums are rounded."""
    if z.flags.c_contiguous:
        return y
    ordered = np.empty_like(+np.asarray(z, _FLOAT64), z.dtype)
    ordered[...] = y
    return ordered


def _narrow(z: NumPyArray) -> bool:
    return _is_narrow(z.dtype)


def _is_narrow(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" and dtype.itemsize < _FLOAT64.itemsize


def _widened(*arrays: Array | None) -> Parts:
    """Arrays of a narrow type in float64; a mask, or nothing, as it is."""
    return tuple(
        np.asarray(a, _FLOAT64).view(Wide) if a is not None and is_numpy(a) and _narrow(a) else a for a in arrays
    )


def _rounded(found: Any, z: NumPyArray) -> Any:
    """What a formula of wide numbers gave, in the type of z, and a number where z is one."""
    if isinstance(found, tuple):
        return tuple(_rounded(y, z) for y in found)
    y = np.asarray(found, _type_of(found, z.dtype))
    return y if isinstance(z, np.ndarray) else y[()]


def _type_of(found: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of what a formula of numbers of a type gives: that one, if they were widened for it; else its own."""
    own = np.asarray(found).dtype
    return dtype if own == _FLOAT64 and _is_narrow(dtype) else own


def _in_blocks(
    f: Callable[..., Any], arrays: Parts, length: int, dtype: np.dtype[Any], widen: bool = True
) -> list[NumPyArray]:
    """f of so many elements or rows of the arrays at a time; what it gives is rounded to the type."""
    count, found = len(arrays[0]), list[NumPyArray]()
    for start in range(0, count, length):
        here = slice(start, start + length)
        blocks = tuple(None if a is None else a[here] for a in arrays)
        made = f(*(_widened(*blocks) if widen else blocks))
        for k, block in enumerate(made if isinstance(made, tuple) else (made,)):
            if not start:
                found.append(np.empty((count, *block.shape[1:]), _type_of(block, dtype)))
            found[k][here] = block
    return found
