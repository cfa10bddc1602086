"""Trajectories of optimisers: ours and torch's, step by step, held against each other in rounding scales.

The rounding scale is measured as for gradients: the same update rule runs on `Noisy` over the whole trajectory, and σ
of an element after a step is the spread of its runs there.

Parameters and every slot of the state are compared after every step. The update rules follow torch's order of
operations, so their intermediate terms are torch's, and there is no textbook scale beside the accurate one. What
rounds in float64 on both sides alike, the factors that depend on the step alone, carries no noise.

Errors that repeat at every step (of a hyperparameter that float32 cannot hold) add up in proportion to the steps, the
noise to their root: over 50 steps the scale falls short of such errors by up to 7, and FACTOR leaves room for that;
over many hundred it would not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from reference.arithmetic.formats import Format, get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.optimizers import Optimizer
from reference.rounding.distance import FACTOR, WorstElement, worst_place
from reference.rounding.scale import RUNS

from ..torch_side.optimizer_deviations import as_torch
from ..torch_side.optimizers import ONE_NUMBER, Twin
from .random_trajectories import Arrays, Trajectory, random_trajectory

Array = Any
History = dict[str, Array]
"""Leaf ("params[0]", "exp_avg[1]") ↦ (steps, *shape): its value after every step."""
MANY_RUNS = 1024
"""For σ if few runs find a disagreement: if an update divides by what has nearly cancelled, the errors have heavy
tails, which a few runs miss."""


@dataclass(frozen=True)
class TrajectoryOutcome:
    """How far torch's optimiser and ours were apart along a trajectory.

    Attributes:
        name: of the optimiser.
        seed: of the trajectory.
        dtype: of the parameters.
        steps: how many there were.
        elements: how many numbers were compared, over all steps.
        undecided: how many of them have no finite rounding scale and are not the same on both sides.
        worst: the element furthest apart, its index led by the step (from 0).
        own: the element at which ours is furthest from the same rule in long double.
        deviations: of torch, that were allowed for.
    """

    name: str
    seed: int
    dtype: str
    steps: int
    elements: int
    undecided: int
    worst: WorstElement
    own: WorstElement
    deviations: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether both errors are within what rounding explains."""
        return not (self.worst.scales > FACTOR or self.own.scales > FACTOR)


Subject = Callable[[int, int], TrajectoryOutcome]
"""(seed, steps) ↦ outcome of one random trajectory."""


class Scales(Protocol):
    """A measure of the rounding scale of every leaf along a trajectory, in a format and a way of its own."""

    def __call__(self, trajectory: Trajectory, *, runs: int, seed: int) -> History:
        """σ of every element after every step."""
        ...


# ── following them ───────────────────────────────────────────────────────────────────────────────────


def follow(optimizer: Optimizer, params: Sequence[Array], grads: Sequence[Sequence[Array]]) -> History:
    """Ours, in the arithmetic of the arrays."""
    here, state = list(params), optimizer.init(list(params))
    records = []
    for g in grads:
        here, state = optimizer.update(here, list(g), state)
        records.append(record(here, state))
    return _stacked(records)


def follow_torch(optimizer: Optimizer, params: Sequence[Array], grads: Sequence[Sequence[Array]]) -> History:
    """torch's."""
    twin = Twin(optimizer, params)
    records = []
    for g in grads:
        twin.step(g)
        records.append(record(twin.params, twin.state))
    return _stacked(records)


def rounding_scales(trajectory: Trajectory, fmt: Format | None = None, *, runs: int = RUNS, seed: int = 0) -> History:
    """σ of every element after every step, for an optimiser that treats every element by itself.

    The arrays are strung together: one noisy array does for all of them.

    Args:
        trajectory: its numbers are taken as exact.
        fmt: what the implementation computes in; the type of the parameters if not given.
        runs: how many noisy runs to take the root mean square of.
        seed: of the noise.
    """
    source = NoiseSource(fmt or get_format(trajectory.dtype), runs, np.random.default_rng(seed))
    sizes = [p.size for p in trajectory.params]

    def noisy(arrays: Arrays) -> list[Noisy]:
        return [Noisy.exact(np.concatenate([a.ravel() for a in arrays]), source)]

    here, records = noisy(trajectory.params), []
    state = trajectory.optimizer.init(here)
    for g in trajectory.grads:
        here, state = trajectory.optimizer.update(here, noisy(g), state)
        records.append(record(here, state))
    scales: History = {}
    for leaf in records[0]:
        name = leaf.partition("[")[0]
        sigma = _spread([r[leaf] for r in records], source)
        parts = [sigma] * len(sizes) if name in ONE_NUMBER else np.split(sigma, np.cumsum(sizes)[:-1], axis=1)
        for index, (part, p) in enumerate(zip(parts, trajectory.params, strict=True)):
            shape = (1,) * p.ndim if name in ONE_NUMBER else p.shape
            scales[f"{name}[{index}]"] = part.reshape(-1, *shape)
    return scales


