"""How alike and how far apart vectors are: compositions of a difference or a product with a norm, by the chain rule.

Letters: M the axis that is summed over, P and R rows of the two inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import parameter, two_sum, zeros
from ..functions.recipe import recorded
from .arguments import axis_of, expect
from .broadcasting import unbroadcast
from .moments import vector_norm
from .probe import probe
from .row import Inputs, Operation, Pullback
from .unit_vectors import normalize


def _together(name: str, a: Array, b: Array) -> tuple[int, ...]:
    """The shape that both are broadcast to."""
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"{name}: x2: expected a shape that fits {tuple(a.shape)}, that of x1, got {tuple(b.shape)}"
        ) from None


@recorded
def cosine_similarity(dim: int = 1, eps: float = 1e-8) -> Operation:
    """Σ u₁u₂ along an axis, u = x/max(‖x‖, ε); where a norm is below ε, its slope is 0.

    >>> cosine_similarity().value(np.array([[3e200, 4e200]]), np.array([[4.0, 3.0]]))
    array([0.96])
    """
    name = "cosine_similarity"
    unit = normalize(2.0, dim, eps)

    def both(x1: Array, x2: Array) -> tuple[Array, Array]:
        shape = _together(name, x1, x2)
        axis_of(name, dim, len(shape))
        return np.broadcast_to(x1, shape), np.broadcast_to(x2, shape)

    def units(inputs: Inputs) -> tuple[Array, Array, Array, Array]:
        a, b = both(*inputs)
        return a, b, unit.value(a), unit.value(b)

    def value(x1: Array, x2: Array) -> Array:
        _, _, u, v = units((x1, x2))
        return (u * v).sum(axis=dim)

    def back(f: Pullback, exchanged: bool = False) -> Pullback:
        def pullback(inputs: Inputs, y: Array, d: Array) -> tuple[Array, Array]:
            a, b, u, v = units(inputs)
            d = np.expand_dims(d, dim)
            to_u, to_v = (d * u, d * v) if exchanged else (d * v, d * u)
            (d_a,), (d_b,) = f((a,), u, to_u), f((b,), v, to_v)
            return unbroadcast(d_a, inputs[0].shape), unbroadcast(d_b, inputs[1].shape)  # type: ignore[arg-type]

        return pullback

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        a, b, u, v = units(inputs)
        total = y * 0
        for x, dx, own, other in ((a, changes[0], u, v), (b, changes[1], v, u)):
            if dx is not None:
                du = unit.pushforward((x,), own, (np.broadcast_to(dx, x.shape),))
                total = total + (du * other).sum(axis=dim)
        return total

    def switches(x1: Array, x2: Array) -> tuple[Array, ...]:
        a, b = both(x1, x2)
        return (*unit.switches(a), *unit.switches(b))

    def size(inputs: Inputs, y: Array, d: Array) -> tuple[Any, ...]:
        a, b = both(*inputs)
        d = np.broadcast_to(np.expand_dims(d, dim), a.shape)
        return tuple(
            unbroadcast(cast(Array, unit.textbook_pullback((x,), x, d)[0]), given.shape)
            for x, given in zip((a, b), inputs, strict=True)
        )

    shape = unit.probes[0][0].shape
    pair = probe(*shape) * (1 + 4 * eps), probe(*shape, start=20) * (1 + 4 * eps)
    return Operation(
        name,
        "⟨x₁, x₂⟩/(max(‖x₁‖, ε)·max(‖x₂‖, ε))",
        f"torch.nn.functional.{name}",
        ("x1", "x2"),
        value,
        back(unit.pullback),
        pushforward,
        probes=(pair, (pair[0], probe(*shape[:-1], 1, start=3) * (1 + 4 * eps))),
        switches=switches,
        mistakes={
            "projection_left_out": back(unit.mistakes["projection_left_out"]),
            "the norms left out": back(lambda inputs, u, d: (d,)),
            "the two inputs exchanged": back(unit.pullback, exchanged=True),
        },
        parameters={"dim": dim, "eps": eps},
        textbook_pullback=size,
    )


def _distance(
    name: str,
    formula: str,
    p: float,
    gap: Callable[..., Array],
    parts: Callable[[Inputs], tuple[Array, Array]],
    probes: tuple[Inputs, ...],
    parameters: dict[str, Any],
    keepdim: bool = False,
) -> Operation:
    """The row of the norm of a difference.

    Args:
        name: torch's.
        formula: in plain mathematics.
        p: the order of the norm.
        gap: (x1, x2) ↦ the difference (…, M).
        parts: inputs ↦ both in shapes that broadcast together to that of the difference.
        probes: of the row.
        parameters: of the row.
        keepdim: whether the last axis stays, with length 1.
    """
    norm = vector_norm(p, -1, keepdim)

    def value(x1: Array, x2: Array) -> Array:
        return norm.value(gap(*parts((x1, x2))))

    def back(f: Pullback, sign: int = -1) -> Pullback:
        def pullback(inputs: Inputs, y: Array, d: Array) -> tuple[Array, ...]:
            a, b = parts(inputs)
            (d_z,) = f((gap(a, b),), y, d)
            given = (unbroadcast(d_z, a.shape), unbroadcast(sign * d_z, b.shape))  # type: ignore[arg-type, operator]
            return tuple(g.reshape(x.shape) for g, x in zip(given, inputs, strict=True))

        return pullback

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        da, db = parts(tuple(zeros(x.shape, x) if dx is None else dx for x, dx in zip(inputs, changes, strict=True)))
        return norm.pushforward((gap(*parts(inputs)),), y, (da - db,))

    wrong = {what: back(f) for what, f in norm.mistakes.items() if "axis" not in what}
    return Operation(
        name,
        formula,
        norm.source,
        ("x1", "x2"),
        value,
        back(norm.pullback),
        pushforward,
        probes=probes,
        switches=lambda x1, x2: norm.switches(gap(*parts((x1, x2)))),
        conventions={what: back(f) for what, f in norm.conventions.items()},
        mistakes=wrong | {"the second one's sign left out": back(norm.pullback, 1)},
        parameters=parameters,
    )


@recorded
def pairwise_distance(p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Operation:
    """‖x₁ − x₂ + ε‖ₚ along the last axis; torch adds ε to the difference, and not to its size.

    >>> pairwise_distance(eps=0.0).value(np.array([[3.0, 4.0]]), np.zeros(2))
    array([5.])
    """
    name = "pairwise_distance"
    expect(name, isinstance(eps, int | float) and 0 <= eps < np.inf, "eps", "a finite number, 0 at least", eps)

    def parts(inputs: Inputs) -> tuple[Array, Array]:
        _together(name, *inputs)
        return inputs

    def gap(a: Array, b: Array) -> Array:
        high, low = two_sum(a, -b)
        z, more = two_sum(high, parameter(eps, high))
        return z + (low + more)

    return _distance(
        name,
        "‖x₁ − x₂ + ε‖ₚ",
        p,
        gap,
        parts,
        ((probe(2, 3), probe(2, 3, start=9)), (probe(2, 3), probe(3, start=9))),
        {"p": p, "eps": eps, "keepdim": keepdim},
        keepdim,
    )


@recorded
def cdist(p: float = 2.0) -> Operation:
    """‖x₁ − x₂‖ₚ of every row of x₁ (…, P, M) and every row of x₂ (…, R, M): (…, P, R); its slope is 0 where it is 0.

    >>> cdist().value(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0]]))
    array([[4.],
           [5.]])
    """
    name = "cdist"

    def parts(inputs: Inputs) -> tuple[Array, Array]:
        a, b = inputs
        expect(name, a.ndim > 1, "x1", "2 dimensions at least", f"shape {tuple(a.shape)}")
        fits = b.ndim > 1 and a.shape[-1] == b.shape[-1]
        expect(name, fits, "x2", f"a shape (…, R, {a.shape[-1]})", tuple(b.shape))
        return np.expand_dims(a, -2), np.expand_dims(b, -3)

    return _distance(
        name,
        "‖x₁ − x₂‖ₚ of all pairs of rows",
        p,
        lambda a, b: a - b,
        parts,
        # of another spread: differences of two of one would repeat, and the largest of two equal ones is a kink
        ((probe(2, 3), probe(2, 3, start=9, high=1.25)), (probe(2, 1, 2), probe(3, 2, start=9, high=1.25))),
        {"p": p},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (cosine_similarity, pairwise_distance, cdist)
