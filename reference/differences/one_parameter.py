"""Variants of a problem that differ in one parameter each, run as one batch.

Changing one parameter of layer l moves that layer's z along a fixed direction ∂z/∂θ and leaves the layers
before it alone: an element costs a run from layer l on, and many elements and steps run as one batch.

Shapes: E elements, S signed steps, B = E·S variants of the problem, N examples, O a layer's fan-out, K
outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..losses.reduced import target_in_rows
from ..network import passes
from ..network.gradients import Gradients, kind_of, layer_of
from ..network.graph import Network
from ..network.mlp import Trace, forward
from ..network.passes import AnyTrace
from ..network.problem import Problem

BATCH = 2**18
"""Numbers in one batch of variants, so that it stays in the cache."""


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """Variants of a problem.

    Attributes:
        moving: each layer's z (E, S, N, O), by its number; in a network of operations each value that a step takes and
            that the variants change (E, S, …), by its name.
        output: y (E, S, N, K).
        terms: the unreduced loss (E, S, …).
        switches: the numbers whose signs say which formula of a step applies (E, S, …); None of an MLP, whose breaks
            are places in z.
    """

    moving: Mapping[int | str, NumPyArray]
    output: NumPyArray
    terms: NumPyArray
    switches: NumPyArray | None = None


Evaluate = Callable[[NumPyArray, NumPyArray], Run]
"""The variants of some elements (E,) at signed steps (E, S)."""


def in_float64(problem: Problem) -> Problem:
    """The problem in float64, which is exact for float32 and float16, its last activation and loss as one."""
    if problem.reduction == "none":
        raise ValueError(
            'reduction "none" leaves a loss of many numbers, which has no single gradient: use "sum" or "mean"'
        )
    return problem.in_float64().as_one()


def _of_each(problem: Problem, y: NumPyArray, f: Callable[[Array, Array], tuple[Array, ...]]) -> NumPyArray:
    """The arrays f(y, target) of each variant of the output y (B, N, K), side by side: (B, …)."""
    variants, target = y.shape[0], problem.target
    arrays = f(y.reshape(-1, y.shape[2]), np.tile(target, (variants, *(1,) * (target.ndim - 1))))
    return np.concatenate([np.zeros((variants, 0)), *(np.asarray(a).reshape(variants, -1) for a in arrays)], axis=1)


def unreduced_losses(problem: Problem, y: NumPyArray) -> NumPyArray:
    """The unreduced losses, (B, …)."""
    return _of_each(problem, y, lambda output, target: (problem.loss.value(output, target),))


def switches_of(problem: Problem, y: NumPyArray) -> NumPyArray:
    """The numbers whose signs say which formula of the loss applies, (B, …)."""
    return _of_each(problem, y, problem.loss.switches)


def in_loss_rows(problem: Problem, output: Array) -> Problem:
    """The problem with the target in rows, as its loss takes it beside the rows of the output (`in_rows`)."""
    return problem.replace(target=target_in_rows(problem.target, output))


def along_elements(problem: Problem, trace: Trace, starts: NumPyArray, motions: list[NumPyArray]) -> Evaluate:
    """The variants θₑ + h of elements e, in the order of the layers that they enter.

    Element e moves the z of layer starts[e] by h·motions[e] (N, O); the layers before it stay as they are.
    """

    def evaluate(which: NumPyArray, steps: NumPyArray) -> Run:
        examples = problem.x.shape[0]
        moving: dict[int | str, NumPyArray] = {}
        h = np.zeros((0, problem.x.shape[1]))
        for index, layer in enumerate(problem.mlp.layers):
            z = h @ layer.weight.T
            if layer.bias is not None:
                z = z + layer.bias
            entering = np.flatnonzero(starts[which] == index)
            if len(entering):
                motion = np.stack([motions[e] for e in which[entering]])[:, None]
                moved = trace.preactivations[index] + steps[entering][:, :, None, None] * motion
                z = np.concatenate([z, moved.reshape(-1, z.shape[1])])
            moving[index] = z.reshape(-1, steps.shape[1], examples, z.shape[1])
            h = np.asarray(layer.activation.value(z)) if len(z) else np.zeros((0, layer.width))
        y = h.reshape(*steps.shape, examples, -1)
        terms = unreduced_losses(problem, y.reshape(-1, *y.shape[2:]))
        return Run(moving, y, terms.reshape(*steps.shape, -1))

    return evaluate


def along_direction(problem: Problem, direction: Gradients) -> Evaluate:
    """The variants θ + h·direction."""

    def evaluate(which: NumPyArray, steps: NumPyArray) -> Run:
        traces = [forward(moved.mlp, moved.x) for moved in (_moved(problem, direction, h) for h in steps[0])]
        layers = range(len(problem.mlp.layers))
        output = np.stack([trace.output for trace in traces])
        return Run(
            {index: np.stack([trace.preactivations[index] for trace in traces])[None] for index in layers},
            output[None],
            unreduced_losses(problem, output)[None],
        )

    return evaluate


def _moved(problem: Problem, direction: Gradients, h: float) -> Problem:
    along = direction.leaves()
    steps = iter([h * along[place] for place in problem.leaves()])
    return problem.map(lambda values: values + next(steps))


def choose_elements(problem: Problem, entries: int | None, seed: int) -> dict[str, NumPyArray]:
    """Flat indices into each leaf: all of them, or `entries` drawn at random, evenly over the leaves."""
    leaves = problem.leaves()
    if entries is None:
        return {place: np.arange(leaf.size) for place, leaf in leaves.items()}
    if entries < 1:
        raise ValueError(f"entries: expected at least 1, got {entries}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(leaves))
    ranked = [(turn, order[k], place, int(index)) for k, (place, leaf) in enumerate(leaves.items())
              for turn, index in enumerate(rng.permutation(leaf.size)[:entries])]  # fmt: skip
    chosen = sorted(ranked)[:entries]
    return {place: np.array(sorted(i for _, _, p, i in chosen if p == place), dtype=int) for place in leaves}


def _motion(problem: Problem, trace: Trace, place: str, index: NumPyArray) -> NumPyArray:
    """∂z/∂θ for elements of one leaf: (E, N, O), z the pre-activations of the layer that the leaf enters."""
    start = _start(place)
    weight, x = problem.mlp.layers[start].weight, trace.inputs[start]
    motion = np.zeros((len(index), x.shape[0], weight.shape[0]))
    each = np.arange(len(index))
    if place == "input":
        example, feature = np.divmod(index, x.shape[1])
        motion[each, example] = weight[:, feature].T
    elif kind_of(place) == "bias":
        motion[each, :, index] = 1
    else:
        unit, feature = np.divmod(index, weight.shape[1])
        motion[each, :, unit] = x[:, feature].T
    return motion


def _start(place: str) -> int:
    return layer_of(place) or 0


def in_batches(problem: Problem, chosen: dict[str, NumPyArray], steps: int) -> Iterator[list[tuple[str, NumPyArray]]]:
    """The chosen elements (place, indices), in the order of the layers that they enter, in batches."""
    size = max(1, BATCH // (steps * largest_value(problem)))
    pairs = [(place, i) for place in sorted(chosen, key=_start) for i in chosen[place]]
    for first in range(0, len(pairs), size):
        part = pairs[first : first + size]
        yield [(place, np.array([i for p, i in part if p == place])) for place in dict(part)]


def largest_value(problem: Problem) -> int:
    """The numbers that one variant keeps at once: a layer's z, or all values of a network of operations."""
    if isinstance(problem.network, Network):
        return passes.kept_numbers(problem.network, problem.x)
    return int(problem.x.shape[0]) * max(layer.weight.shape[0] for layer in problem.network.layers)


