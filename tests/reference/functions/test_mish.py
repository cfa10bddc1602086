"""Mish and its derivatives keep their digits on the whole range."""

import pytest
from flint import ctx

from benchmarks.exactness.independent_formulas import BITS, ELEMENTWISE
from reference.functions import mish
from tests.reference.functions.helpers import DTYPES, assert_digits


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_digits_hold_on_the_whole_range(order, dtype):
    function = (mish.mish, mish.mish_derivative, mish.mish_second)[order]
    with ctx.workprec(BITS):
        assert_digits(function, ELEMENTWISE["mish"][order], dtype)
