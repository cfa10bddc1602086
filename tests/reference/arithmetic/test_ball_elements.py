"""Functions of one element: what python-flint's own would lose is kept."""

from fractions import Fraction

import numpy as np
import pytest
from flint import arb, fmpq

from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Decisions, precision
from reference.arithmetic.ball_elements import TALLEST, exactly, larger, outward, power, smaller, stored
from reference.arithmetic.ball_lists import COMPLEMENTS, decided


@pytest.fixture(autouse=True)
def _bits():
    with precision(128):
        yield


def test_bounds_are_rounded_outward():
    third = arb(1) / 3
    low, high = outward(third)
    assert Fraction(low) < Fraction(1, 3) < Fraction(high)
    assert np.nextafter(low, 1) == high
    assert float(third.upper()) == low  # what python-flint's own conversion makes of the upper end
    assert outward(arb(0.5)) == (0.5, 0.5)
    assert outward(-third) == (-high, -low)
    assert outward(arb("nan")) == (-np.inf, np.inf)
    assert outward(arb(2) ** -1080) == (0.0, 5e-324)
    assert outward(arb(2) ** 1025) == (np.finfo(float).max, np.inf)


def test_extremes_of_elements():
    wide, q = arb(0, 1), fmpq(1, 4)
    assert larger(q, arb(-3)) is q
    assert smaller(q, arb(3)) is q
    for got, ends in ((larger(wide, q), (0.25, 1.0)), (smaller(wide, q), (-1.0, 0.25))):
        assert all(got.contains(arb(e)) for e in ends)
    assert larger(arb("nan"), q).is_nan()


THIRD, QUARTER = fmpq(1, 3), fmpq(1, 4)


def test_the_larger_and_the_smaller_of_rational_numbers_stay_rational():
    for x, y in ((QUARTER, THIRD), (THIRD, QUARTER)):
        assert larger(x, y) is THIRD
        assert smaller(x, y) is QUARTER
    assert isinstance(larger(THIRD, fmpq(1, 3)), fmpq)


@pytest.mark.parametrize(("number", "expected"), [
    (arb(3), fmpq(3)), (arb(-0.375), fmpq(-3, 8)), (arb(0), fmpq(0)), (arb(2) ** 100, fmpq(2**100)),
    (arb(2) ** -TALLEST, fmpq(1, 2**TALLEST)), (THIRD, THIRD),
])  # fmt: skip
def test_an_exact_number_is_rational(number, expected):
    found = exactly(number)
    assert isinstance(found, fmpq)
    assert found == expected


@pytest.mark.parametrize("number", [
    arb(1, 0.25), arb("inf"), arb("-inf"), arb("nan"), arb(2) ** (TALLEST + 1), arb(2) ** -(TALLEST + 1),
    fmpq(2**TALLEST, 3), fmpq(3, 2**TALLEST),
], ids=str)  # fmt: skip
def test_what_is_no_number_for_certain_or_too_long_is_a_ball(number):
    found = exactly(number)
    assert isinstance(found, arb)
    assert stored(found) == stored(arb(number))


def test_the_logarithm_of_an_exact_zero_with_rational_numbers_is_minus_infinity():
    for f, zero in ((np.log, 0.0), (np.log1p, -1.0)):
        found = f(Ball.exact(np.array([zero, 0.5]), Decisions(rational=True)))
        assert stored(found.flat[0]) == ("-inf",)
        assert isinstance(found.flat[1], arb)


@pytest.mark.parametrize("f", COMPLEMENTS)
def test_a_comparison_of_numbers_is_decided_and_one_of_overlapping_balls_is_not(f):
    numbers = [fmpq(1, 4), fmpq(1, 3), fmpq(1, 3)]
    others = [fmpq(1, 3), fmpq(1, 3), fmpq(1, 4)]
    expected = [bool(f(float(a), float(b))) for a, b in zip(numbers, others, strict=True)]
    assert decided(f, numbers, others, {}) == (expected, expected)
    assert decided(f, [arb(0, 1)], [arb(0.5)], {}) == ([False], [True])


def test_powers_with_whole_exponents_are_products():
    assert (arb(0, 1) ** 2).is_nan()  # the trap
    assert power(arb(0, 1), fmpq(2)).contains(arb(1))
    assert not power(arb(0, 1), fmpq(2)).is_nan()
    assert all(power(arb(0, 1), fmpq(3)).contains(arb(end)) for end in (-1, 1))
    assert power(arb("-inf"), fmpq(3)) < 0 < power(arb("-inf"), fmpq(2))
    assert power(THIRD, fmpq(-2)) == 9
    assert stored(power(arb(-3), arb(5))) == stored(arb(-243))
    assert power(arb(0), arb(0)) == power(arb("nan"), fmpq(0)) == 1
    assert power(arb(0), arb(0.5)) == 0
    assert power(arb(0), fmpq(-1)).is_nan()
    assert power(arb(2), arb(0.5)).contains(arb(2).sqrt().mid())