class Tree:
    """Leaves to be filled in, element by element."""

    def __init__(self, problem: Problem, fill: float) -> None:
        self.leaves: dict[str, NumPyArray] = {
            place: np.full(leaf.shape, fill) for place, leaf in problem.leaves().items()
        }

    def put(self, groups: list[tuple[str, NumPyArray]], values: NumPyArray) -> None:
        """Write the values (E,) of a batch of elements to their places."""
        first = 0
        for place, index in groups:
            self.leaves[place].flat[index] = values[first : first + len(index)]
            first += len(index)

    def gradients(self, loss: Array | None) -> Gradients:
        """The leaves as a tree like the gradients."""
        return Gradients.from_leaves(self.leaves | {"loss": loss})


def preactivations(trace: AnyTrace) -> tuple[Array, ...]:
    """Each layer's z of an MLP."""
    assert isinstance(trace, Trace)
    return trace.preactivations


def starts_and_motions(
    problem: Problem, trace: Trace, groups: list[tuple[str, NumPyArray]]
) -> tuple[NumPyArray, list[NumPyArray]]:
    """The layer that each element of a batch enters, and how it moves that layer's z."""
    starts = np.concatenate([np.full(len(index), _start(place)) for place, index in groups])
    return starts, [motion for place, index in groups for motion in _motion(problem, trace, place, index)]
