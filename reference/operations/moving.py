"""Rows of operations on one array that are linear in it and compute nothing: places, and the places they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import zeros
from .row import Inputs, Operation, Output, Pullback, Unread

Back: TypeAlias = "Callable[[tuple[int, ...], Any], Array]"
"""(shape of the input, gradient of the output) ↦ gradient of the input."""


def moving(
    name: str,
    formula: str,
    value: Callable[[Array], Output],
    back: Back,
    probes: tuple[Array, ...],
    parameters: Mapping[str, Any] | None = None,
    mistakes: Mapping[str, Back] | None = None,
    push: Callable[[Array], Output] | None = None,
    source: str = "",
) -> Operation:
    """The row of such an operation: its pushforward is its value, and its pullback needs the input's shape alone.

    Args:
        name: torch's.
        formula: the operation in plain mathematics.
        value: of the input.
        back: the adjoint of the linear part of `value`.
        probes: inputs to check the row with.
        parameters: what the row was made with.
        mistakes: wrong adjoints, by what is wrong with them.
        push: the linear part, if `value` adds something that does not depend on the input.
        source: where it is defined; torch's documentation where nothing is given.
    """

    def pullback_of(f: Back) -> Pullback:
        return lambda inputs, y, d_y: (f(inputs[0].shape, d_y),)

    def pushforward(inputs: Inputs, y: Output, changes: Inputs) -> Output:
        return (push or value)(changes[0])

    return Operation(
        name,
        formula,
        source or f"torch.{name}",
        ("input",),
        value,
        pullback_of(back),
        pushforward,
        probes=tuple((x,) for x in probes),
        parameters=parameters or {},
        mistakes={key: pullback_of(wrong) for key, wrong in (mistakes or {}).items()},
        unread=Unread(("input", "output")),
    )


def placed(part: Array, shape: tuple[int, ...], axis: int, start: int) -> Array:
    """Zeros of the shape with the part put in from a place on along an axis.

    >>> placed(np.ones((1, 2)), (3, 2), 0, 1)
    array([[0., 0.],
           [1., 1.],
           [0., 0.]])
    """
    after = shape[axis] - start - part.shape[axis]
    around = [zeros((*shape[:axis], n, *shape[axis + 1 :]), part) for n in (start, after)]
    parts = [x for x in (around[0], part, around[1]) if x.shape[axis]]
    return part if len(parts) == 1 else np.concatenate(parts, axis=axis)
