"""The elementwise activations: of each the terms of value, first and second derivative, as functions of a ball z."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flint import arb

from .ulps import Terms, exactly


def sigma(z: arb) -> arb:
    """1/(1 + e⁻ᶻ)."""
    return 1 / (1 + (-z).exp())


def sigma1(z: arb) -> arb:
    """σ′ = σ(z)·σ(−z)."""
    return sigma(z) * sigma(-z)


def sigma2(z: arb) -> arb:
    """σ″ = σ′(z)·(σ(−z) − σ(z))."""
    return sigma1(z) * (sigma(-z) - sigma(z))


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
    return t, sech2 * sigma(z), sech2 * sigma1(z) - 2 * t * sech2 * sigma(z) ** 2


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
    return sigma(a), a1 * sigma1(a), a2 * sigma1(a) + a1 * a1 * sigma2(a)


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
    smooth = (lambda z: (1 + (b * z).exp()).log() / b, lambda z: sigma(b * z), lambda z: b * sigma1(b * z))
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
    "sigmoid": _single(sigma, sigma1, sigma2),
    "logsigmoid": _single(lambda z: -(1 + (-z).exp()).log(), lambda z: sigma(-z), lambda z: -sigma1(z)),
    "hardsigmoid": _pieces(
        [-3.0, 3.0], _line(0), (lambda z: (z + 3) / 6, lambda z: _sixth(), lambda z: 0), _line(0, 1)
    ),
    "silu": _gated(lambda z: (sigma(z), sigma1(z), sigma2(z))),
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
