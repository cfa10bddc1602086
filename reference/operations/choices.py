"""Operations that choose between two formulas, element by element: their kinks and ties are declared, and torch's.

A switch is what passes 0 where the formula changes; where it *is* 0, another slope between the two is no error, and
`conventions` has those that others take.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import indicator, is_negative, magnitude, parameter, zeros
from ..functions.basics import zero
from ..functions.recipe import recorded
from .by_element import PAIR, by_element
from .probe import probe
from .row import Operation


def sign_of(x: Array) -> Array:
    """1, −1, and 0 at 0, in the arithmetic of x."""
    return indicator(x > 0, x) - indicator(x < 0, x)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isnan(value)


@recorded
def abs() -> Operation:
    """|x|; 0 at the kink."""
    return by_element(
        "abs",
        "|x|",
        "torch.abs",
        ("input",),
        magnitude,
        (lambda v, y, x: v * sign_of(x),),
        ((probe(3),),),
        switches=lambda x: (x,),
        conventions={
            "the slope from the right": (lambda v, y, x: v * (1 - 2 * indicator(x < 0, x)),),
            "the slope from the left": (lambda v, y, x: v * (2 * indicator(x > 0, x) - 1),),
        },
        mistakes={"the sign left out": (lambda v, y, x: v,)},
    )


@recorded
def clamp(min: float | None = None, max: float | None = None) -> Operation:
    """x, but no less than min and no more than max; its slope at both bounds is 1, as torch has it.

    Where min exceeds max everything becomes max, and no gradient comes through.

    Raises:
        ValueError: neither bound is given, or one is NaN.
    """
    bounds = [bound for bound in (min, max) if bound is not None]
    if not bounds or not all(map(_is_number, bounds)):
        raise ValueError(f"clamp: expected a number for min or max or both, got {min!r} and {max!r}")

    def value(x: Array) -> Array:
        above = x if min is None else np.maximum(x, parameter(np.asarray(min), x))
        return above if max is None else np.minimum(above, parameter(np.asarray(max), x))

    def within(x: Array, strict: bool, upper_strict: bool | None = None) -> Array:
        inside = zero(x) + 1
        for bound, sign, without in ((min, 1, strict), (max, -1, strict if upper_strict is None else upper_strict)):
            if bound is not None:
                gap = (x - bound) * sign
                inside = inside * indicator(gap > 0 if without else gap >= 0, x)
        return inside

    one_bound = {
        "0 at the lower bound": (lambda v, y, x: v * within(x, True, upper_strict=False),),
        "0 at the upper bound": (lambda v, y, x: v * within(x, False, upper_strict=True),),
    }

    ends = [bound for bound in bounds if np.isfinite(bound)] or [0.0]
    middle = float(np.mean(ends))
    return by_element(
        "clamp",
        "min(max(x, min), max)",
        "torch.clamp",
        ("input",),
        value,
        (lambda v, y, x: v * within(x, False),),
        ((np.array([middle - 1.25, middle + 0.0625, middle + 1.5]),),),
        switches=lambda x: tuple(x - bound for bound in bounds),
        conventions={
            "0 at the bounds": (lambda v, y, x: v * within(x, True),),
            "the mean of both slopes": (lambda v, y, x: v * ((within(x, True) + within(x, False)) / 2),),
        }
        | (one_bound if len(bounds) == 2 else {}),
        mistakes={"the gradient let through outside the bounds": (lambda v, y, x: v,)},
        parameters={"min": min, "max": max},
    )


def _larger(a: Array, b: Array, y: Array) -> Array:
    """What part of a gradient the first gets if the larger one takes it, both a half where they are equal.

    In the arithmetic of y, the result: one of the two may be a constant.
    """
    return (indicator(a > b, y) + indicator(a >= b, y)) / 2


def _extremum(
    name: str, formula: str, value: Callable[..., Array], share: Callable[[Array, Array, Array], Array]
) -> Operation:
    """Of two arrays; share is what the first gets."""

    def to_first(which: Callable[[Array], Array]) -> tuple[Callable[..., Array], Callable[..., Array]]:
        return (
            lambda v, y, a, b: v * which(share(a, b, y)),
            lambda v, y, a, b: v * (1 - which(share(a, b, y))),
        )

    return by_element(
        name,
        formula,
        f"torch.{name}",
        ("input", "other"),
        value,
        to_first(lambda s: s),
        PAIR,
        switches=lambda a, b: (a - b,),
        conventions={
            "all to the first of two equal ones": to_first(lambda s: indicator(s > 0, s)),
            "all to the second of two equal ones": to_first(lambda s: indicator(s > 0.5, s)),
        },
        mistakes={
            "the gradient handed to the other one": to_first(lambda s: 1 - s),
            "the gradient handed to both": (lambda v, y, a, b: v + zero(y), lambda v, y, a, b: v + zero(y)),
        },
    )


@recorded
def maximum() -> Operation:
    """The larger of two; equal ones share the gradient evenly."""
    return _extremum("maximum", "max(a, b)", np.maximum, _larger)


@recorded
def minimum() -> Operation:
    """The smaller of two; equal ones share the gradient evenly."""
    return _extremum("minimum", "min(a, b)", np.minimum, lambda a, b, y: _larger(b, a, y))


@recorded
def where() -> Operation:
    """A where the condition holds, B elsewhere."""
    return by_element(
        "where",
        "a if condition else b",
        "torch.where",
        ("condition", "input", "other"),
        np.where,
        (
            None,
            lambda v, y, c, a, b: np.where(c, v, zero(v)),
            lambda v, y, c, a, b: np.where(c, zero(v), v),
        ),
        (
            (np.array([True, False, True]), probe(3), probe(1, start=6)),
            (np.array([[True], [False], [True]]), probe(3, 3), probe(3, start=6)),
        ),
        mistakes={
            "the two branches exchanged": (
                None,
                lambda v, y, c, a, b: np.where(c, zero(v), v),
                lambda v, y, c, a, b: np.where(c, v, zero(v)),
            ),
            "the condition not applied": (None, lambda v, y, c, a, b: v, lambda v, y, c, a, b: v),
        },
    )


@recorded
def masked_fill(value: float) -> Operation:
    """The value where the mask holds, x elsewhere; it may be infinite."""
    if not _is_number(value):
        raise ValueError(f"masked_fill: value must be a number, got {value!r}")
    return by_element(
        "masked_fill",
        "value if mask else x",
        "torch.Tensor.masked_fill",
        ("input", "mask"),
        lambda x, mask: np.where(mask, parameter(np.asarray(value), x), x),
        (lambda v, y, x, mask: np.where(mask, zero(v), v), None),
        ((probe(2, 2), np.array([[True, False], [False, False]])),),
        parameters={"value": value},
        mistakes={"the mask not applied": (lambda v, y, x, mask: v, None)},
    )


def _by_channel(weight: Array, x: Array) -> Array:
    """The weights (C,) or (1,) along axis 1 of x.

    Raises:
        ValueError: their number is neither 1 nor that of the channels.
    """
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ValueError(f"prelu: weight: expected shape (1,) or ({channels},), got {weight.shape}")
    axes = (weight.size, *(1,) * (x.ndim - 2)) if x.ndim > 1 else (weight.size,) if x.ndim else ()
    return weight.reshape(axes)


@recorded
def prelu() -> Operation:
    """x where it is positive, elsewhere w·x, w one number or one a channel (axis 1); at 0 the slope is w."""

    def value(x: Array, weight: Array) -> Array:
        return np.where(is_negative(x), _by_channel(weight, x) * x, x)

    def slope(x: Array, weight: Array, at_zero: float | None = None) -> Array:
        left = np.where(x > 0, 1, _by_channel(weight, x))
        return left if at_zero is None else np.where(x == 0, at_zero + (1 - at_zero) * left, left)

    return _prelu_row(value, slope)


def _prelu_row(value: Callable[[Array, Array], Array], slope: Callable[..., Array]) -> Operation:
    def to_weight(v: Array, x: Array) -> Array:
        return v * np.where(x > 0, zero(x), x)

    def pullback(inputs: tuple[Array, ...], y: Array, d: Array) -> tuple[Array, Array]:
        x, weight = inputs
        each = to_weight(d, x)
        axes = tuple(k for k in range(x.ndim) if k != 1 or weight.size == 1)
        return d * slope(x, weight), each.sum(axis=axes).reshape(weight.shape)

    def with_slope(at_zero: float) -> Callable[..., tuple[Array, Array]]:
        return lambda inputs, y, d: (d * slope(*inputs, at_zero), pullback(inputs, y, d)[1])

    def pushforward(inputs: tuple[Array, ...], y: Array, changes: tuple[Array | None, ...]) -> Array:
        (x, weight), (dx, dw) = inputs, changes
        total = zeros(y.shape, y)
        if dx is not None:
            total = total + dx * slope(x, weight)
        return total if dw is None else total + to_weight(_by_channel(dw, x), x)

    return Operation(
        "prelu",
        "x if x > 0 else w·x",
        "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, eq. 1",
        ("input", "weight"),
        value,
        pullback,
        pushforward,
        probes=((probe(2, 3, 2), probe(3, start=7)), (probe(3, 3), probe(3, start=7)), (probe(4), probe(1))),
        switches=lambda x, weight: (x,),
        conventions={"the slope from the right": with_slope(1.0), "the mean of both slopes": with_slope(0.5)},
        mistakes={
            "the weight's gradient summed along the wrong axis": lambda inputs, y, d: (
                pullback(inputs, y, d)[0],
                to_weight(d, inputs[0]).sum(axis=1)
                if d.ndim == 2 and d.shape[0] == d.shape[1] == inputs[1].size
                else pullback(inputs, y, d)[1],
            ),
            "the weight's gradient taken where x is positive too": lambda inputs, y, d: (
                pullback(inputs, y, d)[0],
                pullback(inputs, y, d)[1] + pullback((-inputs[0], inputs[1]), y, -d)[1],
            ),
        },
    )


MAKERS: tuple[Callable[..., Operation], ...] = (abs, clamp, maximum, minimum, where, masked_fill, prelu)
