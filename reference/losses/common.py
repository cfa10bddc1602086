"""Parts of several losses: divisors, class weights, and the checks of their parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arithmetic.array import Array, NumPyArray, Term, refuse_masked, widened
from ..arithmetic.dispatch import parameter
from ..functions.written import note, noted

Function = Callable[[Array, Array], Array]
"""Of an output and a target."""


def elements(y: Array, t: Array) -> int:
    """N·K."""
    return int(np.prod(y.shape))


def examples(y: Array, t: Array) -> int:
    """N."""
    return int(y.shape[0])


def one(y: Array, t: Array) -> int:
    """1: of a loss whose mean is its sum."""
    return 1


def check_weights(row: str, name: str, values: ArrayLike | None) -> NumPyArray | None:
    """Class weights as a float array of shape (K,) or (), or None. They may be negative, as torch's may."""
    if values is None:
        return None
    refuse_masked(f"{row}: {name}", values)
    array = widened(np.asarray(values))
    if array.dtype.kind != "f" or array.ndim > 1 or not np.all(np.isfinite(array)):
        raise ValueError(f"{row}: {name} must be one array of K finite floating numbers, got {values!r}")
    return array


def outputs_of(row: str, *arrays: NumPyArray | None) -> int | None:
    """The K that arrays of class weights are made for: None where there are none, or one weight for all."""
    sizes = {a.shape[-1] for a in arrays if a is not None and a.ndim}
    if len(sizes) > 1:
        raise ValueError(f"{row}: weights for {' and '.join(map(str, sorted(sizes)))} outputs contradict each other")
    return next(iter(sizes), None)


def weights_like(array: NumPyArray | None, y: Array) -> Term:
    """The weights in y's arithmetic; 1 where there are none."""
    return 1 if array is None else parameter(array, y)


def chosen_class(t: Array, columns: int, ignore_index: int | None) -> Array:
    """The mask (N, K) of the entry that each index names; a row of False where it is ignored."""
    mask = np.arange(columns) == np.asarray(t)[:, None]
    return mask if ignore_index is None else mask & (np.asarray(t) != ignore_index)[:, None]


def sharing(parts: Callable[[Array, Array], tuple[Any, ...]]) -> Callable[[Callable[..., Array]], Function]:
    """A decorator: (y, t, *parts) ↦ … becomes (y, t) ↦ …; value and gradient of the same parts find them once.

    >>> @sharing(lambda y, t: (y - t,))
    ... def value(y, t, error):
    ...     return error * error
    >>> @sharing(lambda y, t: (y - t,))
    ... def gradient(y, t, error):
    ...     return 2 * error
    >>> value(np.array([3.0]), np.array([1.0])), gradient(np.array([3.0]), np.array([1.0]))
    (array([4.]), array([4.]))
    """

    def decorate(formula: Callable[..., Array]) -> Function:
        @wraps(formula)
        def function(y: Array, t: Array) -> Array:
            return formula(y, t, *parts(y, t))

        note(function, parts, formula)
        return function

    return decorate


def together(value: Function, gradient: Function, y: Array, t: Array) -> tuple[Array, Array]:
    """value(y, t) and gradient(y, t); the parts that they share are computed once."""
    one_of, other = noted(value), noted(gradient)
    if one_of is None or other is None or one_of[0] is not other[0]:
        return value(y, t), gradient(y, t)
    (parts, first), (_, second) = one_of, other
    found = parts(y, t)
    return first(y, t, *found), second(y, t, *found)
