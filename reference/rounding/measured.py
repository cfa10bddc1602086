"""Rounding errors that are kept: who judges gradients of one problem again does not wait for its noisy runs again."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from contextlib import suppress
from hashlib import blake2b
from io import BytesIO
from types import FunctionType
from typing import Any

import numpy as np

from ..arithmetic.formats import Format
from ..functions.recipe import ReadOnly
from ..network.problem import Problem
from .scale import RUNS, Rounding, rounding_errors

MOST, MOST_BYTES = 256, 2**26
"""How many results are kept, and how many bytes of them; those used the longest ago go first."""
_KEPT: OrderedDict[bytes, tuple[Rounding, int]] = OrderedDict()
"""Results with their sizes. No lock, which a fork could leave locked: no step relies on what one before it found."""


def measured_errors(
    problem: Problem, fmt: Format, *, textbook: bool = False, runs: int = RUNS, seed: int = 0
) -> Rounding:
    """`rounding_errors`, a function of nothing but these arguments, read-only: measured once, and then kept.

    A problem is known by its numbers and by the recipes of its rows. One with a row that was made by hand, whose
    functions may be others the next time, is measured each time.

    >>> from reference import initialize
    >>> from reference.arithmetic.formats import FORMATS
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> found = measured_errors(problem, FORMATS["float64"])
    >>> measured_errors(problem.replace(), FORMATS["float64"]) is found
    True
    """
    key = _key(problem, fmt, textbook, runs, seed)
    found, size = _KEPT.pop(key, (None, 0))
    if found is None:
        found = rounding_errors(problem, fmt, textbook=textbook, runs=runs, seed=seed)
        found = Rounding(ReadOnly(found.sigma), ReadOnly(found.errors))
        arrays = [a for a in (*found.sigma.values(), *found.errors.values()) if isinstance(a, np.ndarray)]
        for values in arrays:
            values.flags.writeable = False
        size = sum(values.nbytes for values in arrays)
    if key and size <= MOST_BYTES:
        _KEPT[key] = found, size
        while len(_KEPT) > MOST or sum(kept for _, kept in list(_KEPT.values())) > MOST_BYTES:
            with suppress(KeyError):  # another thread has let go of the last
                _KEPT.popitem(last=False)
    return found


def forget() -> None:
    """Let go of all results that are kept: for who measures how long it takes to find them."""
    _KEPT.clear()


class _Pickler(pickle.Pickler):
    """Of what does not change while a program runs: of functions and classes only those of the package and of NumPy."""

    def reducer_override(self, found: Any) -> Any:
        if isinstance(found, type | FunctionType) and found.__module__.partition(".")[0] not in _UNCHANGING:
            raise pickle.PicklingError(f"{found.__qualname__} of {found.__module__} may be another the next time")
        return NotImplemented


_UNCHANGING = frozenset({__name__.partition(".")[0], "numpy", "builtins"})


def _key(*arguments: Any) -> bytes:
    """What the arguments are known by; nothing if a part of them was made by hand."""
    written = BytesIO()
    try:
        _Pickler(written).dump(arguments)
    except (pickle.PicklingError, AttributeError, TypeError):  # the last two of what a function defines inside
        return b""
    return blake2b(written.getbuffer(), digest_size=32).digest()
