"""Optimisers that divide the gradient by the root of a sum or running mean of its square.

θ parameter, g gradient, t the step from 1, v the sum or mean of g², η the learning rate, λ the weight decay: λθ is
added to g.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .blocks import in_blocks
from .hyperparameters import FINITE, numbers, require
from .optimizer import Optimizer, by_array, moved_towards, running_square, zeros_like

Slots = Mapping[str, Any]
Kept = dict[str, Any]


@recorded
def rmsprop(
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    *,
    maximize: bool = False,
) -> Optimizer:
    """RMSprop: v ← αv + (1 − α)g², d = g/(√v + ε), θ ← θ − ηd.

    With momentum b ← μb + d and θ ← θ − ηb. Centred, √(v − ḡ²) takes the place of √v, ḡ ← αḡ + (1 − α)g.
    Tieleman & Hinton 2012, lecture 6.5; centred: Graves 2013, §4.2 (which has ε under the root, torch outside).

    v − ḡ² cancels where the gradient hardly changes; where it rounds to less than 0, the step is NaN, here as in torch.

    Args:
        lr: η.
        alpha: α, at most 1.
        eps: ε.
        weight_decay: λ.
        momentum: μ.
        centered: whether to divide by the root of the variance.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = rmsprop(lr=0.1, alpha=0.75, eps=0.0)
    >>> params = [np.array([1.0])]
    >>> opt.update(params, [np.array([8.0])], opt.init(params))[0]
    [array([0.8])]
    """
    lr, alpha, eps, weight_decay, momentum = numbers(lr, alpha, eps, weight_decay, momentum)
    positive = {"lr": lr, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
    require("rmsprop", alpha=(alpha, 0.0, 1.0), **{key: (value, 0.0, FINITE) for key, value in positive.items()})
    names = ["square_avg", *(["grad_avg"] if centered else []), *(["momentum_buffer"] if momentum else [])]

    @in_blocks
    def rule(p: Array, g: Array, slots: Slots, t: int) -> tuple[Array, Kept]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        v = running_square(slots["square_avg"], g, alpha)
        kept = {"square_avg": v}
        if centered:
            mean = moved_towards(slots["grad_avg"], g, 1 - alpha)
            kept["grad_avg"] = mean
            v = v - mean * mean
        root = np.sqrt(v) + eps
        if not momentum:
            return p - lr * g / root, kept
        kept["momentum_buffer"] = momentum * slots["momentum_buffer"] + g / root
        return p - lr * kept["momentum_buffer"], kept

    return by_array(
        "rmsprop",
        "v ← αv + (1 − α)g²; b ← μb + g/(√v + ε); θ ← θ − ηb",
        "Tieleman & Hinton 2012, lecture 6.5",
        positive | {"alpha": alpha, "centered": centered, "maximize": maximize},
        lambda p: {key: zeros_like(p) for key in names},
        rule,
    )


@recorded
def adagrad(
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    *,
    maximize: bool = False,
) -> Optimizer:
    """Adagrad: v ← v + g², θ ← θ − η/(1 + (t − 1)δ) · g/(√v + ε).

    Duchi, Hazan & Singer 2011, figure 1 with diagonal matrices, its δ being ε; the decay of η is torch's own.

    Args:
        lr: η.
        lr_decay: δ.
        weight_decay: λ.
        initial_accumulator_value: v before the first step.
        eps: ε.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = adagrad(lr=0.5, initial_accumulator_value=9.0, eps=0.0)
    >>> params = [np.array([1.0])]
    >>> opt.update(params, [np.array([4.0])], opt.init(params))[0]
    [array([0.6])]
    """
    lr, lr_decay, weight_decay, initial, eps = numbers(lr, lr_decay, weight_decay, initial_accumulator_value, eps)
    positive = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "initial_accumulator_value": initial,
                "eps": eps}  # fmt: skip
    require("adagrad", **{key: (value, 0.0, FINITE) for key, value in positive.items()})

    @in_blocks
    def rule(p: Array, g: Array, slots: Slots, t: int) -> tuple[Array, Kept]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        v = slots["sum"] + g * g
        return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(v) + eps), {"sum": v}

    return by_array(
        "adagrad",
        "v ← v + g²; θ ← θ − η/(1 + (t − 1)δ) · g/(√v + ε)",
        "Duchi, Hazan & Singer 2011, figure 1",
        positive | {"maximize": maximize},
        lambda p: {"sum": zeros_like(p) + initial},
        rule,
    )


@recorded
def adadelta(
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
) -> Optimizer:
    """Adadelta: v ← ρv + (1 − ρ)g², d = √(a + ε)/√(v + ε) · g, a ← ρa + (1 − ρ)d², θ ← θ − ηd.

    Zeiler 2012, algorithm 1, which has no η.

    Args:
        lr: η.
        rho: ρ, at most 1.
        eps: ε.
        weight_decay: λ.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = adadelta(rho=0.0, eps=9.0)
    >>> params = [np.array([1.0])]
    >>> opt.update(params, [np.array([4.0])], opt.init(params))[0]
    [array([-1.4])]
    """
    lr, rho, eps, weight_decay = numbers(lr, rho, eps, weight_decay)
    positive = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
    require("adadelta", rho=(rho, 0.0, 1.0), **{key: (value, 0.0, FINITE) for key, value in positive.items()})

    @in_blocks
    def rule(p: Array, g: Array, slots: Slots, t: int) -> tuple[Array, Kept]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        v = running_square(slots["square_avg"], g, rho)
        d = np.sqrt(slots["acc_delta"] + eps) / np.sqrt(v + eps) * g
        return p - lr * d, {"square_avg": v, "acc_delta": running_square(slots["acc_delta"], d, rho)}

    return by_array(
        "adadelta",
        "v ← ρv + (1 − ρ)g²; d = √(a + ε)/√(v + ε) · g; a ← ρa + (1 − ρ)d²; θ ← θ − ηd",
        "Zeiler 2012, algorithm 1",
        positive | {"rho": rho, "maximize": maximize},
        lambda p: {"square_avg": zeros_like(p), "acc_delta": zeros_like(p)},
        rule,
    )
