"""The cases of the survey of false alarms: who computes which problem in which format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import reference as ref
from torch_compare.random_problems.crowded import crowd
from torch_compare.random_problems.spec import Spec, build, random_spec

from ..implementations.correct_gradients import (
    NAIVE_ACTIVATIONS,
    NAIVE_LOSSES,
    NUMBERS,
    by_autograd,
    by_jax,
    by_reference,
    by_torch,
    representable,
)
from ..implementations.naive import Leaves, naive_gradients
from ..implementations.sums import SUMS, Summed

KINDS = ("ordinary", "crowded", "dead", "saturated", "width 1", "deep")
_CHANCES = (0.34, 0.34, 0.08, 0.08, 0.08, 0.08)
"""crowded: a batch of 33 to 8,192 in a narrow network; its rows or its terms' signs may be equal."""
WIDEST, DEEPEST = 16, 40
EVERY = 50
"""One case in so many goes through JAX, which compiles each for a second."""


@dataclass(frozen=True)
class Surveyed:
    """An implementation of the survey.

    Attributes:
        name: as the summary has it.
        formats: those that it computes in.
        gradients: (problem, format) ↦ its gradients by place.
        naive: whether it knows only the rows of `Naive`.
    """

    name: str
    formats: tuple[str, ...]
    gradients: Callable[[ref.Problem, str], Leaves]
    naive: bool = False


def _without_logarithms(problem: ref.Problem, leaves: Leaves) -> Leaves:
    """A loss that takes the logarithm of a probability which has been rounded to 0 is no correct one."""
    left_out = problem.loss.name in ("cross_entropy", "bce_with_logits")
    return {place: leaf for place, leaf in leaves.items() if place != "loss" or not left_out}


def _naive(problem: ref.Problem, name: str) -> Leaves:
    return _without_logarithms(problem, naive_gradients(problem, dtype=name))


def _summed(how: str, stored: bool) -> Callable[[ref.Problem, str], Leaves]:
    return lambda problem, name: _without_logarithms(problem, Summed(problem, SUMS[how], name, stored=stored).run())


ALL, WIDE, HALF = tuple(NUMBERS), ("float64", "float32"), ("float16", "bfloat16")
SURVEYED: tuple[Surveyed, ...] = (
    Surveyed("torch", ALL, by_torch),
    Surveyed("customary formulas", WIDE, by_autograd),
    Surveyed("reference", ("float32",), by_reference),  # in float16 it also sums in float16
    Surveyed("NumPy", ALL, _naive, naive=True),
    *(Surveyed(f"sums: {how}", ALL, _summed(how, stored=False), naive=True) for how in SUMS),
    *(Surveyed(f"float32, stored in half; sums: {how}", HALF, _summed(how, stored=True), naive=True) for how in SUMS),
)
"""JAX besides, in one case of `EVERY`."""
JAX = Surveyed("JAX", ALL, lambda problem, name: by_jax(problem, name)(problem))
_TURNS = tuple((one, name) for name in ALL for one in SURVEYED if name in one.formats)


@dataclass(frozen=True)
class SurveyCase:
    """One case: who computes what, in which format."""

    implementation: Surveyed
    dtype: str
    kind: str
    problem: ref.Problem


def case_of(seed: int, index: int) -> SurveyCase:
    """Case number `index` of a seed.

    Raises:
        ValueError: no problem of that number can be held in the format.
    """
    one, name = _TURNS[index % len(_TURNS)]
    if index % EVERY == 0:
        one, name = JAX, ALL[index // EVERY % len(ALL)]
    for attempt in range(100):
        rng = np.random.default_rng([seed, index, attempt])
        kind = str(rng.choice(KINDS, p=_CHANCES))
        spec = _spec(rng, index, "float64" if name == "float64" else "float32", kind, one.naive)
        if one is JAX and len(spec.activations) > 4:
            continue
        try:
            problem = representable(build(spec), name)
        except ValueError:
            continue
        soft = problem.loss.name == "cross_entropy" and np.asarray(problem.target).dtype.kind == "f"
        if not (one.naive and soft):
            return SurveyCase(one, name, kind, problem)
    raise ValueError(f"no problem number {index} of seed {seed} came out representable in {name}")


def _spec(rng: np.random.Generator, index: int, dtype: str, kind: str, naive: bool) -> Spec:
    spec = random_spec(rng, index // len(_TURNS), dtype)
    spec = replace(spec, widths=tuple(min(width, WIDEST) for width in spec.widths))
    depth = min(len(spec.activations), DEEPEST if kind == "deep" else 5)
    spec = replace(
        spec,
        widths=spec.widths[-depth - 1 :],
        activations=spec.activations[-depth:],
        biases=spec.biases[-depth:],
    )
    if naive:
        rows = tuple(str(rng.choice(NAIVE_ACTIVATIONS)) for _ in range(depth))
        features = tuple(f for f in spec.features if f not in ("saturated", "huge", "dead"))
        loss = NAIVE_LOSSES[index // len(_TURNS) % len(NAIVE_LOSSES)]
        spec = replace(spec, activations=rows, loss=loss, features=features, variants=False)
    if kind == "crowded":
        return crowd(rng, spec)
    if kind == "width 1":
        return replace(spec, widths=(1,) * len(spec.widths))
    if kind == "dead":
        rows = tuple("relu" for _ in spec.activations[1:])
        return replace(spec, activations=(*rows, spec.activations[-1]), features=(*spec.features, "dead"))
    if kind == "saturated" and not naive:
        return replace(spec, features=(*spec.features, "saturated"))
    if kind == "deep":
        more = int(rng.integers(5, DEEPEST))
        rows = tuple(str(rng.choice(NAIVE_ACTIVATIONS)) for _ in range(more))
        widths = tuple(int(rng.integers(1, 5)) for _ in range(more))
        biases = (*(True for _ in range(more)), *spec.biases) if spec.biases else ()
        return replace(spec, activations=(*rows, *spec.activations), widths=(*widths, *spec.widths), biases=biases)
    return spec
