"""Softmax, its complement and its logarithm keep their digits, however far apart the entries are."""

import numpy as np
import pytest
from flint import arb, ctx

from benchmarks.exactness.independent_formulas import BITS, ULPS, error_in_ulps, exactly
from reference.functions.softmax import log_softmax_value, softmax_parts
from tests.helpers import DTYPES, assert_same

ROWS = [
    [0.3, -1.2, 0.7, 2.5], [5.0, 5.0, -3.0, 5.0], [0.0, -40.0, -41.5, -60.0], [80.0, 79.5, -80.0, 0.25],
    [1e-7, 2e-7, 0.0, -1e-7], [-300.0, -301.0, -309.0, -700.0],
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_digits_of_every_part_hold(row, dtype):
    z = np.array([row], dtype)
    top, y, rest, (peak, log_sum) = softmax_parts(z)
    log_y = log_softmax_value(z)
    assert_same(peak, z.max(axis=1, keepdims=True))
    assert np.flatnonzero(top).tolist() == [int(np.argmax(z))]
    with ctx.workprec(BITS):
        balls = [exactly(v) for v in z[0]]
        total = sum((b.exp() for b in balls), arb(0))
        largest = exactly(peak[0, 0])
        assert error_in_ulps(log_sum[0, 0], [total.log() - largest], dtype) <= ULPS
        for k, ball in enumerate(balls):
            assert error_in_ulps(y[0, k], [ball.exp() / total], dtype) <= ULPS
            assert error_in_ulps(rest[0, k], [(total - ball.exp()) / total], dtype) <= ULPS
            assert error_in_ulps(log_y[0, k], [ball - largest, largest - total.log()], dtype) <= ULPS


def test_one_entry_alone_is_one_and_has_no_rest():
    top, y, rest, (peak, log_sum) = softmax_parts(np.array([[3.5], [-1e300]]))
    assert_same(top, np.ones((2, 1)))
    assert_same(y, np.ones((2, 1)))
    assert_same(rest, np.zeros((2, 1)))
    assert_same(peak, np.array([[3.5], [-1e300]]))
    assert_same(log_sum, np.zeros((2, 1)))
