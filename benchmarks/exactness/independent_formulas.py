"""The activations and losses once more, in balls of 2,600 bits, by formulas written from their definitions.

Nothing here is shared with `reference`. An activation's entry is three functions of a ball z (value, first
and second derivative), each returning the *terms* whose sum it is: the largest of them is the scale on
which a rounding error is measured. Where a definition subtracts nearly equal numbers, the bits suffice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, ctx

BITS = 2600

ULPS = 4
"""The goal for every elementary function: 4 units in the last place of the formula's largest term."""

Terms = Callable[[Any], tuple[Any, ...]]


def exactly(number: Any) -> arb:
    """The ball of radius 0 at a float, or the ball of a fraction."""
    if isinstance(number, Fraction):
        return arb(number.numerator) / number.denominator
    return arb(float(number))


def unit_in_last_place(size: arb, dtype: type[Any]) -> arb:
    """The spacing of the type's numbers at `size`, that of its subnormals at the least."""
    info = np.finfo(dtype)
    mantissa, exponent = (int(part) for part in abs(size).mid().man_exp())
    leading = exponent + mantissa.bit_length() - 1 if mantissa else info.minexp
    return arb((1, max(leading, int(info.minexp)) - info.nmant))


def error_in_ulps(got: Any, terms: Sequence[Any], dtype: type[Any]) -> float:
    """|got − Σ terms| in units of the last place of the largest term; rigorous from above.

    A sum that rounds beyond the type's largest number asks for an infinity of its sign.
    """
    with ctx.workprec(BITS):
        exact = sum(terms, arb(0))
        info = np.finfo(dtype)
        if abs(exact) >= arb(float(info.max)) + unit_in_last_place(arb(float(info.max)), dtype) / 2:
            return 0.0 if np.isinf(got) and (got > 0) == bool(exact > 0) else float("inf")
        if not np.isfinite(got):
            return float("inf")
        largest = max((abs(t) for t in terms), key=lambda t: float(t.mid().log()) if not t.is_zero() else -np.inf)
        return float((abs(exactly(got) - exact) / unit_in_last_place(largest, dtype)).abs_upper())


def _sigma(z: arb) -> arb:
    return 1 / (1 + (-z).exp())


def _sigma1(z: arb) -> arb:
    return _sigma(z) * _sigma(-z)


def _sigma2(z: arb) -> arb:
    return _sigma1(z) * (_sigma(-z) - _sigma(z))


def _density(z: arb) -> arb:
    return (-z * z / 2).exp() / (2 * arb.pi()).sqrt()


def _normal(z: arb) -> arb:
    return (-z / arb(2).sqrt()).erfc() / 2


def _cubic(z: arb) -> tuple[arb, arb, arb]:
    """√(8/π)(z + 0.044715z³) and its two derivatives."""
    k, c = (8 / arb.pi()).sqrt(), arb(44715) / 10**6
    return k * (z + c * z**3), k * (1 + 3 * c * z * z), 6 * k * c * z


def _mish(z: arb) -> tuple[arb, arb, arb]:
    """tanh(s), s = log(1 + e^z), and its two derivatives by the chain rule: s′ = σ, s″ = σ′."""
    s = (1 + z.exp()).log()
    t, sech2 = s.tanh(), 1 / s.cosh() ** 2
    return t, sech2 * _sigma(z), sech2 * _sigma1(z) - 2 * t * sech2 * _sigma(z) ** 2


def _gated(gate: Callable[[arb], tuple[arb, arb, arb]]) -> tuple[Terms, Terms, Terms]:
    """z·g(z) by the product rule."""

    def first(z: arb) -> tuple[arb, arb]:
        g, g1, _ = gate(z)
        return g, z * g1

    def second(z: arb) -> tuple[arb, arb]:
        _, g1, g2 = gate(z)
        return 2 * g1, z * g2

    return lambda z: (z * gate(z)[0],), first, second


def _cubic_gate(z: arb) -> tuple[arb, arb, arb]:
    a, a1, a2 = _cubic(z)
    return _sigma(a), a1 * _sigma1(a), a2 * _sigma1(a) + a1 * a1 * _sigma2(a)


def _single(*functions: Callable[[arb], Any]) -> tuple[Terms, ...]:
    return tuple(lambda z, f=f: (arb(0) + f(z),) for f in functions)


def _pieces(breaks: Sequence[float], *pieces: tuple[Callable[[arb], Any], ...]) -> tuple[Terms, ...]:
    """One more piece than breaks; each gives value, first and second derivative."""

    def order(k: int) -> Terms:
        def at(z: arb) -> tuple[arb]:
            index = sum(bool(z > exactly(b)) for b in breaks)
            return (arb(0) + pieces[index][k](z),)

        return at

    return order(0), order(1), order(2)


