"""What people get wrong in the passes of a norm, as variants of the customary formula.

d_x = (g − mean g − x̂·mean(g∘x̂))/√(var + ε),  g = d_y ∘ weight
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import parameter
from .norm import Norm, Triple, gathered, pullback, scaled

Value = Callable[[Array, "Array | None", "Array | None"], Array]
"""(x, weight, bias) ↦ y."""
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
        "sum_for_mean_in_the_projection": _variant(n, summed=True),
        "weight_left_out_of_the_projection": _variant(n, weight="outside"),
        "weight_gradient_of_x_as_it_is": partial(_of_x, n),
        "weight_left_out": _variant(n, weight=""),
        "weight_after_the_reduction": _variant(n, weight="after"),
        "statistics_along_the_wrong_axis": _variant(n, axis=0),
        "weight_gradient_of_the_last_row": partial(_last_row, n),
        "mean_of_the_bias_gradient": partial(_mean_bias, n),
        "division_by_the_root_left_out": _variant(n, divisions=0),
        "division_by_the_root_twice": _variant(n, divisions=2),
    }
    if one_weight:
        del found["weight_after_the_reduction"]
    if n.centre:
        found["mean_term_left_out"] = _variant(n, mean=False)
        found["statistics_taken_as_constants"] = _variant(n, mean=False, projection=False)
        found["weight_gradient_of_x_less_its_mean"] = partial(_of_x, n, centred=True)
        found["n_minus_1_for_n"] = _variant(n, fewer=1)
    else:
        del found["mean_of_the_bias_gradient"]
    if n.eps:
        found["epsilon_outside_the_root"] = _variant(n, outside=True)
        found["epsilon_left_out"] = _variant(n, without=True)
    return found


def other_norms(n: Norm) -> dict[str, tuple[Value, Variant]]:
    """Other functions that are computed in a norm's place: value and pullback, by the mistakes' names.

    Who writes the backward pass by hand takes the customary formula with the root that the forward pass kept.
    """
    found: dict[str, tuple[Value, Variant]] = {}
    if n.centre:
        fewer = _value(n, fewer=1)
        found["n_minus_1_for_n"] = fewer, _variant(n, fewer=1)
        found["n_minus_1_for_n, the rest of the formula as it is"] = fewer, _variant(n, fewer=1, fewer_of_g=0)
        found["mean_not_subtracted"] = _value(n, uncentred=True), _variant(n, uncentred=True, mean=False)
    if n.eps:
        outside = _value(n, outside=True)
        found["epsilon_outside_the_root"] = outside, _variant(n, outside=True, through_root=True)
        found["epsilon_outside_the_root, the rest of the formula as it is"] = outside, _variant(n, outside=True)
        found["epsilon_left_out"] = _value(n, without=True), _variant(n, without=True)
    return found


def losing_norms(n: Norm) -> dict[str, tuple[Value, Variant]]:
    """Formulas of the same norm that lose digits, by what they do; of the variance, log10(1 + mean²/var).

    Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance, eq. 1.1: one pass over the numbers, as in
    flax's LayerNorm (use_fast_variance).
    """
    if not n.centre:
        return {}
    what = "the variance as mean x² − (mean x)²; subtract the mean before squaring"
    return {what: (_value(n, of_squares=True), _variant(n, of_squares=True))}


def _parts(
    n: Norm,
    rows: Array,
    *,
    fewer: int = 0,
    outside: bool = False,
    without: bool = False,
    uncentred: bool = False,
    of_squares: bool = False,
) -> tuple[Array, Array, Array]:
    """X̂ (R, n), what it was divided by, and √(var + what stands in the root), both (R, 1).

    Args:
        n: the norm.
        rows: x, (R, n).
        fewer: how many fewer than n the variance is divided by.
        outside: √var + ε for √(var + ε).
        without: √var for √(var + ε).
        uncentred: whether the mean stays.
        of_squares: whether the variance is the mean of the squares less the square of the mean.
    """
    count = rows.shape[-1]
    mean = rows.sum(axis=-1, keepdims=True) / count
    d = rows - mean if n.centre and not uncentred else rows
    squares = rows * rows if of_squares else d * d
    var = squares.sum(axis=-1, keepdims=True) / max(count - fewer, 1)
    var = var - mean * mean if of_squares else var
    eps = parameter(n.eps, rows)
    inner = np.sqrt(var if outside or without else var + eps)
    root = inner + eps if outside else inner
    return d / root, root, inner


def _value(n: Norm, **other: Any) -> Value:
    """The value with something else in it; see `_parts`."""

    def value(x: Array, weight: Array | None, bias: Array | None) -> Array:
        return scaled(n, n.unrow(_parts(n, n.rows(x), **other)[0], x.shape), weight, bias)

    return value


def _variant(
    n: Norm,
    *,
    mean: bool = True,
    projection: bool = True,
    weight: str = "before",
    axis: int = -1,
    fewer: int = 0,
    fewer_of_g: int | None = None,
    summed: bool = False,
    through_root: bool = False,
    divisions: int = 1,
    **other: Any,
) -> Variant:
    """The customary formula with something wrong.

    Args:
        n: the norm.
        mean: the term mean g.
        projection: the term x̂·mean(g∘x̂).
        weight: where d_y is multiplied by it: "before" the means; "after" them, d_x times the weight; "outside" the
            projection alone; "" nowhere.
        axis: of the rows, that the means of g are taken along.
        fewer: how many fewer than n the variance is divided by.
        fewer_of_g: the same of mean(g∘x̂); as of the variance if not given.
        summed: whether mean(g∘x̂) is the sum.
        through_root: whether the projection counts what ε does outside the root.
        divisions: how often d_x is divided by √(var + ε).
        other: see `_parts`.
    """
    less = fewer if fewer_of_g is None else fewer_of_g

    def gradients(x: Array, w: Array | None, bias: Array | None, d_y: Array) -> Triple:
        rows = n.rows(x)
        normal, root, inner = _parts(n, rows, fewer=fewer, **other)
        g = n.rows(scaled(n, d_y, w if weight in ("before", "outside") else None, None))
        total = g
        if n.centre and mean:
            total = total - g.sum(axis=axis, keepdims=True) / g.shape[axis]
        if projection:
            projected = n.rows(d_y) if weight == "outside" else g
            count = 1 if summed else max(g.shape[axis] - less, 1)
            along = normal * (projected * normal).sum(axis=axis, keepdims=True) / count
            total = total - (along * (root / inner) if through_root else along)
        for _ in range(divisions):
            total = total / root
        d_x = n.unrow(total, x.shape)
        if weight == "after":
            d_x = scaled(n, d_x, w, None)
        d_weight = None if w is None else gathered(n, d_y * n.unrow(normal, x.shape), w)
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


def _of_x(n: Norm, x: Array, weight: Array | None, bias: Array | None, d_y: Array, *, centred: bool = False) -> Triple:
    """The gradient of the weight of d_y∘x, or of d_y∘(x − mean), not d_y∘x̂."""
    d_x, d_weight, d_bias = pullback(n, x, weight, bias, d_y)
    if weight is None:
        return d_x, d_weight, d_bias
    rows = n.rows(x)
    seen = n.unrow(rows - rows.sum(axis=-1, keepdims=True) / rows.shape[-1], x.shape) if centred else x
    return d_x, gathered(n, d_y * seen, weight), d_bias


def _mean_bias(n: Norm, x: Array, weight: Array | None, bias: Array | None, d_y: Array) -> Triple:
    d_x, d_weight, d_bias = pullback(n, x, weight, bias, d_y)
    return d_x, d_weight, None if d_bias is None else d_bias * (d_bias.size / d_y.size)
