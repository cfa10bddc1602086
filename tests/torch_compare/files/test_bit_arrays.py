"""Arrays by their bits and decimals."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from torch_compare.files import bit_arrays


@given(array=hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64]), hnp.array_shapes(min_dims=0, max_dims=2, max_side=4)
))  # fmt: skip
def test_arrays_come_back_bit_for_bit(array):
    again = bit_arrays.decode("a", json.loads(json.dumps(bit_arrays.encode(array))), finite=False)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    same = again.view(f"u{array.itemsize}") == array.view(f"u{array.itemsize}")
    assert np.all(same | np.isnan(array))  # a NaN keeps its bits, but its decimal is a word


@pytest.mark.parametrize("value", [0.1, 16777217.0, 1e-45, 3.4028235e38, 1.1754944e-38, 5e-40])
def test_a_float32_has_its_own_shortest_decimal(value):
    number = np.float32(value)
    (decimal,) = bit_arrays.decimals_of(np.array([number]))
    assert np.float32(decimal) == number
    assert len(repr(decimal)) <= len(repr(float(number)))