def _line(slope: Any, offset: Any = 0) -> tuple[Callable[[arb], Any], ...]:
    def ball(v: Any) -> arb:
        return v() if callable(v) else exactly(v)

    return lambda z: ball(slope) * z + ball(offset), lambda z: ball(slope), lambda z: arb(0)


def elu(alpha: float = 1.0) -> tuple[Terms, ...]:
    a = exactly(alpha)
    return _pieces([0.0], (lambda z: a * z.expm1(), lambda z: a * z.exp(), lambda z: a * z.exp()), _line(1))


def celu(alpha: float = 1.0) -> tuple[Terms, ...]:
    a = exactly(alpha)
    left = (lambda z: a * (z / a).expm1(), lambda z: (z / a).exp(), lambda z: (z / a).exp() / a)
    return _pieces([0.0], left, _line(1))


def softplus(beta: float = 1.0, threshold: float = 20.0) -> tuple[Terms, ...]:
    b = exactly(beta)
    smooth = (lambda z: (1 + (b * z).exp()).log() / b, lambda z: _sigma(b * z), lambda z: b * _sigma1(b * z))
    return _pieces([threshold / beta], smooth, _line(1))


def leaky(slope: float = 0.01) -> tuple[Terms, ...]:
    return _pieces([0.0], _line(slope), _line(1))


def hardtanh(low: float = -1.0, high: float = 1.0) -> tuple[Terms, ...]:
    return _pieces([low, high], _line(0, low), _line(1), _line(0, high))


def hardshrink(size: float = 0.5) -> tuple[Terms, ...]:
    return _pieces([-size, size], _line(1), _line(0), _line(1))


def softshrink(size: float = 0.5) -> tuple[Terms, ...]:
    return _pieces([-size, size], _line(1, size), _line(0), _line(1, -size))


def threshold(at: float = 0.1, value: float = 20.0) -> tuple[Terms, ...]:
    return _pieces([at], _line(0, value), _line(1))


def _selu_scale() -> arb:
    return arb(10507009873554804934193349852946) / 10**31


def _selu() -> tuple[Terms, ...]:
    def left(f: Callable[[arb], arb]) -> Callable[[arb], arb]:
        return lambda z: _selu_scale() * (arb(16732632423543772848170429916717) / 10**31) * f(z)

    return _pieces([0.0], (left(arb.expm1), left(arb.exp), left(arb.exp)), _line(_selu_scale))


def _sixth() -> arb:
    return arb(1) / 6


ELEMENTWISE: dict[str, tuple[Terms, ...]] = {
    "identity": _pieces([], _line(1)),
    "relu": _pieces([0.0], _line(0), _line(1)),
    "relu6": _pieces([0.0, 6.0], _line(0), _line(1), _line(0, 6)),
    "leaky_relu": leaky(),
    "rrelu": leaky((1 / 8 + 1 / 3) / 2),
    "elu": elu(),
    "celu": celu(),
    "selu": _selu(),
    "gelu": _gated(lambda z: (_normal(z), _density(z), -z * _density(z))),
    "gelu_tanh": _gated(_cubic_gate),
    "sigmoid": _single(_sigma, _sigma1, _sigma2),
    "logsigmoid": _single(lambda z: -(1 + (-z).exp()).log(), lambda z: _sigma(-z), lambda z: -_sigma1(z)),
    "hardsigmoid": _pieces(
        [-3.0, 3.0], _line(0), (lambda z: (z + 3) / 6, lambda z: _sixth(), lambda z: 0), _line(0, 1)
    ),
    "silu": _gated(lambda z: (_sigma(z), _sigma1(z), _sigma2(z))),
    "hardswish": _pieces(
        [-3.0, 3.0], _line(0), (lambda z: z * (z + 3) / 6, lambda z: (2 * z + 3) / 6, lambda z: arb(1) / 3), _line(1)
    ),
    "mish": _gated(_mish),
    "softplus": softplus(),
    "softsign": _single(
        lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2, lambda z: -2 * z.sgn() / (1 + abs(z)) ** 3
    ),
    "tanh": _single(arb.tanh, lambda z: 1 / z.cosh() ** 2, lambda z: -2 * z.tanh() / z.cosh() ** 2),
    "tanhshrink": _single(lambda z: z - z.tanh(), lambda z: z.tanh() ** 2, lambda z: 2 * z.tanh() / z.cosh() ** 2),
    "hardtanh": hardtanh(),
    "hardshrink": hardshrink(),
    "softshrink": softshrink(),
    "threshold": threshold(),
    "square": _single(lambda z: z * z, lambda z: 2 * z, lambda z: 2),
}


# ── along a row: the Jacobian's entries (i, j) = ∂yᵢ/∂zⱼ, and the values ─────────────────────────────


