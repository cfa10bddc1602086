"""Vectors divided by their p-norm: x/max(‖x‖ₚ, ε) along an axis. Derived in the README of this room, "Norms"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import indicator, largest, magnitude, parameter, two_sum
from ..functions.recipe import recorded
from .probe import probe
from .row import Inputs, Operation


def _total(z: Array) -> Array:
    return z.sum(axis=-1, keepdims=True)


def _parts(x: Array, p: float, eps: float) -> tuple[Array, Array, Array, Array]:
    """Along the last axis: t = x/s, s = max(|x|, ε), ‖t‖ₚ, and the larger one of it and ε/s."""
    least = parameter(eps, x)
    _, peak = largest(magnitude(x))
    scale = np.where(peak > least, peak, least)
    t = x / scale
    if p == np.inf:
        length = largest_of(t)
    elif p == 1:
        length = _total(magnitude(t))
    elif p == 2:
        length = np.sqrt(_total(t * t))
    else:
        length = np.power(_total(np.power(magnitude(t), p)), 1 / p)
    return t, scale, length, np.where(length < least / scale, least / scale, length)


def largest_of(t: Array) -> Array:
    """The largest magnitude along the last axis, the axis kept, with its derivative."""
    size = magnitude(t)
    mask, _ = largest(size)
    return _total(np.where(mask, size, size * 0))


def _slope(t: Array, length: Array, p: float, first: bool) -> Array:
    """∂‖t‖ₚ/∂t: sign(t)·(|t|/‖t‖ₚ)^(p − 1); for p = ∞ the sign of the largest, shared where several tie."""
    if p == 2:
        return t / length
    sign = indicator(t > 0, t) - indicator(t < 0, t)
    if p == 1:
        return sign
    size = magnitude(t)
    if p < np.inf:
        return sign * np.power(size / length, p - 1)
    if first:
        return sign * indicator(largest(size)[0], t)
    top = indicator(size >= size.max(axis=-1, keepdims=True), t)
    return sign * (top / _total(top))


def _product(
    x: Array, d: Array, p: float, eps: float, *, back: bool, first: bool = False, project: bool = True
) -> Array:
    """The Jacobian's transpose (back) or the Jacobian of x/max(‖x‖ₚ, ε) times d, along the last axis.

    (d − slope·Σ d∘t/‖t‖)/‖x‖ back, (d − t·Σ slope∘d/‖t‖)/‖x‖ forward; d/ε where the norm is below ε.
    """
    t, scale, length, divisor = _parts(x, p, eps)
    if not project:
        return d / scale / divisor
    slope, unit = _slope(t, divisor, p, first), t / divisor
    out, along = (slope, unit) if back else (unit, slope)
    rest = d
    # Twice, for what rounding leaves along the direction may be as large as all the rest.
    for _ in range(2):
        rest = rest - out * _total(along * rest)
    passed = np.where(length < parameter(eps, x) / scale, d, rest)
    return passed / scale / divisor


def _bounds(x: Array, p: float, eps: float) -> tuple[Array, ...]:
    """What passes 0 where the formula changes: ‖x‖ − ε; x for p = 1; the lead of the largest for p = ∞."""
    _, scale, length, _ = _parts(x, p, eps)
    found: tuple[Array, ...] = (two_sum(length * scale, -parameter(eps, x))[0],)
    if p == 1:
        found = (*found, x)
    if p == np.inf and x.shape[-1] > 1:
        size = magnitude(x)
        mask, top = largest(size)
        found = (*found, top - largest(np.where(mask, size * 0, size))[1])
    return found


@recorded
def normalize(p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Operation:
    """x/max(‖x‖ₚ, ε) along an axis.

    Args:
        p: from 1 to ∞.
        dim: the axis.
        eps: ε; where the norm is below it, x/ε. At the bound itself the gradient goes through the norm, as torch's.

    >>> normalize().value(np.array([[3e200, 4e200]]))
    array([[0.6, 0.8]])
    """
    if not 1 <= p <= np.inf:
        raise ValueError(f"normalize: expected p ≥ 1 (below, it is no norm), got {p}")
    if not 0 <= eps < np.inf:
        raise ValueError(f"normalize: expected a finite eps ≥ 0, got {eps}")

    def along(f: Callable[..., Array], *arrays: Array) -> Array:
        if not -arrays[0].ndim <= dim < arrays[0].ndim or not arrays[0].shape[dim]:
            raise ValueError(f"normalize: x: expected an axis {dim} that is not empty, got shape {arrays[0].shape}")
        return f(*(a.swapaxes(dim, -1) for a in arrays)).swapaxes(dim, -1)

    def value(x: Array) -> Array:
        t, _, _, divisor = _parts(x, p, eps)
        return t / divisor

    def back(**options: bool) -> Callable[[Inputs, Array, Array], tuple[Array]]:
        def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array]:
            return (along(lambda x, d: _product(x, d, p, eps, back=True, **options), inputs[0], d_y),)

        return pullback

    def size(x: Array, d: Array) -> Array:
        _, scale, _, divisor = _parts(x, p, eps)
        d = np.abs(d)
        return (d + _total(d)) / scale / divisor

    axes = max(2, dim + 1 if dim >= 0 else -dim)
    shape = tuple(3 if axis == dim % axes else 2 for axis in range(axes))
    return Operation(
        "normalize",
        "x/max(‖x‖ₚ, ε)",
        "torch.nn.functional.normalize",
        ("x",),
        lambda x: along(value, x),
        back(),
        lambda inputs, y, changes: along(lambda x, dx: _product(x, dx, p, eps, back=False), inputs[0], changes[0]),
        probes=((probe(*shape) * (1 + 4 * eps),),),
        switches=lambda x: tuple(b.swapaxes(dim, -1) for b in _bounds(x.swapaxes(dim, -1), p, eps)),
        conventions={"the first of the largest alone": back(first=True)} if p == np.inf else {},
        mistakes={"projection_left_out": back(project=False)},
        parameters={"p": p, "dim": dim, "eps": eps},
        textbook_pullback=lambda inputs, y, d_y: (along(size, inputs[0], d_y),),
    )


MAKERS: tuple[Callable[..., Operation], ...] = (normalize,)
