"""Checks of a network of operations: its arrays, and the names of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..arithmetic.array import Array, is_numpy, kept, refuse_masked, widened
from ..operations.row import Operation
from .validation import check_array

RESERVED = ("loss", "target")
"""Names that leaves of a problem have anyway."""


class NamedStep(Protocol):
    """What is asked of a step (see `graph.Step`)."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def operation(self) -> Operation: ...  # noqa: D102
    @property
    def inputs(self) -> tuple[str | None, ...]: ...  # noqa: D102
    @property
    def output(self) -> str | tuple[str, ...]: ...  # noqa: D102
    @property
    def outputs(self) -> tuple[str, ...]: ...  # noqa: D102


def parameter(name: str, values: object) -> Array:
    """A parameter, checked: floating numbers, none of a name that is taken; a read-only copy."""
    if name in RESERVED:
        raise ValueError(f"{name}: no value may have the name of {name}")
    return check_array(name, values, ndim=None)


def constant(name: str, values: object) -> Array:
    """A constant, checked: numbers or truth values; a read-only copy."""
    refuse_masked(name, values)
    array = widened(np.asarray(values)) if is_numpy(values) or not hasattr(values, "__array_ufunc__") else values
    if is_numpy(array) and array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers or truth values, got {array.dtype}")
    return kept(array)


def check_names(
    inputs: tuple[str, ...],
    parameters: Mapping[str, Array],
    constants: Mapping[str, Array],
    steps: Sequence[NamedStep],
    output: str,
) -> None:
    """Raise unless every name is made once, before it is used, and the output depends on all that is there."""
    made: dict[str, str] = {}

    def make(name: str, by: str) -> None:
        if name in RESERVED:
            raise ValueError(f"{by}: no value may have the name of {name!r}")
        if name in made:
            raise ValueError(f"{by}: {name!r} is there already, from {made[name]}")
        made[name] = by

    for kind, names in (("inputs", inputs), ("parameters", parameters), ("constants", constants)):
        for name in names:
            make(name, kind)
    later = {name for step in steps for name in step.outputs}
    used = {output}
    for index, step in enumerate(steps):
        at = f"steps[{index}] ({step.name}, {step.operation.name})"
        for name in filter(None, step.inputs):
            if name not in made:
                why = (
                    "a later step or this one makes it: put the steps in order, and let no value depend on itself"
                    if name in later
                    else "nothing makes it: it is no parameter, input or constant and no step's output"
                )
                raise ValueError(f"{at}: {name!r} is not there; {why}")
            used.add(name)
        for name in step.outputs:
            make(name, at)
    if output not in made:
        raise ValueError(f"output: {output!r} is not there; the steps make {', '.join(sorted(later)) or 'nothing'}")
    idle = [name for name in (*parameters, *inputs) if name not in used]
    if idle:
        raise ValueError(f"{idle[0]}: no step uses it")
    _check_reached(steps, output, parameters)


def _check_reached(steps: Sequence[NamedStep], output: str, parameters: Mapping[str, Array]) -> None:
    needed = {output}
    for step in reversed(steps):
        if needed & set(step.outputs):
            needed |= {name for name in step.inputs if name is not None}
    for step in steps:
        if not needed & set(step.outputs):
            raise ValueError(f"step {step.name!r} ({step.operation.name}): the output {output!r} does not depend on it")
    for name in parameters:
        if name not in needed:
            raise ValueError(f"{name}: the output {output!r} does not depend on it")


def parts_of(step: NamedStep, made: Any) -> Iterator[Any]:
    """What an operation made, one part for each name of the step's outputs.

    Raises:
        ValueError: there are more or fewer.
    """
    if isinstance(step.output, str):
        if isinstance(made, tuple):
            raise ValueError(f"step {step.name!r}: {step.operation.name} has {len(made)} outputs: name them all")
        yield made
        return
    if not isinstance(made, tuple) or len(made) != len(step.output):
        count = len(made) if isinstance(made, tuple) else 1
        raise ValueError(f"step {step.name!r}: {step.operation.name} has {count} outputs, got {len(step.output)} names")
    yield from made
