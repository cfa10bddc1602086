"""The activations that act along a row z: values, and the Jacobian's entries (i, j) = ∂yᵢ/∂zⱼ."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from flint import arb

from .elementwise import sigma, sigma1


def softmax(z: Sequence[arb]) -> list[arb]:
    e = [v.exp() for v in z]
    total = sum(e, arb(0))
    return [v / total for v in e]


def _softmax_jacobian(z: Sequence[arb], sign: int = 1) -> list[list[arb]]:
    y = softmax([sign * v for v in z])
    # 1 − yᵢ summed from the others: at 2,600 bits a difference would still lose the far tails.
    rest = [sum((v for j, v in enumerate(y) if j != i), arb(0)) for i in range(len(y))]
    return [[sign * (y[i] * rest[i] if i == j else -y[i] * y[j]) for j in range(len(y))] for i in range(len(y))]


def _log_softmax_jacobian(z: Sequence[arb]) -> list[list[arb]]:
    y = softmax(z)
    rest = [sum((v for j, v in enumerate(y) if j != i), arb(0)) for i in range(len(y))]
    return [[rest[i] if i == j else -y[j] for j in range(len(y))] for i in range(len(y))]


def log_softmax(z: Sequence[arb]) -> list[arb]:
    # log yᵢ as −log(1 + Σ_{j≠i} e^(zⱼ − zᵢ)), which keeps its digits where yᵢ is nearly 1.
    return [-sum(((w - v).exp() for j, w in enumerate(z) if j != i), arb(0)).log1p() for i, v in enumerate(z)]


def _glu(z: Sequence[arb]) -> list[arb]:
    half = len(z) // 2
    return [z[i] * sigma(z[half + i]) for i in range(half)]


def _glu_jacobian(z: Sequence[arb]) -> list[list[arb]]:
    half = len(z) // 2

    def entry(i: int, j: int) -> arb:
        if j == i:
            return sigma(z[half + i])
        return z[i] * sigma1(z[half + i]) if j == half + i else arb(0)

    return [[entry(i, j) for j in range(len(z))] for i in range(half)]


ROWWISE: dict[str, tuple[Callable[..., list[arb]], Callable[..., list[list[arb]]]]] = {
    "softmax": (softmax, _softmax_jacobian),
    "softmin": (lambda z: softmax([-v for v in z]), functools.partial(_softmax_jacobian, sign=-1)),
    "log_softmax": (log_softmax, _log_softmax_jacobian),
    "glu": (_glu, _glu_jacobian),
}
