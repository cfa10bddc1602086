"""Mistakes planted in the reference, which the comparison must catch."""

from __future__ import annotations

from collections.abc import Iterator

from ..mistakes.planted import FAULTS, Fault, bank_problem
from ..verdict.checks import Verdict, check


def plant(fault: Fault, seed: int = 0) -> Verdict:
    """The verdict on the fault's gradients: anything but "agrees" catches it."""
    problem = bank_problem(fault.activation, fault.loss, seed)
    return check(problem, fault.make(problem), diagnose=False)


def verdicts() -> Iterator[tuple[str, Verdict]]:
    """Each planted fault's name and the verdict on it."""
    for fault in FAULTS:
        yield fault.name, plant(fault)
