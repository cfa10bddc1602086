"""The few operations that each arithmetic must answer in its own way.

The calculus of this package is written with operators, ``@``, reductions and ufuncs, which every
array type answers through NumPy's dispatch protocols. What those cannot express stands here: the
rounding error of a sum or a product (which only a rounding arithmetic has), irrational constants (which
each arithmetic holds to its own precision), and the guard against overflow (which only a type of bounded
range needs). `numpy.ndarray` is answered here; any other array type answers by methods of the same name
(`Arithmetic`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy import special

Array = Any
"""A `numpy.ndarray` or any array type that answers NumPy's dispatch protocols and `Arithmetic`."""


def is_numpy(values: Any) -> bool:
    """Whether these are NumPy's own numbers (and not another arithmetic's)."""
    return isinstance(values, np.ndarray | np.generic)


_SPLITTER = {53: 2**27 + 1, 24: 2**12 + 1, 11: 2**6 + 1, 64: 2**32 + 1}
"""2^⌈p/2⌉ + 1 by the significand's bits p: Veltkamp's splitting constant (Dekker 1971, §5)."""


@dataclass(frozen=True)
class Constant:
    """An irrational (or decimal) constant: its digits, and its formula for exact arithmetics.

    Attributes:
        digits: at least 50 significant decimal digits.
        formula: makes the constant from `make`, which turns an int or a `Fraction` into an element of an
            arithmetic, and from that arithmetic's π.
    """

    digits: str
    formula: Callable[[Callable[[Any], Any], Any], Any]
    _parts: dict[np.dtype[Any], tuple[Any, Any]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def exact(self) -> Fraction:
        """The stated digits as a fraction."""
        return Fraction(self.digits)

    def in_dtype(self, dtype: np.dtype[Any]) -> tuple[Any, Any]:
        """The constant as an unevaluated sum of two numbers of one NumPy type, high and low.

        >>> high, low = SQRT_HALF.in_dtype(np.dtype(np.float32))
        >>> high.dtype, bool(abs(low) <= np.spacing(high) / 2)
        (dtype('float32'), True)
        """
        if dtype not in self._parts:
            real = dtype.type(0).real.dtype.type
            high = _nearest(self.exact, real)
            low = _nearest(self.exact - Fraction(*high.as_integer_ratio()), real)
            self._parts[dtype] = (high, low)
        return self._parts[dtype]


def _nearest(value: Fraction, real: type[Any]) -> Any:
    """The number of NumPy type `real` nearest to `value` (no double rounding below float64)."""
    if np.finfo(real).nmant > 52:
        high = real(float(value))
        return high + real(float(value - Fraction(float(value))))
    guess = real(float(value))
    candidates = (np.nextafter(guess, real(-np.inf)), guess, np.nextafter(guess, real(np.inf)))
    return min(candidates, key=lambda c: abs(Fraction(*c.as_integer_ratio()) - value))


@runtime_checkable
class Arithmetic(Protocol):
    """What an array type other than `numpy.ndarray` answers, besides NumPy's protocols."""

    def magnitude(self) -> Any:
        """See `magnitude` below."""
        ...

    def limited(self, bound: float) -> Any:
        """See `limited` below."""
        ...

    def two_sum(self, other: Any) -> tuple[Any, Any]:
        """See `two_sum` below."""
        ...

    def two_product(self, other: Any) -> tuple[Any, Any]:
        """See `two_product` below."""
        ...

    def constant(self, c: Constant) -> tuple[Any, Any]:
        """See `constant` below."""
        ...

    def indicator(self, mask: Any) -> Any:
        """See `indicator` below."""
        ...

    def parameter(self, values: Any) -> Any:
        """See `parameter` below."""
        ...

    def largest(self) -> Any:
        """See `largest` below."""
        ...

    def tanh_residual(self) -> Any:
        """See `tanh_residual` below."""
        ...


def magnitude(z: Array) -> Array:
    """|z|, continued analytically off the real axis: −z where z < 0, else z.

    Complex numbers are compared by their real part and then by their imaginary part, here as in every other
    comparison of the calculus, so that all of them take the same side where the real part is 0.

    >>> magnitude(np.array([-2.0, 3.0])), magnitude(np.array([-2 + 1e-9j]))
    (array([2., 3.]), array([2.-1.e-09j]))
    """
    if not is_numpy(z):
        return z.magnitude()
    return np.abs(z) if z.dtype.kind == "f" else np.where(z < 0, -z, z)


def limited(z: Array, bound: float) -> Array:
    """z with its real part limited to ±bound; for functions that have under- or overflowed by then.

    It keeps the intermediate results of a formula in range where the type has no room for the final one;
    an arithmetic without such limits returns z itself.
    """
    if not is_numpy(z):
        return z.limited(bound)
    if z.dtype.kind == "f":
        return np.minimum(np.maximum(z, -bound), bound)
    return np.where(np.abs(z.real) <= bound, z, np.copysign(bound, z.real))


def finite(z: Array) -> Array:
    """z with infinities replaced by the largest finite numbers, for formulas whose limit a quotient ∞/∞ hides."""
    if not is_numpy(z):
        return z
    return limited(z, np.finfo(z.dtype).max)


def two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """s and e with s = fl(x + y) and s + e = x + y exactly (Knuth, TAOCP 2, §4.2.2, theorem B).

    An arithmetic that does not round, or that carries its own error, returns e = 0.
    """
    if not (is_numpy(x) and (is_numpy(y) or isinstance(y, float | int))):
        owner, other = (y, x) if is_numpy(x) else (x, y)
        return owner.two_sum(other)
    s = x + y
    if s.dtype.kind == "c":
        return s, np.zeros_like(s)
    part = s - x
    return s, (x - (s - part)) + (y - part)


def two_product(x: Array, y: Array) -> tuple[Array, Array]:
    """p and e with p = fl(x·y) and p + e = x·y exactly, barring underflow (Dekker 1971, §5).

    |x| and |y| must stay below 2^(emax − p/2 − 1), or the splitting overflows; see `limited`.
    """
    if not is_numpy(x):
        return x.two_product(y)
    p = x * y
    if p.dtype.kind == "c":
        return p, np.zeros_like(p)
    splitter = p.dtype.type(_SPLITTER[np.finfo(p.dtype).nmant + 1])
    xh, xl = _split(x, splitter)
    yh, yl = _split(np.asarray(y, p.dtype), splitter)
    return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


def _split(x: Array, splitter: Any) -> tuple[Array, Array]:
    """x as a sum of two numbers of half the significand each (Veltkamp)."""
    c = splitter * x
    high = c - (c - x)
    return high, x - high


def constant(c: Constant, z: Array) -> Array:
    """The constant in the arithmetic of z, to that arithmetic's precision."""
    return constant_parts(c, z)[0]


def constant_parts(c: Constant, z: Array) -> tuple[Array, Array]:
    """The constant in the arithmetic of z as a sum of a high and a low part."""
    return c.in_dtype(z.dtype) if is_numpy(z) else z.constant(c)


def indicator(mask: Array, z: Array) -> Array:
    """1 where the mask is true, 0 elsewhere, in the arithmetic of z."""
    return mask.astype(z.dtype) if is_numpy(z) else z.indicator(mask)


def parameter(values: Any, z: Array) -> Array:
    """An array of parameters (class weights, say) in the arithmetic of z."""
    if not is_numpy(z):
        return z.parameter(values)
    return np.asarray(values, dtype=z.real.dtype)


def largest(z: Array) -> tuple[Array, Array]:
    """For each row of z (N, K): a mask (N, K) of one largest entry, and that entry (N, 1).

    The entry is real: a shift by it leaves derivatives alone. Where entries tie (or no precision tells
    them apart), any of them will do, for what is shifted by it does not depend on the choice.
    """
    if not is_numpy(z):
        return z.largest()
    real = z.real
    mask = np.arange(z.shape[1]) == real.argmax(axis=1)[:, None]
    return mask, real.max(axis=1, keepdims=True)


def exp_of_sum(high: Array, low: Array = 0.0) -> tuple[Array, Array]:
    """e and r with exp(high + low) = e(1 + r), low and r ≪ 1.

    NumPy's float32 exponential is up to 2.3 ulps off; through float64, to 0.5 ulps, and low goes in with it.

    >>> exp_of_sum(np.array([-3.0], np.float32), np.array([1e-9], np.float32))
    (array([0.04978707], dtype=float32), 0.0)
    """
    if is_numpy(high) and high.dtype.kind == "f" and high.dtype.itemsize < np.dtype(np.float64).itemsize:
        return np.exp(high.astype(np.float64) + low).astype(high.dtype), 0.0
    return np.exp(high), low


MILLS_CENTRE = 5.0
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


def mills_ratio(a: Array, rest: Array = 0.0) -> Array:
    """R(a)(1 + rest), R(a) = (1 − Φ(a))/φ(a) = √(π/2)·erfcx(a/√2), Φ the normal distribution; a ≥ 0, rest ≪ 1.

    For real NumPy numbers by the truncated Chebyshev series of (1 + a)R(a) in t = (a − 5)/(a + 5) (the
    transformation of Shepherd & Laframboise 1981, Math. Comp. 36, 249), of degree 25, written in powers of t: it
    is within 5e-19 of the function on the whole half-line. SciPy's own erfcx errs up to 8 ulps.

    Raises:
        TypeError: for a type longer than float64.

    >>> mills_ratio(np.array([0.0, 1.0, 1e6]))
    array([1.25331414e+00, 6.55679542e-01, 1.00000000e-06])
    """
    if not is_numpy(a) or a.dtype.kind == "c":
        if is_numpy(a) and a.dtype.itemsize > np.dtype(np.complex128).itemsize:
            raise TypeError(f"mills_ratio: there is none in {a.dtype}; float64 is the longest type that gelu takes")
        erfcx = special.erfcx(a * constant(SQRT_HALF, a))
        return constant(SQRT_HALF_PI, a) * (erfcx if not is_numpy(a) else erfcx.astype(a.dtype)) * (1 + rest)
    if a.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise TypeError(f"mills_ratio: there is none in {a.dtype}; float64 is the longest type that gelu takes")
    x = np.asarray(a, dtype=np.float64)
    t = 2 * (x / (x + MILLS_CENTRE)) - 1
    polynomial = t * MILLS_COEFFICIENTS[-1]
    for coefficient in MILLS_COEFFICIENTS[-2:0:-1]:
        polynomial += coefficient
        polynomial *= t
    d = x + 1
    lost = (x - (d - 1)) + (1 - (d - (d - 1)))
    first = MILLS_COEFFICIENTS[0]
    return ((first + (polynomial + (first + polynomial) * (rest - lost / d))) / d).astype(a.dtype)


def tanh_residual(z: Array) -> Array:
    """z − tanh z without cancellation.

    For |z| < 2 by Lambert's continued fraction, tanh z = z/(1 + z²/(3 + z²/(5 + …))), all of whose terms
    are positive: z − tanh z = z·z²/(z² + 3 + z²/(5 + …)) (Abramowitz & Stegun 4.5.70). 15
    partial quotients leave 2e-20 at |z| = 2. An arithmetic of unbounded precision just subtracts.
    """
    if not is_numpy(z):
        return z.tanh_residual()
    near = np.where(magnitude(z).real < 2, z, 0)
    square = near * near
    q = square / 31
    for odd in range(29, 3, -2):
        q = square / (odd + q)
    return np.where(magnitude(z).real < 2, near * (square / (square + (3 + q))), z - np.tanh(z))


SQRT_HALF = Constant(
    "0.70710678118654752440084436210484903928483593768847", lambda make, pi: np.sqrt(make(Fraction(1, 2)))
)
SQRT_HALF_PI = Constant("1.2533141373155002512078826424055226265034933703050", lambda make, pi: np.sqrt(pi / 2))
SQRT_8_OVER_PI = Constant("1.5957691216057307117597842397375274739034345246597", lambda make, pi: np.sqrt(8 / pi))
GELU_CUBIC = Constant(
    "0.071354816272600248776338752279863540995592074770160",
    lambda make, pi: np.sqrt(8 / pi) * make(Fraction("0.044715")),
)
SELU_SCALE = Constant(
    "1.0507009873554804934193349852946", lambda make, pi: make(Fraction("1.0507009873554804934193349852946"))
)
SELU_SCALE_ALPHA = Constant(
    "1.7580993408473768599402175208123193420602458089122",
    lambda make, pi: make(
        Fraction("1.0507009873554804934193349852946") * Fraction("1.6732632423543772848170429916717")
    ),
)
HALF_LOG_2PI = Constant("0.91893853320467274178032973640561763986139747363778", lambda make, pi: np.log(2 * pi) / 2)
LOG_SCALE = Constant("31.88477030575748423319267758707612213147300618057174", lambda make, pi: 46 * np.log(make(2)))
LOG_SCALE_FLOAT16 = Constant(
    "7.624618986159398403589553336039942248830501477962808", lambda make, pi: 11 * np.log(make(2))
)
LOG_SCALED_DENSITY = Constant(
    "30.96583177255281149141234785067050449161160870693396", lambda make, pi: np.log(make(2**46) / np.sqrt(2 * pi))
)
LOG_SCALED_DENSITY_FLOAT16 = Constant(
    "6.705680452954725661809223599634324608969104004325024", lambda make, pi: np.log(make(2**11) / np.sqrt(2 * pi))
)
