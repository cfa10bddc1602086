"""Numbers of a narrow type held in float64: what they carry along, and the 0 that is not there."""

import numpy as np
import pytest

from reference.arithmetic import constants, dispatch
from reference.arithmetic.wide import NOTHING, Wide


@pytest.fixture
def wide() -> Wide:
    return np.array([0.1, -3.0], np.float32).astype(np.float64).view(Wide)


def test_wide_numbers_keep_no_error(wide: Wide) -> None:
    for f in (dispatch.two_sum, dispatch.two_product):
        for found, error in (f(wide, wide), f(wide, 0.1), f(wide.view(np.ndarray), wide)):
            assert isinstance(found, Wide)
            assert error is NOTHING
    assert dispatch.constant_parts(constants.SQRT_HALF, wide)[1] is NOTHING


def test_plain_float64_numbers_keep_theirs(wide: Wide) -> None:
    """The planted fault of the test above: were every float64 array taken for a wide one, this would fail."""
    plain = wide.view(np.ndarray)
    assert np.all(dispatch.two_product(plain, 0.1)[1] != 0)


def test_a_choice_between_wide_numbers_is_wide(wide: Wide) -> None:
    assert isinstance(np.where(wide < 0, wide, 1.0), Wide)


def test_nothing_is_a_zero_that_leaves_the_other_term_alone() -> None:
    x = np.array([1.5, np.inf])
    for found in (x + NOTHING, NOTHING + x, x - NOTHING):
        assert found is x
    assert np.all(NOTHING - x == -x)
    assert 2.5 + NOTHING == 2.5 - NOTHING == 2.5
    for zero in (x * NOTHING, NOTHING * x, NOTHING / x, -NOTHING, 2 * NOTHING, NOTHING + NOTHING):
        assert zero is NOTHING
    assert NOTHING == 0
