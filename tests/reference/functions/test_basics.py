"""Small functions are of the shape, type and arithmetic of what they are given."""

import numpy as np
import pytest

from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.functions.basics import nothing, one, one_plus_size, size, zero
from tests.helpers import assert_same

CASES = ((zero, [0.0, 0.0, 0.0]), (one, [1.0, 1.0, 1.0]), (size, [2.0, 0.0, 3.0]), (one_plus_size, [3.0, 1.0, 4.0]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.longdouble])
@pytest.mark.parametrize(("function", "expected"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_they_keep_shape_and_type(function, expected, dtype):
    z = np.array([[-2.0, 0.0, 3.0]], dtype)
    assert_same(function(z), np.array([expected], dtype))
    source = NoiseSource(get_format("float64"), 4, np.random.default_rng(0))
    noisy = function(Noisy.exact(z, source))
    assert isinstance(noisy, Noisy)
    assert_same(noisy.data, np.array([[expected]]))


def test_no_term_is_zero():
    assert nothing(np.ones(3)) == 0.0
