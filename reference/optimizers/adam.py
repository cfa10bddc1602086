"""Adam and its kin: a running mean of the gradient over the root of a running mean of its square.

θ parameter, g gradient, t the step from 1; m and v the running means, β₁ and β₂ their decay, η the learning rate, λ the
weight decay. The factors that depend on t alone are Python numbers, computed in torch's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import magnitude
from ..functions.recipe import recorded
from .blocks import in_blocks
from .hyperparameters import BELOW_ONE, FINITE, numbers, require, require_pair
from .optimizer import Optimizer, by_array, moved_towards, running_square, zeros_like

Slots = Mapping[str, Any]
Kept = dict[str, Any]


@recorded
def adam(
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> Optimizer:
    """Adam: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε).

    Kingma & Ba 2015, algorithm 1; with amsgrad, v in the step is the largest v so far (Reddi, Kale & Kumar 2018,
    algorithm 2, with Adam's corrections of the bias, as in torch).

    Args:
        lr: η.
        betas: β₁ and β₂, below 1.
        eps: ε.
        weight_decay: λ; λθ is added to g.
        amsgrad: whether v in the step is the largest so far.
        maximize: whether to climb.
        decoupled_weight_decay: whether to shrink θ by 1 − ηλ before the step instead of adding λθ to g (`adamw`).

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = adam(lr=0.1)
    >>> params = [np.array([1.0, 1.0])]
    >>> opt.update(params, [np.array([1000.0, -1e-6])], opt.init(params))[0][0].round(3)
    array([0.9  , 1.099])
    """
    return _adam("adam", lr, betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay)


@recorded
def adamw(
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
) -> Optimizer:
    """Adam with θ ← (1 − ηλ)θ before the step: Loshchilov & Hutter 2019, algorithm 2 (torch's form: η multiplies λ).

    Args:
        lr: η.
        betas: β₁ and β₂, below 1.
        eps: ε.
        weight_decay: λ.
        amsgrad: whether v in the step is the largest so far.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = adamw(lr=0.5, weight_decay=0.5)
    >>> params = [np.array([4.0])]
    >>> opt.update(params, [np.array([0.0])], opt.init(params))[0]
    [array([3.])]
    """
    return _adam("adamw", lr, betas, eps, weight_decay, amsgrad, maximize, True)


def _adam(
    name: str,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> Optimizer:
    lr, eps, weight_decay = numbers(lr, eps, weight_decay)
    beta1, beta2 = checked(name, lr, betas, eps, weight_decay)

    @in_blocks
    def rule(p: Array, g: Array, slots: Slots, t: int) -> tuple[Array, Kept]:
        p, g = decayed(p, -g if maximize else g, lr, weight_decay, decoupled)
        m = moved_towards(slots["exp_avg"], g, 1 - beta1)
        v = running_square(slots["exp_avg_sq"], g, beta2)
        kept = {"exp_avg": m, "exp_avg_sq": v}
        if amsgrad:
            v = np.maximum(slots["max_exp_avg_sq"], v)
            kept["max_exp_avg_sq"] = v
        size = lr / (1 - beta1**t)
        return p - size * m / (np.sqrt(v) / (1 - beta2**t) ** 0.5 + eps), kept

    hyperparameters = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                       "maximize": maximize}  # fmt: skip
    shrunk = "θ ← (1 − ηλ)θ; " if decoupled else "g ← g + λθ; "
    return by_array(
        name,
        f"{shrunk}m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← θ − η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε)",
        "Loshchilov & Hutter 2019, algorithm 2" if name == "adamw" else "Kingma & Ba 2015, algorithm 1",
        hyperparameters | ({} if name == "adamw" else {"decoupled_weight_decay": decoupled}),
        lambda p: {key: zeros_like(p) for key in ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if amsgrad else ()))},
        rule,
    )


@recorded
def adamax(
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
) -> Optimizer:
    """Adamax: m ← β₁m + (1 − β₁)g, u ← max(β₂u, |g| + ε), θ ← θ − η/(1 − β₁ᵗ) · m/u.

    Kingma & Ba 2015, algorithm 2, which has no ε.

    Args:
        lr: η.
        betas: β₁ and β₂, below 1.
        eps: ε.
        weight_decay: λ; λθ is added to g.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = adamax(lr=0.5, betas=(0.5, 0.5), eps=0.0)
    >>> params = [np.array([1.0])]
    >>> opt.update(params, [np.array([8.0])], opt.init(params))[0]
    [array([0.5])]
    """
    lr, eps, weight_decay = numbers(lr, eps, weight_decay)
    beta1, beta2 = checked("adamax", lr, betas, eps, weight_decay)

    @in_blocks
    def rule(p: Array, g: Array, slots: Slots, t: int) -> tuple[Array, Kept]:
        p, g = decayed(p, -g if maximize else g, lr, weight_decay, False)
        m = moved_towards(slots["exp_avg"], g, 1 - beta1)
        largest = np.maximum(beta2 * slots["exp_inf"], magnitude(g) + eps)
        return p - lr / (1 - beta1**t) * m / largest, {"exp_avg": m, "exp_inf": largest}

    return by_array(
        "adamax",
        "g ← g + λθ; m ← β₁m + (1 − β₁)g; u ← max(β₂u, |g| + ε); θ ← θ − η/(1 − β₁ᵗ) · m/u",
        "Kingma & Ba 2015, algorithm 2",
        {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": weight_decay, "maximize": maximize},
        lambda p: {"exp_avg": zeros_like(p), "exp_inf": zeros_like(p)},
        rule,
    )


def checked(name: str, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> tuple[float, float]:
    """β₁ and β₂, all hyperparameters that the whole family has being in range."""
    require(name, lr=(lr, 0.0, FINITE), eps=(eps, 0.0, FINITE), weight_decay=(weight_decay, 0.0, FINITE))
    return require_pair(name, "betas", betas, 0.0, BELOW_ONE)


def decayed(p: Array, g: Array, lr: float, weight_decay: float, decoupled: bool) -> tuple[Array, Array]:
    """Parameter and gradient after the weight decay."""
    if not weight_decay:
        return p, g
    return (p * (1 - lr * weight_decay), g) if decoupled else (p, g + weight_decay * p)
