"""Constants: the digits are those of the formula, in two parts right to the last place."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from benchmarks.exactness.independent_formulas import BITS, error_in_ulps, exactly
from reference.arithmetic import constants
from tests.helpers import DTYPES, fraction

CONSTANTS = {name: c for name, c in vars(constants).items() if isinstance(c, constants.Constant)}


class Exact:
    """A ball that answers np.sqrt, np.log and np.exp in a constant's formula."""

    def __init__(self, ball: Any) -> None:
        self.ball = ball

    def __truediv__(self, other: Any) -> Exact:
        return Exact(self.ball / getattr(other, "ball", other))

    def __rtruediv__(self, other: int) -> Exact:
        return Exact(other / self.ball)

    def __mul__(self, other: Any) -> Exact:
        return Exact(self.ball * getattr(other, "ball", other))

    __rmul__ = __mul__

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Exact:
        return Exact(getattr(inputs[0].ball, ufunc.__name__)())


def made(constant: constants.Constant) -> arb:
    def make(number: Any) -> Exact:
        return Exact(exactly(Fraction(number)))

    return constant.formula(make, Exact(arb.pi())).ball


@pytest.mark.parametrize("name", CONSTANTS)
def test_the_digits_are_those_of_the_formula(name):
    constant = CONSTANTS[name]
    with ctx.workprec(BITS):
        value = made(constant)
        digits = len(constant.digits.split("e")[0].replace(".", "").lstrip("0"))
        relative = abs(exactly(constant.exact) / value - 1)
        # Rounded or cut off after the last digit: less than one unit of that place.
        assert relative < arb(10) ** (1 - digits)
        assert digits >= 31


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16])
@pytest.mark.parametrize("name", CONSTANTS)
def test_the_parts_are_right_to_the_last_place(name, dtype):
    high, low = CONSTANTS[name].in_dtype(np.dtype(dtype))
    assert type(high) is type(low) is dtype
    with ctx.workprec(BITS):
        value = made(CONSTANTS[name])
        rest = value - exactly(high)
        assert error_in_ulps(high, [value], dtype) <= 0.5
        assert error_in_ulps(low, [rest], dtype) <= 0.5


def test_a_longdouble_constant_has_more_digits_than_a_float64():
    high, _ = constants.SQRT_HALF.in_dtype(np.dtype(np.longdouble))
    error = abs(fraction(high) - constants.SQRT_HALF.exact)
    assert error <= fraction(np.spacing(high)) / 2
