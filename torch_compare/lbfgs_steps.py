"""L-BFGS held against a twin step by step, along every path that rounding could take.

L-BFGS branches on what it computes: which pairs it keeps, where the line search brackets, when it stops. Where a
branch hangs on the last bits, two correct implementations part, and no tolerance on a whole trajectory is both safe and
sharp. So both start every step from the same parameters and state, and the step is run on `Noisy`: with random rounding
errors in every operation of the routine and of every loss and gradient that it asks for, each as large as the format
makes. Where all runs take the same branches, their spread is the rounding scale σ of every number that comes out. Where
they do not, the step is run along either branch, all runs together: each path gives its own numbers and its own σ. The
twin must agree with one of them, in every parameter and in its whole state: nothing is widened by the branches that it
did not take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.formats import Format, get_format
from reference.noise import RUNS
from reference.noisy import Noisy, Source, Split
from reference.optimizer import Evaluate, Optimizer, State

from .measure import FACTOR, in_scales

Array = Any
Arrays = list[Array]
Twin = Callable[[Arrays, State, Evaluate], tuple[Arrays, State]]
"""(parameters, state in our form, evaluate) ↦ the same after one step of the other implementation."""
MOST_PATHS = 32
"""A step with more paths than this counts as unresolved."""


@dataclass(frozen=True, eq=False)
class Guided(Source):
    """A source that takes given sides where its runs split, then the side of "true".

    Attributes:
        answers: the given sides.
        taken: the sides taken.
        settled: how many of them were taken before the last evaluation that fits the twin's.
    """

    answers: tuple[bool, ...] = ()
    taken: list[bool] = field(default_factory=list)
    settled: list[int] = field(default_factory=lambda: [0])

    def decide(self) -> bool:
        """The next given answer."""
        k = len(self.taken)
        self.taken.append(self.answers[k] if k < len(self.answers) else True)
        return self.taken[-1]


class Astray(ArithmeticError):  # noqa: N818 (a path ends)
    """A path asks for the loss where the twin did not."""

    def __init__(self, scales: float, place: str) -> None:
        super().__init__(f"{scales:.3g} rounding scales off at {place}")
        self.scales, self.place = scales, place


@dataclass(frozen=True)
class Step:
    """How one step compares.

    Attributes:
        scales: the largest error in units of σ along the first path that fits; if none does, the smallest.
        place: where it is.
        paths: how many were tried; if more than `MOST_PATHS`, not all there are.
        numbers: how many were compared.
        given: the parameters and state that the other made.
    """

    scales: float
    place: str
    paths: int
    numbers: int
    given: tuple[Arrays, State]

    @property
    def agrees(self) -> bool:
        """Whether the error is one of rounding."""
        return self.scales <= FACTOR

    @property
    def unresolved(self) -> bool:
        """Whether it does not agree, and not every path was tried."""
        return not self.agrees and self.paths > MOST_PATHS


def paths(run: Callable[[Guided], Any], fmt: Format, runs: int, seed: int) -> Iterator[Any]:
    """What `run` returns along every path that the noise of its source finds, the same noise on each.

    A path that goes `Astray` gives that error.
    """
    waiting: list[tuple[bool, ...]] = [()]
    while waiting:
        answers = waiting.pop()
        source = Guided(fmt, runs, np.random.default_rng(seed), answers)
        try:
            with np.errstate(all="ignore"):
                yield run(source)
        except Astray as error:
            yield error
        waiting.extend(_other_sides(source))


def _other_sides(source: Guided) -> list[tuple[bool, ...]]:
    """The paths that part from this one at a branch that no path before it has taken; the last is tried next.

    That is the one which parts at the first branch after the last evaluation that fits: before it nothing has gone
    wrong yet, and what comes later may not be reached.
    """
    first, settled = len(source.answers), source.settled[-1]
    early, late = range(first, settled), range(max(first, settled), len(source.taken))
    return [(*source.taken[:k], not source.taken[k]) for k in (*early, *reversed(late))]


def step_leaves(params: Arrays, state: Mapping[str, Any]) -> dict[str, Any]:
    """Every number of parameters and state by its place; the integers too."""
    flat: dict[str, Any] = {}

    def walk(place: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in value:
                walk(f"{place}.{key}" if place else key, value[key])
        elif isinstance(value, list | tuple):
            for index, entry in enumerate(value):
                walk(f"{place}[{index}]", entry)
        else:
            flat[place] = value

    walk("params", params)
    walk("", state)
    return flat


def deviation(given: Mapping[str, Any], expected: Mapping[str, Any], fmt: Format) -> tuple[float, str]:
    """The largest error of the given numbers in units of the spread of the expected ones, and its place."""
    if given.keys() != expected.keys():
        return float("inf"), f"{min(given.keys() ^ expected.keys())}: on one side only"
    worst, where = 0.0, ""
    for place, value in expected.items():
        if isinstance(value, Noisy):
            ratio = in_scales(given[place], value.data[0], value.spread(), fmt)
        elif isinstance(value, int):
            ratio = 0.0 if int(given[place]) == value else float("inf")
        else:
            ratio = in_scales(given[place], value, np.zeros(np.shape(value)), fmt)
        largest = float(np.max(np.where(np.isnan(ratio), np.inf, ratio), initial=0.0))
        if largest > worst:
            worst, where = largest, place
    return worst, where


def compare_step(
    optimizer: Optimizer,
    twin: Twin,
    params: Arrays,
    state: State,
    evaluate: Evaluate,
    dtype: Any = np.float64,
    *,
    runs: int = RUNS,
    seed: int = 0,
) -> Step:
    """How far another implementation's step lies from ours.

    Args:
        optimizer: ours.
        twin: the other's step; it must ask `evaluate` for everything.
        params: where the step starts.
        state: our state there.
        evaluate: parameters ↦ (loss, gradients), in any arithmetic.
        dtype: the format that the other computes in.
        runs: noisy runs.
        seed: of the noise.
    """
    fmt = get_format(dtype)
    asked: list[dict[str, Any]] = []

    def noted(there: Any) -> tuple[Any, Any]:
        asked.append(step_leaves(there, {}))
        return evaluate(there)

    given = twin(params, state, noted)
    leaves = step_leaves(*given)

    def along(source: Guided) -> tuple[float, str]:
        points = iter(asked)

        def beside(there: Any) -> tuple[Any, Any]:
            scales, place = deviation(next(points, {}), step_leaves(there, {}), fmt)
            if not scales <= FACTOR:
                raise Astray(scales, f"evaluation {len(asked) - len(list(points))}, {place}")
            source.settled.append(len(source.taken))
            return evaluate(there)

        start = noisy_tree(params, source)
        made = optimizer.update(start, start, noisy_tree(state, source), beside)
        return deviation(leaves, step_leaves(*made), fmt)

    best, where, count = float("inf"), "", 0
    for found in paths(along, fmt, runs, seed):
        count += 1
        scales, place = (found.scales, found.place) if isinstance(found, Astray) else found
        if scales <= best:
            best, where = scales, place
        if best <= FACTOR or count > MOST_PATHS:
            break
    numbers = sum(np.size(a) for a in leaves.values())
    return Step(best, where, count, numbers, given)


def noisy_tree(tree: Any, source: Source) -> Any:
    """The tree with every floating number and array made `Noisy`, without errors yet."""
    if isinstance(tree, Mapping):
        return {key: noisy_tree(value, source) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(noisy_tree(value, source) for value in tree)
    return Noisy.exact(tree, source) if np.asarray(tree).dtype.kind == "f" else tree


def steps_together(
    optimizer: Optimizer,
    trajectory: list[tuple[Arrays, State]],
    params: Arrays,
    evaluates: list[Evaluate],
    dtype: Any = np.float64,
    *,
    runs: int = RUNS,
    seed: int = 0,
) -> tuple[int, float]:
    """How many steps of another implementation's trajectory are held against ours without a common restart.

    The noise accumulates from step to step, until some of the runs take another branch than the others.

    Args:
        optimizer: ours.
        trajectory: parameters and state of the other after every step.
        params: where both start.
        evaluates: the loss and gradients of every step.
        dtype: the format that the other computes in.
        runs: noisy runs.
        seed: of the noise.

    Returns:
        The number of steps, and the largest error of the other in them in units of σ.
    """
    fmt = get_format(dtype)
    source = Source(fmt, runs, np.random.default_rng(seed))
    here = noisy_tree(params, source)
    state, worst = optimizer.init(here), 0.0
    for count, (given, evaluate) in enumerate(zip(trajectory, evaluates, strict=True)):
        try:
            with np.errstate(all="ignore"):
                here, state = optimizer.update(here, here, state, evaluate)
        except Split:
            return count, worst
        worst = max(worst, deviation(step_leaves(*given), step_leaves(here, state), fmt)[0])
    return len(trajectory), worst
