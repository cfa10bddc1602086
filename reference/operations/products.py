"""Products: linear layers and matrix products with any leading axes."""

from __future__ import annotations

from collections.abc import Callable

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .broadcasting import unbroadcast
from .probe import probe
from .row import Inputs, Operation


def _rows(x: Array) -> Array:
    """All leading axes as one: (…, I) to (N, I)."""
    return x.reshape(-1, x.shape[-1])


def _linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    y = x @ weight.T
    return y if bias is None else y + bias


def _linear_pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
    x, weight, *bias = inputs
    d_weight = _rows(d_y).T @ _rows(x)
    d_bias = tuple(None if b is None else _rows(d_y).sum(axis=0) for b in bias)
    return (d_y @ weight, d_weight, *d_bias)


def _linear_pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
    (x, weight, *_), (dx, dw, *db) = inputs, changes
    terms = [None if dx is None else dx @ weight.T, None if dw is None else x @ dw.T, *db]
    return sum_of(terms, y)


def sum_of(terms: list[Array | None], y: Array) -> Array:
    """The sum of the terms that are there, of the shape of y."""
    total = y * 0
    for term in terms:
        if term is not None:
            total = total + term
    return total


@recorded
def linear() -> Operation:
    """X Wᵀ + b, over the last axis."""
    return Operation(
        "linear",
        "X Wᵀ + 1 bᵀ",
        "reference/README.md, §3",
        ("x", "weight", "bias"),
        _linear,
        _linear_pullback,
        _linear_pushforward,
        probes=(
            (probe(2, 2, 3), probe(4, 3, start=9), probe(4, start=3)),
            (probe(2, 3), probe(4, 3, start=9), None),
            (probe(3), probe(4, 3, start=9)),
        ),
        optional=("bias",),
        mistakes={
            "bias_from_the_last_row": lambda inputs, y, d_y: (
                *_linear_pullback(inputs, y, d_y)[:2],
                *(None if b is None else _rows(d_y)[-1] for b in inputs[2:]),
            ),
        },
    )


def _matmul_pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, Array]:
    a, b = inputs
    left = a.reshape(1, -1) if a.ndim == 1 else a
    right = b.reshape(-1, 1) if b.ndim == 1 else b
    rows = (1,) if a.ndim == 1 else y.shape[-1 - (b.ndim > 1) : y.ndim - (b.ndim > 1)]
    columns = (1,) if b.ndim == 1 else y.shape[-1:]
    leading = y.shape[: y.ndim - (a.ndim > 1) - (b.ndim > 1)]
    d = d_y.reshape(*leading, *rows, *columns)
    d_left = unbroadcast(d @ right.swapaxes(-1, -2), left.shape)
    d_right = unbroadcast(left.swapaxes(-1, -2) @ d, right.shape)
    return d_left.reshape(a.shape), d_right.reshape(b.shape)


@recorded
def matmul() -> Operation:
    """A B over the last two axes; leading axes are broadcast, as torch.matmul's."""
    return Operation(
        "matmul",
        "A B",
        "Giles 2008, An extended collection of matrix derivative results, §2.2.2",
        ("input", "other"),
        lambda a, b: a @ b,
        _matmul_pullback,
        lambda inputs, y, changes: sum_of(
            [
                None if changes[0] is None else changes[0] @ inputs[1],
                None if changes[1] is None else inputs[0] @ changes[1],
            ],
            y,
        ),
        probes=(
            (probe(2, 2, 3), probe(2, 3, 2, start=5)),
            (probe(2, 1, 2, 3), probe(3, 2, start=5)),
            (probe(3), probe(3, start=5)),
            (probe(2, 3), probe(3, start=5)),
            (probe(3), probe(2, 3, 2, start=5)),
        ),
        mistakes={
            "second_factor_without_the_transpose": lambda inputs, y, d_y: (
                d_y @ inputs[1] if inputs[1].shape[-1] == inputs[1].shape[-2] else _matmul_pullback(inputs, y, d_y)[0],
                _matmul_pullback(inputs, y, d_y)[1],
            ),
        },
    )


MAKERS: tuple[Callable[..., Operation], ...] = (linear, matmul)
