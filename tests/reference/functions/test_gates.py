"""Gates keep their digits on the whole range, the tails included."""

import pytest
from flint import ctx

from benchmarks.exactness.independent_formulas import BITS, ELEMENTWISE
from reference.functions import gates
from tests.reference.functions.helpers import DTYPES, assert_digits


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["", "_derivative", "_second"])
@pytest.mark.parametrize("name", ["silu", "gelu_tanh", "gelu"])
def test_the_digits_hold_on_the_whole_range(name, order, dtype):
    terms = ELEMENTWISE[name][("", "_derivative", "_second").index(order)]
    with ctx.workprec(BITS):
        assert_digits(getattr(gates, name + order), terms, dtype)
