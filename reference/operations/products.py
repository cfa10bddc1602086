"""Products: linear layers, and products of matrices and vectors with any leading axes.

Shapes: N rows, K the axis that is summed over, P columns; I fan-in, O fan-out; B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from types import MappingProxyType

from ..arithmetic.array import Array
from ..arithmetic.dispatch import added_to, zeros
from ..functions.recipe import recorded
from .arguments import check_axes, check_fits, expect
from .broadcasting import unbroadcast
from .probe import probe
from .row import Inputs, Operation, Pullback, Selective, Unread

_GILES = "Giles 2008, An extended collection of matrix derivative results, §2.2.2"


def _rows(x: Array) -> Array:
    """All leading axes as one: (…, I) to (N, I)."""
    return x.reshape(-1, x.shape[-1])


def sum_of(terms: list[Array | None], y: Array) -> Array:
    """The sum of the terms that are there, of the shape of y."""
    total = zeros(y.shape, y)
    for term in terms:
        if term is not None:
            total = total + term
    return total


# ── linear ───────────────────────────────────────────────────────────────────────────────────────────


def _linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """X (…, I), W (O, I) or (I,), b of any shape that the output's holds: (…, O), or (…) of a W of one axis."""
    expect("linear", weight.ndim in (1, 2), "weight", "shape (O, I) or (I,)", weight.shape)
    fits = x.ndim > 0 and x.shape[-1] == weight.shape[-1]
    expect("linear", fits, "x", f"shape (…, {weight.shape[-1]}) for weight {weight.shape}", x.shape)
    y = _rows(x) @ weight.T if x.ndim > 2 else x @ weight.T
    y = y.reshape(*x.shape[:-1], *weight.shape[:-1])
    if bias is None:
        return y
    check_fits("linear", "bias", bias, y.shape)
    return added_to(y, bias)


def _linear_gradients(inputs: Inputs, d_y: Array, wanted: Container[int]) -> tuple[Array | None, ...]:
    x, weight, *bias = inputs
    d = _rows(d_y) if weight.ndim == 2 else d_y.reshape(-1, 1)
    d_bias = tuple(None if b is None or 2 not in wanted else _d_bias(d, b, d_y) for b in bias)
    d_weight = (d.T @ _rows(x)).reshape(weight.shape) if 1 in wanted else None
    d_x = (d @ weight.reshape(-1, weight.shape[-1])).reshape(x.shape) if 0 in wanted else None
    return (d_x, d_weight, *d_bias)


_linear_pullback = Selective(_linear_gradients)


def _d_bias(d: Array, bias: Array, d_y: Array) -> Array:
    return d.sum(axis=0) if bias.shape == d.shape[1:] == d_y.shape[-1:] else unbroadcast(d_y, bias.shape)


def _linear_pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
    (x, weight, *_), (dx, dw, *db) = inputs, changes
    terms = [None if dx is None else dx @ weight.T, None if dw is None else x @ dw.T, *db]
    return sum_of(terms, y)


def _with_bias(d_bias: Callable[[Array, Array], Array]) -> Pullback:
    """The pullback with another gradient of a bias (O,): of d_y as rows (N, O), and the bias."""
    return lambda inputs, y, d_y: (
        *_linear_pullback(inputs, y, d_y)[:2],
        *(None if b is None else d_bias(d_y.reshape(-1, b.shape[-1]), b) for b in inputs[2:]),
    )


