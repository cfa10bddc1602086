"""Operations element by element, with NumPy's (and torch's) broadcasting."""

from __future__ import annotations

from collections.abc import Callable

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .broadcasting import unbroadcast
from .probe import probe
from .row import Inputs, Operation


def _changes(changes: Inputs, y: Array, *slopes: Array | float) -> Array:
    """Σ slope·change over the inputs that change, of the shape of y."""
    total = y * 0
    for change, slope in zip(changes, slopes, strict=True):
        if change is not None:
            total = total + slope * change
    return total


_PAIR = ((probe(2, 3), probe(2, 3, start=6)), (probe(2, 1, 3), probe(4, 1, start=6)), (probe(3), probe(1, start=6)))


@recorded
def add() -> Operation:
    """A + B."""
    return Operation(
        "add",
        "a + b",
        "Magnus & Neudecker 1988",
        ("input", "other"),
        lambda a, b: a + b,
        lambda inputs, y, d: (unbroadcast(d, inputs[0].shape), unbroadcast(d, inputs[1].shape)),
        lambda inputs, y, changes: _changes(changes, y, 1.0, 1.0),
        probes=_PAIR,
    )


@recorded
def mul() -> Operation:
    """A ∘ B."""
    return Operation(
        "mul",
        "a·b",
        "Magnus & Neudecker 1988",
        ("input", "other"),
        lambda a, b: a * b,
        lambda inputs, y, d: (
            unbroadcast(d * inputs[1], inputs[0].shape),
            unbroadcast(d * inputs[0], inputs[1].shape),
        ),
        lambda inputs, y, changes: _changes(changes, y, inputs[1], inputs[0]),
        probes=_PAIR,
    )


MAKERS: tuple[Callable[..., Operation], ...] = (add, mul)
