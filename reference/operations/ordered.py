"""Elements chosen by their rank along an axis: sorted, the largest ones, the k-th, the median.

The ranks are chosen, so the gradient goes where the element came from. Letters: n elements along the axis, of which
those of K ranks are chosen. Floats are sorted; every other arithmetic counts, for each element, those before it, so
that noise may put them in another order and balls say which order they do not know; that takes n² comparisons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..arithmetic.dispatch import number_holding, zeros
from ..functions.basics import zero
from ..functions.recipe import recorded
from .arguments import axis_of, expect, whole
from .probe import probe
from .row import Inputs, Operation, Pullback

Order = Callable[[Array], Array]
"""z ↦ what is sorted from the smallest on, the first of equal ones first: z itself, or −z."""


def _with_ranks(z: Array, ranks: NumPyArray) -> Any:
    """Whether so many elements come before each along the last axis (…, K, n)."""
    place = np.arange(z.shape[-1])
    others = np.array([np.delete(place, k) for k in place], dtype=int)
    other, own = z[..., others], z[..., :, None]
    earlier = others < place[:, None]
    return number_holding((other < own) | (earlier & (other <= own)), ranks)


def picked(z: Array, x: Array, ranks: NumPyArray) -> Array:
    """The elements of x where z has these ranks along the last axis (…, K).

    >>> z = np.array([3.0, 1.0, 2.0])
    >>> picked(z, z, np.array([0, 2])), handed_back(z, np.array([5.0, 7.0]), np.array([0, 2]))
    (array([1., 3.]), array([7., 5., 0.]))
    """
    if is_numpy(z):
        return np.take_along_axis(np.asarray(x), _places(z, ranks), axis=-1)
    chosen = _with_ranks(z, ranks)
    return np.where(chosen, x[..., None, :], 0).sum(axis=-1)


def handed_back(z: Array, d: Array, ranks: NumPyArray) -> Array:
    """The adjoint of `picked`: d (…, K) where z has these ranks, 0 elsewhere (…, n)."""
    if is_numpy(z):
        found = np.zeros(z.shape, d.dtype)
        np.put_along_axis(found, _places(z, ranks), np.asarray(d), axis=-1)
        return found
    chosen = _with_ranks(z, ranks)
    return np.where(chosen, d[..., None], 0).sum(axis=-2)


def _places(z: Any, ranks: NumPyArray) -> NumPyArray:
    return np.asarray(np.argsort(z.real, axis=-1, kind="stable")[..., ranks])


def _up(z: Array) -> Array:
    return z


def _down(z: Array) -> Array:
    return -z


def _selection(
    name: str,
    formula: str,
    ranks_of: Callable[[int], NumPyArray],
    dim: int,
    keepdim: bool,
    parameters: dict[str, Any],
    *,
    order: Order = _up,
    least: int = 1,
) -> Operation:
    """The row of elements chosen by their ranks.

    Args:
        name: torch's.
        formula: in plain mathematics.
        ranks_of: n ↦ the ranks (K,).
        dim: the axis.
        keepdim: whether it stays, of length K.
        parameters: of the row.
        order: what is sorted.
        least: the elements that the axis needs.
    """

    def to_last(x: Array) -> Array:
        axis = axis_of(name, dim, x.ndim)
        expect(name, x.shape[axis] >= least, "input", f"{least} at least along axis {dim}", f"shape {tuple(x.shape)}")
        return cast(Array, np.moveaxis(cast(Any, x), axis, -1))

    def from_last(z: Array) -> Array:
        return cast(Array, np.moveaxis(cast(Any, z), -1, dim))

    def chosen(x: Array, of: Array) -> Array:
        z = to_last(x)
        y = picked(order(z), to_last(of), ranks_of(z.shape[-1]))
        return from_last(y) if keepdim else y[..., 0]

    def back(f: Callable[[Array, Array, NumPyArray], Array]) -> Pullback:
        def pullback(inputs: Inputs, y: Array, d: Array) -> tuple[Array]:
            z = to_last(inputs[0])
            rows = np.moveaxis(cast(Any, d), dim, -1) if keepdim else d[..., None]
            return (from_last(f(z, rows, ranks_of(z.shape[-1]))),)

        return pullback

    def from_the_last(z: Array, d: Array, ranks: NumPyArray) -> Array:
        return np.flip(handed_back(order(np.flip(z, -1)), d, ranks), -1)

    def in_the_order_of_the_output(z: Array, d: Array, ranks: NumPyArray) -> Array:
        none = zeros((*z.shape[:-1], z.shape[-1] - len(ranks)), d)
        return np.concatenate([d, none], axis=-1) if none.shape[-1] else d

    def by_the_permutation(z: Array, d: Array, ranks: NumPyArray) -> Array:
        return picked(order(z), d, ranks)

    def spread(z: Array, d: Array, ranks: NumPyArray) -> Array:
        return zero(z) + d / z.shape[-1]

    def switches(x: Array) -> tuple[Array]:
        z = to_last(x)
        n = z.shape[-1]
        s = picked(order(z), z, np.arange(n))
        chosen = np.isin(np.arange(n), ranks_of(n))
        return ((s[..., 1:] - s[..., :-1])[..., chosen[1:] | chosen[:-1]],)

    shape = [2] * max(2, dim + 1 if dim >= 0 else -dim)
    shape[dim] = max(6, least + least % 2)  # even, so that a rank from either end is another element
    mistakes = {
        "left in the order of the output": back(in_the_order_of_the_output),
        "ranks counted from the other end": back(lambda z, d, ranks: handed_back(-order(z), d, ranks)),
    }
    count = len(ranks_of(shape[dim]))
    if count == shape[dim]:
        mistakes["the permutation for its inverse"] = back(by_the_permutation)
    elif count == 1:
        mistakes["the gradient spread over all elements"] = back(spread)
    return Operation(
        name,
        formula,
        f"torch.{name}",
        ("input",),
        lambda x: chosen(x, x),
        back(lambda z, d, ranks: handed_back(order(z), d, ranks)),
        lambda inputs, y, changes: chosen(inputs[0], changes[0]),
        probes=((probe(*shape),), (probe(*shape, start=11),)),
        switches=switches,
        conventions={"the last of equal ones first": back(from_the_last)},
        mistakes=mistakes,
        parameters=parameters,
    )


@recorded
def sort(dim: int = -1, descending: bool = False, stable: bool = False) -> Operation:
    """The elements in ascending or descending order along an axis; equal ones stay in their order, stable or not.

    >>> sort().value(np.array([3.0, 1.0, 2.0]))
    array([1., 2., 3.])
    """
    dim = whole("sort", "dim", dim)
    parameters = {"dim": dim, "descending": descending, "stable": stable}
    return _selection("sort", "y[k] = x[p(k)]", np.arange, dim, True, parameters, order=_down if descending else _up)


@recorded
def topk(k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Operation:
    """The k largest (or smallest) elements along an axis, the most extreme first.

    Args:
        k: how many.
        dim: the axis.
        largest: whether the largest.
        sorted: True; torch leaves open in which order they come otherwise.

    >>> topk(2).value(np.array([3.0, 1.0, 2.0]))
    array([3., 2.])
    """
    k, dim = whole("topk", "k", k, 1), whole("topk", "dim", dim)
    expect("topk", sorted is True, "sorted", "True: any other order is torch's own affair", sorted)
    parameters = {"k": k, "dim": dim, "largest": largest, "sorted": sorted}
    return _selection(
        "topk", "the k largest x", lambda n: np.arange(k), dim, True, parameters,
        order=_down if largest else _up, least=k,
    )  # fmt: skip


@recorded
def kthvalue(k: int, dim: int = -1, keepdim: bool = False) -> Operation:
    """The k-th smallest element along an axis, counted from 1.

    >>> kthvalue(2, keepdim=True).value(np.array([3.0, 1.0, 2.0]))
    array([2.])
    """
    k, dim = whole("kthvalue", "k", k, 1), whole("kthvalue", "dim", dim)
    parameters = {"k": k, "dim": dim, "keepdim": keepdim}
    return _selection("kthvalue", "the k-th smallest x", lambda n: np.array([k - 1]), dim, keepdim, parameters, least=k)


@recorded
def median(dim: int = -1, keepdim: bool = False) -> Operation:
    """The median along an axis: of an even number of elements the lower one of the two in the middle.

    >>> median(keepdim=True).value(np.array([3.0, 1.0, 2.0, 5.0]))
    array([2.])
    """
    dim = whole("median", "dim", dim)
    parameters = {"dim": dim, "keepdim": keepdim}
    return _selection("median", "the ⌈n/2⌉-th smallest x", lambda n: np.array([(n - 1) // 2]), dim, keepdim, parameters)


MAKERS: tuple[Callable[..., Operation], ...] = (sort, topk, kthvalue, median)
