"""What a draw gives: a row and inputs of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.random import Generator

import reference as ref

Inputs = tuple[Any, ...]
"""Floats, integers or truth values; None where an optional one is left out."""
Drawn = tuple[ref.Operation, Inputs]
Draw = Callable[[Generator, str], Drawn]
"""(rng, the row's name) ↦ a row of that name, and inputs."""


def row_of(name: str, *values: Any, **parameters: Any) -> ref.Operation:
    """The row with these parameters."""
    return ref.operations.MAKERS[name](*values, **parameters)
