"""The logistic function, the hyperbolic tangent and what they are made of keep their digits on the whole range."""

import numpy as np
import pytest
from flint import ctx

from benchmarks.exactness.independent_formulas import BITS, ELEMENTWISE, error_in_ulps, exactly
from reference.functions import logistic
from tests.helpers import fraction
from tests.reference.functions.helpers import DTYPES, assert_digits, points

CASES = (
    (logistic.sigmoid, ELEMENTWISE["sigmoid"][0]),
    (logistic.sigmoid_derivative, ELEMENTWISE["sigmoid"][1]),
    (logistic.sigmoid_second, ELEMENTWISE["sigmoid"][2]),
    (logistic.tanh_derivative, ELEMENTWISE["tanh"][1]),
    (logistic.tanh_second, ELEMENTWISE["tanh"][2]),
    (logistic.softplus, lambda z: (-ELEMENTWISE["logsigmoid"][0](-z)[0],)),
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("function", "terms"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_the_digits_hold_on_the_whole_range(function, terms, dtype):
    with ctx.workprec(BITS):
        assert_digits(function, terms, dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])  # float16 has no room for E; it goes through float64
def test_a_scaled_exponential_is_the_exponential_in_three_factors(dtype):
    """E is off by its own rounding, one ulp of a good library; r takes up an error of a few ulps of 1."""
    at = points(dtype)
    a, error = at[(at >= 0) & (at <= 2000)], 4 * np.finfo(dtype).eps
    scaled, rest, small = logistic.scaled_exp(a, error)
    assert scaled.dtype == dtype
    with ctx.workprec(BITS):
        for z, e, r in zip(a, scaled, np.broadcast_to(rest, a.shape), strict=True):
            exact = (-exactly(z) - exactly(error)).exp() / exactly(small) / (1 + exactly(r))
            assert error_in_ulps(e, [exact], dtype) <= 1, z


@pytest.mark.parametrize("rest", [0.0, 2.0**-30, -(2.0**-30)])
@pytest.mark.parametrize("e", [0.0, 2.0**-60, 0.3, 0.7, 1.0])
def test_what_divides_an_exponential_holds_to_first_order_in_its_rest(e, rest):
    e, rest = np.float64(e), np.float64(rest)
    exact_e, exact_rest = fraction(e), fraction(rest)
    full = exact_e * (1 + exact_rest)
    for found, exact in (
        (logistic.over(e, rest), (1 + full) / (1 + exact_rest)),
        (logistic.over_square(e, rest), (1 + full) ** 2 / (1 + exact_rest)),
    ):
        # Four roundings of numbers up to 4, and the second order.
        assert abs(fraction(np.float64(found)) - exact) <= 4 * 4 * 2.0**-53 + 4 * rest * rest
