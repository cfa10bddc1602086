"""Random trajectories of the optimisers that treat matrices as matrices, adafactor and muon, held against torch's.

torch computes muon's Newton–Schulz iteration in bfloat16, whatever the type of the parameters, ours in that type. So
there are two comparisons. Against torch as it is, the iteration carries the noise of bfloat16 in the rounding scale,
and everything else that of the parameters' type: it shows that torch's result is a correct one for bfloat16, and since
that scale is wide, not more. Against torch with its cast to bfloat16 taken out, all of it carries the noise of the
parameters' type only: it shows that the formula is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.optimizers import Optimizer
from reference.optimizers.muon import NS_COEFFICIENTS
from reference.rounding.scale import RUNS

from ..steps.scales import in_format
from ..torch_side.muon import without_bfloat16
from .comparison import History, Subject, TrajectoryOutcome, compare, follow_torch, record
from .random_trajectories import SHAPES, Trajectory, one_of, power, random_trajectory

Array = Any
MATRICES = ((2, 3), (4, 1), (1, 5), (3, 4), (5, 5), (1, 1))
STACKS = (*SHAPES, (5, 5), (2, 3, 2), (2, 1, 2, 3))


def adafactor_hyperparameters(rng: np.random.Generator) -> dict[str, Any]:
    """Every option of adafactor; ε₁ as a number, because its default means another one in long double."""
    return {
        "lr": power(rng, -4, 0),
        "beta2_decay": one_of(rng, -0.8, 0.0, float(rng.uniform(-1.5, 0))),
        "eps": (one_of(rng, 2.0**-52, 2.0**-23, power(rng, -8, 0)), one_of(rng, 1e-3, 0.0, power(rng, -6, 1))),
        "d": one_of(rng, 1.0, float(rng.uniform(1, 3))),
        "weight_decay": one_of(rng, 0.0, power(rng, -4, -1)),
        "maximize": bool(rng.random() < 0.3),
    }


def muon_hyperparameters(rng: np.random.Generator) -> dict[str, Any]:
    """Every option of muon."""
    return {
        "lr": power(rng, -4, 0),
        "weight_decay": one_of(rng, 0.1, 0.0, power(rng, -4, -1)),
        "momentum": one_of(rng, 0.95, 0.0, float(rng.uniform(0, 1))),
        "nesterov": bool(rng.integers(2)),
        "ns_coefficients": one_of(rng, NS_COEFFICIENTS, (15 / 8, -5 / 4, 3 / 8), (1.5, -0.5, 0.0)),
        "eps": one_of(rng, 1e-7, power(rng, -10, 2)),
        "ns_steps": one_of(rng, 5, int(rng.integers(0, 8))),
        "adjust_lr_fn": one_of(rng, None, "original", "match_rms_adamw"),
    }


DRAWS: Mapping[str, tuple[Callable[[np.random.Generator], dict[str, Any]], tuple[tuple[int, ...], ...]]] = (
    MappingProxyType(
        {
            "adafactor": (adafactor_hyperparameters, STACKS),
            "muon": (muon_hyperparameters, MATRICES),
        }
    )
)
"""Name ↦ (generator ↦ hyperparameters, the shapes to choose from)."""


def matrix_trajectory(name: str, seed: int, steps: int = 50) -> Trajectory:
    """The trajectory of this seed.

    >>> matrix_trajectory("muon", seed=0, steps=2).optimizer.name
    'muon'
    """
    draw, shapes = DRAWS[name]
    return random_trajectory(name, seed, steps, draw, shapes)


# ── their rounding scales ────────────────────────────────────────────────────────────────────────────


def matrix_scales(trajectory: Trajectory, *, runs: int = RUNS, seed: int = 0) -> History:
    """σ of every element after every step, in the format of the parameters."""
    return _scales(trajectory, trajectory.optimizer, runs, seed)


def bfloat16_scales(trajectory: Trajectory, *, runs: int = RUNS, seed: int = 0) -> History:
    """The same for muon, whose Newton–Schulz iteration is computed in bfloat16."""
    hyperparameters = dict(trajectory.optimizer.hyperparameters)
    inside = NoiseSource(get_format("bfloat16"), runs, np.random.default_rng([seed, 1]))
    c = hyperparameters
    orthogonalize = in_format(inside, c["ns_coefficients"], c["ns_steps"], c["eps"])
    return _scales(trajectory, ref.optimizers.muon(**hyperparameters, orthogonalize=orthogonalize), runs, seed)


def _scales(trajectory: Trajectory, optimizer: Optimizer, runs: int, seed: int) -> History:
    source = NoiseSource(get_format(trajectory.dtype), runs, np.random.default_rng(seed))
    here = [Noisy.exact(p, source) for p in trajectory.params]
    state, spreads = optimizer.init(here), []
    for grads in trajectory.grads:
        here, state = optimizer.update(here, [Noisy.exact(g, source) for g in grads], state)
        spreads.append({leaf: a.spread() for leaf, a in record(here, state).items()})
    return {leaf: np.stack([s[leaf] for s in spreads]) for leaf in spreads[0]}


# ── the comparisons ──────────────────────────────────────────────────────────────────────────────────


def adafactor_against_torch(seed: int, steps: int) -> TrajectoryOutcome:
    """Of one random trajectory."""
    return compare(matrix_trajectory("adafactor", seed, steps), seed, scales=matrix_scales)


def muon_against_torch(seed: int, steps: int) -> TrajectoryOutcome:
    """Of one random trajectory, torch as it is."""
    return compare(matrix_trajectory("muon", seed, steps), seed, scales=bfloat16_scales)


def muon_in_full_precision(seed: int, steps: int) -> TrajectoryOutcome:
    """Of one random trajectory, torch without its cast to bfloat16."""
    trajectory = matrix_trajectory("muon", seed, steps)
    with without_bfloat16():
        theirs = follow_torch(trajectory.optimizer, trajectory.params, trajectory.grads)
    return compare(trajectory, seed, theirs, matrix_scales)


MATRIX_SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {
        "adafactor": adafactor_against_torch,
        "muon": muon_in_full_precision,
        "muon, bfloat16": muon_against_torch,
    }
)
"""For the benchmark of the optimisers: name ↦ ((seed, steps) ↦ outcome)."""
