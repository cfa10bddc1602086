"""Optimisers that follow the gradient or its running mean, and those that follow its sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .arithmetic import Array
from .optimizer import Optimizer, elementwise, numbers, require, zeros_like


def sgd(
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    *,
    nesterov: bool = False,
    maximize: bool = False,
) -> Optimizer:
    """Stochastic gradient descent: m ← μm + (1 − τ)(g + λθ), from m₁ = g + λθ; θ ← θ − ηm.

    Nesterov's variant moves by g + λθ + μm. Polyak 1964, eq. 9; Sutskever et al. 2013, eq. 1–2 (torch's form, in which
    η multiplies m).

    Args:
        lr: η.
        momentum: μ.
        dampening: τ.
        weight_decay: λ.
        nesterov: whether to move by Nesterov's variant.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range, or Nesterov's variant is asked for without momentum or with
            dampening.

    >>> opt = sgd(lr=0.1, momentum=0.9)
    >>> params, state = [np.array([1.0])], opt.init([np.array([1.0])])
    >>> for _ in range(2):
    ...     params, state = opt.update(params, [np.array([1.0])], state)
    >>> params
    [array([0.71])]
    """
    lr, momentum, dampening, weight_decay = numbers(lr, momentum, dampening, weight_decay)
    require("sgd", dampening=(dampening, -np.inf, np.inf))
    require("sgd", lr=(lr, 0.0, np.inf), momentum=(momentum, 0.0, np.inf), weight_decay=(weight_decay, 0.0, np.inf))
    if nesterov and (momentum <= 0 or dampening != 0):
        raise ValueError(f"sgd: nesterov needs momentum > 0 and dampening 0, got {momentum} and {dampening}")

    def rule(p: Array, g: Array, slots: Mapping[str, Any], t: int) -> tuple[Array, dict[str, Any]]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        if not momentum:
            return p - lr * g, {}
        m = g if t == 1 else momentum * slots["momentum_buffer"] + (1 - dampening) * g
        return p - lr * (g + momentum * m if nesterov else m), {"momentum_buffer": m}

    return elementwise(
        "sgd",
        "m ← μm + (1 − τ)(g + λθ); θ ← θ − ηm",
        "Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013",
        {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
         "nesterov": nesterov, "maximize": maximize},
        lambda p: {"momentum_buffer": zeros_like(p)} if momentum else {},
        rule,
    )  # fmt: skip
