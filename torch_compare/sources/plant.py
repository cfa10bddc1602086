"""The verdicts on mistakes that are planted: the comparison must catch each of them."""

from __future__ import annotations

from collections.abc import Iterator

from ..mistakes.planted import PLANTED, PlantedMistake, planted_problem
from ..verdict.checks import Verdict, check


def plant(mistake: PlantedMistake, seed: int = 0) -> Verdict:
    """The verdict on the gradients that the mistake makes: anything but "agrees" catches it."""
    problem = planted_problem(mistake.activation, mistake.loss, seed)
    return check(problem, mistake.gradients(problem), diagnose=False)


def verdicts() -> Iterator[tuple[str, Verdict]]:
    """The name of each planted mistake and the verdict on it."""
    for mistake in PLANTED:
        yield mistake.name, plant(mistake)
