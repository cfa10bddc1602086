"""Muon: momentum, orthogonalised by a Newton–Schulz iteration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .hyperparameters import FINITE, numbers, require
from .optimizer import Flat, FlatEvaluate, Optimizer, by_array, moved_towards, real_numbers, zeros_like
from .state import State

NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Jordan et al. 2024: the quintic with the steepest slope at 0 that keeps singular values near 1 there."""
ADJUSTMENTS: Mapping[str, Callable[[int, int], float]] = MappingProxyType(
    {
        "original": lambda rows, columns: max(1.0, rows / columns) ** 0.5,
        "match_rms_adamw": lambda rows, columns: 0.2 * max(rows, columns) ** 0.5,
    }
)
"""κ by the matrix's rows and columns: Jordan et al. 2024; Liu et al. 2025, "Muon is Scalable for LLM Training"."""


@recorded
def muon(
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = NS_COEFFICIENTS,
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
    *,
    others: Optimizer | None = None,
    orthogonalize: Callable[[Array], Array] | None = None,
) -> Optimizer:
    """Muon: momentum whose singular values are all brought near 1, for matrices.

        m ← μm + (1 − μ)g;   b = μm + (1 − μ)g with Nesterov's variant, else m
        θ ← θ − ηλθ − η·κ·NS(b),   κ = √max(1, rows/columns), or 0.2·√max(rows, columns) to match Adam's RMS

    NS is `newton_schulz`. Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; decay and the
    second κ: Liu et al. 2025, "Muon is Scalable for LLM Training". torch computes NS in bfloat16, whatever the type of
    the parameters; here it is computed in their own type.

    Muon is defined for matrices only, and torch refuses anything else. A network with biases needs a second optimiser
    for them, which torch leaves to the user and `others` does here: `muon(lr=0.02, others=adamw(lr=3e-4))`.

    Args:
        lr: η.
        weight_decay: λ.
        momentum: μ.
        nesterov: whether to move by Nesterov's variant.
        ns_coefficients: (a, b, c) of the quintic.
        eps: the least norm that b is divided by.
        ns_steps: how often the quintic is applied, below 100.
        adjust_lr_fn: κ: "original" (also if None) or "match_rms_adamw".
        others: the optimiser of all arrays that are not matrices.
        orthogonalize: matrix ↦ what to move along, in place of NS: U Vᵀ of an exact decomposition, say.

    Raises:
        TypeError: a hyperparameter is no number, or, from `init`, an array is not of real floating numbers.
        ValueError: a hyperparameter is out of range, or `others` must evaluate the loss by itself; and from `init`, an
            array is no matrix and there is no optimiser for the others.

    >>> opt = muon(lr=0.1, weight_decay=0.0)
    >>> opt.update([np.eye(2)], [np.eye(2)], opt.init([np.eye(2)]))[0][0].round(4)
    array([[0.8892, 0.    ],
           [0.    , 0.8892]])
    >>> opt.init([np.eye(2), np.ones(2)])
    Traceback (most recent call last):
    ...
    ValueError: muon: updates matrices only, but params[1] has shape (2,): give others=, an optimizer for such arrays
    """
    lr, weight_decay, momentum, eps, ns_steps = numbers(lr, weight_decay, momentum, eps, ns_steps)
    require("muon", lr=(lr, 0.0, FINITE), weight_decay=(weight_decay, 0.0, FINITE), momentum=(momentum, 0.0, FINITE),
            eps=(eps, 0.0, FINITE), ns_steps=(ns_steps, 0, 99))  # fmt: skip
    if not isinstance(ns_steps, int):
        raise TypeError(f"muon: ns_steps must be a whole number, got {ns_steps!r}")
    if not isinstance(ns_coefficients, Sequence) or len(ns_coefficients) != 3:
        raise ValueError(f"muon: ns_coefficients must be three numbers, got {ns_coefficients!r}")
    a, b, c = numbers(*ns_coefficients)
    require("muon", **{f"ns_coefficients[{i}]": (x, -FINITE, FINITE) for i, x in enumerate((a, b, c))})
    if adjust_lr_fn is not None and adjust_lr_fn not in ADJUSTMENTS:
        raise ValueError(f"muon: adjust_lr_fn must be one of {', '.join(ADJUSTMENTS)} or None, got {adjust_lr_fn!r}")
    if others is not None and others.needs_evaluate:
        raise ValueError(f"muon: others must be an optimizer of one gradient a step, {others.name} evaluates more")
    adjusted = ADJUSTMENTS[adjust_lr_fn or "original"]

    def rule(p: Array, g: Array, slots: Mapping[str, Any], t: int) -> tuple[Array, dict[str, Any]]:
        m = moved_towards(slots["momentum_buffer"], g, 1 - momentum)
        ahead = moved_towards(g, m, momentum) if nesterov else m
        direction = newton_schulz(ahead, (a, b, c), ns_steps, eps) if orthogonalize is None else orthogonalize(ahead)
        return p * (1 - lr * weight_decay) - lr * adjusted(*p.shape) * direction, {"momentum_buffer": m}

    alone = by_array(
        "muon",
        "m ← μm + (1 − μ)g; θ ← θ − ηλθ − ηκ·NS(m, or μm + (1 − μ)g)",
        "Jordan et al. 2024; Liu et al. 2025",
        {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
         "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn},
        lambda p: {"momentum_buffer": zeros_like(real_numbers("muon", p))},
        rule,
    )  # fmt: skip
    return _with_others(alone, others)


def newton_schulz(
    matrix: Array, coefficients: tuple[float, float, float] = NS_COEFFICIENTS, steps: int = 5, eps: float = 1e-7
) -> Array:
    """U p(p(…p(S)…)) Vᵀ for the matrix U S Vᵀ divided by its Frobenius norm, p(s) = as + bs³ + cs⁵.

    X ← aX + (bA + cA²)X with A = X Xᵀ, on the side where A is smaller. Jordan et al. 2024; the iteration with the
    coefficients (15/8, −5/4, 3/8), which converges to U Vᵀ: Björck & Bowie 1971; Higham 2008, section 8.3.

    Args:
        matrix: (rows, columns).
        coefficients: (a, b, c).
        steps: how often p is applied.
        eps: the least norm that the matrix is divided by.

    >>> newton_schulz(np.array([[0.0, 3.0], [0.1, 0.0]]), (15 / 8, -5 / 4, 3 / 8), steps=12).round(12)
    array([[0., 1.],
           [1., 0.]])
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / np.maximum(np.sqrt((x * x).sum()), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


def _with_others(alone: Optimizer, others: Optimizer | None) -> Optimizer:
    """The optimiser on the matrices, and another one on everything else."""
    if others is None:

        def matrices_only(params: Flat) -> State:
            for index, p in enumerate(params):
                if p.ndim != 2:
                    raise ValueError(
                        f"{alone.name}: updates matrices only, but params[{index}] has shape {p.shape}: "
                        "give others=, an optimizer for such arrays"
                    )
            return alone.start(params)

        return Optimizer(alone.name, alone.formula, alone.source, alone.hyperparameters, matrices_only, alone.step)
    owners = {"matrices": alone, "others": others}

    def mine(owner: str, params: Flat) -> list[int]:
        return [index for index, p in enumerate(params) if (p.ndim == 2) == (owner == "matrices")]

    def start(params: Flat) -> State:
        parts = {owner: mine(owner, params) for owner in owners}
        return {"step": 0} | {o: owners[o].start(tuple(params[i] for i in part)) for o, part in parts.items() if part}

    def step(params: Flat, grads: Flat, state: State, evaluate: FlatEvaluate | None) -> tuple[Flat, State]:
        new, after = list(params), {"step": state["step"] + 1}
        for owner, optimizer in owners.items():
            part = mine(owner, params)
            if part:
                p, g = (tuple(arrays[i] for i in part) for arrays in (params, grads))
                moved, after[owner] = optimizer.step(p, g, state[owner], None)
                for index, array in zip(part, moved, strict=True):
                    new[index] = array
        return tuple(new), after

    return Optimizer(
        alone.name,
        f"matrices: {alone.formula}; the rest, {others.name}: {others.formula}",
        f"{alone.source}; {others.source}",
        dict(alone.hyperparameters) | {"others": {"name": others.name, **others.hyperparameters}},
        start,
        step,
    )
