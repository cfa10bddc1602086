"""Central differences of the loss alone: no derivative formula of this package is used, only its forward pass.

They are extrapolated (Ridders 1982; Richardson 1911), and every element comes with an error bar of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arithmetic.array import NumPyArray
from ..network.gradients import Gradients
from ..network.graph import NetworkTrace
from ..network.passes import AnyTrace
from ..network.problem import Problem, loss_value
from .base_point import Base
from .extrapolation import NOISE, ROWS, extrapolate
from .one_parameter import (
    Evaluate,
    Tree,
    along_direction,
    along_elements,
    choose_elements,
    in_batches,
    in_float64,
    starts_and_motions,
)
from .whole_variants import along_leaves, along_tree


@dataclass(frozen=True, eq=False, slots=True)
class Difference:
    """Derivatives and their error bars.

    Attributes:
        value: the derivatives; NaN where an element is not judged. `.loss` is the loss.
        error: |derivative − value| is at most this; infinite where an element is not judged.
    """

    value: Gradients
    error: Gradients


def central_difference(problem: Problem, *, entries: int | None = None, seed: int = 0) -> Difference:
    """The derivative of the loss with respect to every parameter and input element, each with its error bar.

    (L(θ + h) − L(θ − h))/2h at steps h that halve, extrapolated to h = 0 (Ridders 1982, §2); the entry of the
    tableau with the least bar is taken. A bar is the sum of

    - truncation: the largest difference from the entry's neighbours in the tableau, two finer ones among them, or, at
      the tableau's end, the last change of the column divided by its weight;
    - disagreement with any finer step, and with one near √u, beyond what rounding explains;
    - rounding: `NOISE`·σ/h carried through the tableau's weights, σ that of the loss on `Noisy` arithmetic,
      measured at the base point and, for the output's rounding, at either end of the steps.

    Steps stay on one piece of every activation and of the loss: where a unit that moves sits on a break, or
    the break is too close for any step, the element is not judged. The base point is the stored forward
    pass: the rounding errors of the layers before the parameter's own are in the bar only through σ.

    Args:
        problem: of any NumPy type up to float64. It is computed in float64, which holds the numbers of a
            float32 problem exactly: the result is the derivative at that problem's numbers.
        entries: how many elements to judge, drawn at random and spread evenly over the leaves; all if not given.
        seed: of that draw.

    Returns:
        Value and error as trees like the gradients. Elements that are not judged have the value NaN and an
        infinite error, as all have where the loss is not finite. The loss is the value's, with its error.

    Raises:
        ValueError: reduction is "none", or entries is below 1.

    >>> from reference import gradients, initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> found, g = central_difference(problem), gradients(problem)
    >>> bool(np.all(abs(found.value.input - g.input) <= found.error.input)), bool(np.all(found.error.input < 1e-12))
    (True, True)
    """
    problem = in_float64(problem)
    with np.errstate(all="ignore"):
        base = Base.of(problem)
        value, error = Tree(problem, np.nan), Tree(problem, np.inf)
        for groups in (
            in_batches(problem, choose_elements(problem, entries, seed), 2 * ROWS) if np.isfinite(base.sigma) else ()
        ):
            evaluate, scale, still = _variants(problem, base.trace, groups)
            v, e = extrapolate(base, evaluate, scale)
            value.put(groups, np.where(still, 0, v))
            error.put(groups, np.where(still, 0, e))
        loss = loss_value(problem, base.trace.output)
    return Difference(value.gradients(loss), error.gradients(np.asarray(NOISE * base.sigma)))


def _variants(
    problem: Problem, trace: AnyTrace, groups: list[tuple[str, NumPyArray]]
) -> tuple[Evaluate, NumPyArray, NumPyArray]:
    """The variants of a batch of elements, how far a step of each may well go, and whether it moves nothing: (E,)."""
    if isinstance(trace, NetworkTrace):
        sizes = [1 + np.abs(trace.values[place]).max() for place, index in groups for _ in index]
        return along_leaves(problem, trace, groups), np.array(sizes), np.zeros(len(sizes), dtype=bool)
    starts, motions = starts_and_motions(problem, trace, groups)
    size = np.array([np.abs(motion).max() for motion in motions])
    still = size == 0
    widest = np.array([1 + np.abs(trace.preactivations[start]).max() for start in starts])
    return along_elements(problem, trace, starts, motions), widest / np.where(still, 1, size), still


def _along(problem: Problem, trace: AnyTrace, direction: Gradients) -> Evaluate:
    if isinstance(trace, NetworkTrace):
        return along_tree(problem, trace, direction)
    return along_direction(problem, direction)


def directional_difference(problem: Problem, direction: Gradients) -> tuple[float, float]:
    """⟨∇L, direction⟩ and its error bar by central differences: a check of a network of any size at once.

    Args:
        problem: as for `central_difference`.
        direction: a tree like the gradients; its loss does not count.

    Returns:
        The derivative and its bar; NaN and infinity where it is not judged.

    Raises:
        ValueError: reduction is "none".

    >>> from reference import gradients, initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> along = random_direction(problem, seed=1)
    >>> value, error = directional_difference(problem, along)
    >>> expected = sum(np.sum(d * gradients(problem)[place]) for place, d in along.leaves().items())
    >>> bool(abs(value - expected) <= error < 1e-12)
    True
    """
    problem = in_float64(problem)
    largest = max(float(np.abs(np.asarray(leaf)).max()) for leaf in direction.derivatives().values())
    if largest == 0:
        return 0.0, 0.0
    with np.errstate(all="ignore"):
        base = Base.of(problem)
        if not np.isfinite(base.sigma):
            return np.nan, np.inf
        size = max(float(np.abs(np.asarray(leaf)).max()) for leaf in problem.leaves().values())
        scale = np.array([(size if size > 0 else 1.0) / largest])
        value, error = extrapolate(base, _along(problem, base.trace, direction), scale)
    return float(value[0]), float(error[0])


def random_direction(problem: Problem, seed: int) -> Gradients:
    """A tree like the gradients, float64, of independent standard normal numbers; its loss is None.

    >>> from reference import initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> random_direction(Problem(mlp, np.ones((3, 2)), np.ones((3, 1)), loss="mse"), seed=1).input.shape
    (3, 2)
    """
    rng = np.random.default_rng(seed)
    tree = Tree(problem, 0.0)
    tree.leaves = {place: rng.standard_normal(leaf.shape) for place, leaf in tree.leaves.items()}
    return tree.gradients(None)
