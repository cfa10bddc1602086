"""Which values of a network depend on which, and whose numbers the backward pass reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .graph_checks import NamedStep


def depending(steps: Iterable[NamedStep], leaves: Iterable[str]) -> set[str]:
    """The names of all values that depend on a leaf, and of the leaves themselves."""
    found = set(leaves)
    for step in steps:
        if found.intersection(name for name in step.inputs if name is not None):
            found.update(step.outputs)
    return found


def last_readers(steps: Sequence[NamedStep]) -> dict[str, list[str]]:
    """By the name of a step: the values that no later one takes."""
    last = {name: step.name for step in steps for name in (*step.outputs, *step.inputs) if name is not None}
    found: dict[str, list[str]] = {}
    for name, step_name in last.items():
        found.setdefault(step_name, []).append(name)
    return found


def read_by(step: NamedStep, is_kept: bool) -> list[str]:
    """The values whose numbers the pullback of a step may read; `is_kept`: that which has what it needs at hand."""
    row = step.operation
    lets_go = row.leaves if is_kept or row.kept is None else lambda name: False
    names = [name for k, name in enumerate(step.inputs) if name is not None and not lets_go(row.name_at(k))]
    return names if lets_go("output") else [*names, *step.outputs]
