"""Quadrants, jumps, ends of domains; diagonals, differences, cross products and distances; in every arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb

from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_elements import UNARY
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.operations.row import Operation

from .checking import assert_derivatives, assert_every_arithmetic, assert_mistakes_change_the_gradient, assert_value

ROWS: tuple[tuple[Operation, tuple[tuple[int, ...], ...]], ...] = (
    (ops.diagonal(), ((3, 4),)), (ops.diagonal(1, -1, 0), ((3, 2, 3),)), (ops.diagonal(-2), ((4, 3, 2),)),
    (ops.diag_embed(), ((3,),)), (ops.diag_embed(-1, 0, 2), ((2, 3),)), (ops.diag(), ((3, 2),)),
    (ops.diag(-1), ((3,),)), (ops.trace(), ((3, 4),)), (ops.diff(), ((2, 3),)), (ops.diff(2, 0), ((4, 1),)),
    (ops.diff(0), ((2,),)), (ops.cross(), ((2, 3), (1, 3))), (ops.cross(0), ((3, 2), (3, 2))),
    (ops.dist(), ((2, 3), (3,))), (ops.dist(1.0), ((3,), (3,))), (ops.dist(3.0), ((2, 1), (2, 3))),
)  # fmt: skip
DOMAINS: tuple[tuple[Operation, float, float], ...] = (
    (ops.asin(), -0.95, 0.95), (ops.acos(), -0.95, 0.95), (ops.atanh(), -0.95, 0.95), (ops.acosh(), 1.05, 4.0),
    (ops.logit(), 0.05, 0.95), (ops.logit(0.25), 0.05, 0.95),
)  # fmt: skip


def _name(case: Any) -> str:
    return f"{case.name}{tuple(case.parameters.values())}" if isinstance(case, Operation) else ""


@pytest.mark.parametrize(("row", "shapes"), ROWS, ids=_name)
def test_rows_of_arrays_in_every_arithmetic(row: Operation, shapes: tuple[tuple[int, ...], ...]) -> None:
    rng = np.random.default_rng(1)
    inputs = tuple(rng.normal(size=shape) for shape in shapes)
    assert_derivatives(row, inputs, rng)
    assert_derivatives(row, tuple(np.repeat(x, 2, -1)[..., ::2] for x in inputs), rng)
    assert_every_arithmetic(row, inputs, rng)
    if row.mistakes:
        assert_mistakes_change_the_gradient(row, rng)


@pytest.mark.parametrize(("row", "low", "high"), DOMAINS, ids=_name)
def test_rows_with_a_domain_in_every_arithmetic(row: Operation, low: float, high: float) -> None:
    rng = np.random.default_rng(2)
    inputs = (rng.uniform(low, high, (2, 3)),)
    assert_derivatives(row, inputs, rng)
    assert_every_arithmetic(row, inputs, rng)
    assert_mistakes_change_the_gradient(row, rng)


def test_values_are_numpys() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 50)) * 3
    x, y = np.array([0.0, 1.0, -1.0, 0.0, 0.0, -2.0]), np.array([1.0, 0.0, 0.0, -1.0, 2.0, -2.0])
    for first, second in ((a, b), (x, y)):
        assert_value(ops.atan2(), (first, second), np.arctan2(first, second))
        assert_value(ops.hypot(), (first, second), np.hypot(first, second))
    assert_value(ops.logaddexp(), (a, b), np.logaddexp(a, b))
    np.testing.assert_array_equal(ops.cross().value(a[:3], b[:3]), np.cross(a[:3], b[:3]))
    assert ops.hypot().value(np.array(1e200), np.array(1e200)) == np.hypot(1e200, 1e200)
    for name in ("floor", "ceil", "trunc", "sign"):
        np.testing.assert_array_equal(ops.MAKERS[name]().value(a), getattr(np, name)(a))
    np.testing.assert_array_equal(ops.round().value(np.array([0.5, 1.5, -0.5, -2.5, 2.4])), [0, 2, -0.0, -2, 2])


def test_the_quotient_of_a_remainder_is_the_one_that_was_taken() -> None:
    """0.3/0.1 rounds to 3, but 0.3 holds the float 0.1 twice alone."""
    a, b = np.array([0.3, -0.3, 7.0]), np.array([0.1, 0.1, -2.0])
    for row, quotients in ((ops.fmod(), [2, -2, -3]), (ops.remainder(), [2, -3, -4])):
        y = row.value(a, b)
        found: Any = row.pullback((a, b), y, np.ones(3))[1]
        np.testing.assert_array_equal(found, -np.array(quotients, float))
        assert row.value(np.array([6.0]), np.array([2.0])) == row.switches(np.array([6.0]), np.array([2.0]))[0] == 0


def test_a_logit_beside_a_half_keeps_the_digits_that_the_difference_of_logarithms_loses() -> None:
    """It is 2·artanh(2x − 1), whose argument is exact."""
    x = 0.5 + np.random.default_rng(5).uniform(-0.01, 0.01, 200)
    exact, ulp = 2 * np.arctanh(2 * x - 1), np.finfo(float).eps
    assert np.abs(ops.logit().value(x) / exact - 1).max() < 4 * ulp
    assert np.abs((np.log(x) - np.log1p(-x)) / exact - 1).max() > 100 * ulp


@pytest.mark.parametrize("ufunc", [np.tan, np.arcsin, np.arccos, np.arctan, np.arctanh, np.arcsinh, np.exp2, np.log2,
                                   np.log10, np.sinh, np.cosh, np.arccosh, np.floor, np.ceil, np.trunc, np.rint],
                         ids=lambda ufunc: ufunc.__name__)  # fmt: skip
def test_balls_and_noise_hold_the_functions(ufunc: np.ufunc) -> None:
    x = np.array([0.125, 0.5, 0.75]) + (ufunc is np.arccosh)
    low, high = ufunc(Ball.exact(x)).bounds()
    y = ufunc(x)
    assert np.all((low - 4 * np.spacing(np.abs(y)) <= y) & (y <= high + 4 * np.spacing(np.abs(y))))
    noisy = ufunc(Noisy.exact(x, NoiseSource(get_format("float32"), 16, np.random.default_rng(4))))
    np.testing.assert_array_equal(noisy.data[0], y)
    exact = ufunc in (np.floor, np.ceil, np.trunc, np.rint)
    assert np.all((noisy.spread() == 0) == exact) or ufunc in (np.log2, np.exp2)


def test_a_ball_around_a_jump_holds_both_sides() -> None:
    around, tie = arb(0, 0.5), arb(2.5)
    assert UNARY[np.trunc](arb(-1.5, 1.0)).contains(-2)
    assert UNARY[np.trunc](arb(-1.5, 1.0)).contains(0)
    assert UNARY[np.trunc](around).contains(0)
    assert UNARY[np.rint](tie) == 2
    assert UNARY[np.rint](arb(3.5)) == 4
    assert UNARY[np.rint](arb(2.5, 0.125)).contains(2)
    assert UNARY[np.rint](arb(2.5, 0.125)).contains(3)


@pytest.mark.parametrize(
    ("row", "shapes", "message"),
    [
        (ops.diagonal(3), ((2, 2),), r"diagonal: offset: expected a diagonal of \(2, 2\), got 3"),
        (ops.diff(2), ((2, 2),), "diff: input: expected more than 2 elements along axis -1"),
        (ops.cross(), ((2, 2), (2, 2)), "cross: input: expected an axis of length 3"),
        (ops.cross(), ((3,), (1, 3)), r"cross: other: expected an array of 1 dimensions, got shape \(1, 3\)"),
        (ops.trace(), ((2,),), "trace: input: expected an array of 2 dimensions"),
        (ops.diag_embed(), ((),), "diag_embed: input: expected a dimension at least"),
    ],
)
def test_what_does_not_fit_is_named(row: Operation, shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row.value(*map(np.ones, shapes))


@pytest.mark.parametrize("eps", [0.75, 1.0])
def test_a_logit_with_its_bounds_the_wrong_way_round_is_refused(eps: float) -> None:
    with pytest.raises(ValueError, match=f"logit: eps must be at most 0.5, got {eps}"):
        ops.logit(eps)
