"""How far apart numbers are: in digits, at the worst element."""

import numpy as np
import pytest

from reference.rounding.distance import digits


def test_digits_are_those_of_the_worst_element():
    assert digits([1.0, 2.0], [1.0, 2.0]) == np.inf
    assert digits([1.0, 2.02], [1.0, 2.0]) == pytest.approx(2.0)
    assert digits([1e-3], [0.0]) == pytest.approx(3.0)
    assert digits([np.nan, 1.0], [1.0, 1.0]) == 0