def _of_turned(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
    """The right gradients, that of a square weight transposed."""
    d_x, d_weight, *d_bias = _linear_pullback(inputs, y, d_y)
    return d_x, d_weight.T if d_weight is not None and _is_square(inputs[1]) else d_weight, *d_bias


def _turned(inputs: Inputs) -> Inputs:
    """The inputs with a square weight transposed: x·W for x·Wᵀ."""
    return (inputs[0], inputs[1].T, *inputs[2:]) if _is_square(inputs[1]) else inputs


def _turned_pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
    return _of_turned(_turned(inputs), y, d_y)


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
            (probe(2, 3), probe(3, 3, start=9), None),
            (probe(3), probe(4, 3, start=9)),
        ),
        optional=("bias",),
        unread=Unread(("output",)),
        mistakes={
            "bias_from_the_last_row": _with_bias(lambda d, b: d[-1]),
            "mean_for_sum_in_the_bias": _with_bias(lambda d, b: d.sum(axis=0) / d.shape[0]),
            "input_without_the_transpose": lambda inputs, y, d_y: (
                d_y @ inputs[1].T if _is_square(inputs[1]) else _linear_pullback(inputs, y, d_y)[0],
                *_linear_pullback(inputs, y, d_y)[1:],
            ),
            "weight_gradient_transposed": _of_turned,
        },
        other_passes={"weight_not_transposed": (lambda *inputs: _linear(*_turned(inputs)), _turned_pullback)},
    )


# ── products of matrices ─────────────────────────────────────────────────────────────────────────────


def matmul_pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, Array]:
    """d_A = d_Y Bᵀ and d_B = Aᵀ d_Y, summed over what was broadcast; a vector is a matrix of one row or column."""
    a, b = inputs
    left = a.reshape(1, -1) if a.ndim == 1 else a
    right = b.reshape(-1, 1) if b.ndim == 1 else b
    leading = y.shape[: y.ndim - (a.ndim > 1) - (b.ndim > 1)]
    d = d_y.reshape(*leading, left.shape[-2], right.shape[-1])
    d_left = unbroadcast(d @ right.swapaxes(-1, -2), left.shape)
    # One matrix for all: the sum over the batch is a sum over rows, which the product does.
    alone = right.ndim == 2
    d_right = _rows(left).T @ _rows(d) if alone else unbroadcast(left.swapaxes(-1, -2) @ d, right.shape)
    return d_left.reshape(*a.shape), d_right.reshape(*b.shape)


def _matmul_pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
    (a, b), (da, db) = inputs, changes
    return sum_of([None if da is None else da @ b, None if db is None else a @ db], y)


def _is_square(b: Array) -> bool:
    return b.ndim >= 2 and b.shape[-1] == b.shape[-2]


def _is_layout(b: Array, a: Array) -> bool:
    """Whether a square A takes Aᵀ's place unnoticed."""
    return _is_square(a) and _is_square(b) and a.shape == b.shape


MATMUL_MISTAKES: Mapping[str, Pullback] = MappingProxyType({
    "second_factor_without_the_transpose": lambda inputs, y, d_y: (
        unbroadcast(d_y @ inputs[1], inputs[0].shape) if _is_square(inputs[1]) and inputs[0].ndim > 1
        else matmul_pullback(inputs, y, d_y)[0],
        matmul_pullback(inputs, y, d_y)[1],
    ),
    "first_factor_without_the_transpose": lambda inputs, y, d_y: (
        matmul_pullback(inputs, y, d_y)[0],
        unbroadcast(inputs[0] @ d_y, inputs[1].shape) if _is_square(inputs[0]) and inputs[1].ndim > 1
        else matmul_pullback(inputs, y, d_y)[1],
    ),
    "gradients_exchanged": lambda inputs, y, d_y: (
        matmul_pullback(inputs, y, d_y)[::-1] if _is_layout(*inputs) else matmul_pullback(inputs, y, d_y)
    ),
})  # fmt: skip


def _matmul(a: Array, b: Array) -> Array:
    """A (…, N, K) or (K,), B (…, K, P) or (K,)."""
    expect("matmul", a.ndim > 0, "input", "an array with axes", f"shape {a.shape}")
    expect("matmul", b.ndim > 0, "other", "an array with axes", f"shape {b.shape}")
    rows = b.shape[-2] if b.ndim > 1 else b.shape[0]
    expect("matmul", rows == a.shape[-1], "other", f"{a.shape[-1]} rows for input {a.shape}", f"shape {b.shape}")
    return a @ b


