"""Reductions along any axes: shapes and strides, ties, digits that the customary formulas lose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb

import reference as ref
from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import precision
from reference.operations.along_axes import from_last, reduction, to_last
from reference.operations.row import Operation

from .checking import (
    assert_derivatives,
    assert_every_arithmetic,
    assert_mistakes_change_the_gradient,
    largest_error,
    problem_of,
)

MAKERS = ("sum", "mean", "var", "std", "amax", "amin", "logsumexp", "vector_norm", "prod")
RUNNING = ("cumsum", "cumprod", "logcumsumexp")
AXES = ((None, (2, 3)), (0, (3,)), (-1, (2, 3)), (0, (3, 3)), (1, (3, 3)), ((0, 2), (2, 3, 4)), ((-1, -3), (2, 1, 3)),
        (1, (2, 3, 1, 2)), ((), (2, 2)), ((-2, 1), (2, 3)), ((-1, 0, 1, 2), (2, 1, 2, 3)))  # fmt: skip
NORMS = (0.5, 1, 1.5, 2, 3, float("inf"), float("-inf"))


def _name(case: Any) -> str:
    return f"{case.name}({', '.join(f'{v}' for v in case.parameters.values())})" if isinstance(case, Operation) else ""


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_derivatives_along_any_axes_and_strides(name: str, keepdim: bool) -> None:
    rng = np.random.default_rng(1)
    for dim, shape in AXES:
        row = ops.MAKERS[name](dim=dim, keepdim=keepdim)
        x = rng.normal(size=shape)
        over = tuple(range(len(shape))) if dim in (None, ()) else dim
        assert row.value(x).shape == x.sum(axis=over, keepdims=keepdim).shape
        for given in (x, x.T.copy().T, np.repeat(x, 2, axis=0)[::2]):
            assert_derivatives(row, (given,), rng)


@pytest.mark.parametrize("ord", NORMS)
def test_norms_of_every_order(ord: float) -> None:
    rng = np.random.default_rng(2)
    row = ops.vector_norm(ord=ord, dim=-1)
    x = rng.normal(size=(2, 3, 4))
    np.testing.assert_allclose(row.value(x), np.linalg.norm(x, ord=ord, axis=-1) if ord >= 1 or ord < 0
                               else (np.abs(x) ** ord).sum(axis=-1) ** (1 / ord), rtol=1e-14)  # fmt: skip
    assert_derivatives(row, (x,), rng)
    assert_every_arithmetic(row, (x,), rng)


@pytest.mark.parametrize("name", RUNNING)
def test_running_sums_along_any_axis(name: str) -> None:
    rng = np.random.default_rng(3)
    for dim, shape in ((0, (4,)), (-1, (2, 3)), (1, (2, 3, 2)), (-3, (3, 1, 2)), (0, (1,))):
        x = rng.normal(size=shape)
        row = ops.MAKERS[name](dim)
        assert_derivatives(row, (x,), rng)
        assert_derivatives(row, (x.T.copy().T,), rng)
        expected = {"cumsum": np.cumsum, "cumprod": np.cumprod, "logcumsumexp": np.logaddexp.accumulate}[name]
        np.testing.assert_allclose(row.value(x), expected(x, axis=dim), rtol=1e-14)


SMALL = [*(ops.MAKERS[name](dim=(0, 2)) for name in MAKERS), *(ops.MAKERS[name](1) for name in RUNNING),
         ops.var(dim=1, correction=0), ops.std(dim=0, correction=0.5), ops.softmax(0),
         ops.log_softmax(1), ops.softmin(0)]  # fmt: skip


@pytest.mark.parametrize("row", SMALL, ids=_name)
def test_floats_are_within_the_noise_of_the_certified_gradients(row: Operation) -> None:
    rng = np.random.default_rng(4)
    assert_every_arithmetic(row, (rng.normal(size=(2, 2, 3)),), rng)


@pytest.mark.parametrize("row", [ops.max(), ops.min()], ids=_name)
def test_extremes_of_all_are_within_the_noise_of_the_certified_gradients(row: Operation) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 3))
    assert_derivatives(row, (x,), rng)
    exact = ref.certified_gradients(problem_of(row, (x,), np.array(0.75))).leaves()["input_"]
    np.testing.assert_array_equal(exact.nearest, np.where(x == row.value(x), 0.75, 0))


@pytest.mark.parametrize("row", [r for r in SMALL if r.mistakes and r.name not in ("amax", "amin")], ids=_name)
def test_every_mistake_changes_the_gradient(row: Operation) -> None:
    """That of ties, which no probe has, is tested below."""
    assert_mistakes_change_the_gradient(row, np.random.default_rng(5))


@pytest.mark.parametrize("name", ["amax", "amin", "sum", "logsumexp"])
def test_the_wrong_axis_of_a_square_array_is_another_gradient(name: str) -> None:
    row = ops.MAKERS[name](dim=0)
    rng = np.random.default_rng(6)
    x, d = rng.normal(size=(3, 3)), rng.normal(size=3)
    y = row.value(x)
    wrong = row.mistakes["the gradient handed back along the wrong axis"]((x,), y, d)[0]
    assert wrong.shape == x.shape
    assert not np.allclose(wrong, row.pullback((x,), y, d)[0])


def test_axes_that_are_not_there_are_named() -> None:
    with pytest.raises(ValueError, match=r"sum: dim: expected axes of an array of shape \(2, 3\), got 2"):
        ops.sum(dim=2).value(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"var: dim: .* got \(0, -2\)"):
        ops.var(dim=(0, -2)).value(np.ones((2, 3)))


def test_axes_come_back_where_they_were() -> None:
    x = np.arange(120).reshape(2, 3, 4, 5)
    for over in ((0,), (3,), (1, 2), (0, 3), (0, 1, 2, 3), ()):
        np.testing.assert_array_equal(from_last(to_last(x, over), over, x.shape), x)


# ── ties ─────────────────────────────────────────────────────────────────────────────────────────────


def _of(pullback: Any, row: Operation, x: Any) -> Any:
    x = np.asarray(x, dtype=float)
    y = row.value(x)
    return pullback((x,), y, np.ones_like(y))[0]


@pytest.mark.parametrize("row", [ops.amax(dim=-1), ops.amin(dim=-1), ops.min()], ids=_name)
def test_equal_extremes_share_evenly(row: Operation) -> None:
    sign = -1.0 if "min" in row.name else 1.0
    x = sign * np.array([1.0, 3.0, 3.0, -2.0, 3.0])
    third = 1 / 3
    np.testing.assert_array_equal(_of(row.pullback, row, x), [0, third, third, 0, third])
    found = {name: _of(variant, row, x).tolist() for name, variant in row.conventions.items()}
    assert found == {
        "all to the first of equal ones": [0, 1, 0, 0, 0],
        "all to the last of equal ones": [0, 0, 0, 0, 1],
    }
    wrong = _of(row.mistakes["the whole gradient to each of equal ones"], row, x)
    np.testing.assert_array_equal(wrong, [0, 1, 1, 0, 1])
    (switch,) = row.switches(x)
    assert np.flatnonzero(switch == 0).tolist() == [1, 2, 4]


@pytest.mark.parametrize("row", [ops.amax(dim=-1), ops.amin(dim=-1)], ids=_name)
def test_ties_in_balls_are_exact_and_computed_balls_are_told_apart(row: Operation) -> None:
    with precision(100):
        x = Ball.exact(np.array([[2.0, 2.0, 2.0]]))
        low, high = row.pullback((x,), row.value(x), Ball.exact(np.ones(1)))[0].bounds()
        assert np.all(low <= 1 / 3)
        assert np.all(high >= 1 / 3)
        thirds = Ball.exact(np.array([[1.0, 2.0, -4.0]])) / 3
        found = row.pullback((thirds,), row.value(thirds), Ball.exact(np.ones(1)))[0].bounds()[0]
        np.testing.assert_array_equal(found, [[0, 1, 0]] if row.name == "amax" else [[0, 0, 1]])


def test_one_number_alone_is_its_own_extreme() -> None:
    for row in (ops.amax(dim=-1), ops.amin(dim=0), ops.vector_norm(ord=float("inf"))):
        np.testing.assert_array_equal(_of(row.pullback, row, [[2.5]]), [[1.0]])


# ── digits ───────────────────────────────────────────────────────────────────────────────────────────


def _exact_error(row: Operation, x: Any, d_y: Any) -> float:
    """The largest error of the gradient, in units of u times the largest element of its row."""
    problem = problem_of(row, (x,), d_y)
    exact = ref.certified_gradients(problem)
    assert exact.status == "certified"
    return largest_error(ref.gradients(problem)["input_"], exact.leaves()["input_"].nearest)


NEAR = {
    "of constant numbers but for their last digits": 1e8 + np.array([[1.0, 2.0, 4.0, 7.0, 1.5]]) * 2.0**-20,
    "far from 0": 1e15 + np.array([[1.0, -2.0, 4.0, 7.25, 1.5]]),
    "whose squares overflow": np.array([[3e200, -4e200, 1e199, 2e180]]),
    "whose squares underflow": np.array([[3e-200, -4e-200, 1e-199, 2e-180]]),
    "of one part in all digits": np.array([[1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53]]),
}


@pytest.mark.parametrize("x", NEAR.values(), ids=NEAR)
@pytest.mark.parametrize("name", ["var", "std"])
def test_moments(name: str, x: Any) -> None:
    """Σx² − (Σx)²/N has no digit left here, and (x − mean) only few."""
    row = ops.MAKERS[name](dim=1)
    with np.errstate(over="ignore"):  # the variance of 1e200 is no number of the type, but its gradient is
        assert _exact_error(row, x, np.array([0.75])) < 16
        y = float(row.value(x)[0])
    with precision(500):
        exact = row.value(Ball.exact(x)).flat[0]
        if exact > arb(np.finfo(float).max):
            assert y == np.inf
            return
        assert abs(arb(y) - exact) < 16 * abs(exact) * arb(2) ** -53 + arb(2) ** -1074


def test_customary_moments_lose_what_these_keep() -> None:
    x = NEAR["of constant numbers but for their last digits"]
    customary = np.mean(x * x) - np.mean(x) ** 2
    exact = float(ops.var(dim=1, correction=0).value(x)[0])
    with precision(300):
        truth = float(ops.var(dim=1, correction=0).value(Ball.exact(x)).flat[0].mid())
    assert abs(exact / truth - 1) < 1e-15
    assert abs(customary / truth - 1) > 1


def test_moments_of_one_number_and_of_equal_ones() -> None:
    with pytest.raises(ValueError, match="var: input: expected more than 1 numbers along the axes, got 1"):
        ops.var(dim=0).value(np.ones((1, 2)))
    for row in (ops.var(dim=0, correction=0), ops.std(dim=0, correction=0)):
        np.testing.assert_array_equal(row.value(np.full((1, 2), 0.1)), [0, 0])
        np.testing.assert_array_equal(_of(row.pullback, row, np.full((1, 2), 0.1)), [[0, 0]])
    equal = np.full((7, 2), 0.1)
    for row in (ops.var(dim=0), ops.std(dim=0)):
        np.testing.assert_array_equal(row.value(equal), [0, 0])
        np.testing.assert_array_equal(_of(row.pullback, row, equal), np.zeros((7, 2)))


@pytest.mark.parametrize("ord", [1.5, 2, 3])
@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e200, 6e307])
def test_norms_near_zero_and_far_from_it(ord: float, size: float) -> None:
    x = np.array([[1.2, -1.6, 0.2]]) * size
    row = ops.vector_norm(ord=ord, dim=1)
    expected = ops.vector_norm(ord=ord, dim=1).value(Ball.exact(x)).bounds()
    y = row.value(x)
    assert np.all(np.abs(y - expected[0]) <= 8 * np.spacing(y))
    assert _exact_error(row, x, np.array([0.75])) < 16


@pytest.mark.parametrize("ord", NORMS)
def test_the_gradient_of_a_norm_is_zero_at_zero(ord: float) -> None:
    row = ops.vector_norm(ord=ord, dim=1)
    x = np.zeros((2, 3))
    np.testing.assert_array_equal(row.value(x), [0, 0])
    np.testing.assert_array_equal(_of(row.pullback, row, x), x)
    some = _of(row.pullback, row, [[0.0, 3.0, 0.0]])
    np.testing.assert_allclose(some, [[0.0, float(ord > 0), 0.0]], rtol=np.finfo(float).eps)


@pytest.mark.parametrize("ord", [0, -1, float("nan"), "fro"])
def test_norms_that_are_none_are_refused(ord: Any) -> None:
    with pytest.raises(ValueError, match="vector_norm: ord must be positive or -inf"):
        ops.vector_norm(ord=ord)


def test_logsumexp_of_large_numbers_and_of_minus_infinity() -> None:
    row = ops.logsumexp(dim=1)
    x = np.array([[1000.0, 1000.0], [-1000.0, -1001.0], [0.0, -np.inf], [800.0, -800.0]])
    np.testing.assert_allclose(
        row.value(x), [1000 + np.log(2), -1000 + np.log1p(np.exp(-1)), 0, 800], rtol=4e-16, atol=0
    )
    d_x = _of(row.pullback, row, x)
    assert d_x[2].tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(d_x[0], [0.5, 0.5])
    assert _exact_error(row, x[[0, 1, 3]], np.array([0.75, -0.5, 2.0])) < 16


def test_running_logarithms_of_sums_of_large_numbers() -> None:
    row = ops.logcumsumexp(-1)
    x = np.array([[1000.0, 1000.0, -1000.0, 1002.0], [-np.inf, 0.0, 1.0, -np.inf]])
    np.testing.assert_allclose(row.value(x), np.logaddexp.accumulate(x, axis=-1), rtol=1e-15)
    assert _exact_error(row, x[:1], np.array([[0.75, -0.5, 2.0, 1.0]])) < 64


@pytest.mark.parametrize("row", [ops.prod(), ops.cumprod(0)], ids=_name)
def test_products_with_zeros_have_the_gradients_of_the_others(row: Operation) -> None:
    x = np.array([2.0, 0.0, 5.0])
    expected = [0, 10, 0] if row.name == "prod" else [1, 12, 0]
    np.testing.assert_array_equal(_of(row.pullback, row, x), expected)
    np.testing.assert_array_equal(
        _of(row.pullback, row, [0.0, 0.0, 5.0]), [0, 0, 0] if row.name == "prod" else [1, 0, 0]
    )


# ── what must be refused ─────────────────────────────────────────────────────────────────────────────


def test_a_reduction_with_a_wrong_pullback_is_refused() -> None:
    with pytest.raises(ValueError, match="pullback, along a direction"):
        reduction(
            "bad", "Σx²", "none", lambda z: (z * z).sum(axis=-1, keepdims=True), lambda z, y, d: 2.001 * d * z,
            lambda z, y, dz: (2 * z * dz).sum(axis=-1, keepdims=True), None, False, {},
        )  # fmt: skip


def test_softmax_along_an_axis_is_the_activation_there() -> None:
    x = np.random.default_rng(7).normal(size=(2, 3, 2))
    np.testing.assert_array_equal(ops.softmax(1).value(x).sum(axis=1).round(15), np.ones((2, 2)))
    assert ref.OPERATIONS["softmax"] == ops.softmax() == ops.of_activation("softmax")
