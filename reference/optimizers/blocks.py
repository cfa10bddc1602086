"""A rule that treats every element by itself, on a part of a large array after the other, which stays in the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..arithmetic.array import Array, is_numpy
from ..functions.elementwise import BLOCK

Rule = Callable[[Array, Array, Mapping[str, Any], int], tuple[Array, dict[str, Any]]]
"""(parameter, gradient, slots, step from 1) ↦ (new parameter, new slots)."""


def in_blocks(rule: Rule) -> Rule:
    """The rule, of large NumPy arrays on as many rows at a time as make a block; the numbers are the same, bit for bit.

    Slots of the parameter's shape are cut with it; the others go to every block as they are.

    >>> halved = in_blocks(lambda p, g, slots, t: (p - g / 2, {"sum": slots["sum"] + g}))
    >>> p = np.zeros((3 * BLOCK, 1))
    >>> new, slots = halved(p, p + 1, {"sum": p}, 1)
    >>> bool(np.all(new == -0.5)), slots["sum"].shape == p.shape
    (True, True)
    """

    def blocked(p: Array, g: Array, slots: Mapping[str, Any], t: int) -> tuple[Array, dict[str, Any]]:
        if not is_numpy(p) or p.size <= BLOCK or p.ndim == 0:
            return rule(p, g, slots, t)
        rows = max(1, BLOCK * len(p) // p.size)
        cut = {key for key, slot in slots.items() if isinstance(slot, np.ndarray) and slot.shape == p.shape}
        new, kept = np.empty_like(p), {}
        for start in range(0, len(p), rows):
            part = slice(start, start + rows)
            before = {key: slot[part] if key in cut else slot for key, slot in slots.items()}
            new[part], after = rule(p[part], g[part], before, t)
            for key, slot in after.items():
                if key not in cut:
                    kept[key] = slot
                    continue
                if key not in kept:
                    kept[key] = np.empty(p.shape, slot.dtype)
                kept[key][part] = slot
        return new, kept

    return blocked
