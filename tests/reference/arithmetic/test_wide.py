"""Numbers of a narrow type held in float64: what they carry along, and the 0 that is not there."""

import numpy as np
import pytest

from reference.arithmetic import constants, dispatch
from reference.arithmetic.wide import NOTHING, SAME, Wide


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


def test_a_choice_between_wide_numbers_is_numpys_to_the_bit() -> None:
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1.5, 1e308])
    x, y = (a.ravel() for a in np.meshgrid(special, special[::-1]))
    mask = np.arange(x.size) % 3 == 0
    for mask_, one, other in (
        (mask, x, y),
        (mask[::2], x[::2], y[1::2]),
        (mask, x, 1.0),
        (mask[:, None], x[:, None], y),
    ):
        expected = np.where(mask_, one, other)
        found = np.where(mask_, one.view(Wide), other)
        assert isinstance(found, Wide)
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


def test_the_factor_that_is_not_there_leaves_the_other_alone() -> None:
    x = np.array([1.5, np.inf])
    assert x * SAME is x
    assert SAME * x is x
    assert 2.5 * SAME == 2.5
    assert SAME == 1


def test_nothing_is_a_zero_that_leaves_the_other_term_alone() -> None:
    x = np.array([1.5, np.inf])
    for found in (x + NOTHING, NOTHING + x, x - NOTHING):
        assert found is x
    assert np.all(NOTHING - x == -x)
    assert 2.5 + NOTHING == 2.5 - NOTHING == 2.5
    for zero in (x * NOTHING, NOTHING * x, NOTHING / x, -NOTHING, 2 * NOTHING, NOTHING + NOTHING):
        assert zero is NOTHING
    assert NOTHING == 0
