"""Numbers taken from places: what is taken twice has its gradients added up.

y = x[i] and `putting`'s x[i] += y are each other's adjoint. Indices are data, which no derivative is taken of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import added_at, zeros
from ..functions.recipe import recorded
from .arguments import along, axis_of, expect, indices, whole
from .probe import probe
from .row import Inputs, Operation, Pullback


def last_only(shape: tuple[int, ...], index: Any, values: Array) -> Array:
    """The values that are left if what comes later overwrites what was there: 0 for those that are lost."""
    places = np.arange(int(np.prod(shape))).reshape(shape)[index]
    flat = places.ravel()[::-1]
    stays = np.zeros(flat.size, bool)
    stays[np.unique(flat, return_index=True)[1]] = True
    return np.where(stays[::-1].reshape(places.shape), values, zeros((), values))


def _overwritten(shape: tuple[int, ...], index: Any, values: Array) -> Array:
    """What comes of assigning where one should add."""
    return added_at(shape, index, last_only(shape, index, values))


def _averaged(shape: tuple[int, ...], index: Any, values: Array) -> Array:
    """The mean over the places where a row is used, as torch's scale_grad_by_freq makes it, for their sum."""
    times = np.bincount(np.ravel(index), minlength=shape[0])
    return added_at(shape, index, values / times[index][..., None].astype(float))


def _taking(
    name: str,
    inputs: tuple[str, str],
    place: Callable[[Array, Any], Any],
    probes: tuple[Inputs, ...],
    **parameters: Any,
) -> Operation:
    """The row of y = x[i], the index made of x's shape and the indices that are given."""

    def pullback(put: Callable[..., Array]) -> Pullback:
        return lambda given, y, d_y: (put(given[0].shape, place(given[0], given[1]), d_y), None)

    return Operation(
        name,
        "y = x[i]",
        f"torch.{name}",
        inputs,
        lambda x, index: x[place(x, index)],
        pullback(added_at),
        lambda given, y, changes: changes[0][place(given[0], given[1])],
        probes=probes,
        data=(inputs[1],),
        parameters=parameters,
        mistakes={"repeated_places_overwritten": pullback(_overwritten)},
    )


# ── whole rows ───────────────────────────────────────────────────────────────────────────────────────


def _root(weight: Array) -> float:
    """√D, by which Vaswani et al. 2017, §3.4, multiply the rows of an embedding (V, D)."""
    return float(weight.shape[1] ** 0.5)


