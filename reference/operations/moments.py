"""Variance, standard deviation and norms along any axes, of numbers of any size and however close to each other.

Shapes in this file: z (…, M), the reduced axes as one at the end; y and d_y (…, 1).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isinf

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import indicator, magnitude, parameter
from ..functions.basics import zero
from ..functions.parameters import check_number
from ..functions.powers import power
from ..functions.recipe import recorded
from .along_axes import Dim, RowPullback, power_of_two_near, reduction
from .reductions import extremum
from .row import Operation


def _total(z: Array) -> Array:
    return z.sum(axis=-1, keepdims=True)


def deviations(z: Array) -> Array:
    """z less its mean (…, M), taken twice: what the rounded mean is off, the mean of what is left gives.

    >>> deviations(np.array([1e16, 1e16 + 2.0, 1e16 + 4.0]))
    array([-2.,  0.,  2.])
    """
    rough = z - _total(z) / z.shape[-1]
    return rough - _total(rough) / z.shape[-1]


def root_of_squares(z: Array) -> Array:
    """√Σ z² (…, 1), without squares that over- or underflow.

    >>> root_of_squares(np.array([3e200, 4e200]))
    array([5.e+200])
    """
    scale = power_of_two_near(z)
    small = z / scale
    return np.sqrt(_total(small * small)) * scale


def unit(z: Array) -> Array:
    """z/√Σ z² (…, M), 0 where all are 0: without the root that may be subnormal.

    >>> unit(np.array([3e-320, 4e-320])).round(3)
    array([0.6, 0.8])
    """
    small = z / power_of_two_near(z)
    return small / _safe(np.sqrt(_total(small * small)))


def _safe(y: Array) -> Array:
    """y, and 1 where it is 0: what is divided by it there is 0."""
    return np.where(y == 0, 1, y)


def _degrees(name: str, z: Array, correction: float) -> float:
    """N − correction.

    Raises:
        ValueError: it is not positive: there is no variance of so few numbers.
    """
    count = z.shape[-1] - correction
    if not count > 0:
        raise ValueError(f"{name}: input: expected more than {correction} numbers along the axes, got {z.shape[-1]}")
    return count


def _other_count(z: Array, correction: float) -> float:
    """N where N − 1 is asked for, N − 1 (1 at least) where it is not."""
    return float(z.shape[-1] if correction else np.maximum(z.shape[-1] - 1, 1))


def _mean_size(z: Array) -> Array:
    return magnitude(_total(z)) / z.shape[-1]


@recorded
def var(dim: Dim = None, correction: float = 1, keepdim: bool = False) -> Operation:
    """Σ(x − x̄)²/(N − correction) along axes.

    d_x = 2d(x − x̄)/(N − correction): the mean's own derivative drops out, for Σ(x − x̄) = 0.
    """
    check_number("var", "correction", correction)

    def value(z: Array) -> Array:
        r = deviations(z)
        scale = power_of_two_near(r)
        small = r / scale
        return ((_total(small * small) / _degrees("var", z, correction)) * scale) * scale

    def weights(z: Array) -> Array:
        return 2 * deviations(z) / _degrees("var", z, correction)

    return reduction(
        "var",
        "Σᵢ (xᵢ − x̄)²/(N − correction)",
        "Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance, eq. 1.7",
        value,
        lambda z, y, d: d * weights(z),
        lambda z, y, dz: _total(weights(z) * dz),
        dim,
        keepdim,
        {"dim": dim, "correction": correction, "keepdim": keepdim},
        mistakes={
            "N for N − 1": lambda z, y, d: d * (2 * deviations(z) / _other_count(z, correction)),
            "the factor 2 left out": lambda z, y, d: d * (weights(z) / 2),
            "the mean not subtracted": lambda z, y, d: d * (2 * z / _degrees("var", z, correction)),
        },
        textbook_value=lambda z, y: 2 * _mean_size(z) * _total(magnitude(weights(z))),
        textbook_pullback=lambda z, y: 2 * (_mean_size(z) + magnitude(z)) / _degrees("var", z, correction),
    )


@recorded
def std(dim: Dim = None, correction: float = 1, keepdim: bool = False) -> Operation:
    """√var along axes; the gradient is d(x − x̄)/((N − correction)·std), and 0 where all are equal (torch's)."""
    check_number("std", "correction", correction)

    def value(z: Array) -> Array:
        count = parameter(np.asarray(_degrees("std", z, correction)), z)
        return root_of_squares(deviations(z)) / np.sqrt(count)

    def weights(z: Array, y: Array) -> Array:
        count = parameter(np.asarray(_degrees("std", z, correction)), z)
        return unit(deviations(z)) / np.sqrt(count)

    def sizes(z: Array, y: Array) -> Array:
        ratio = (_mean_size(z) + magnitude(z)) / _safe(y)
        return ratio * (1 + magnitude(deviations(z) / _safe(y))) / _degrees("std", z, correction)

    return reduction(
        "std",
        "√(Σᵢ (xᵢ − x̄)²/(N − correction))",
        "Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance, eq. 1.7",
        value,
        lambda z, y, d: d * weights(z, y),
        lambda z, y, dz: _total(weights(z, y) * dz),
        dim,
        keepdim,
        {"dim": dim, "correction": correction, "keepdim": keepdim},
        switches=lambda z: (y_of_std(z),),
        mistakes={
            "the division by std left out": lambda z, y, d: d * (deviations(z) / _degrees("std", z, correction)),
            "N for N − 1": lambda z, y, d: d * ((deviations(z) / _safe(y)) / _other_count(z, correction)),
            "the mean not subtracted": lambda z, y, d: d * ((z / _safe(y)) / _degrees("std", z, correction)),
        },
        textbook_value=lambda z, y: _mean_size(z),
        textbook_pullback=sizes,
    )


def y_of_std(z: Array) -> Array:
    """What is 0 where all numbers are equal."""
    return root_of_squares(deviations(z))


def _sign(z: Array) -> Array:
    return indicator(z > 0, z) - indicator(z < 0, z)


@recorded
def vector_norm(ord: float = 2, dim: Dim = None, keepdim: bool = False) -> Operation:
    """(Σ|x|^ord)^(1/ord) along axes, max|x| for ∞ and min|x| for −∞; the gradient is 0 where the norm or x is 0.

    Raises:
        ValueError: ord is neither positive nor −∞.
    """
    if not isinstance(ord, int | float) or not (ord > 0 or ord == -inf):
        raise ValueError(f"vector_norm: ord must be positive or -inf, got {ord!r}")
    parameters: dict[str, object] = {"ord": ord, "dim": dim, "keepdim": keepdim}
    if isinf(ord):
        return _extreme_norm(ord, dim, keepdim, parameters)
    value, weights = {1.0: (_sum_of_sizes, _of_size), 2.0: (root_of_squares, _of_root)}.get(float(ord), _general(ord))
    at_zero: dict[str, RowPullback] = {
        f"the slope {side} where x is 0": _with_slope(weights, slope) for side, slope in (("1", 1.0), ("-1", -1.0))
    }
    mistakes: dict[str, RowPullback] = {"the sign left out": lambda z, y, d: d * magnitude(weights(z, y))}
    if ord == 2:
        mistakes |= {
            "the division by the norm left out": lambda z, y, d: d * z,
            "the gradient of the norm's square": lambda z, y, d: 2 * d * z,
        }
    return reduction(
        "vector_norm",
        "(Σᵢ |xᵢ|^p)^(1/p)",
        "torch.linalg.vector_norm; for p = 2, Blue 1978, A portable Fortran program to find the Euclidean norm",
        value,
        lambda z, y, d: d * weights(z, y),
        lambda z, y, dz: _total(weights(z, y) * dz),
        dim,
        keepdim,
        parameters,
        switches=(lambda z: (z,)) if ord <= 1 else (lambda z: (value(z),)),
        conventions=at_zero if ord == 1 else {},
        mistakes=mistakes,
    )


Weights = Callable[[Array, Array], Array]


def _with_slope(weights: Weights, slope: float) -> RowPullback:
    return lambda z, y, d: d * np.where(z == 0, slope, weights(z, y))


def _sum_of_sizes(z: Array) -> Array:
    return _total(magnitude(z))


def _of_size(z: Array, y: Array) -> Array:
    return _sign(z)


def _of_root(z: Array, y: Array) -> Array:
    return unit(z)


def _general(p: float) -> tuple[Callable[[Array], Array], Weights]:
    """The norm of order p and its derivative sign(z)(|z|/y)^(p − 1)."""

    def parts(z: Array) -> tuple[Array, Array, Array]:
        """|z|/scale (…, M), its norm and the scale (…, 1)."""
        scale = power_of_two_near(z)
        small = magnitude(z) / scale
        return small, np.power(_total(power(small, p)), 1 / parameter(np.asarray(p), z)), scale

    def value(z: Array) -> Array:
        _, length, scale = parts(z)
        return length * scale

    def weights(z: Array, y: Array) -> Array:
        nothing = z == 0
        small, length, _ = parts(z)
        ratio = np.where(nothing, 1, small / _safe(length))
        return np.where(nothing, zero(z), _sign(z) * power(ratio, p, 1))

    return value, weights


def _extreme_norm(ord: float, dim: Dim, keepdim: bool, parameters: dict[str, object]) -> Operation:
    if ord > 0:
        return extremum(
            "vector_norm", "maxᵢ |xᵢ|", magnitude, _sign,
            lambda z: magnitude(z).max(axis=-1, keepdims=True), dim, keepdim, parameters,
        )  # fmt: skip
    return extremum(
        "vector_norm", "minᵢ |xᵢ|", lambda z: -magnitude(z), _sign,
        lambda z: magnitude(z).min(axis=-1, keepdims=True), dim, keepdim, parameters,
    )  # fmt: skip


MAKERS: tuple[Callable[..., Operation], ...] = (var, std, vector_norm)
