"""What people get wrong in the backward pass of a norm, as variants of the customary formula.

d_x = (g − mean g − x̂·mean(g∘x̂))/√(var + ε),  g = d_y ∘ weight
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import parameter
from .norm import Norm, Triple, gathered, pullback, scaled

Variant = Callable[[Array, "Array | None", "Array | None", Array], Triple]
"""(x, weight, bias, d_y) ↦ the three gradients."""


def norm_mistakes(n: Norm, *, one_weight: bool = False) -> dict[str, Variant]:
    """Every mistake by its name; those that make no difference for this norm are left out.

    Args:
        n: the norm.
        one_weight: whether all numbers of a row have the same weight, which may then come before the means or after.
    """
    found: dict[str, Variant] = {
        "projection_left_out": _variant(n, projection=False),
        "weight_after_the_reduction": _variant(n, weight_late=True),
        "statistics_along_the_wrong_axis": _variant(n, axis=0),
        "weight_gradient_of_the_last_row": partial(_last_row, n),
        "mean_of_the_bias_gradient": partial(_mean_bias, n),
    }
    if one_weight:
        del found["weight_after_the_reduction"]
    if n.centre:
        found["mean_term_left_out"] = _variant(n, mean=False)
        found["n_minus_1_for_n"] = _variant(n, fewer=1)
    else:
        del found["mean_of_the_bias_gradient"]
    if n.eps:
        found["epsilon_outside_the_root"] = _variant(n, outside=True)
        found["epsilon_left_out"] = _variant(n, without=True)
    return found


def _variant(
    n: Norm,
    *,
    mean: bool = True,
    projection: bool = True,
    weight_late: bool = False,
    axis: int = -1,
    fewer: int = 0,
    outside: bool = False,
    without: bool = False,
) -> Variant:
    """The customary formula with something wrong.

    Args:
        n: the norm.
        mean: the term mean g.
        projection: the term x̂·mean(g∘x̂).
        weight_late: d_x of d_y alone, times the weight in the end.
        axis: of the rows, that the means of g are taken along.
        fewer: how many fewer than n the variance is divided by.
        outside: √var + ε for √(var + ε).
        without: √var for √(var + ε).
    """

    def gradients(x: Array, weight: Array | None, bias: Array | None, d_y: Array) -> Triple:
        rows = n.rows(x)
        count = rows.shape[-1]
        d = rows - rows.sum(axis=-1, keepdims=True) / count if n.centre else rows
        var = (d * d).sum(axis=-1, keepdims=True) / max(count - fewer, 1)
        eps = parameter(n.eps, x)
        root = np.sqrt(var) + eps if outside else np.sqrt(var if without else var + eps)
        normal = d / root
        g = n.rows(d_y if weight_late else scaled(n, d_y, weight, None))
        total = g
        if n.centre and mean:
            total = total - g.sum(axis=axis, keepdims=True) / g.shape[axis]
        if projection:
            divisor = max(g.shape[axis] - fewer, 1)
            total = total - normal * (g * normal).sum(axis=axis, keepdims=True) / divisor
        d_x = n.unrow(total / root, x.shape)
        if weight_late:
            d_x = scaled(n, d_x, weight, None)
        d_weight = None if weight is None else gathered(n, d_y * n.unrow(normal, x.shape), weight)
        return d_x, d_weight, None if bias is None else gathered(n, d_y, bias)

    return gradients


def _last_row(n: Norm, x: Array, weight: Array | None, bias: Array | None, d_y: Array) -> Triple:
    """The sum for the weight taken over the last place of the leading axes alone."""
    d_x, d_weight, d_bias = pullback(n, x, weight, bias, d_y)
    if weight is not None:
        leading = x.ndim - n.view(weight, x.ndim).ndim
        last = np.zeros(x.shape, dtype=bool)
        last[(-1,) * leading] = True
        d_weight = pullback(n, x, weight, None, np.where(last, d_y, d_y * 0))[1]
    return d_x, d_weight, d_bias


def _mean_bias(n: Norm, x: Array, weight: Array | None, bias: Array | None, d_y: Array) -> Triple:
    d_x, d_weight, d_bias = pullback(n, x, weight, bias, d_y)
    return d_x, d_weight, None if d_bias is None else d_bias * (d_bias.size / d_y.size)
