"""Error-free transformations are exact, guards what they say, and other arithmetics answer for themselves."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import ctx
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.exactness.independent_formulas import BITS, error_in_ulps, exactly
from reference.arithmetic import constants
from reference.arithmetic import dispatch as ar
from tests.helpers import DTYPES, assert_same, fraction


def finite(dtype: Any, exponent: int) -> st.SearchStrategy[float]:
    """Numbers of the type up to 2^exponent, 0 or at least 2^−exponent: products do not underflow."""
    width: Any = np.finfo(dtype).bits
    positive = st.floats(2.0**-exponent, 2.0**exponent, width=width)
    return st.one_of(st.just(0.0), positive, positive.map(lambda v: -v))


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_two_sum_is_exact(dtype, data):
    x, y = (np.array([data.draw(finite(dtype, 120))], dtype) for _ in range(2))
    s, e = ar.two_sum(x, y)
    assert s.dtype == e.dtype == dtype
    assert_same(s, x + y)
    assert fraction(s[0]) + fraction(e[0]) == fraction(x[0]) + fraction(y[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x", "y"), [(1.0, 2.0**-60), (2.0**-60, 1.0), (1.0, -1.0), (2.0**100, 1.0), (1 + 2.0**-23, 2.0**-24), (3.0, 32)]
)
def test_two_sum_is_exact_where_all_of_a_term_is_lost(dtype, x, y):
    a, b = np.array([x], dtype), np.array([y], dtype)
    for second in (b, y) if isinstance(y, int) else (b,):
        s, e = ar.two_sum(a, second)
        assert fraction(s[0]) + fraction(e[0]) == fraction(a[0]) + Fraction(y)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_two_product_is_exact(dtype, data):
    # |xy| ≥ 2^−60 keeps the error term, 2^−53 or 2^−24 of it squared, above the smallest subnormal.
    x, y = (np.array([data.draw(finite(dtype, 30))], dtype) for _ in range(2))
    p, e = ar.two_product(x, y)
    assert p.dtype == e.dtype == dtype
    assert_same(p, x * y)
    assert fraction(p[0]) + fraction(e[0]) == fraction(x[0]) * fraction(y[0])


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, np.longdouble])
def test_two_product_is_exact_for_full_significands(dtype):
    eps = np.finfo(dtype).eps
    x = np.array([1 + eps, 2 - eps, 1 - eps / 2, 1 + 3 * eps, -1 - eps], dtype)
    p, e = ar.two_product(x, x[::-1].copy())
    for a, b, high, low in zip(x, x[::-1], p, e, strict=True):
        assert fraction(high) + fraction(low) == fraction(a) * fraction(b)
        assert low != 0


def test_complex_sums_and_products_carry_no_error_term():
    z = np.array([1 + 1e-30j, 0.1 - 2j])
    for combined, error in (ar.two_sum(z, z), ar.two_product(z, z)):
        assert combined.dtype == np.complex128
        assert_same(error, np.zeros(2, complex))


def test_a_constant_of_complex_numbers_has_real_parts():
    assert ar.constant(constants.SQRT_HALF, np.array([1j])).dtype == np.float64
    assert ar.constant(constants.SQRT_HALF, np.ones(1, np.float32)).dtype == np.float32


@pytest.mark.parametrize("dtype", DTYPES)
@given(z=st.one_of(st.floats(-20, 20), st.floats(-4, 4), st.floats(-(2.0**-10), 2.0**-10)))
@example(z=2.0)
@example(z=1.9999998)
@example(z=-2.0)
@example(z=2.0**-30)
@example(z=0.0)
@example(z=-0.0)
def test_tanh_residual_keeps_its_digits(dtype, z):
    point = np.array([z], dtype)
    got = ar.tanh_residual(point)
    assert got.dtype == dtype
    with ctx.workprec(BITS):
        ball = exactly(point[0])
        # 8 ulps, the package's goal for every elementary function.
        assert error_in_ulps(got[0], [ball - ball.tanh()], dtype) <= 8


def test_magnitude_is_the_size_of_real_numbers_and_odd_in_the_imaginary_part():
    real = np.array([-2.0, -0.0, 0.0, 3.0, -np.inf, np.nan])
    assert_same(ar.magnitude(real), np.array([2.0, 0.0, 0.0, 3.0, np.inf, np.nan]))
    assert not np.signbit(ar.magnitude(np.array([-0.0])))[0]
    assert_same(ar.magnitude(np.array([-2 + 1j, 3 + 1j, 0.5 - 1j])), np.array([2 - 1j, 3 + 1j, 0.5 - 1j]))
    assert_same(ar.magnitude(np.array([complex(0, -1), complex(0, 1)])), np.array([complex(-0.0, 1), complex(0, 1)]))
    assert ar.magnitude(np.ones(1, np.float32)).dtype == np.float32


def test_limited_bounds_the_real_part_alone():
    real = np.array([-9.0, -5.0, 0.5, 7.0, np.inf, -np.inf, np.nan], np.float32)
    assert_same(ar.limited(real, 5.0), np.array([-5, -5, 0.5, 5, 5, -5, np.nan], np.float32))
    inside = np.array([-4 + 1e-100j, 3 - 2j])
    assert_same(ar.limited(inside, 5.0), inside)
    assert_same(ar.limited(np.array([-9 + 1e-100j]), 5.0).real, np.array([-5.0]))


def test_indicator_has_the_type_of_its_array():
    mask = np.array([True, False])
    for dtype in (*DTYPES, np.complex128):
        assert_same(ar.indicator(mask, np.zeros(2, dtype)), np.array([1, 0], dtype))


def test_parameter_is_real_and_of_the_precision_of_its_array():
    assert ar.parameter([0.1], np.zeros(1, np.float32)).dtype == np.float32
    assert ar.parameter([0.1], np.zeros(1, np.complex128)).dtype == np.float64


def test_largest_marks_one_entry_a_row():
    z = np.array([[1.0, 3.0, 3.0], [-1.0, -2.0, -5.0]])
    mask, peak = ar.largest(z)
    assert_same(mask.sum(axis=1), np.array([1, 1]))
    assert_same(z[mask], np.array([3.0, -1.0]))
    assert_same(peak, np.array([[3.0], [-1.0]]))
    complex_mask, complex_peak = ar.largest(z + 1e-100j)
    assert_same(complex_mask, mask)
    assert_same(complex_peak, peak)


def test_other_arithmetics_answer_by_their_own_methods():
    class Other:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: (name, *arguments)

    z = Other()
    assert ar.magnitude(z) == ("magnitude",)
    assert ar.limited(z, 2.0) == ("limited", 2.0)
    assert ar.two_sum(z, 1.0) == ("two_sum", 1.0)
    assert ar.two_product(z, 1.0) == ("two_product", 1.0)
    assert ar.indicator("mask", z) == ("indicator", "mask")
    assert ar.parameter([0.5], z) == ("parameter", [0.5])
    assert ar.largest(z) == ("largest", -1)
    assert ar.tanh_residual(z) == ("tanh_residual",)
    assert ar.constant_parts(constants.SQRT_HALF, z) == ("constant", constants.SQRT_HALF)
