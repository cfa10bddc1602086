"""Adam with Nesterov's momentum, and Adam whose step is rectified while the second moment is uncertain.

The notation is that of `reference.optimizers.adam`.
"""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .adam import Kept, Slots, checked, decayed
from .blocks import in_blocks
from .hyperparameters import FINITE, numbers, require
from .optimizer import Optimizer, by_array, moved_towards, one_element, running_square, zeros_like


@recorded
def nadam(
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> Optimizer:
    """NAdam: Adam that also takes the next step's share of the momentum.

    With μₜ = β₁(1 − ½·0.96^(tψ)), Πₜ = μ₁…μₜ and s = √(v/(1 − β₂ᵗ)) + ε:
    θ ← θ − η(1 − μₜ)/(1 − Πₜ) · g/s − ημₜ₊₁/(1 − Πₜ₊₁) · m/s. Dozat 2016.

    Args:
        lr: η.
        betas: β₁ and β₂, below 1.
        eps: ε.
        weight_decay: λ; λθ is added to g.
        momentum_decay: ψ.
        decoupled_weight_decay: whether to shrink θ by 1 − ηλ before the step instead.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = nadam(lr=0.5, betas=(0.5, 0.75), momentum_decay=0.0, eps=0.0)
    >>> params = [np.array([1.0])]
    >>> opt.update(params, [np.array([2.0])], opt.init(params))[0][0].round(6)
    array([0.433333])
    """
    lr, eps, weight_decay, momentum_decay = numbers(lr, eps, weight_decay, momentum_decay)
    beta1, beta2 = checked("nadam", lr, betas, eps, weight_decay)
    require("nadam", momentum_decay=(momentum_decay, 0.0, FINITE))

    def momentum(t: int) -> float:
        return beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    @in_blocks
    def rule(p: Array, g: Array, slots: Slots, t: int) -> tuple[Array, Kept]:
        p, g = decayed(p, -g if maximize else g, lr, weight_decay, decoupled_weight_decay)
        product = slots["mu_product"] * momentum(t)
        m = moved_towards(slots["exp_avg"], g, 1 - beta1)
        v = running_square(slots["exp_avg_sq"], g, beta2)
        root = np.sqrt(v / (1 - beta2**t)) + eps
        p = p - lr * (1 - momentum(t)) / (1 - product) * g / root
        p = p - lr * momentum(t + 1) / (1 - product * momentum(t + 1)) * m / root
        return p, {"mu_product": product, "exp_avg": m, "exp_avg_sq": v}

    return by_array(
        "nadam",
        "μₜ = β₁(1 − ½·0.96^(tψ)); Πₜ = μ₁…μₜ; s = √(v/(1 − β₂ᵗ)) + ε; "
        "θ ← θ − η(1 − μₜ)/(1 − Πₜ) · g/s − ημₜ₊₁/(1 − Πₜ₊₁) · m/s",
        "Dozat 2016",
        {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
         "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize},
        lambda p: {"mu_product": one_element(1.0, p), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)},
        rule,
    )  # fmt: skip


@recorded
def radam(
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> Optimizer:
    """RAdam: Adam with its step rectified by r, and without v while too few gradients estimate it.

    With ρ∞ = 2/(1 − β₂) − 1, ρₜ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ) and m̂ = m/(1 − β₁ᵗ): θ ← θ − ηm̂ while ρₜ ≤ 5, then
    θ ← θ − ηm̂·r·√(1 − β₂ᵗ)/(√v + ε), r² = (ρₜ − 4)(ρₜ − 2)ρ∞/((ρ∞ − 4)(ρ∞ − 2)ρₜ). Liu et al. 2020, algorithm 2,
    which has 4 in place of 5 and no ε.

    Args:
        lr: η.
        betas: β₁ and β₂, below 1.
        eps: ε.
        weight_decay: λ; λθ is added to g.
        decoupled_weight_decay: whether to shrink θ by 1 − ηλ before the step instead.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = radam(lr=0.5)
    >>> params = [np.array([1.0])]
    >>> opt.update(params, [np.array([2.0])], opt.init(params))[0][0].round(12)
    array([0.])
    """
    lr, eps, weight_decay = numbers(lr, eps, weight_decay)
    beta1, beta2 = checked("radam", lr, betas, eps, weight_decay)
    most = 2 / (1 - beta2) - 1

    @in_blocks
    def rule(p: Array, g: Array, slots: Slots, t: int) -> tuple[Array, Kept]:
        p, g = decayed(p, -g if maximize else g, lr, weight_decay, decoupled_weight_decay)
        m = moved_towards(slots["exp_avg"], g, 1 - beta1)
        v = running_square(slots["exp_avg_sq"], g, beta2)
        kept = {"exp_avg": m, "exp_avg_sq": v}
        correction = 1 - beta2**t
        length = most - 2 * t * beta2**t / correction
        step = m / (1 - beta1**t) * lr
        if length <= 5:
            return p - step, kept
        rectified = ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5
        return p - step * (correction**0.5 / (np.sqrt(v) + eps)) * rectified, kept

    return by_array(
        "radam",
        "ρₜ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ); θ ← θ − ηm̂ if ρₜ ≤ 5, else θ ← θ − ηm̂·r·√(1 − β₂ᵗ)/(√v + ε)",
        "Liu et al. 2020, algorithm 2",
        {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": weight_decay,
         "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize},
        lambda p: {"exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)},
        rule,
    )  # fmt: skip
