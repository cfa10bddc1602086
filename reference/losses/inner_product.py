"""The inner product with a given cotangent: it makes a vector-Jacobian product of a network's output a loss."""

from __future__ import annotations

from ..arithmetic.array import Array
from ..arithmetic.dispatch import zeros
from ..functions.recipe import recorded
from .common import one
from .row import Loss


@recorded
def inner_product() -> Loss:
    """Σ t·y, whose gradient with respect to y is t: the target is the upstream gradient; mean divides by nothing."""
    return Loss(
        "inner_product",
        "t·y",
        "Griewank & Walther 2008, §3.2: adjoint vectors",
        "real",
        lambda y, t: y * t,
        _given,
        one,
    )


def _given(y: Array, t: Array) -> Array:
    """t, in the arithmetic of y."""
    return zeros(y.shape, y) + t
