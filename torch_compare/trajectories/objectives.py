"""Random losses of a few parameters for optimisers that evaluate by themselves, in any arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference.optimizers.optimizer import Evaluate, rebuilt

Array = Any
SMOOTH = ("tanh", "sigmoid", "softplus", "gelu", "silu", "elu", "relu", "identity")
"""Activations for small networks; two of them with a kink."""


@dataclass(frozen=True)
class Objective:
    """A loss that may change from step to step, as the batches of training do.

    Attributes:
        name: of its kind.
        start: the first parameters.
        at: step from 0 ↦ (parameters ↦ (loss, gradients)).
    """

    name: str
    start: list[Array]
    at: Callable[[int], Evaluate]


def random_objective(rng: np.random.Generator, dtype: Any = np.float64) -> Objective:
    """One of `KINDS`; half of them change at every step."""
    make = KINDS[int(rng.integers(len(KINDS)))]
    return make(rng, dtype)


def quadratic(rng: np.random.Generator, dtype: Any = np.float64) -> Objective:
    """½xᵀAx − bᵀx, A of condition up to 10⁴; b may change."""
    size = int(rng.integers(1, 9))
    basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
    a = ((basis * 10.0 ** rng.uniform(-2, 2, size)) @ basis.T).astype(dtype)
    a = (a + a.T) / 2
    b = [rng.normal(size=(size, 1)).astype(dtype) for _ in range(_changes(rng))]

    def at(step: int) -> Evaluate:
        target = b[step % len(b)]

        def evaluate(params: Any) -> tuple[Any, Any]:
            (x,) = params
            slope = a @ x - target
            return (x * (slope - target)).sum() / 2, [slope]

        return evaluate

    return Objective("quadratic", [rng.normal(size=(size, 1)).astype(dtype)], at)


def rosenbrock(rng: np.random.Generator, dtype: Any = np.float64) -> Objective:
    """Σ c(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)² (Rosenbrock 1960, in n dimensions); c may change."""
    size = int(rng.integers(2, 7))
    steepness = [dtype(rng.uniform(1, 100)).item() for _ in range(_changes(rng))]

    def at(step: int) -> Evaluate:
        c = steepness[step % len(steepness)]

        def evaluate(params: Any) -> tuple[Any, Any]:
            (x,) = params
            left, right = x[:-1], x[1:]
            valley = right - left * left
            d_right = (2 * c) * valley
            d_left = -2 * left * d_right - 2 * (1 - left)
            gradient = np.concatenate([d_left[:1], d_left[1:] + d_right[:-1], d_right[-1:]])
            return (c * (valley * valley) + (1 - left) * (1 - left)).sum(), [gradient]

        return evaluate

    return Objective("rosenbrock", [rng.normal(size=size).astype(dtype)], at)


def wavy(rng: np.random.Generator, dtype: Any = np.float64) -> Objective:
    """Σ ½(xᵢ − mᵢ)² + b·sin(wxᵢ): a bowl full of ripples, in which line searches lose their way; m may change."""
    size = int(rng.integers(1, 5))
    depth, waves = (dtype(rng.uniform(low, high)).item() for low, high in ((0.1, 3), (1, 6)))
    centres = [(3 * rng.normal(size=size)).astype(dtype) for _ in range(_changes(rng))]

    def at(step: int) -> Evaluate:
        m = centres[step % len(centres)]

        def evaluate(params: Any) -> tuple[Any, Any]:
            (x,) = params
            loss = (x - m) * (x - m) / 2 + depth * np.sin(waves * x)
            return loss.sum(), [x - m + (depth * waves) * np.cos(waves * x)]

        return evaluate

    return Objective("wavy", [(3 * rng.normal(size=size)).astype(dtype)], at)


def network(rng: np.random.Generator, dtype: Any = np.float64) -> Objective:
    """The mean squared error of a network of one or two hidden layers; the batch may change."""
    widths = [int(w) for w in rng.integers(1, 6, int(rng.integers(3, 5)))]
    names = [str(rng.choice(SMOOTH)) for _ in widths[1:-1]] + ["identity"]
    mlp = ref.initialize(widths, activations=names, seed=int(rng.integers(2**31)), dtype=dtype)
    problems = []
    for _ in range(_changes(rng)):
        x, t = (rng.normal(size=(8, width)).astype(dtype) for width in (widths[0], widths[-1]))
        problems.append(ref.Problem(mlp, x, t, loss="mse"))

    def at(step: int) -> Evaluate:
        problem = problems[step % len(problems)]

        def evaluate(params: Any) -> tuple[Any, Any]:
            g = ref.gradients(problem.replace(network=rebuilt(mlp, params)))
            return g.loss, [d for layer in g.layers for d in (layer.weight, layer.bias) if d is not None]

        return evaluate

    return Objective("network", [a for la in mlp.layers for a in (la.weight, la.bias) if a is not None], at)


def arbitrary(rng: np.random.Generator, dtype: Any = np.float64) -> Objective:
    """Numbers that belong to no function: random losses around 1, close ones too, and random gradients.

    They are drawn from the bits of the parameters, so only NumPy arrays have any. A routine gets into corners on them
    that a smooth loss hardly leads to.
    """
    size, seed = int(rng.integers(1, 4)), int(rng.integers(2**31))

    def at(step: int) -> Evaluate:
        def evaluate(params: Any) -> tuple[Any, Any]:
            (x,) = params
            own = np.random.default_rng([seed, step, *x.tobytes()])
            loss = 1 + own.choice([-1, 1]) * 10 ** own.uniform(-9, 0)
            return dtype(loss), [(own.normal(size=size) * 10 ** own.uniform(-3, 1)).astype(dtype)]

        return evaluate

    return Objective("arbitrary", [rng.normal(size=size).astype(dtype)], at)


KINDS = (quadratic, rosenbrock, wavy, network, arbitrary)
"""The kinds of random losses."""


def _changes(rng: np.random.Generator) -> int:
    """How many losses are gone through in turn."""
    return 1 if rng.random() < 0.5 else int(rng.integers(2, 8))