@recorded
def embedding(padding_idx: int | None = None) -> Operation:
    """Rows of a weight (V, D) by their indices (…): (…, D).

    The row padding_idx gets no gradient: the pullback takes it for a constant, and the pushforward so, whatever a
    difference of `value` says of it. That is what torch.nn.functional.embedding promises.

    >>> embedding().value(np.array([1, 1]), np.array([[0.0], [5.0]]))
    array([[5.],
           [5.]])
    """
    if padding_idx is not None:
        padding_idx = whole("embedding", "padding_idx", padding_idx)

    def rows(index: Any, weight: Array) -> NumPyArray:
        expect("embedding", weight.ndim == 2, "weight", "shape (V, D)", weight.shape)
        if padding_idx is not None:
            n = weight.shape[0]
            expect("embedding", -n <= padding_idx < n, "padding_idx", f"a row of weight {weight.shape}", padding_idx)
        return indices("embedding", "input", index, weight.shape[0])

    def without_padding(index: NumPyArray, weight: Array, d: Array) -> Array:
        if padding_idx is None:
            return d
        return np.where((index == padding_idx % weight.shape[0])[..., None], zeros((), d), d)

    def pullback(put: Callable[..., Array], *, padded: bool = True) -> Pullback:
        def pulled(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
            index, weight = rows(*inputs), inputs[1]
            d = without_padding(index, weight, d_y) if padded else d_y
            return None, put(weight.shape, index, d)

        return pulled

    right = pullback(added_at)

    def scaled(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        return right(inputs, y, d_y * _root(inputs[1]))

    mistakes = {
        "repeated_rows_overwritten": pullback(_overwritten), "repeated_rows_averaged": pullback(_averaged)
    }  # fmt: skip
    if padding_idx is not None:
        mistakes["padding_row_not_zero"] = pullback(added_at, padded=False)
    count = 4 if padding_idx is None else max(4, abs(padding_idx) + 2)
    free = [k for k in range(count) if padding_idx is None or k != padding_idx % count]
    index = np.array([[free[0], free[2]], [free[1], free[0]]])
    return Operation(
        "embedding",
        "y[n] = W[i[n]]",
        "torch.nn.functional.embedding",
        ("input", "weight"),
        lambda index, weight: weight[rows(index, weight)],
        right,
        lambda inputs, y, changes: without_padding(rows(*inputs), inputs[1], changes[1][rows(*inputs)]),
        probes=((index, probe(count, 2)), (index[0], probe(count, 1))),
        data=("input",),
        parameters={"padding_idx": padding_idx},
        mistakes=mistakes | {"times_the_root_of_the_width": scaled},
        other_passes={
            "times_the_root_of_the_width": (
                lambda index, weight: weight[rows(index, weight)] * _root(weight),
                scaled,
            )
        },
    )


def probe_along(dim: int) -> Array:
    """An array of three elements along each axis, of two axes at least, of which dim is one."""
    ndim = max(2, dim + 1 if dim >= 0 else -dim)
    return probe(*(3,) * ndim)


@recorded
def index_select(dim: int) -> Operation:
    """The elements at the indices (M,) along an axis, in their order."""

    def place(x: Array, index: Any) -> Any:
        axis = axis_of("index_select", dim, x.ndim)
        line = indices("index_select", "index", index, x.shape[axis])
        expect("index_select", line.ndim <= 1, "index", "one dimension at most", f"shape {line.shape}")
        return along(axis, line.reshape(-1))

    return _taking("index_select", ("input", "index"), place, ((probe_along(dim), np.array([2, 0, 2, 2])),), dim=dim)


# ── single elements along an axis ────────────────────────────────────────────────────────────────────


def _grid(index: NumPyArray, axis: int) -> tuple[NumPyArray, ...]:
    """The index that takes, at every place of the index, the element of that place but for its own axis."""
    lines = np.ogrid[tuple(slice(n) for n in index.shape)]
    return tuple(index if k == axis else line for k, line in enumerate(lines))


def element_place(name: str, dim: int, x: Array, index: Any) -> tuple[NumPyArray, ...]:
    """The index into x that takes one element for each of the indices along an axis."""
    axis = axis_of(name, dim, x.ndim)
    places = indices(name, "index", index, x.shape[axis])
    fits = places.ndim == x.ndim and all(m <= n for k, (m, n) in enumerate(zip(places.shape, x.shape, strict=False))
                                         if k != axis)  # fmt: skip
    expect(name, fits, "index", f"lengths no larger than input {x.shape} but along axis {dim}", f"shape {places.shape}")
    return _grid(places, axis)


_INDEX = np.array([[0, 2, 0], [1, 2, 0]])


def index_along(dim: int) -> tuple[Array, NumPyArray]:
    """An array, and indices along the axis with repeated places, shorter along another one."""
    x = probe_along(dim)
    index = np.moveaxis(_INDEX.reshape(2, 3, *(1,) * (x.ndim - 2)), 1, dim)
    return x, index


@recorded
def gather(dim: int) -> Operation:
    """y[…, k, …] = x[…, index[…, k, …], …]: one index for each element of the output, of the index's shape."""
    return _taking(
        "gather", ("input", "index"), lambda x, index: element_place("gather", dim, x, index), (index_along(dim),),
        dim=dim,
    )  # fmt: skip


@recorded
def take_along_dim(dim: int | None = None) -> Operation:
    """As gather, of x and indices that are broadcast but for the axis; without one, of all elements in C order.

    Negative indices count from the end, here as in torch.
    """

    def place(x: Array, index: Any) -> Any:
        if dim is None:
            places = indices("take_along_dim", "indices", index, x.size, negative=True)
            return np.unravel_index(places.reshape(-1), x.shape)
        axis = axis_of("take_along_dim", dim, x.ndim)
        places = indices("take_along_dim", "indices", index, x.shape[axis], negative=True)
        ndim = f"{x.ndim} dimensions, as input {x.shape}"
        expect("take_along_dim", places.ndim == x.ndim, "indices", ndim, f"shape {places.shape}")
        pairs = [(m, n) for k, (m, n) in enumerate(zip(places.shape, x.shape, strict=True)) if k != axis]
        fits = all(m == n or 1 in (m, n) for m, n in pairs)
        expect("take_along_dim", fits, "indices", f"lengths of input {x.shape} or 1", f"shape {places.shape}")
        wide = [max(m, n) for m, n in zip(places.shape, x.shape, strict=True)]
        wide[axis] = places.shape[axis]
        lines = np.ogrid[tuple(slice(n) for n in wide)]
        others = (line if n > 1 else np.zeros_like(line) for line, n in zip(lines, x.shape, strict=True))
        return tuple(np.broadcast_to(places, wide) if k == axis else line for k, line in enumerate(others))

    x, index = index_along(0 if dim is None else dim)
    probes = (
        (x, np.array([0, 3, -1, 3]))
        if dim is None
        else (x, index[tuple(slice(1 if n == 2 else n) for n in index.shape)])
    )
    return _taking("take_along_dim", ("input", "indices"), place, (probes,), dim=dim)


MAKERS: tuple[Callable[..., Operation], ...] = (embedding, index_select, gather, take_along_dim)
