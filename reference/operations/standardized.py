"""Rows divided by their root mean square, with or without their mean taken away first: what every norm is made of.

Derived in the README of this room, "Norms". R rows, n numbers each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array, Term
from ..arithmetic.constants import Constant
from ..arithmetic.dispatch import constant, has_room, indicator, larger, magnitude, peak, two_sum
from ..functions.elementwise import rowwise


@cache
def root_of(eps: float | Fraction) -> Constant:
    """√ε, in every arithmetic to its own precision: a type that cannot hold ε may hold its root.

    >>> float(root_of(0.25).exact)
    0.5
    """
    exact, enough = Fraction(eps), Context(prec=60)
    digits = enough.sqrt(enough.divide(Decimal(exact.numerator), Decimal(exact.denominator)))
    return Constant(f"{digits:e}", lambda make, pi: np.sqrt(make(exact)))


def mean(z: Array) -> Array:
    """The mean of each row, (R, 1); no sum of numbers that the type holds overflows."""
    if has_room(z):
        return z.sum(axis=-1, keepdims=True) / z.shape[-1]
    return (z / z.shape[-1]).sum(axis=-1, keepdims=True)


def centred(z: Array) -> Array:
    """Each row without its mean, (R, n): twice, for the first mean is off by u·|mean|, however near the numbers."""
    d, lost = two_sum(z, -mean(z))
    d, lost_again = two_sum(d, -mean(d + lost))
    return d + (lost_again + lost)


@dataclass(frozen=True, eq=False, slots=True)
class Standardized:
    """Rows of x, (R, n), in the units of each row's own scale.

    Attributes:
        centred: whether the mean was taken away.
        t: d/scale, d = x or x without its mean, (R, n); no element above 1 in magnitude.
        scale: max(|d|, √ε), real, (R, 1).
        wide: 1 where the scale is |d|, else 0, (R, 1).
        square: the mean of t², (R, 1).
        eps: ε/scale², (R, 1).
    """

    centred: bool
    t: Array
    scale: Array
    wide: Array
    square: Array
    eps: Array

    @property
    def root(self) -> Array:
        """√(mean d² + ε)/scale, (R, 1): between √(1/n) and √2."""
        return np.sqrt(self.square + self.eps)

    @property
    def values(self) -> Array:
        """d/√(mean d² + ε), (R, n)."""
        return self.t / self.root

    def product(self, g: Array) -> Array:
        """The Jacobian of `values` times g, (R, n). It is symmetric: the pullback, and the pushforward.

        With the mean of g taken away, J g = (g − t·mean(g∘t)/v)/(scale·√v), v = mean t² + e. What g has along t is
        nearly lost where mean t² ≫ e, the share e/v of it is left; so it is split off first, g = h + b·t.
        """
        return cast(Array, _product(self.centred)(g, self.t, self.scale, self.wide, self.square, self.eps))


@cache
def _product(centre: bool) -> Callable[..., Any]:
    """See `Standardized.product`."""

    @rowwise
    def product(g: Array, t: Array, scale: Array, wide: Array, square: Array, eps: Array) -> Array:
        keep = wide * eps
        own = square + (eps - keep)
        if centre:
            g = centred(g)
        b = mean(g * t) / own
        h = g - b * t
        if centre:
            h = h - mean(h)
        # Once more: what rounding left of t and of the mean in h is as large as all the rest may be.
        c = wide * (mean(h * t) / own)
        h = h - c * t
        total = square + eps
        return (h + t * ((b + c) * (keep / total))) / scale / np.sqrt(total)

    return product


def standardized(x: Array, eps: Constant | None, *, centre: bool) -> Standardized:
    """The rows of x, (R, n), standardised.

    Args:
        x: rows.
        eps: √ε; None for ε = 0.
        centre: whether to take the mean away.

    >>> standardized(np.array([[1.0, 3.0]]), None, centre=True).values
    array([[-1.,  1.]])
    >>> standardized(np.array([[3e200, 4e200]]), None, centre=False).values ** 2
    array([[0.72, 1.28]])
    """
    return Standardized(centre, *_parts(eps, centre)(x))


@cache
def _parts(eps: Constant | None, centre: bool) -> Callable[..., Any]:
    """See `standardized`: t, scale, wide, the mean of t² and e."""

    @rowwise
    def parts(x: Array) -> tuple[Array, ...]:
        d = centred(x) if centre else x
        root: Term = 0.0 if eps is None else constant(eps, x)
        # Either will do, and no rounding of one run may take the other one: its t would be larger by |d|/root.
        wide, scale = larger(peak(magnitude(d)), root)
        t = d / scale
        e = root / scale
        return t, scale, indicator(wide, x), mean(t * t), e * e

    return parts
