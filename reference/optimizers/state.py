"""An optimiser's state: plain data, and the checks that it is the one that a step asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arithmetic.array import is_numpy, refuse_masked

State = dict[str, Any]
""""step" (how many updates were made) and the optimiser's own slots, each a tuple with an entry per array."""


def check_steps(place: str, state: object) -> None:
    """Raise TypeError or ValueError unless a state says how many steps were made, 0 or more."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{place}: expected the dictionary of init or of the last update, got {type(state).__name__}")
    made = state.get("step", "none")
    if isinstance(made, bool) or not isinstance(made, int | np.integer) or made < 0:
        raise ValueError(f"{place}['step']: expected the number of steps made, 0 or more, got {made}")


def require_form(place: str, got: object, fresh: object) -> None:
    """Raise ValueError unless a state has the form of a fresh one; what is empty or None there may have grown."""
    if isinstance(fresh, dict):
        if not isinstance(got, dict) or got.keys() != fresh.keys():
            found = ", ".join(got) if isinstance(got, dict) else type(got).__name__
            raise ValueError(f"{place}: expected {', '.join(fresh)}, got {found}")
        for key, value in fresh.items():
            require_form(f"{place}, {key}", got[key], value)
    elif isinstance(fresh, tuple) and fresh:
        if not isinstance(got, tuple) or len(got) != len(fresh):
            found = f"{len(got)}" if isinstance(got, tuple) else type(got).__name__
            raise ValueError(f"{place}: expected {len(fresh)} entries, got {found}")
        for index, value in enumerate(fresh):
            require_form(f"{place}[{index}]", got[index], value)
    elif is_numpy(fresh):
        refuse_masked(place, got)
        shape, dtype = getattr(got, "shape", None), getattr(got, "dtype", type(got).__name__)
        if shape != fresh.shape or dtype != fresh.dtype:
            raise ValueError(f"{place}: expected {fresh.dtype} of shape {fresh.shape}, got {dtype} of shape {shape}")


def require_same_slots(name: str, index: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise ValueError if a slot changed in a step what never changes, for then it was not made for that array."""
    if before.keys() != after.keys():
        raise ValueError(f"state of {name}: expected {', '.join(['step', *after])}, got {', '.join(['step', *before])}")
    for key, slot in after.items():
        old = before[key]
        if getattr(old, "shape", None) != getattr(slot, "shape", None):
            found = getattr(old, "shape", type(old).__name__)
            raise ValueError(f"state of {name}, {key}[{index}]: expected shape {slot.shape}, got {found}")
