"""Elements chosen by rank, whose gradients go where they came from; distances between vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Decisions, Undecided, precision
from reference.operations import Operation
from reference.rounding.distance import FACTOR
from tests.reference.operations.checking import (
    assert_derivatives,
    assert_every_arithmetic,
    assert_mistakes_change_the_gradient,
    problem_of,
    row_errors,
)

Case = tuple[Operation, tuple[tuple[int, ...], ...]]
ROWS: tuple[Case, ...] = (
    (ops.sort(), ((2, 5),)),
    (ops.sort(0, True), ((4, 2),)),
    (ops.sort(), ((3, 1),)),
    (ops.topk(2), ((2, 5),)),
    (ops.topk(1, 1, False), ((2, 3, 2),)),
    (ops.kthvalue(2), ((5,),)),
    (ops.kthvalue(3, 0, True), ((3, 2),)),
    (ops.median(), ((2, 4),)),
    (ops.median(0, True), ((3, 2),)),
    (ops.cosine_similarity(), ((2, 3), (2, 3))),
    (ops.cosine_similarity(-1), ((2, 1, 3), (4, 3))),
    (ops.pairwise_distance(), ((2, 3), (2, 3))),
    (ops.pairwise_distance(3.0, 0.0, True), ((2, 1, 3), (4, 1))),
    (ops.cdist(), ((2, 3), (4, 3))),
    (ops.cdist(1.0), ((2, 3, 1), (2, 1))),
)


def _name(case: Case) -> str:
    return f"{case[0].name}-{','.join(f'{k}={v}' for k, v in case[0].parameters.items())}"


@pytest.mark.parametrize("case", ROWS, ids=_name)
def test_the_derivatives_are_those_of_the_value_in_every_arithmetic(case: Case) -> None:
    row, shapes = case
    rng = np.random.default_rng(0)
    inputs = tuple(rng.normal(size=shape[::-1]).T for shape in shapes)
    assert_derivatives(row, inputs, rng)
    assert_every_arithmetic(row, inputs, rng)
    assert_mistakes_change_the_gradient(row, rng)


def test_equal_ones_stay_in_their_order_from_either_side() -> None:
    x, d = np.array([2.0, 1.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])
    up, down = ops.sort(stable=True), ops.sort(descending=True, stable=True)
    np.testing.assert_array_equal(up.pullback((x,), up.value(x), d)[0], [3, 1, 4, 2])
    np.testing.assert_array_equal(down.pullback((x,), down.value(x), d)[0], [1, 3, 2, 4])
    other = up.conventions["the last of equal ones first"]((x,), up.value(x), d)[0]
    np.testing.assert_array_equal(other, [4, 2, 3, 1])
    assert np.any(up.switches(x)[0] == 0)


def test_balls_say_which_order_they_do_not_know() -> None:
    """Two thirds computed in two ways are equal, and no number of bits tells."""
    with precision(80):
        third = Ball.exact(np.array([1.0, 1.0, 6.0])) / 3
        with pytest.raises(Undecided):
            ops.sort().value(third)
        hull = Ball.exact(np.array([1.0, 1.0, 6.0]), Decisions(hull=True)) / 3
        d = Ball.exact(np.array([1.0, 2.0, 4.0]), Decisions(hull=True))
        found: Any = ops.sort().pullback((hull,), ops.sort().value(hull), d)[0]
        lower, upper = found.bounds()
    assert np.all(lower[:2] <= 1)
    assert np.all(upper[:2] >= 2)
    assert lower[2] == upper[2] == 4


def test_floats_and_counts_find_the_same_ranks() -> None:
    x = np.round(np.random.default_rng(4).normal(size=(3, 9)), 1)
    for row in (ops.sort(), ops.sort(descending=True), ops.topk(4), ops.median()):
        y = row.value(x)
        d = np.random.default_rng(5).normal(size=y.shape)
        counted: Any = row.pullback((Ball.exact(x),), None, Ball.exact(d))[0]
        np.testing.assert_array_equal(counted.bounds()[0], np.asarray(row.pullback((x,), y, d)[0]))


def test_noise_puts_nearly_equal_elements_in_either_order() -> None:
    """Two sums that differ by less than rounding: the scale of their gradients holds both orders."""
    x = np.array([0.1, 0.2, 0.3])
    network = ref.Network({}, [ref.Step("s", "exp", "x"), ref.Step("y", ops.sort(), "s")], inputs=("x",))
    x[1] = np.nextafter(x[0], 1)
    problem = ref.Problem(network, {"x": x}, np.array([1.0, 5.0, 2.0]), loss="inner_product")
    sigma = ref.rounding_scale(problem).leaves()["x"]
    assert np.all(sigma[:2] > 0.1)
    assert sigma[2] < 1e-14


def test_the_lower_median_and_the_extremes() -> None:
    x = np.array([4.0, 1.0, 3.0, 2.0])
    assert ops.median().value(x) == 2
    assert ops.kthvalue(4).value(x) == 4
    np.testing.assert_array_equal(ops.topk(2, largest=False).value(x), [1, 2])


def test_vectors_of_any_size_have_an_angle() -> None:
    far = np.array([[3e200, 4e200]]), np.array([[4e-200, 3e-200]])
    assert max(row_errors(ops.cosine_similarity(eps=0.0), far, np.ones(1)).values()) < 64


def test_distances_of_equal_rows_have_no_gradient_and_huge_ones_stay_in_range() -> None:
    a = np.array([[1e200, 2.0], [3.0, 4.0]])
    row = ops.cdist()
    found = row.pullback((a, a), row.value(a, a), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert all(np.all(g == 0) for g in found)
    assert np.isfinite(row.value(a, a)).all()


def test_the_difference_is_rounded_once() -> None:
    """1 + 2⁻⁵² − 1 + 10⁻⁶ for two numbers side by side."""
    a, b = np.array([[1.0 + 2.0**-52, 0.0]]), np.array([[1.0, 0.0]])
    d = np.ones(1)
    problem = problem_of(ops.pairwise_distance(), (a, b), d)
    exact, sigma = ref.certified_gradients(problem)["x1_"], ref.rounding_scale(problem)["x1_"]
    assert np.all(np.abs(ref.gradients(problem)["x1_"] - exact.nearest) <= FACTOR * sigma)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.topk(3).value(np.ones((2, 2))), "topk: input: expected 3 at least along axis -1"),
        (lambda: ops.topk(1, sorted=False), "topk: sorted: expected True"),
        (lambda: ops.kthvalue(0), "kthvalue: k: expected 1 at least, got 0"),
        (lambda: ops.sort(2).value(np.ones((2, 2))), "sort: dim: expected an axis of 2, got 2"),
        (lambda: ops.cosine_similarity().value(np.ones((2, 3)), np.ones((2, 4))), "cosine_similarity: x2"),
        (lambda: ops.pairwise_distance(eps=-1.0), "pairwise_distance: eps"),
        (lambda: ops.pairwise_distance().value(np.ones((2, 3)), np.ones((2, 4))), "pairwise_distance: x2"),
        (lambda: ops.cdist().value(np.ones((2, 3)), np.ones((2, 4))), r"cdist: x2: expected a shape \(…, R, 3\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_the_largest_difference_is_a_distance_too() -> None:
    """Its row was refused: two differences of the numbers that it checks itself with were equal."""
    rng = np.random.default_rng(0)
    assert_derivatives(ops.cdist(np.inf), (rng.normal(size=(2, 3)), rng.normal(size=(4, 3))), rng)
