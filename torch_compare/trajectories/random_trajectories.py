"""Random trajectories: an optimiser with random hyperparameters, random parameters, a random sequence of gradients.

The gradients are given, not computed, so that along the steps rounding errors add up and nothing else does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.optimizers import Optimizer

Array = Any
Arrays = tuple[Array, ...]
KINDS = ("ordinary", "constant", "sparse", "zeros", "alternating", "integers", "wide")
"""Of gradient sequences: normal; the same at every step; mostly exact zeros; none but zeros for a while; signs that
change at every step; small integers; magnitudes from 1e-6 to 1e3 side by side."""
NEVER_ZERO = ("ordinary", "constant", "alternating", "wide")
"""For an ε of 0, with which a gradient of 0 has no step."""
SHAPES = ((1,), (3,), (2, 3), (4, 1), (1, 5), (3, 4))


@dataclass(frozen=True)
class Trajectory:
    """An optimiser, and the gradients that it is given.

    Attributes:
        optimizer: with its hyperparameters.
        params: where it starts.
        grads: for every step one gradient per parameter.
    """

    optimizer: Optimizer
    params: Arrays
    grads: tuple[Arrays, ...]

    @property
    def dtype(self) -> Any:
        """The type of every array."""
        return self.params[0].dtype


def power(rng: np.random.Generator, low: float, high: float) -> float:
    """A power of 10 whose exponent is between these."""
    return float(10.0 ** rng.uniform(low, high))


def one_of(rng: np.random.Generator, *values: Any) -> Any:
    """One of the values."""
    return values[rng.integers(len(values))]


def _common(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "lr": power(rng, -4, 0),
        "weight_decay": one_of(rng, 0.0, power(rng, -4, -1)),
        "maximize": bool(rng.random() < 0.3),
    }


def _adaptive(rng: np.random.Generator) -> dict[str, Any]:
    return _common(rng) | {"eps": one_of(rng, 1e-8, power(rng, -10, -2), power(rng, -10, -2), 0.0)}


def _betas(rng: np.random.Generator) -> dict[str, Any]:
    first = one_of(rng, 0.9, 0.0, float(rng.uniform(0, 0.999)))
    second = one_of(rng, 0.999, float(rng.uniform(0, 0.9999)), float(rng.uniform(0.9, 0.9999)))
    return _adaptive(rng) | {"betas": (first, second)}


def _flag(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))


def _sgd(rng: np.random.Generator) -> dict[str, Any]:
    momentum = one_of(rng, 0.0, 0.9, float(rng.uniform(0, 0.99)))
    dampening = one_of(rng, 0.0, float(rng.uniform(0, 1)))
    return _common(rng) | {
        "momentum": momentum, "dampening": dampening, "nesterov": bool(momentum and not dampening and _flag(rng)),
    }  # fmt: skip


def _rprop(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "lr": power(rng, -4, 0),
        "etas": one_of(rng, (0.5, 1.2), (float(rng.uniform(0.1, 0.95)), float(rng.uniform(1.05, 2)))),
        "step_sizes": one_of(rng, (1e-6, 50.0), (power(rng, -6, -3), power(rng, -2, 1))),
        "maximize": _flag(rng),
    }


HYPERPARAMETERS: Mapping[str, Callable[[np.random.Generator], dict[str, Any]]] = MappingProxyType({
    "sgd": _sgd,
    "rprop": _rprop,
    "asgd": lambda rng: _common(rng) | {
        "lambd": power(rng, -5, -1), "alpha": float(rng.uniform(0, 1)), "t0": one_of(rng, 1e6, 0.0, 10.0),
    },
    "adam": lambda rng: _betas(rng) | {"amsgrad": _flag(rng), "decoupled_weight_decay": _flag(rng)},
    "adamw": lambda rng: _betas(rng) | {"amsgrad": _flag(rng)},
    "adamax": _betas,
    "nadam": lambda rng: _betas(rng) | {
        "momentum_decay": one_of(rng, 4e-3, 0.0, power(rng, -3, 1)), "decoupled_weight_decay": _flag(rng),
    },
    "radam": lambda rng: _betas(rng) | {"decoupled_weight_decay": _flag(rng)},
    "rmsprop": lambda rng: _adaptive(rng) | {
        "alpha": one_of(rng, 0.99, float(rng.uniform(0.3, 0.999))), "centered": _flag(rng),
        "momentum": one_of(rng, 0.0, float(rng.uniform(0, 0.99))),
    },
    "adagrad": lambda rng: _adaptive(rng) | {
        "lr_decay": one_of(rng, 0.0, power(rng, -4, 0)),
        "initial_accumulator_value": one_of(rng, 0.0, power(rng, -6, 1)),
    },
    "adadelta": lambda rng: _adaptive(rng) | {"rho": one_of(rng, 0.9, float(rng.uniform(0, 0.999)))},
})  # fmt: skip
"""Every option of every elementwise optimiser: name ↦ (generator ↦ hyperparameters)."""


def random_trajectory(
    name: str,
    seed: int,
    steps: int = 50,
    draw: Callable[[np.random.Generator], dict[str, Any]] | None = None,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
) -> Trajectory:
    """The trajectory of this seed, always the same one.

    Args:
        name: of the optimiser.
        seed: of everything random.
        steps: how many gradients there are.
        draw: generator ↦ hyperparameters; if not given, that of `HYPERPARAMETERS`.
        shapes: what the shapes of parameters are chosen from.

    >>> t = random_trajectory("adam", seed=0, steps=3)
    >>> len(t.grads), t.grads[0][0].shape == t.params[0].shape
    (3, True)
    """
    rng = np.random.default_rng(seed)
    hyperparameters = (draw or HYPERPARAMETERS[name])(rng)
    optimizer = getattr(ref.optimizers, name)(**hyperparameters)
    kinds = NEVER_ZERO if hyperparameters.get("eps") == 0 else KINDS
    dtype = np.dtype(one_of(rng, np.float64, np.float32))
    chosen = [one_of(rng, *shapes) for _ in range(rng.integers(1, 4))]
    params = tuple(_start(rng, shape).astype(dtype) for shape in chosen)
    sequences = [_sequence(rng, one_of(rng, *kinds), (steps, *shape)).astype(dtype) for shape in chosen]
    return Trajectory(optimizer, params, tuple(tuple(s[t] for s in sequences) for t in range(steps)))


def options(trajectory: Trajectory) -> dict[str, str]:
    """Where every hyperparameter stands, the members of a pair one by one, and the type.

    A number is at "0", at its "default" or at some "other" value; anything else stands for itself.

    >>> options(random_trajectory("sgd", seed=0, steps=1))["momentum"]
    'other'
    """
    optimizer = trajectory.optimizer
    defaults = inspect.signature(getattr(ref.optimizers, optimizer.name)).parameters
    found = {"dtype": trajectory.dtype.name}
    for name, value in optimizer.hyperparameters.items():
        default = defaults[name].default
        if isinstance(value, tuple):
            found |= {f"{name}[{i}]": _stand(v, d) for i, (v, d) in enumerate(zip(value, default, strict=True))}
        else:
            found[name] = _stand(value, default)
    return found


def _stand(value: Any, default: Any) -> str:
    if isinstance(value, bool | str) or value is None:
        return str(value)
    return "0" if value == 0 else "default" if value == default else "other"


def covering_seeds(trajectory_of: Callable[[int], Trajectory], tries: int = 128) -> tuple[int, ...]:
    """Seeds whose trajectories hold every pair of options that those of the first `tries` seeds hold.

    A greedy covering design, as in Cohen, Dalal, Fredman & Patton 1997, The AETG system, IEEE TSE 23: the next seed is
    always the one that brings most pairs that are still missing.

    >>> seeds = covering_seeds(lambda seed: random_trajectory("adam", seed, steps=1))
    >>> len(seeds) < 16
    True
    """
    pairs = [set(combinations(sorted(options(trajectory_of(seed)).items()), 2)) for seed in range(tries)]
    missing = set().union(*pairs)
    chosen = []
    while missing:
        best = max(range(tries), key=lambda seed: len(pairs[seed] & missing))
        chosen.append(best)
        missing -= pairs[best]
    return tuple(chosen)


def _start(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.where(rng.random(shape) < 0.1, 0.0, rng.normal(size=shape) * power(rng, -6, 3))


def _sequence(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Array:
    if kind == "integers":
        return rng.integers(-3, 4, shape).astype(float)
    g = rng.normal(size=shape) * (10.0 ** rng.uniform(-6, 3, shape) if kind == "wide" else power(rng, -6, 3))
    steps = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
    if kind == "constant":
        return g[:1] + 0 * g
    if kind == "sparse":
        return np.where(rng.random(shape) < 0.8, 0.0, g)
    if kind == "zeros":
        first, last = np.sort(rng.integers(0, shape[0] + 1, 2))
        return np.where((first <= steps) & (steps < last), 0.0, g)
    return np.abs(g) * (-1.0) ** steps if kind == "alternating" else g
