"""Pooling: every element gets what its windows have for it, the first largest one all of a maximum's."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops
from reference.operations import Operation
from tests.helpers.comparing import assert_within_rounding
from tests.reference.operations.checking import (
    assert_derivatives,
    assert_every_arithmetic,
    assert_mistakes_change_the_gradient,
    assert_value,
    problem_of,
)

ROWS: tuple[tuple[Operation, tuple[int, ...]], ...] = (
    (ops.max_pool1d(2), (2, 5)),
    (ops.max_pool1d(3, 1, 1, 2), (2, 1, 6)),
    (ops.max_pool2d(3, 2, 1), (1, 2, 5, 4)),
    (ops.max_pool2d((2, 3), (1, 2), (1, 0), (2, 1), True), (2, 4, 5)),
    (ops.max_pool3d(2, 1), (1, 2, 3, 2)),
    (ops.avg_pool1d(2), (2, 5)),
    (ops.avg_pool1d(3, 2, 1, True, False), (1, 2, 6)),
    (ops.avg_pool2d(3, 2, 1), (1, 2, 5, 4)),
    (ops.avg_pool2d((2, 3), 1, (1, 0), divisor_override=5), (2, 4, 3)),
    (ops.avg_pool3d(2, 1, 1, False, False), (1, 2, 1, 3)),
    (ops.adaptive_avg_pool1d(3), (2, 5)),
    (ops.adaptive_avg_pool2d((1, 4)), (1, 3, 3)),
    (ops.adaptive_avg_pool3d((None, 2, 1)), (1, 2, 3, 2)),
    (ops.adaptive_max_pool1d(3), (2, 5)),
    (ops.adaptive_max_pool2d((1, 4)), (1, 3, 3)),
    (ops.adaptive_max_pool3d((None, 2, 1)), (1, 2, 3, 2)),
    (ops.lp_pool1d(2, 2, 1), (2, 4)),
    (ops.lp_pool1d(4, 3, 2, True), (1, 1, 4)),
    (ops.lp_pool2d(2, (2, 1), 1), (1, 3, 3)),
)


def _name(case: tuple[Operation, Any]) -> str:
    return f"{case[0].name}-{','.join(f'{k}={v}' for k, v in case[0].parameters.items())}"


@pytest.mark.parametrize("case", ROWS, ids=_name)
def test_the_derivatives_are_those_of_the_value_in_every_arithmetic(case: tuple[Operation, tuple[int, ...]]) -> None:
    row, shape = case
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape[::-1]).T
    assert_derivatives(row, (x,), rng)
    assert_every_arithmetic(row, (x,), rng)


@pytest.mark.parametrize("case", ROWS, ids=_name)
def test_every_mistake_that_needs_no_tie_shows_at_a_probe(case: tuple[Operation, Any]) -> None:
    row, _ = case
    wrong = {name: f for name, f in row.mistakes.items() if name != "the whole gradient to each of equal ones"}
    shown = object.__new__(Operation)
    for field in row.__dataclass_fields__:
        object.__setattr__(shown, field, wrong if field == "mistakes" else getattr(row, field))
    assert_mistakes_change_the_gradient(shown, np.random.default_rng(1))


def test_the_usual_mistakes_are_stated() -> None:
    assert {
        "the gradient spread over the whole window",
        "the whole gradient to each of equal ones",
        "overlapping windows overwritten",
        "row and column of the largest exchanged",
    } <= ops.max_pool2d(3, 1).mistakes.keys()
    assert {
        "the division by the size of the window left out",
        "the padding counted the other way",
        "overlapping windows overwritten",
    } <= ops.avg_pool2d(3, 2, 1).mistakes.keys()


def by_loops(x: Any, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> list[tuple[Any, int]]:
    """The elements of every window of a row, and how many places it has with its padding."""
    n = len(x)
    found: list[tuple[Any, int]] = []
    start = -padding
    while True:
        last = start + dilation * (kernel - 1)
        if (last >= n + padding and not ceil_mode) or start >= n or last - stride + 1 > n + padding - 1:
            return found
        places = [start + k * dilation for k in range(kernel)]
        found.append(([p for p in places if 0 <= p < n], sum(p < n + padding for p in places)))
        start += stride


@pytest.mark.parametrize("n", [3, 6])
def test_windows_are_those_of_the_definition(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n)
    for kernel, stride, ceil_mode in product((2, 3), (1, 2, 3), (False, True)):
        for padding in range(kernel // 2 + 1):
            windows = by_loops(x, kernel, stride, padding, 1, ceil_mode)
            largest = ops.max_pool1d(kernel, stride, padding, 1, ceil_mode).value(x)
            np.testing.assert_array_equal(largest, [x[places].max() for places, _ in windows])
            for counted in (False, True):
                expected = [x[p].sum() / (count if counted else len(p)) for p, count in windows]
                assert_value(ops.avg_pool1d(kernel, stride, padding, ceil_mode, counted), (x,), expected)


def test_the_first_of_equal_ones_gets_the_gradient_and_the_other_ways_are_conventions() -> None:
    row, x, d = ops.max_pool2d(2), np.array([[1.0, 2.0], [2.0, 2.0]]), np.array([[6.0]])
    y = row.value(x)
    np.testing.assert_array_equal(row.pullback((x,), y, d)[0], [[0, 6], [0, 0]])
    last, even = (row.conventions[k]((x,), y, d)[0] for k in row.conventions)
    np.testing.assert_array_equal(last, [[0, 0], [0, 6]])
    np.testing.assert_array_equal(even, [[0, 2], [2, 2]])
    each = row.mistakes["the whole gradient to each of equal ones"]((x,), y, d)[0]
    np.testing.assert_array_equal(each, [[0, 6], [6, 6]])
    assert any(np.any(s == 0) for s in row.switches(x))


def test_overlapping_windows_add_up() -> None:
    row, x, d = ops.max_pool1d(3, 1), np.array([0.0, 1.0, 5.0, 1.0, 0.0]), np.array([1.0, 10.0, 100.0])
    y = row.value(x)
    np.testing.assert_array_equal(row.pullback((x,), y, d)[0], [0, 0, 111, 0, 0])
    wrong = row.mistakes["overlapping windows overwritten"]((x,), y, d)[0]
    np.testing.assert_array_equal(wrong, [0, 0, 100, 0, 0])


def test_padding_never_is_the_largest_although_all_else_is_minus_infinite() -> None:
    row, x = ops.max_pool1d(2, 2, 1), np.array([-np.inf, -np.inf, -3.0])
    y = row.value(x)
    np.testing.assert_array_equal(y, [-np.inf, -3.0])
    np.testing.assert_array_equal(row.pullback((x,), y, np.array([5.0, 7.0]))[0], [5, 0, 7])


def test_what_lies_in_no_window_has_no_gradient_although_it_is_infinite() -> None:
    for row in (ops.avg_pool1d(1, 2), ops.max_pool1d(1, 2)):
        x = np.array([1.0, np.inf, 2.0, np.nan, 3.0])
        np.testing.assert_array_equal(row.value(x), [1, 2, 3])
        np.testing.assert_array_equal(row.pullback((x,), row.value(x), np.ones(3))[0], [1, 0, 1, 0, 1])


def test_norms_of_windows_stay_in_range() -> None:
    x = np.array([[3e200, 4e200, 3e-200, 4e-200]])
    row = ops.lp_pool1d(2, 2)
    assert_value(row, (x,), [[5e200, 5e-200]])
    problem = problem_of(row, (x,), np.ones((1, 2)))
    found = {"input_": ref.gradients(problem)["input_"]}
    assert_within_rounding(problem, found, {"input_": np.array([[0.6, 0.8, 0.6, 0.8]])})


def test_a_wrong_pullback_by_a_tiny_factor_leaves_the_certificate() -> None:
    x = np.random.default_rng(2).normal(size=(1, 4, 4))
    row = ops.avg_pool2d(3, 1)
    d = np.random.default_rng(3).normal(size=(1, 2, 2))
    exact: Any = ref.certified_gradients(problem_of(row, (x,), d))["input_"]
    found: Any = row.pullback((x,), row.value(x), d)[0]
    assert np.all((exact.lower <= exact.nearest) & (exact.nearest <= exact.upper))
    assert np.all(np.abs(found - exact.nearest) <= 4 * np.spacing(np.abs(d).max()))
    assert np.any((found * (1 + 1e-12) < exact.lower) | (found * (1 + 1e-12) > exact.upper))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.max_pool2d((1, 2, 3)), "max_pool2d: kernel_size: expected one number or 2"),
        (lambda: ops.max_pool1d(0), "max_pool1d: kernel_size: expected 1 at least, got 0"),
        (lambda: ops.max_pool1d(2, 0), "max_pool1d: stride: expected 1 at least, got 0"),
        (lambda: ops.max_pool1d(2, 1, 2), "max_pool1d: padding: expected 1 at most, half of the window"),
        (lambda: ops.max_pool2d(3).value(np.ones((2, 4))), "max_pool2d: input: expected axes that a window of 3 fits"),
        (lambda: ops.max_pool2d(1).value(np.ones(4)), r"max_pool2d: input: expected 2 dimensions at least"),
        (lambda: ops.max_pool1d(2, 1, 1, 2).value(np.ones(1)), "max_pool1d: input: expected an element"),
        (lambda: ops.avg_pool2d(2, divisor_override=0), "avg_pool2d: divisor_override"),
        (lambda: ops.adaptive_avg_pool2d((1, 2, 3)), "adaptive_avg_pool2d: output_size: expected one number, or 2"),
        (lambda: ops.adaptive_avg_pool1d(0), "adaptive_avg_pool1d: output_size: expected 1 at least"),
        (lambda: ops.lp_pool1d(3, 2), "lp_pool1d: norm_type: expected an even number"),
    ],
)  # fmt: skip
def test_shapes_and_parameters_that_do_not_fit_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
