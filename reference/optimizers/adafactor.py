"""Optimisers that treat a weight matrix as a matrix: adafactor by its rows and columns, muon by its singular values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arithmetic.dispatch import Array
from .optimizer import Flat, FlatEvaluate, Optimizer, State, elementwise, moved_towards, numbers, require, zeros_like

NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Jordan et al. 2024: the quintic with the steepest slope at 0 that keeps singular values near 1 there."""
ADJUSTMENTS: Mapping[str, Callable[[int, int], float]] = {
    "original": lambda rows, columns: max(1.0, rows / columns) ** 0.5,
    "match_rms_adamw": lambda rows, columns: 0.2 * max(rows, columns) ** 0.5,
}
"""What muon multiplies η by: Jordan et al. 2024; Liu et al. 2025, "Muon is Scalable for LLM Training"."""


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
    require("adafactor", lr=(lr, 0.0, np.inf), beta2_decay=(beta2_decay, -np.inf, 0.0), d=(d, 1.0, np.inf),
            weight_decay=(weight_decay, 0.0, np.inf), eps2=(smallest_rms, 0.0, np.inf),
            eps1=(0.0 if floor is None else floor, 0.0, np.inf))  # fmt: skip

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
        zero = zeros_like(_real("adafactor", p))
        if p.ndim < 2:
            return {"row_var": None, "col_var": None, "variance": zero}
        rows, columns = (zero.sum(axis=axis, keepdims=True) for axis in (-1, -2))
        return {"row_var": rows, "col_var": columns, "variance": None}

    return elementwise(
        "adafactor",
        "U = g/√(RC/mean R); θ ← θ − ηλθ − min(η, 1/√t)·max(ε₂, RMS(θ))·U/max(1, RMS(U)/d)",
        "Shazeer & Stern 2018",
        {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "maximize": maximize},
        slots,
        rule,
    )


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
    require("muon", lr=(lr, 0.0, np.inf), weight_decay=(weight_decay, 0.0, np.inf), momentum=(momentum, 0.0, np.inf),
            eps=(eps, 0.0, np.inf), ns_steps=(ns_steps, 0, 99))  # fmt: skip
    if not isinstance(ns_steps, int):
        raise TypeError(f"muon: ns_steps must be a whole number, got {ns_steps!r}")
    if not isinstance(ns_coefficients, Sequence) or len(ns_coefficients) != 3:
        raise ValueError(f"muon: ns_coefficients must be three numbers, got {ns_coefficients!r}")
    a, b, c = numbers(*ns_coefficients)
    require("muon", **{f"ns_coefficients[{i}]": (x, -np.inf, np.inf) for i, x in enumerate((a, b, c))})
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

    alone = elementwise(
        "muon",
        "m ← μm + (1 − μ)g; θ ← θ − ηλθ − ηκ·NS(m, or μm + (1 − μ)g)",
        "Jordan et al. 2024; Liu et al. 2025",
        {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
         "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn},
        lambda p: {"momentum_buffer": zeros_like(_real("muon", p))},
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


def _mean_square(g: Array, axis: int) -> Array:
    """The mean of g² along an axis, in torch's order: the square of a norm."""
    norm = np.sqrt((g * g).sum(axis=axis, keepdims=True))
    return norm * norm / g.shape[axis]


def _rms(x: Array, unit: float = 1.0) -> Array:
    """√(mean of x²)/unit, in torch's order: a norm over √n·unit."""
    return np.sqrt((x * x).sum()) / (int(np.prod(x.shape)) ** 0.5 * unit)


def _real(name: str, p: Array) -> Array:
    if p.dtype.kind != "f":
        raise TypeError(f"{name}: expected parameters of real floating numbers, got {p.dtype}")
    return p
