"""The cross product, and the distance of two arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .arguments import axis_of, expect
from .broadcasting import unbroadcast
from .joining import all_changes
from .moments import vector_norm
from .probe import probe
from .row import Inputs, Operation, Pullback


@recorded
def cross(dim: int | None = None) -> Operation:
    """A × b along an axis of length 3, the first such one if dim is None: d_a = b × d_y, d_b = d_y × a."""

    def axis(a: Array, b: Array) -> int:
        expect("cross", a.ndim == b.ndim, "other", f"an array of {a.ndim} dimensions", f"shape {b.shape}")
        shape = np.broadcast_shapes(a.shape, b.shape)
        if dim is None:
            expect("cross", 3 in shape, "input", "an axis of length 3", f"shape {shape}")
            return shape.index(3)
        found = axis_of("cross", dim, len(shape))
        expect("cross", shape[found] == 3, "input", f"length 3 along axis {dim}", f"shape {shape}")
        return found

    def product(a: Array, b: Array, k: int) -> Array:
        return np.roll(a, -1, k) * np.roll(b, -2, k) - np.roll(a, -2, k) * np.roll(b, -1, k)

    def value(a: Array, b: Array) -> Array:
        k = axis(a, b)
        return product(a, b, k)

    def pullback(sign: int = 1) -> Pullback:
        def back(inputs: Inputs, y: Array, d: Array) -> tuple[Array, Array]:
            a, b = inputs
            k = axis(a, b)
            return (
                unbroadcast(product(b, d, k) * sign, a.shape), unbroadcast(product(d, a, k) * sign, b.shape)
            )  # fmt: skip

        return back

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        (a, b), (da, db) = inputs, all_changes(inputs, changes)
        k = axis(a, b)
        return product(da, b, k) + product(a, db, k)

    ndim = 2 if dim is None else max(2, dim + 1 if dim >= 0 else -dim)
    shape = [2] * ndim
    shape[-1 if dim is None else dim] = 3
    return Operation(
        "cross",
        "a × b",
        "Gibbs 1881, Elements of vector analysis",
        ("input", "other"),
        value,
        pullback(),
        pushforward,
        probes=((probe(*shape), probe(*shape, start=9)),),
        parameters={"dim": dim},
        mistakes={"the factors exchanged": pullback(-1)},
    )


@recorded
def dist(p: float = 2.0) -> Operation:
    """The p-norm of a − b over all elements: the gradients are those of vector_norm, of b with the other sign."""
    norm = vector_norm(ord=p)

    def back(f: Pullback, sign: int = -1) -> Pullback:
        def pulled(inputs: Inputs, y: Array, d: Array) -> tuple[Array, Array]:
            a, b = inputs
            d_gap: Any = f((a - b,), y, d)[0]
            return unbroadcast(d_gap, a.shape), unbroadcast(sign * d_gap, b.shape)

        return pulled

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Any:
        (a, b), (da, db) = inputs, all_changes(inputs, changes)
        return norm.pushforward((a - b,), y, (da - db,))

    return Operation(
        "dist",
        "‖a − b‖_p",
        "torch.dist",
        ("input", "other"),
        lambda a, b: norm.value(a - b),
        back(norm.pullback),
        pushforward,
        probes=((probe(2, 3), probe(3, start=9)),),
        switches=lambda a, b: norm.switches(a - b),
        conventions={what: back(other) for what, other in norm.conventions.items()},
        parameters={"p": p},
        mistakes={what: back(wrong) for what, wrong in norm.mistakes.items()}
        | {"the sign of other's gradient": back(norm.pullback, 1)},
        textbook_value=lambda inputs, y: norm.textbook_value((inputs[0] - inputs[1],), y),
    )


MAKERS: tuple[Callable[..., Operation], ...] = (cross, dist)
