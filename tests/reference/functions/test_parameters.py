"""A parameter that a row cannot take is named, with its row and what it was."""

import math

import pytest

from reference.functions.parameters import check_finite, check_number


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, "1", None, 1j])
def test_what_is_no_finite_number_is_refused(wrong):
    with pytest.raises(ValueError, match="elu: alpha must be a finite number, got"):
        check_finite("elu", alpha=wrong)
    with pytest.raises(ValueError, match="elu: alpha must be a finite number, got"):
        check_number("elu", "alpha", wrong)


def test_the_first_of_several_is_named():
    with pytest.raises(ValueError, match="hardtanh: low must be"):
        check_finite("hardtanh", high=1.0, low=math.nan, other=math.inf)
    check_finite("hardtanh", low=-1, high=2.5)


@pytest.mark.parametrize(("value", "least", "strict", "limit"), [
    (-1e-300, 0.0, False, "a finite number of at least 0.0"), (0.0, 0.0, True, "a finite number above 0.0"),
    (-1, 0.0, True, "a finite number above 0.0"),
])  # fmt: skip
def test_a_number_below_its_limit_is_refused(value, least, strict, limit):
    with pytest.raises(ValueError, match=f"huber: delta must be {limit}, got {value!r}"):
        check_number("huber", "delta", value, least, strict)


@pytest.mark.parametrize(("value", "least", "strict"), [(0.0, 0.0, False), (5e-324, 0.0, True), (3, -5, False)])
def test_a_number_at_its_limit_is_taken_unless_it_must_lie_above(value, least, strict):
    check_number("huber", "delta", value, least, strict)