@recorded
def matmul() -> Operation:
    """A B over the last two axes; leading axes are broadcast, as torch.matmul's."""
    return Operation(
        "matmul",
        "A B",
        _GILES,
        ("input", "other"),
        _matmul,
        matmul_pullback,
        _matmul_pushforward,
        probes=(
            (probe(2, 2, 3), probe(2, 3, 2, start=5)),
            (probe(2, 1, 2, 3), probe(3, 2, start=5)),
            (probe(2, 2), probe(2, 2, start=5)),
            (probe(3), probe(3, start=5)),
            (probe(2, 3), probe(3, start=5)),
            (probe(3), probe(2, 3, 2, start=5)),
        ),
        mistakes=MATMUL_MISTAKES,
    )


def _product(name: str, second: str, axes: tuple[int, int], *shapes: tuple[tuple[int, ...], ...]) -> Operation:
    """The same product for arrays of fixed numbers of dimensions, whose leading axes are equal."""

    def value(a: Array, b: Array) -> Array:
        check_axes(name, "input", a, axes[0])
        check_axes(name, second, b, axes[1])
        summed, leading = (b.shape[-2] if b.ndim > 1 else b.shape[0]), b.shape[:-2]
        fits = summed == a.shape[-1] and (not leading or leading == a.shape[:-2])
        expect(name, fits, second, f"shape {(*a.shape[:-2], a.shape[-1], 'P')[-b.ndim :]} for input {a.shape}", b.shape)
        return a @ b

    return Operation(
        name,
        "A B",
        _GILES,
        ("input", second),
        value,
        matmul_pullback,
        _matmul_pushforward,
        probes=tuple((probe(*a), probe(*b, start=7)) for a, b in shapes),
        mistakes=MATMUL_MISTAKES if axes[1] > 1 else {},
    )


@recorded
def mm() -> Operation:
    """A B of two matrices."""
    return _product("mm", "mat2", (2, 2), ((2, 3), (3, 4)), ((2, 2), (2, 2)))


@recorded
def bmm() -> Operation:
    """A B of as many matrices each: (B, N, K) and (B, K, P); nothing is broadcast."""
    return _product("bmm", "mat2", (3, 3), ((2, 2, 3), (2, 3, 4)), ((2, 2, 2), (2, 2, 2)))


@recorded
def mv() -> Operation:
    """A v of a matrix (N, K) and a vector (K,)."""
    return _product("mv", "vec", (2, 1), ((2, 3), (3,)))


@recorded
def dot() -> Operation:
    """aᵀb of two vectors (K,)."""
    return _product("dot", "tensor", (1, 1), ((3,), (3,)))


@recorded
def outer() -> Operation:
    """a bᵀ of two vectors (N,) and (P,)."""

    def value(a: Array, b: Array) -> Array:
        check_axes("outer", "input", a, 1)
        check_axes("outer", "vec2", b, 1)
        return a.reshape(-1, 1) * b

    return Operation(
        "outer",
        "a bᵀ",
        _GILES,
        ("input", "vec2"),
        value,
        lambda inputs, y, d_y: (d_y @ inputs[1], d_y.T @ inputs[0]),
        lambda inputs, y, changes: sum_of(
            [None if changes[0] is None else changes[0].reshape(-1, 1) * inputs[1],
             None if changes[1] is None else inputs[0].reshape(-1, 1) * changes[1]], y,
        ),
        probes=((probe(2), probe(3, start=2)), (probe(2), probe(2, start=2))),
        mistakes={
            "transposed_layout": lambda inputs, y, d_y: (d_y.T @ inputs[1], d_y @ inputs[0])
            if d_y.shape[0] == d_y.shape[1] else (d_y @ inputs[1], d_y.T @ inputs[0]),
        },
    )  # fmt: skip


MAKERS: tuple[Callable[..., Operation], ...] = (linear, matmul, mm, bmm, mv, dot, outer)
