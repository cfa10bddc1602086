"""Sums, products and quotients element by element, with NumPy's (and torch's) broadcasting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import magnitude, parameter, two_sum
from ..functions.parameters import check_number
from ..functions.recipe import recorded
from .by_element import PAIR, by_element, numbers
from .probe import probe
from .row import Inputs, Operation, Unread

_ALGEBRA = "Magnus & Neudecker 1988"


def _times(factor: float, v: Array) -> Array:
    """The product, without a rounding where the factor is 1."""
    return v if factor == 1 else factor * v


@recorded
def add(alpha: float = 1.0) -> Operation:
    """A + αB."""
    check_number("add", "alpha", alpha)
    return by_element(
        "add",
        "a + b" if alpha == 1 else "a + α·b",
        _ALGEBRA,
        ("input", "other"),
        lambda a, b: a + _times(alpha, b),
        (lambda v, y, a, b: v, lambda v, y, a, b: _times(alpha, v)),
        PAIR,
        parameters={"alpha": alpha},
        unread=Unread(("input", "other", "output")),
    )


@recorded
def sub(alpha: float = 1.0) -> Operation:
    """A − αB."""
    check_number("sub", "alpha", alpha)
    return by_element(
        "sub",
        "a − b" if alpha == 1 else "a − α·b",
        _ALGEBRA,
        ("input", "other"),
        lambda a, b: a - _times(alpha, b),
        (lambda v, y, a, b: v, lambda v, y, a, b: -_times(alpha, v)),
        PAIR,
        unread=Unread(("input", "other", "output")),
        parameters={"alpha": alpha},
        mistakes={"the sign of other's gradient": (lambda v, y, a, b: v, lambda v, y, a, b: _times(alpha, v))},
    )


@recorded
def mul() -> Operation:
    """A ∘ B."""
    return by_element(
        "mul",
        "a·b",
        _ALGEBRA,
        ("input", "other"),
        lambda a, b: a * b,
        (lambda v, y, a, b: v * b, lambda v, y, a, b: v * a),
        PAIR,
        mistakes={"the two factors exchanged": (lambda v, y, a, b: v * a, lambda v, y, a, b: v * b)},
    )


@recorded
def div() -> Operation:
    """A/B. The gradient of b is −d·y/b: a/b² would over- or underflow with b²."""
    return by_element(
        "div",
        "a/b",
        _ALGEBRA,
        ("input", "other"),
        lambda a, b: a / b,
        (lambda v, y, a, b: v / b, lambda v, y, a, b: -(v * (y / b))),
        PAIR,
        mistakes={
            "the sign of other's gradient": (lambda v, y, a, b: v / b, lambda v, y, a, b: v * (y / b)),
            "other's gradient divided by other once, not twice": (
                lambda v, y, a, b: v / b,
                lambda v, y, a, b: -(v * y),
            ),
        },
    )


@recorded
def neg() -> Operation:
    """−A."""
    return by_element("neg", "−a", _ALGEBRA, ("input",), lambda a: -a, (lambda v, y, a: -v,), ((probe(3),),))


@recorded
def lerp(weight: float | None = None) -> Operation:
    """A + w(B − A), w a number or a third input.

    From w = ½ on it is b − (1 − w)(b − a), the same number: at w = 1 it gives b, digit for digit. Whoever computes
    (1 − w)a + wb rounds these two terms.
    """
    if weight is not None:
        check_number("lerp", "weight", weight)

    def value(a: Array, b: Array, *given: Array) -> Array:
        w = given[0] if given else numbers(weight, a)
        gap = b - a
        return np.where(w < 0.5, a + w * gap, b - (1 - w) * gap)

    def terms(inputs: Inputs, y: Array) -> Array:
        a, b, *given = inputs
        w = given[0] if given else numbers(weight, a)
        return magnitude((1 - w) * a) + magnitude(w * b)

    products = (
        lambda v, y, a, b, *given: (1 - (given[0] if given else numbers(weight, a))) * v,
        lambda v, y, a, b, *given: (given[0] if given else numbers(weight, a)) * v,
        lambda v, y, a, b, *given: v * (b - a),
    )
    probes = (
        (probe(2), probe(2, start=6), probe(2, low=-0.5, high=1.4, start=3)),
        (probe(3, 3), probe(3, start=6), probe(1, low=0.1, high=0.4)),
    )
    count = 3 if weight is None else 2
    return by_element(
        "lerp",
        "a + w·(b − a)",
        "torch.lerp",
        ("input", "end", "weight")[:count],
        value,
        products[:count],
        tuple(inputs[:count] for inputs in probes),
        parameters={"weight": weight},
        textbook_value=terms,
        mistakes={"the weights of the two ends exchanged": (products[1], products[0], products[2])[:count]},
    )


@recorded
def addcmul(value: float = 1.0) -> Operation:
    """A + value·B∘C."""
    check_number("addcmul", "value", value)
    return by_element(
        "addcmul",
        "a + value·b·c",
        "torch.addcmul",
        ("input", "tensor1", "tensor2"),
        lambda a, b, c: a + _times(value, b * c),
        (
            lambda v, y, a, b, c: v,
            lambda v, y, a, b, c: _times(value, v * c),
            lambda v, y, a, b, c: _times(value, v * b),
        ),
        ((probe(3, 3), probe(3, start=6), probe(3, 1, start=4)),),
        parameters={"value": value},
    )


@recorded
def addcdiv(value: float = 1.0) -> Operation:
    """A + value·B/C."""
    check_number("addcdiv", "value", value)
    return by_element(
        "addcdiv",
        "a + value·b/c",
        "torch.addcdiv",
        ("input", "tensor1", "tensor2"),
        lambda a, b, c: a + _times(value, b / c),
        (
            lambda v, y, a, b, c: v,
            lambda v, y, a, b, c: _times(value, v / c),
            lambda v, y, a, b, c: -_times(value, v * ((b / c) / c)),
        ),
        ((probe(3, 3), probe(3, start=6), probe(3, 1, start=4)),),
        parameters={"value": value},
        mistakes={
            "the sign of tensor2's gradient": (
                lambda v, y, a, b, c: v,
                lambda v, y, a, b, c: _times(value, v / c),
                lambda v, y, a, b, c: _times(value, v * ((b / c) / c)),
            )
        },
    )


@recorded
def dropout(p: float = 0.5) -> Operation:
    """X ∘ mask/(1 − p) for a mask that is given; all 0 at p = 1, as torch's.

    1 − p is taken as the sum of its float and of what that float lost, so that it is the same number in every
    arithmetic.
    """
    check_number("dropout", "p", p, 0.0)
    if p > 1:
        raise ValueError(f"dropout: p must not exceed 1, got {p!r}")
    kept, lost = (float(part) for part in two_sum(np.float64(1.0), np.float64(-p)))  # type: ignore[arg-type]

    def product(v: Array, y: Array, x: Array, mask: Array) -> Array:
        if kept == 0:
            return v * 0
        return v * numbers(mask, v) / (parameter(np.asarray(kept), v) + parameter(np.asarray(lost), v))

    return by_element(
        "dropout",
        "x·mask/(1 − p)",
        "Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting",
        ("x", "mask"),
        lambda x, mask: product(x, x, x, mask),
        (product, None),
        ((probe(2, 2), np.array([[True, False], [True, True]])),),
        parameters={"p": p},
        mistakes={
            "the mask not applied": (lambda v, y, x, mask: v / (1 - p) if p < 1 else v, None),
            "the division by 1 − p left out": (lambda v, y, x, mask: v * numbers(mask, v), None),
        },
    )


MAKERS: tuple[Callable[..., Operation], ...] = (add, sub, mul, div, neg, lerp, addcmul, addcdiv, dropout)
