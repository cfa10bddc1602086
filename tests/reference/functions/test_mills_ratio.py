"""Mills' ratio is right to its last digits on the whole half-line, with what is to be added to it."""

import numpy as np
import pytest
from flint import arb, ctx

from benchmarks.exactness.independent_formulas import BITS, ULPS, error_in_ulps, exactly
from reference.arithmetic.ball import Ball
from reference.arithmetic.wide import NOTHING, Wide
from reference.functions.mills_ratio import MILLS_CENTRE, mills_ratio
from tests.reference.functions.helpers import DTYPES, assert_digits, points


def ratio(a):
    """√(π/2)·exp(a²/2)·erfc(a/√2)."""
    return (arb.pi() / 2).sqrt() * (a * a / 2).exp() * (a / arb(2).sqrt()).erfc()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_digits_hold_on_the_half_line(dtype):
    at = points(dtype)
    at = np.concatenate([at[(at >= 0)], [MILLS_CENTRE, np.nextafter(MILLS_CENTRE, 9), 65504]]).astype(dtype)
    with ctx.workprec(BITS):
        assert_digits(mills_ratio, lambda a: (ratio(a),), dtype, at)


@pytest.mark.parametrize("a", [1e30, 1e150, 1e300])
def test_far_out_it_is_the_reciprocal(a):
    """R(a) = (1/a)(1 − 1/a² + …), whose second term is below any digit."""
    assert abs(mills_ratio(np.array([a]))[0] * a - 1) <= ULPS * 2.0**-53


@pytest.mark.parametrize("rest", [2.0**-20, -(2.0**-20)])
def test_the_rest_is_a_factor(rest):
    at = np.array([0.0, 0.3, 1.0, 7.0, 300.0])
    with ctx.workprec(BITS):
        for a, value in zip(at, mills_ratio(at, rest), strict=True):
            # What is left out is of second order: rest² at the most.
            bound = ULPS + rest * rest * 2.0**53
            assert error_in_ulps(value, [ratio(exactly(a)) * (1 + exactly(rest))], np.float64) <= bound


def test_what_is_rounded_to_float32_needs_a_shorter_series():
    """What the series leaves out, and float64's own roundings of some 60 operations of numbers near 1."""
    at = np.concatenate([np.linspace(0.0, 40.0, 801), [1e4, 1e30]])
    found = mills_ratio(at.view(Wide), NOTHING)
    off = np.max(np.abs(np.asarray(found) / mills_ratio(at) - 1))
    assert 1e-11 < off <= 2e-10 + 60 * 2.0**-53, "it is another series"


def test_a_longer_type_is_refused_and_balls_are_not():
    for dtype in (np.longdouble, np.clongdouble):
        with pytest.raises(TypeError, match="float64 is the longest type"):
            mills_ratio(np.ones(1, dtype))
    with ctx.workprec(128):
        found = mills_ratio(Ball.exact(np.array([0.5, 30.0]))).flat
        for ball, a in zip(found, (0.5, 30.0), strict=True):
            assert ball.overlaps(ratio(arb(a)))
            assert ball.rel_accuracy_bits() > 60


def test_complex_numbers_carry_the_derivative():
    """R′(a) = aR(a) − 1."""
    at = np.array([0.2, 1.0, 3.0])
    slope = mills_ratio(at + 1e-100j).imag * 1e100
    # SciPy's complex erfcx is good to a few 1e-14, which a·R − 1 loses a digit of.
    assert np.max(np.abs(slope - (at * mills_ratio(at) - 1))) < 1e-12