def _softmax(z: Sequence[arb]) -> list[arb]:
    e = [v.exp() for v in z]
    total = sum(e, arb(0))
    return [v / total for v in e]


def _softmax_jacobian(z: Sequence[arb], sign: int = 1) -> list[list[arb]]:
    y = _softmax([sign * v for v in z])
    # 1 − yᵢ summed from the others: at 2,600 bits a difference would still lose the far tails.
    rest = [sum((v for j, v in enumerate(y) if j != i), arb(0)) for i in range(len(y))]
    return [[sign * (y[i] * rest[i] if i == j else -y[i] * y[j]) for j in range(len(y))] for i in range(len(y))]


def _log_softmax_jacobian(z: Sequence[arb]) -> list[list[arb]]:
    y = _softmax(z)
    rest = [sum((v for j, v in enumerate(y) if j != i), arb(0)) for i in range(len(y))]
    return [[rest[i] if i == j else -y[j] for j in range(len(y))] for i in range(len(y))]


def _log_softmax(z: Sequence[arb]) -> list[arb]:
    # log yᵢ as −log(1 + Σ_{j≠i} e^(zⱼ − zᵢ)), which keeps its digits where yᵢ is nearly 1.
    return [-sum(((w - v).exp() for j, w in enumerate(z) if j != i), arb(0)).log1p() for i, v in enumerate(z)]


def _glu(z: Sequence[arb]) -> list[arb]:
    half = len(z) // 2
    return [z[i] * _sigma(z[half + i]) for i in range(half)]


def _glu_jacobian(z: Sequence[arb]) -> list[list[arb]]:
    half = len(z) // 2

    def entry(i: int, j: int) -> arb:
        if j == i:
            return _sigma(z[half + i])
        return z[i] * _sigma1(z[half + i]) if j == half + i else arb(0)

    return [[entry(i, j) for j in range(len(z))] for i in range(half)]


ROWWISE: dict[str, tuple[Callable[..., list[arb]], Callable[..., list[list[arb]]]]] = {
    "softmax": (_softmax, _softmax_jacobian),
    "softmin": (lambda z: _softmax([-v for v in z]), functools.partial(_softmax_jacobian, sign=-1)),
    "log_softmax": (_log_softmax, _log_softmax_jacobian),
    "glu": (_glu, _glu_jacobian),
}


# ── losses: for one example, the terms of each column's gradient ─────────────────────────────────────

Row = Sequence[Any]


def cross_entropy(q: Row) -> Callable[[Row], list[tuple[arb, ...]]]:
    """∂/∂y_c of −Σ q_c log softmax(y)_c for a given row q: p_c·Σ_{j≠c} q_j − q_c·Σ_{j≠c} p_j, p = softmax(y).

    Of the ways to write it, the one whose terms are smallest: the scale on which p_c − 1 has no digits.
    """

    def others(row: Row, c: int) -> arb:
        return sum((v for j, v in enumerate(row) if j != c), arb(0))

    def gradient(y: Row) -> list[tuple[arb, ...]]:
        p = _softmax(y)
        return [(p[c] * others(q, c), -q[c] * others(p, c)) for c in range(len(y))]

    return gradient


def cross_entropy_value(q: Row, y: Row) -> tuple[arb, ...]:
    return tuple(-weight * log_p for weight, log_p in zip(q, _log_softmax(y), strict=True))


def bce(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    """Value and derivative, away from the limits of the logarithms."""
    return (-t * y.log(), -(1 - t) * (1 - y).log()), (-t / y, (1 - t) / (1 - y))


def bce_with_logits(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    value = ((1 - t) * y.exp().log1p(), t * (-y).exp().log1p())
    return value, ((1 - t) * _sigma(y), -t * _sigma(-y))


def kl_div(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    return (t * t.log() if t > 0 else arb(0), -t * y), (-t,)


def kl_div_log_target(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    return (t.exp() * t, -t.exp() * y), (-t.exp(),)


def poisson_nll(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    return (y.exp(), -t * y), (y.exp(), -t)


def gaussian_nll(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    """With variance 1."""
    return ((y - t) ** 2 / 2,), (y - t,)


def soft_margin(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    return ((-t * y).exp().log1p(),), (-t * _sigma(-t * y),)


def squared(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    return ((y - t) ** 2,), (2 * (y - t),)


PER_ELEMENT: dict[str, Callable[[arb, arb], tuple[tuple[arb, ...], tuple[arb, ...]]]] = {
    "mse": squared,
    "bce": bce,
    "bce_with_logits": bce_with_logits,
    "kl_div": kl_div,
    "poisson_nll": poisson_nll,
    "gaussian_nll": gaussian_nll,
    "soft_margin": soft_margin,
}
