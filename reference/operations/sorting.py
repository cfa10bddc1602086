"""Numbers in order along an axis: each goes to its rank, and its gradient comes back from there.

Shapes in this file: x (…, M), the axis moved to the end; places (…, M, M), whether rank k is element i's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import indicator
from ..functions.basics import zero
from ..functions.recipe import recorded
from .along_axes import axes
from .probe import probe
from .row import Inputs, Operation, Pullback


def _places(x: Array, descending: bool, first: bool = True) -> Any:
    """Whether the element i (last axis) has the rank k: as many stand before it; of equal ones the first does."""
    one, other = x[..., :, None], x[..., None, :]
    size = x.shape[-1]
    earlier = np.tri(size, k=-1, dtype=bool)
    tied = (other == one) & (earlier if first else earlier.T)
    before = ((other > one) if descending else (other < one)) | tied
    rank = indicator(before, x).sum(axis=-1)
    return rank[..., None, :] == np.arange(size)[:, None]


def _moved_to_rank(places: Any, x: Array) -> Array:
    """y_k = x_i where i has the rank k: chosen and not multiplied, so that an infinity stays where it is."""
    row = x[..., None, :]
    return np.where(places, row, zero(row)).sum(axis=-1)


def _moved_back(places: Any, d: Array) -> Array:
    column = d[..., :, None]
    return np.where(places, column, zero(column)).sum(axis=-2)


@recorded
def sort(dim: int = -1, descending: bool = False) -> Operation:
    """The numbers along an axis in order; the values of torch.sort, without the places that they came from.

    Of equal ones the first stays the first, as with torch's ``stable=True``; torch leaves it open otherwise.
    """

    def moved(f: Callable[..., Array], *arrays: Array) -> Array:
        found = axes(dim, arrays[0], "sort")
        if not found:  # a single number
            return arrays[-1]
        return f(*(a.swapaxes(found[0], -1) for a in arrays)).swapaxes(found[0], -1)

    def value(x: Array) -> Array:
        return moved(lambda z: _moved_to_rank(_places(z, descending), z), x)

    def pullback(first: bool) -> Pullback:
        return lambda inputs, y, d: (
            moved(lambda z, back: _moved_back(_places(z, descending, first), back), inputs[0], d),
        )

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        return moved(lambda z, dz: _moved_to_rank(_places(z, descending), dz), inputs[0], changes[0])

    def gaps(x: Array) -> tuple[Array, ...]:
        return (moved(lambda z: z[..., 1:] - z[..., :-1], value(x)),) if x.ndim else ()

    needed = max(2, dim + 1 if dim >= 0 else -dim)
    return Operation(
        "sort",
        "x in order",
        "torch.sort",
        ("input",),
        value,
        pullback(True),
        pushforward,
        ((probe(*(3,) * needed),),),
        switches=gaps,
        conventions={"the last of equal ones stays the first": pullback(False)},
        parameters={"dim": dim, "descending": descending},
        mistakes={"the gradient left in the sorted order": lambda inputs, y, d: (d,)},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (sort,)
