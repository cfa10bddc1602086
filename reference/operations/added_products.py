"""A product of matrices added to a term: β·C + α·A B, as BLAS has it.

Shapes: N rows, K the axis that is summed over, P columns; B matrices.
"""

from __future__ import annotations

from collections.abc import Callable

from ..arithmetic.array import Array
from ..arithmetic.dispatch import parameter, zeros
from ..functions.parameters import check_finite
from ..functions.recipe import recorded
from .arguments import check_axes, check_fits, expect
from .broadcasting import unbroadcast
from .probe import probe
from .products import MATMUL_MISTAKES, matmul_pullback, sum_of
from .row import Inputs, Operation, Pullback


def _times(x: Array, factor: float) -> Array:
    """Factor·x; a factor of 1 costs no rounding."""
    return x if factor == 1 else x * parameter(factor, x)


def _added_product(name: str, first: str, second: str, beta: float, alpha: float, *leading: int) -> Operation:
    """β·C + α·A B, C broadcast to the shape of A B. With β = 0 C is not read, so that its NaN goes nowhere."""
    check_finite(name, beta=beta, alpha=alpha)
    axes = 2 + len(leading)

    def value(c: Array, a: Array, b: Array) -> Array:
        check_axes(name, first, a, axes)
        check_axes(name, second, b, axes)
        expected = (*a.shape[:-2], a.shape[-1], "P")
        expect(name, expected[:-1] == b.shape[:-1], second, f"shape {expected} for {first} {a.shape}", b.shape)
        y = _times(a @ b, alpha)
        check_fits(name, "input", c, y.shape)
        return y if beta == 0 else y + _times(c, beta)

    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, ...]:
        c, a, b = inputs
        d_c = zeros(c.shape, c) if beta == 0 else unbroadcast(_times(d_y, beta), c.shape)
        return (d_c, *matmul_pullback((a, b), y, _times(d_y, alpha)))

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        (_, a, b), (dc, da, db) = inputs, changes
        products = (None if da is None else da @ b, None if db is None else a @ db)
        scaled = [_times(term, alpha) for term in products if term is not None]
        return sum_of([*scaled, None if dc is None or beta == 0 else _times(dc, beta)], y)

    return Operation(
        name,
        "β C + α A B",
        "Dongarra et al. 1990, A set of level 3 basic linear algebra subprograms, §4",
        ("input", first, second),
        value,
        pullback,
        pushforward,
        probes=(
            (probe(*leading, 2, 3), probe(*leading, 2, 4, start=5), probe(*leading, 4, 3, start=2)),
            (probe(3), probe(*leading, 3, 3, start=5), probe(*leading, 3, 3, start=2)),
        ),
        parameters={"beta": beta, "alpha": alpha},
        mistakes=_mistakes(pullback, beta, alpha),
    )


def _mistakes(pullback: Pullback, beta: float, alpha: float) -> dict[str, Pullback]:
    def in_product(wrong: Pullback) -> Pullback:
        return lambda inputs, y, d_y: (
            pullback(inputs, y, d_y)[0],
            *wrong(inputs[1:], y, _times(d_y, alpha)),
        )

    found = {key: in_product(wrong) for key, wrong in MATMUL_MISTAKES.items()}
    if beta != 1:
        found["beta_left_out"] = lambda inputs, y, d_y: (
            unbroadcast(d_y, inputs[0].shape),
            *pullback(inputs, y, d_y)[1:],
        )
    if alpha != 1:
        found["alpha_left_out"] = lambda inputs, y, d_y: (
            pullback(inputs, y, d_y)[0],
            *matmul_pullback(inputs[1:], y, d_y),
        )
    return found


@recorded
def addmm(beta: float = 1.0, alpha: float = 1.0) -> Operation:
    """β·C + α·A B of matrices (N, K) and (K, P); C is broadcast."""
    return _added_product("addmm", "mat1", "mat2", beta, alpha)


@recorded
def baddbmm(beta: float = 1.0, alpha: float = 1.0) -> Operation:
    """β·C + α·A B of as many matrices each, (B, N, K) and (B, K, P); C is broadcast."""
    return _added_product("baddbmm", "batch1", "batch2", beta, alpha, 2)


MAKERS: tuple[Callable[..., Operation], ...] = (addmm, baddbmm)
