"""Mills' ratio of the normal distribution, to its last digits."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array, Term, is_numpy
from ..arithmetic.constants import SQRT_HALF, SQRT_HALF_PI
from ..arithmetic.dispatch import constant, has_room
from ..arithmetic.symbol import Symbol
from ..arithmetic.variants import Variants
from ..arithmetic.wide import NOTHING

MILLS_CENTRE = 5.0
"""The a that t = (a − 5)/(a + 5) takes to 0."""
MILLS_COEFFICIENTS = (
    1.1568486282918946,
    -0.2294875382521129,
    0.07778159886873554,
    0.025072179301611947,
    -0.0661776007789934,
    0.061505045841013566,
    -0.038026592187762366,
    0.0163482312692141,
    -0.004201290310663574,
    1.953073289303005e-05,
    0.00045704381820007954,
    -0.0001343747460125513,
    -2.48054584472145e-05,
    2.271112294988288e-05,
    -1.7723438185601556e-07,
    -3.280567012895583e-06,
    3.2197131609042185e-07,
    4.968188503341836e-07,
    -6.738323465177047e-08,
    -8.232321223515427e-08,
    1.0082895646260188e-08,
    1.4010248782442869e-08,
    -1.0846925288860795e-09,
    -2.039456977423449e-09,
    6.288377855498677e-11,
    1.7327578943235103e-10,
)
"""(1 + a)·R(a) as a polynomial in t = (a − 5)/(a + 5), R Mills' ratio; see `mills_ratio`."""
SHORT = 13
"""The degree for numbers that will be rounded to float32: what its series leaves out adds up to 2e-10, 1/300 ulp."""


@cache
def _short() -> tuple[float, ...]:
    """The same Chebyshev series up to this degree, in powers of t."""
    from numpy.polynomial import chebyshev  # noqa: PLC0415  (not needed for float64)

    return tuple(map(float, chebyshev.cheb2poly(chebyshev.poly2cheb(MILLS_COEFFICIENTS)[: SHORT + 1])))


def mills_ratio(a: Array, rest: Term = 0.0) -> Array:
    """R(a)(1 + rest), R(a) = (1 − Φ(a))/φ(a) = √(π/2)·erfcx(a/√2), Φ the normal distribution; a ≥ 0, rest ≪ 1.

    For real NumPy numbers by the truncated Chebyshev series of (1 + a)R(a) in t = (a − 5)/(a + 5) (the
    transformation of Shepherd & Laframboise 1981, Math. Comp. 36, 249), of degree 25, written in powers of t: it
    is within 5e-19 of the function on the whole half-line. SciPy's own erfcx errs up to 8 ulps. Numbers of a narrower
    type held in float64 (`Wide`) take the series up to degree 13.

    Raises:
        TypeError: for a type longer than float64.

    >>> mills_ratio(np.array([0.0, 1.0, 1e6]))
    array([1.25331414e+00, 6.55679542e-01, 1.00000000e-06])
    """
    if isinstance(a, Variants):
        return a.each(mills_ratio, rest)
    if isinstance(a, Symbol):
        return cast(Array, _by_series(a, rest, short=has_room(a)))
    if not is_numpy(a) or a.dtype.kind == "c":
        if is_numpy(a) and a.dtype.itemsize > np.dtype(np.complex128).itemsize:
            raise TypeError(f"mills_ratio: there is none in {a.dtype}; float64 is the longest type that gelu takes")
        from scipy import special  # noqa: PLC0415  (it loads for as long as all of this package)

        erfcx: Array = special.erfcx(a * constant(SQRT_HALF, a))  # type: ignore[call-overload]
        if is_numpy(erfcx):
            erfcx = erfcx.astype(a.dtype)
        return constant(SQRT_HALF_PI, a) * erfcx * (1 + rest)
    if a.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise TypeError(f"mills_ratio: there is none in {a.dtype}; float64 is the longest type that gelu takes")
    return _by_series(np.asarray(a, dtype=np.float64), rest, has_room(a)).astype(a.dtype, copy=False)


def _by_series(x: Any, rest: Term, short: bool) -> Any:
    t = 2 * (x / (x + MILLS_CENTRE)) - 1
    coefficients = _short() if short else MILLS_COEFFICIENTS
    polynomial = t * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        polynomial += coefficient
        polynomial *= t
    d = x + 1
    lost = NOTHING if short else (x - (d - 1)) + (1 - (d - (d - 1)))
    first = coefficients[0]
    return (first + (polynomial + (first + polynomial) * (rest - lost / d))) / d
