"""Random trajectories of lbfgs, held against torch's step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

import reference as ref
from reference.optimizers.optimizer import Optimizer
from reference.optimizers.state import State
from reference.rounding.distance import WorstElement

from ..torch_side.lbfgs import lbfgs_step
from .comparison import TrajectoryOutcome
from .lbfgs_steps import Arrays, Step, TwinStep, compare_step
from .objectives import Objective, random_objective


def random_hyperparameters(rng: np.random.Generator) -> dict[str, Any]:
    """Of lbfgs: with and without line search, with few iterations a step so that many steps are worth taking."""
    searching = bool(rng.random() < 0.7)
    chosen = {
        "line_search_fn": "strong_wolfe" if searching else None,
        "lr": float(10 ** rng.uniform(-1.5, 1)) if searching else float(10 ** rng.uniform(-3, 0)),
        "max_iter": int(rng.integers(1, 6)),
        "history_size": int(rng.integers(1, 9)),
    }
    if rng.random() < 0.3:
        chosen["max_eval"] = int(rng.integers(1, 12))
    if rng.random() < 0.3:
        chosen["tolerance_grad"] = float(10 ** rng.uniform(-5, 0))
    if rng.random() < 0.3:
        chosen["tolerance_change"] = float(10 ** rng.uniform(-10, -1))
    return chosen


def lbfgs_against_torch(seed: int, steps: int) -> TrajectoryOutcome:
    """torch's LBFGS held against ours along torch's trajectory on a random loss.

    Ours is held against the same routine on `Noisy` likewise, in float32: in float64 the noise-free run is ours.

    Args:
        seed: of everything random.
        steps: how many there are at most; a trajectory ends where torch's parameters are not finite any more.
    """
    rng = np.random.default_rng([seed, 2])
    dtype: Any = np.float32 if rng.random() < 0.5 else np.float64
    objective, hyperparameters = random_objective(rng, dtype), random_hyperparameters(rng)
    optimizer = ref.optimizers.lbfgs(**hyperparameters)

    def theirs(params: Arrays, state: State, evaluate: Any) -> tuple[Arrays, State]:
        return lbfgs_step(hyperparameters, params, state, evaluate)

    found = follow(optimizer, theirs, objective, steps, dtype, seed)
    ours = follow(optimizer, itself(optimizer), objective, steps, dtype, seed) if dtype is np.float32 else []
    return TrajectoryOutcome(
        "lbfgs",
        seed,
        np.dtype(dtype).name,
        len(found),
        sum(step.numbers for step in found),
        sum(step.numbers for step in found if step.unresolved),
        _worst(found),
        _worst(ours),
        (),
    )


def _worst(steps: list[Step]) -> WorstElement:
    """The worst number of the steps whose comparison decides anything; no distance at all if none does."""
    resolved = [step.worst for step in steps if not step.unresolved]
    return max(resolved, key=lambda place: place.scales, default=WorstElement("params[0]", (0,), 0.0, 0.0, 0.0, 0.0))


def follow(
    optimizer: Optimizer, twin: TwinStep, objective: Objective, steps: int, dtype: Any = np.float64, seed: int = 0
) -> list[Step]:
    """Each step of the twin held against ours from the same parameters and state, along the twin's trajectory."""
    params, state, found = objective.start, optimizer.init(objective.start), []
    for index in range(steps):
        step = compare_step(optimizer, twin, params, state, objective.at(index), dtype, seed=seed * steps + index)
        params, state = step.given
        if not all(np.all(np.isfinite(p)) for p in params):
            break
        found.append(step)
    return found


def itself(optimizer: Optimizer) -> TwinStep:
    """An optimiser of ours in the place of another implementation; it does not look at the gradients it is given."""

    def step(params: Arrays, state: State, evaluate: Any) -> tuple[Arrays, State]:
        with np.errstate(all="ignore"):
            return optimizer.update(params, params, state, evaluate)

    return step
