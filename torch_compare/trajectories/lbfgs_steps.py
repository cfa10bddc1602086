"""L-BFGS held against a twin step by step, along every path that rounding could take.

L-BFGS branches on what it computes: which pairs it keeps, where the line search brackets, when it stops. Where a
branch hangs on the last bits, two correct implementations part, and no tolerance on a whole trajectory is both safe and
sharp. Therefore:

* Both start every step from the same parameters and state.
* Within the step, ours runs on `Noisy`, where every operation makes a random rounding error. Where it asks for the loss
  and gradients, the twin must have asked at the same point, to within FACTOR times the spread σ of the runs there; ours
  is then given the very numbers that the twin was given. No evaluation adds an error, and none is carried on.
* Where all runs take the same branches, there is one path. Where they do not, the step is run along either branch, all
  runs together: each path has its own points, numbers and σ. The twin must agree with one of them in every parameter
  and in its whole state, and nothing is widened by the branches that it did not take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.arithmetic.formats import Format, get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.optimizers.optimizer import Evaluate, Optimizer
from reference.optimizers.state import State
from reference.rounding.distance import FACTOR, WorstElement, worst_place
from reference.rounding.scale import RUNS

Array = Any
Arrays = list[Array]
TwinStep = Callable[[Arrays, State, Evaluate], tuple[Arrays, State]]
"""(parameters, state in our form, evaluate) ↦ the same after one step of the other implementation."""
MOST_PATHS = 32
"""A step with more paths than this counts as unresolved."""


@dataclass(frozen=True, eq=False)
class Guided(NoiseSource):
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
    """A path asks for the loss at a point where the twin did not."""

    def __init__(self, place: WorstElement) -> None:
        super().__init__(str(place))
        self.place = place


@dataclass(frozen=True)
class Step:
    """How one step compares.

    Attributes:
        worst: the number furthest off along the path that fits best.
        paths: how many were tried; if more than `MOST_PATHS`, not all there are.
        numbers: how many were compared.
        given: the parameters and state that the other made.
    """

    worst: WorstElement
    paths: int
    numbers: int
    given: tuple[Arrays, State]

    @property
    def agrees(self) -> bool:
        """Whether the error is one of rounding."""
        return self.worst.scales <= FACTOR

    @property
    def unresolved(self) -> bool:
        """Whether it does not agree, and not every path was tried."""
        return not self.agrees and self.paths > MOST_PATHS


def paths(run: Callable[[Guided], Any], fmt: Format, runs: int, seed: int) -> Iterator[Any]:
    """The results of `run` along every path that the noise of its source finds, the same noise on each.

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


def worst_number(given: Mapping[str, Any], expected: Mapping[str, Any], fmt: Format) -> WorstElement:
    """The given number furthest from the expected ones' noise-free run, in units of their spread.

    A number that has no finite spread to be judged by counts as infinitely far off, and so does a missing one.
    """
    if given.keys() != expected.keys():
        return _missing(min(given.keys() ^ expected.keys()))
    values = {place: v.data[0] if isinstance(v, Noisy) else np.asarray(v) for place, v in expected.items()}
    spreads = {p: v.spread() if isinstance(v, Noisy) else np.zeros(np.shape(v)) for p, v in expected.items()}
    for place, spread in spreads.items():
        if not np.all(np.isfinite(spread)):
            return _missing(place)
    return worst_place({place: np.asarray(v) for place, v in given.items()}, values, spreads, fmt)


def _missing(place: str) -> WorstElement:
    return WorstElement(place, (), float("nan"), float("nan"), float("inf"), 0.0)


def compare_step(
    optimizer: Optimizer,
    twin: TwinStep,
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
        evaluate: parameters ↦ (loss, gradients), on arrays.
        dtype: the format that the other computes in.
        runs: noisy runs.
        seed: of the noise.
    """
    fmt = get_format(dtype)
    asked: list[tuple[dict[str, Any], Any]] = []

    def noted(there: Any) -> tuple[Any, Any]:
        answer = evaluate(there)
        asked.append((step_leaves(there, {}), answer))
        return answer

    given = twin(params, state, noted)
    leaves = step_leaves(*given)

    def along(source: Guided) -> WorstElement:
        replay = iter(asked)

        def beside(there: Any) -> tuple[Any, Any]:
            point, answer = next(replay, ({}, None))
            worst = worst_number(point, step_leaves(there, {}), fmt)
            if not worst.scales <= FACTOR:
                raise Astray(worst)
            source.settled.append(len(source.taken))
            return noisy_tree(answer, source)

        start = noisy_tree(params, source)
        made = optimizer.update(start, start, noisy_tree(state, source), beside)
        return worst_number(leaves, step_leaves(*made), fmt)

    best, count = _missing("any path"), 0
    for found in paths(along, fmt, runs, seed):
        count += 1
        worst = found.place if isinstance(found, Astray) else found
        if worst.scales < best.scales or count == 1:
            best = worst
        if count > MOST_PATHS:
            break
    numbers = sum(np.size(a) for a in leaves.values())
    return Step(best, count, numbers, given)


def noisy_tree(tree: Any, source: NoiseSource) -> Any:
    """The tree with every floating number and array made `Noisy`, without errors yet."""
    if isinstance(tree, Mapping):
        return {key: noisy_tree(value, source) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(noisy_tree(value, source) for value in tree)
    return Noisy.exact(tree, source) if np.asarray(tree).dtype.kind == "f" else tree