def _spread(values: list[Noisy], source: NoiseSource) -> Array:
    """(steps, size)."""
    runs = max(len(v.data) for v in values)
    return Noisy(np.stack([np.broadcast_to(v.data, (runs, *v.shape)) for v in values], axis=1), source).spread()


def record(params: Sequence[Array], state: Mapping[str, Any]) -> History:
    """Parameters and slots by leaf; an array that does not have a slot is left out there."""
    slots = {"params": params} | {key: slot for key, slot in state.items() if isinstance(slot, tuple)}
    named = {f"{name}[{index}]": array for name, arrays in slots.items() for index, array in enumerate(arrays)}
    return {leaf: array for leaf, array in named.items() if array is not None}


def _stacked(records: Sequence[History]) -> History:
    return {leaf: np.stack([r[leaf] for r in records]) for leaf in records[-1]}


# ── comparing ────────────────────────────────────────────────────────────────────────────────────────


def distance(given: History, expected: History, scale: History, fmt: Format) -> tuple[WorstElement, int]:
    """The element furthest apart in units of the scale, and how many have no scale to be judged by.

    Numbers that are NaN on both sides are the same.

    Raises:
        ValueError: the two have different leaves, or leaves of different shapes or types.
    """
    if given.keys() != expected.keys():
        raise ValueError(f"expected the leaves {sorted(expected)}, got {sorted(given)}")
    same = {leaf: np.isnan(given[leaf]) & np.isnan(expected[leaf]) for leaf in expected}
    left, right = ({leaf: np.where(same[leaf], 0, h[leaf]) for leaf in h} for h in (given, expected))
    undecided = sum(int(np.sum(~np.isfinite(scale[leaf]) & (left[leaf] != right[leaf]))) for leaf in right)
    return worst_place(left, right, scale, fmt), undecided


def compare(
    trajectory: Trajectory, seed: int = 0, given: History | None = None, scales: Scales = rounding_scales
) -> TrajectoryOutcome:
    """torch's optimiser held against ours along a trajectory, and ours against the same rule in long double.

    Args:
        trajectory: what both are given.
        seed: of the noise; named in the outcome.
        given: what to hold against ours in place of torch's history.
        scales: what measures σ; the one at hand is for elementwise optimisers in the format of their parameters.
    """
    optimizer, params, grads = trajectory.optimizer, trajectory.params, trajectory.grads
    fmt = get_format(trajectory.dtype)
    with np.errstate(all="ignore"):
        twin, deviations = as_torch(optimizer, trajectory.dtype) if given is None else (optimizer, ())
        theirs = follow_torch(optimizer, params, grads) if given is None else given
        ours = follow(optimizer, params, grads)
        as_theirs = follow(twin, params, grads) if deviations else ours
        precise = follow(optimizer, [_long(p) for p in params], [[_long(a) for a in g] for g in grads])
        nearest = {leaf: a.astype(trajectory.dtype) for leaf, a in precise.items()}
        for runs in (RUNS, MANY_RUNS):
            scale = scales(trajectory, runs=runs, seed=seed)
            worst, undecided = distance(theirs, as_theirs, scale, fmt)
            own, _ = distance(ours, nearest, scale, fmt)
            if not max(worst.scales, own.scales) > FACTOR:
                break
    elements = sum(a.size for a in ours.values())
    return TrajectoryOutcome(optimizer.name, seed, fmt.name, len(grads), elements, undecided, worst, own, deviations)


def _long(array: Array) -> Array:
    return array.astype(np.longdouble)


def elementwise_subject(name: str) -> Subject:
    """Random trajectories of one elementwise optimiser."""

    def run(seed: int, steps: int) -> TrajectoryOutcome:
        return compare(random_trajectory(name, seed, steps), seed)

    return run
