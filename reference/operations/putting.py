"""Numbers put to places of an array, added there or instead: the gradient of what was put is taken from there.

x[i] += y and `taking`'s y = x[i] are each other's adjoint. Indices are data, which no derivative is taken of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import added_at, parameter, zeros
from ..functions.parameters import check_finite
from ..functions.recipe import recorded
from .arguments import along, axis_of, check_fits, expect, indices
from .broadcasting import unbroadcast
from .probe import probe
from .products import sum_of
from .row import Inputs, Operation, Pullback
from .taking import element_place, index_along, last_only, probe_along


def _adding(
    name: str,
    inputs: tuple[str, str, str],
    place: Callable[..., Any],
    used: Callable[..., Array],
    scaled: Callable[[Array], Array],
    probes: tuple[Inputs, ...],
    parameters: dict[str, Any],
    wrong: dict[str, Callable[..., Array]],
) -> Operation:
    """The row of y = x + (zeros with the source added at i): inputs x, i and the source.

    Args:
        name: torch's.
        inputs: their names.
        place: (x, i, source) ↦ an index into x.
        used: (x, source, i) ↦ the part of the source that is added.
        scaled: what the source is multiplied by.
        probes: inputs to check the row with.
        parameters: what the row was made with.
        wrong: (place, inputs, d_y) ↦ a wrong gradient of the part that is added, by what is wrong.
    """

    def added(x: Array, index: Any, source: Array) -> Array:
        return added_at(x.shape, place(x, index, source), scaled(used(x, source, index)))

    def pullback(of_part: Callable[..., Array]) -> Pullback:
        def pulled(given: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
            source = given[2]
            d = of_part(place, given, d_y)
            part = tuple(slice(n) for n in d.shape)
            return d_y, None, d if d.shape == source.shape else added_at(source.shape, part, d)

        return pulled

    def pushforward(given: Inputs, y: Array, changes: Inputs) -> Array:
        (x, index, _), (dx, _, d_source) = given, changes
        return sum_of([dx, None if d_source is None else added(x, index, d_source)], y)

    return Operation(
        name,
        "x[i] += s",
        f"torch.{name}",
        inputs,
        lambda x, index, source: x + added(x, index, source),
        pullback(lambda place, given, d: scaled(d[place(*given)])),
        pushforward,
        probes=probes,
        data=(inputs[1],),
        parameters=parameters,
        mistakes={key: pullback(f) for key, f in wrong.items()},
    )


@recorded
def index_add(dim: int, alpha: float = 1.0) -> Operation:
    """X with α·source added at the indices (M,) along an axis, repeated ones again and again."""
    check_finite("index_add", alpha=alpha)

    def place(x: Array, index: Any, source: Array) -> Any:
        axis = axis_of("index_add", dim, x.ndim)
        line = indices("index_add", "index", index, x.shape[axis])
        expect("index_add", line.ndim <= 1, "index", "one dimension at most", f"shape {line.shape}")
        shape = (*x.shape[:axis], line.size, *x.shape[axis + 1 :])
        expect("index_add", source.shape == shape, "source", f"shape {shape}", source.shape)
        return along(axis, line.reshape(-1))

    def scaled(x: Array) -> Array:
        return x if alpha == 1 else x * parameter(alpha, x)

    x = probe_along(dim)
    source = np.take(probe(*x.shape[:-1], 3, start=4), [0, 1, 2, 0], axis=dim)
    return _adding(
        "index_add",
        ("input", "index", "source"),
        place,
        lambda x, source, index: source,
        scaled,
        ((x, np.array([2, 0, 2, 1]), source),),
        {"dim": dim, "alpha": alpha},
        {} if alpha == 1 else {"alpha_left_out": lambda place, inputs, d: d[place(*inputs)]},
    )


@recorded
def scatter_add(dim: int) -> Operation:
    """x[…, index[…, k, …], …] += src[…, k, …]; of a longer src, what the index has no place for is not read."""

    def place(x: Array, index: Any, src: Array) -> Any:
        found = element_place("scatter_add", dim, x, index)
        shape = np.shape(index)
        fits = src.ndim == x.ndim and all(m <= n for m, n in zip(shape, src.shape, strict=True))
        expect("scatter_add", fits, "src", f"lengths of index {shape} at least", f"shape {src.shape}")
        return found

    def used(x: Array, src: Array, index: Any) -> Array:
        return src[tuple(slice(n) for n in np.shape(index))]

    x, index = index_along(dim)
    src = probe(*(n + 1 for n in index.shape), start=6)
    return _adding(
        "scatter_add",
        ("input", "index", "src"),
        place,
        used,
        lambda d: d,
        ((x, index, src),),
        {"dim": dim},
        {"repeated_places_overwritten": lambda place, inputs, d: last_only(
            inputs[0].shape, place(*inputs), d[place(*inputs)])},
    )  # fmt: skip


@recorded
def index_put(accumulate: bool = False) -> Operation:
    """X with values put at an index, one array of indices for each first axis: instead of what is there, or added.

    The inputs are "input", "values", and the indices, which are broadcast with each other; negative ones count from
    the end. What is put at one place twice is added up with accumulate, and refused without: no order is defined.
    """

    def place(x: Array, values: Array, *given: Any) -> tuple[NumPyArray, ...]:
        expect("index_put", len(given) <= x.ndim, "indices", f"{x.ndim} arrays at most", len(given))
        pairs = enumerate(zip(given, x.shape, strict=False))
        lines = (indices("index_put", f"indices[{k}]", i, n, negative=True) for k, (i, n) in pairs)
        found = np.broadcast_arrays(*lines)
        shape = (*found[0].shape, *x.shape[len(found) :])
        check_fits("index_put", "values", values, shape)
        flat = np.ravel_multi_index(tuple(found), x.shape[: len(found)]).ravel()
        expect("index_put", accumulate or len(set(flat.tolist())) == flat.size, "indices", "no place twice", "one")
        return tuple(found)

    def put(x: Array, values: Array, *given: Any) -> Array:
        at = place(x, values, *given)
        return added_at(x.shape, at, np.broadcast_to(values, (*at[0].shape, *x.shape[len(at) :])))

    def kept(x: Array, values: Array, *given: Any) -> NumPyArray:
        mask = np.ones(x.shape, bool)
        mask[place(x, values, *given)] = accumulate
        return mask

    def value(x: Array, values: Array, *given: Any) -> Array:
        added = put(x, values, *given)
        return x + added if accumulate else np.where(kept(x, values, *given), x, added)

    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        values, given = inputs[1], inputs[2:]
        d_x = d_y if accumulate else np.where(kept(*inputs), d_y, zeros((), d_y))
        return (d_x, unbroadcast(d_y[place(*inputs)], values.shape), *(None,) * len(given))

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        (x, _, *given), (dx, dv, *_) = inputs, changes
        own = None if dx is None else dx if accumulate else np.where(kept(*inputs), dx, zeros((), dx))
        return sum_of([own, None if dv is None else put(x, dv, *given)], y)

    twice = np.array([2, 0, 2 if accumulate else 1])
    mistakes: dict[str, Pullback] = {
        "values_once_for_all_places": lambda inputs, y, d_y: (
            pullback(inputs, y, d_y)[0],
            d_y[place(*inputs)][(0,) * (d_y[place(*inputs)].ndim - inputs[1].ndim)]
            if inputs[1].ndim == 0 else pullback(inputs, y, d_y)[1],
            *(None,) * (len(inputs) - 2),
        ),
    }  # fmt: skip
    if not accumulate:
        mistakes["replaced_places_not_cleared"] = lambda inputs, y, d_y: (d_y, *pullback(inputs, y, d_y)[1:])
    return Operation(
        "index_put",
        "x[i] += v" if accumulate else "x[i] = v",
        "torch.index_put",
        ("input", "values", "indices"),
        value,
        pullback,
        pushforward,
        probes=(
            (probe(3, 2), probe(3, 2, start=6), twice),
            (probe(3, 3), probe(start=6), twice, np.array([0, 1, -3])),
        ),
        data=("indices",),
        variadic=True,
        parameters={"accumulate": accumulate},
        mistakes=mistakes,
    )


MAKERS: tuple[Callable[..., Operation], ...] = (index_add, scatter_add, index_put)
