"""Optimisers that follow the gradient or its running mean, and those that follow its sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .blocks import in_blocks
from .hyperparameters import FINITE, numbers, require, require_pair
from .optimizer import Optimizer, by_array, one_element, zeros_like


@recorded
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
    require("sgd", dampening=(dampening, -FINITE, FINITE))
    require("sgd", lr=(lr, 0.0, FINITE), momentum=(momentum, 0.0, FINITE), weight_decay=(weight_decay, 0.0, FINITE))
    if nesterov and (momentum <= 0 or dampening != 0):
        raise ValueError(f"sgd: nesterov needs momentum > 0 and dampening 0, got {momentum} and {dampening}")

    @in_blocks
    def rule(p: Array, g: Array, slots: Mapping[str, Any], t: int) -> tuple[Array, dict[str, Any]]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        if not momentum:
            return p - lr * g, {}
        m = g if t == 1 else momentum * slots["momentum_buffer"] + (1 - dampening) * g
        return p - lr * (g + momentum * m if nesterov else m), {"momentum_buffer": m}

    return by_array(
        "sgd",
        "m ← μm + (1 − τ)(g + λθ); θ ← θ − ηm",
        "Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013",
        {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
         "nesterov": nesterov, "maximize": maximize},
        lambda p: {"momentum_buffer": zeros_like(p)} if momentum else {},
        rule,
    )  # fmt: skip


@recorded
def rprop(
    lr: float = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    *,
    maximize: bool = False,
) -> Optimizer:
    """Rprop: every element moves by a step size Δ of its own against the sign of its gradient.

    With g′ the gradient before: Δ ← η₊Δ where g′g > 0, η₋Δ where g′g < 0, Δ kept within its bounds; where g′g < 0,
    g ← 0; θ ← θ − Δ·sign g. Riedmiller & Braun 1993; torch's variant takes no step back where the sign changes
    (Rprop− of Igel & Hüsken 2000, with g set to 0: iRprop−).

    Args:
        lr: Δ before the first step.
        etas: η₋ and η₊, 0 < η₋ < 1 < η₊.
        step_sizes: the smallest and the largest Δ.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = rprop(lr=0.5, etas=(0.5, 2.0))
    >>> params, state = [np.array([4.0, 4.0])], opt.init([np.array([4.0, 4.0])])
    >>> for g in ([1e9, -1e-9], [1e-9, 1.0]):
    ...     params, state = opt.update(params, [np.array(g)], state)
    >>> params
    [array([2.5, 4.5])]
    """
    (lr,) = numbers(lr)
    require("rprop", lr=(lr, 0.0, FINITE))
    shrink, grow = require_pair("rprop", "etas", etas, 0.0, FINITE)
    least, most = require_pair("rprop", "step_sizes", step_sizes, 0.0, np.inf)
    if not 0 < shrink < 1 < grow:
        raise ValueError(f"rprop: etas must satisfy 0 < etas[0] < 1 < etas[1], got {shrink} and {grow}")
    if least > most:
        raise ValueError(f"rprop: step_sizes must rise, got {least} and {most}")

    def initial(p: Array) -> dict[str, Any]:
        return {"prev": zeros_like(p), "step_size": zeros_like(p) + lr}

    @in_blocks
    def rule(p: Array, g: Array, slots: Mapping[str, Any], t: int) -> tuple[Array, dict[str, Any]]:
        g = -g if maximize else g
        agreement, size = slots["prev"] * g, slots["step_size"] if t > 1 else initial(p)["step_size"]
        size = np.where(agreement > 0, size * grow, np.where(agreement < 0, size * shrink, size))
        size = np.minimum(np.maximum(size, least), most)
        g = np.where(agreement < 0, 0 * g, g)
        return p - np.sign(g) * size, {"prev": g, "step_size": size}

    return by_array(
        "rprop",
        "Δ ← Δ·(η₊ if g′g > 0, η₋ if g′g < 0, else 1); g ← 0 if g′g < 0; θ ← θ − Δ·sign g",
        "Riedmiller & Braun 1993; Igel & Hüsken 2000",
        {"lr": lr, "etas": (shrink, grow), "step_sizes": (least, most), "maximize": maximize},
        initial,
        rule,
    )


@recorded
def asgd(
    lr: float = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
) -> Optimizer:
    """Averaged gradient descent: θ ← (1 − λ′ηₜ)θ − ηₜg; θ̄ ← θ̄ + μₜ(θ − θ̄), which is the slot "ax" of the state.

    η₁ = η and μ₁ = 1, then ηₜ₊₁ = η/(1 + λ′ηt)^α and μₜ₊₁ = 1/max(1, t − t₀). Polyak & Juditsky 1992; the decay of η
    is that of Xu 2011, "Towards optimal one pass large scale learning with averaged stochastic gradient descent".

    Args:
        lr: η.
        lambd: λ′.
        alpha: α.
        t0: the step after which the average begins.
        weight_decay: λ; λθ is added to g.
        maximize: whether to climb.

    Raises:
        TypeError: a hyperparameter is no number.
        ValueError: a hyperparameter is out of range.

    >>> opt = asgd(lr=0.5, lambd=0.0, t0=0.0)
    >>> params, state = [np.array([2.0])], opt.init([np.array([2.0])])
    >>> for _ in range(3):
    ...     params, state = opt.update(params, [np.array([1.0])], state)
    >>> params, state["ax"]
    ([array([0.5])], (array([0.75]),))
    """
    lr, lambd, alpha, t0, weight_decay = numbers(lr, lambd, alpha, t0, weight_decay)
    positive = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
    require("asgd", **{key: (value, 0.0, np.inf if key == "t0" else FINITE) for key, value in positive.items()})

    @in_blocks
    def rule(p: Array, g: Array, slots: Mapping[str, Any], t: int) -> tuple[Array, dict[str, Any]]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        eta, mean = slots["eta"] if t > 1 else one_element(lr, p), slots["ax"]
        p = p * (1 - lambd * eta) - eta * g
        mean = mean + (p - mean) * slots["mu"] if t - 1 - t0 > 1 else p
        after = {"eta": lr / (1 + lambd * lr * t) ** alpha, "mu": 1 / max(1, t - t0)}
        return p, {"ax": mean} | {key: one_element(value, p) for key, value in after.items()}

    return by_array(
        "asgd",
        "θ ← (1 − λ′ηₜ)θ − ηₜg; θ̄ ← θ̄ + μₜ(θ − θ̄); ηₜ₊₁ = η/(1 + λ′ηt)^α; μₜ₊₁ = 1/max(1, t − t₀)",
        "Polyak & Juditsky 1992; Xu 2011",
        positive | {"maximize": maximize},
        lambda p: {"ax": zeros_like(p), "eta": one_element(lr, p), "mu": one_element(1.0, p)},
        rule,
    )
