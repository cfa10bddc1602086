"""The losses: the terms of the value, and of the gradient with respect to the output y, for a target t."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flint import arb

from .along_rows import log_softmax, softmax
from .elementwise import sigma

Row = Sequence[Any]


def cross_entropy(q: Row) -> Callable[[Row], list[tuple[arb, ...]]]:
    """∂/∂y_c of −Σ q_c log softmax(y)_c for a given row q: p_c·Σ_{j≠c} q_j − q_c·Σ_{j≠c} p_j, p = softmax(y).

    Of the ways to write it, the one whose terms are smallest: the scale on which p_c − 1 has no digits.
    """

    def others(row: Row, c: int) -> arb:
        return sum((v for j, v in enumerate(row) if j != c), arb(0))

    def gradient(y: Row) -> list[tuple[arb, ...]]:
        p = softmax(y)
        return [(p[c] * others(q, c), -q[c] * others(p, c)) for c in range(len(y))]

    return gradient


def cross_entropy_value(q: Row, y: Row) -> tuple[arb, ...]:
    return tuple(-weight * log_p for weight, log_p in zip(q, log_softmax(y), strict=True))


def bce(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    """Value and derivative, away from the limits of the logarithms."""
    return (-t * y.log(), -(1 - t) * (1 - y).log()), (-t / y, (1 - t) / (1 - y))


def bce_with_logits(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    value = ((1 - t) * y.exp().log1p(), t * (-y).exp().log1p())
    return value, ((1 - t) * sigma(y), -t * sigma(-y))


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
    return ((-t * y).exp().log1p(),), (-t * sigma(-t * y),)


def squared(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    return ((y - t) ** 2,), (2 * (y - t),)


def inner_product(y: arb, t: arb) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
    return (y * t,), (t,)


PER_ELEMENT: dict[str, Callable[[arb, arb], tuple[tuple[arb, ...], tuple[arb, ...]]]] = {
    "mse": squared,
    "bce": bce,
    "bce_with_logits": bce_with_logits,
    "kl_div": kl_div,
    "poisson_nll": poisson_nll,
    "gaussian_nll": gaussian_nll,
    "soft_margin": soft_margin,
    "inner_product": inner_product,
}
