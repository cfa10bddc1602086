"""Losses of a distance: which variances gaussian_nll takes."""

import numpy as np
import pytest

from reference import losses


@pytest.mark.parametrize("var", [
    np.ones((2, 3)), np.ones((1, 1)), [[1.0]], np.ones(2, complex), np.ones(2, bool), "1", [np.nan, 1.0], [1.0, np.inf],
    [1.0, -1e-300], -1, None, [None],
], ids=repr)  # fmt: skip
def test_a_variance_that_is_no_number_and_no_row_of_them_is_refused(var):
    with pytest.raises(ValueError, match="gaussian_nll: var must be a number or K numbers, finite and not negative"):
        losses.gaussian_nll(var=var)


@pytest.mark.parametrize(
    ("var", "outputs"), [(0, None), (2.5, None), (np.float32(2), None), ([1, 2], 2), (np.ones(3), 3)]
)
def test_a_variance_of_k_numbers_is_made_for_k_outputs(var, outputs):
    assert losses.gaussian_nll(var=var).outputs == outputs
