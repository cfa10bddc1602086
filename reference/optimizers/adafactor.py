"""Adafactor: an optimiser that treats a weight matrix as a matrix, by its rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .hyperparameters import FINITE, numbers, require
from .optimizer import Optimizer, by_array, moved_towards, real_numbers, zeros_like


@recorded
def adafactor(
    lr: float = 1e-2,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
) -> Optimizer:
    """Adafactor: the second moment of a matrix kept as the means of its rows and of its columns.

    With β = 1 − t^τ, RMS(x) = √(mean of x²), ρ = min(η, 1/√t) and α = ρ·max(ε₂, RMS(θ)):

        R ← βR + (1 − β)·mean over columns of g²       C ← βC + (1 − β)·mean over rows of g²
        V = RC / max(mean of R, ε₁)                    (an array of one dimension: V ← βV + (1 − β)g²)
        U = g / √max(V, ε₁²)
        θ ← θ − ηλθ − α·U / max(1, RMS(U)/d)

    Shazeer & Stern 2018, algorithms 4 and 5, with relative step sizes. As in torch, means take the place of sums, ε₁ is
    applied at the end and not to g², η takes the place of 0.01 in ρ, and weights decay decoupled (Loshchilov & Hutter
    2019). An array of more than two dimensions is a stack of matrices. In the state, None stands in the slots that an
    array does not have.

    Args:
        lr: η.
        beta2_decay: τ.
        eps: (ε₁, ε₂); ε₁ None stands for the distance from 1 to the next number of the parameter's type.
        d: the largest RMS of an update.
        weight_decay: λ.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number, or, from `init`, an array is not of real floating numbers.
        ValueError: a hyperparameter is out of range.

    >>> opt = adafactor(lr=0.01)
    >>> params, state = [np.array([[3.0, 4.0]])], opt.init([np.array([[3.0, 4.0]])])
    >>> params, state = opt.update(params, [np.array([[0.5, -0.25]])], state)
    >>> params, state["row_var"], state["col_var"], state["variance"]
    ([array([[2.96464466, 4.03535534]])], (array([[0.15625]]),), (array([[0.25  , 0.0625]]),), (None,))
    """
    if not isinstance(eps, Sequence) or len(eps) != 2:
        raise TypeError(f"adafactor: eps must be a pair (number or None, number), got {eps!r}")
    lr, beta2_decay, d, weight_decay, floor, smallest_rms = numbers(lr, beta2_decay, d, weight_decay, *eps)
    require("adafactor", lr=(lr, 0.0, FINITE), beta2_decay=(beta2_decay, -FINITE, 0.0), d=(d, 1.0, np.inf),
            weight_decay=(weight_decay, 0.0, FINITE), eps2=(smallest_rms, 0.0, FINITE),
            eps1=(0.0 if floor is None else floor, 0.0, FINITE))  # fmt: skip

    def rule(p: Array, g: Array, slots: Mapping[str, Any], t: int) -> tuple[Array, dict[str, Any]]:
        g = -g if maximize else g
        tiny = np.finfo(p.dtype).eps if floor is None else floor
        fresh = t**beta2_decay
        alpha = min(lr, t**-0.5) * np.maximum(_rms(p), smallest_rms)
        if weight_decay:
            p = p * (1 - lr * weight_decay)
        if g.ndim > 1:
            rows = moved_towards(slots["row_var"], _mean_square(g, -1), fresh)
            columns = moved_towards(slots["col_var"], _mean_square(g, -2), fresh)
            kept = {"row_var": rows, "col_var": columns, "variance": None}
            variance = rows * columns / np.maximum(rows.sum(axis=-2, keepdims=True) / g.shape[-2], tiny)
        else:
            variance = moved_towards(slots["variance"], g * g, fresh)
            kept = {"row_var": None, "col_var": None, "variance": variance}
        update = g / np.sqrt(np.maximum(variance, tiny * tiny))
        return p - alpha / np.maximum(_rms(update, d), 1.0) * update, kept

    def slots(p: Array) -> dict[str, Any]:
        zero = zeros_like(real_numbers("adafactor", p))
        if p.ndim < 2:
            return {"row_var": None, "col_var": None, "variance": zero}
        rows, columns = (zero.sum(axis=axis, keepdims=True) for axis in (-1, -2))
        return {"row_var": rows, "col_var": columns, "variance": None}

    return by_array(
        "adafactor",
        "U = g/√(RC/mean R); θ ← θ − ηλθ − min(η, 1/√t)·max(ε₂, RMS(θ))·U/max(1, RMS(U)/d)",
        "Shazeer & Stern 2018",
        {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "maximize": maximize},
        slots,
        rule,
    )


def _mean_square(g: Array, axis: int) -> Array:
    """The mean of g² along an axis, in torch's order: the square of a norm."""
    norm = np.sqrt((g * g).sum(axis=axis, keepdims=True))
    return norm * norm / g.shape[axis]


def _rms(x: Array, unit: float = 1.0) -> Array:
    """√(mean of x²)/unit, in torch's order: a norm over √n·unit."""
    return np.sqrt((x * x).sum()) / (int(np.prod(x.shape)) ** 0.5 * unit)
