"""Interpolation: a matrix an axis, whose rows add up to 1, and its transpose on the way back."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import precision
from reference.operations.interpolation_maps import Along, matrix
from reference.rounding.distance import FACTOR
from tests.helpers.comparing import output_and_scale
from tests.reference.operations.checking import assert_mistakes_change_the_gradient, assert_value, problem_of
from tests.reference.operations.linear_in_each import arrays, check

ROWS: tuple[tuple[dict[str, Any], tuple[int, ...]], ...] = (
    ({"scale_factor": 2}, (1, 2, 3)),
    ({"size": (2, 5)}, (1, 1, 3, 4)),
    ({"scale_factor": 0.5, "mode": "nearest-exact"}, (1, 1, 4)),
    ({"size": 2}, (1, 1, 2, 1, 3)),
    ({"size": 5, "mode": "linear"}, (2, 1, 3)),
    ({"size": 1, "mode": "linear", "align_corners": True}, (1, 1, 3)),
    ({"scale_factor": (2.5, 0.7), "mode": "bilinear"}, (1, 1, 2, 3)),
    ({"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True}, (1, 1, 3, 2)),
    ({"size": 3, "mode": "bilinear", "align_corners": True}, (1, 1, 2, 4)),
    ({"size": (1, 3, 2), "mode": "trilinear"}, (1, 1, 2, 2, 3)),
    ({"size": (5, 2), "mode": "bicubic"}, (1, 1, 3, 4)),
    ({"scale_factor": 2, "mode": "bicubic", "align_corners": True}, (1, 1, 2, 3)),
)


def _name(case: tuple[dict[str, Any], Any]) -> str:
    return ",".join(f"{k}={v}" for k, v in case[0].items())


@pytest.mark.parametrize("case", ROWS, ids=_name)
def test_it_is_linear_and_goes_back_by_the_transpose_in_every_arithmetic(case: tuple[dict[str, Any], Any]) -> None:
    parameters, shape = case
    rng = np.random.default_rng(0)
    row = ops.interpolate(**parameters)
    check(row, arrays(rng, shape), rng)
    if row.mistakes:
        assert_mistakes_change_the_gradient(row, rng)


def test_the_mistakes_are_stated() -> None:
    assert "align_corners taken the other way" in ops.interpolate(3, mode="bilinear").mistakes
    assert "copies overwritten instead of added" in ops.interpolate(scale_factor=2).mistakes


@pytest.mark.parametrize("mode", ["linear", "bicubic"])
@pytest.mark.parametrize("aligned", [False, True])
def test_a_constant_stays_a_constant_exactly(mode: str, aligned: bool) -> None:
    """The coefficients are rational: in balls every row adds up to 1 within 2⁻⁹⁰, at any lengths."""
    for n, count in ((1, 3), (3, 7), (7, 3), (10, 11)):
        step = Fraction(n - 1, count - 1) if aligned else Fraction(n, count)
        with precision(100):
            rest: Any = matrix(Along(n, count, step, mode, aligned), Ball.exact(np.zeros(1))).sum(axis=-1) - 1
            lower, upper = rest.bounds()
        assert np.all((lower <= 0) & (upper >= 0) & (upper - lower <= 2.0**-90))


def test_linear_interpolation_keeps_a_line_and_cubic_interpolation_the_middle_of_a_parabola() -> None:
    line = np.arange(5.0).reshape(1, 1, 5)
    assert_value(ops.interpolate(9, mode="linear", align_corners=True), (line,), np.arange(9).reshape(1, 1, 9) / 2)
    plane = np.broadcast_to(line[..., None], (1, 1, 5, 5))
    row = ops.interpolate(9, mode="bicubic", align_corners=True)
    made, scale = output_and_scale(problem_of(row, (plane,), np.ones((1, 1, 9, 9))))
    found, sigma = made[0, 0, :, 4], scale[0, 0, :, 4]
    # the old elements stay; halfway between, ends weigh a(1/8) = −3/32 each and the middle ones 19/32
    expected = {2: 1.0, 3: (-3 * 0 + 19 * 1 + 19 * 2 - 3 * 3) / 32, 4: 2.0, 6: 3.0}
    assert all(abs(found[k] - value) <= FACTOR * sigma[k] for k, value in expected.items())


def test_a_factor_is_the_decimal_that_is_written() -> None:
    """13/1.3 is 10; by the float64 near 1.3, which is larger, it would be the element before."""
    x = np.arange(39.0).reshape(1, 1, 39)
    assert ops.interpolate(scale_factor=1.3).value(x)[0, 0, 13] == 10


def test_nearest_moves_numbers_although_others_are_infinite() -> None:
    x = np.array([[[1.0, np.inf, 2.0]]])
    np.testing.assert_array_equal(ops.interpolate(scale_factor=2).value(x)[0, 0], [1, 1, np.inf, np.inf, 2, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (ops.interpolate, "interpolate: size: expected either it or scale_factor"),
        (lambda: ops.interpolate(2, 2.0), "interpolate: size: expected either it or scale_factor"),
        (lambda: ops.interpolate(2, mode="area"), "interpolate: mode: expected nearest, nearest-exact, linear"),
        (lambda: ops.interpolate(2, mode="bilinear", antialias=True), "interpolate: antialias: expected False"),
        (lambda: ops.interpolate(2, align_corners=True), "interpolate: align_corners: expected None with mode"),
        (lambda: ops.interpolate(scale_factor=-1.0), "interpolate: scale_factor: expected positive numbers, got -1.0"),
        (lambda: ops.interpolate(2, recompute_scale_factor=True), "interpolate: recompute_scale_factor"),
        (lambda: ops.interpolate(2, mode="linear").value(np.ones((2, 3))), "interpolate: input: expected 3 dimensions"),
        (lambda: ops.interpolate((2, 2)).value(np.ones((1, 1, 3))), "interpolate: size: expected one number, or 1"),
        (lambda: ops.interpolate(scale_factor=0.2).value(np.ones((1, 1, 3))), "interpolate: input: expected lengths"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
