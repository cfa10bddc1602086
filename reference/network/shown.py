"""How a record of arrays and rows prints: in a line or two, its arrays by their types and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..functions.recipe import Recorded

FEW = 6
"""So many entries of a tuple or mapping are printed."""


def shown(record: Any) -> str:
    """The record's ``__repr__``.

    >>> from reference import initialize
    >>> initialize([3, 2], ["tanh"], seed=0)
    MLP(layers=(Layer(weight=float64[2, 3], bias=float64[2], activation=tanh),))
    """
    parts = (f"{field.name}={_short(getattr(record, field.name))}" for field in fields(record))
    return f"{type(record).__name__}({', '.join(parts)})"


def _short(value: Any) -> str:
    if isinstance(value, Recorded):
        return str(getattr(value, "name", repr(value)))
    if isinstance(value, Mapping):
        return f"{{{_listed([f'{key}: {_short(one)}' for key, one in value.items()])}}}"
    if isinstance(value, tuple):
        return f"({_listed([_short(one) for one in value])}{',' if len(value) == 1 else ''})"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}{list(value.shape)}"
    return repr(value)


def _listed(entries: list[str]) -> str:
    more = [f"… {len(entries) - FEW} more"] if len(entries) > FEW else []
    return ", ".join(entries[:FEW] + more)
