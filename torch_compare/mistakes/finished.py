"""Mistakes in gradients that are finished: a factor, clipping, a weight decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import reference as ref

from .mistake import Leaves, Mistake


def factor_at(places: Iterable[str], where: str, like: Mistake) -> Mistake:
    """The same factor at these places."""
    scaled, c = frozenset(places), like.constant

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        return {k: v * c if k in scaled else v for k, v in leaves.items()}

    return Mistake(
        like.name, where, like.what, leaves=change, vague=like.vague, form="factor", constant=c,
        uncertainty=like.uncertainty, also=like.also,
    )  # fmt: skip


ROUND = 1e-6
"""torch.nn.utils.clip_grad_norm_ divides by the norm + 1e-6, which a bound of about 1 then shows."""


def normalised_at(place: str, size: float, noise: float) -> Mistake:
    """The gradient at one place scaled to a norm, which it shows to within its noise."""

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        if place not in leaves:
            return leaves
        leaf = leaves[place]
        return leaves | {place: leaf * (size / np.sqrt((leaf * leaf).sum()))}

    what = f"the norm of this gradient by itself is clipped, or normalised, to {size:g}"
    return Mistake(
        "gradient clipped", place, what, leaves=change, form="norm", constant=size, uncertainty=max(noise, ROUND)
    )


def clipped(bound: float) -> Mistake:
    """Every element of a parameter's gradient limited to ±bound."""

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        named = problem.network.named_parameters()
        return {k: np.minimum(np.maximum(v, -bound), bound) if k in named else v for k, v in leaves.items()}

    what = f"every element is clipped to ±{bound:.6g}"
    return Mistake("gradient clipped", "every weight and bias", what, leaves=change, form="clip", constant=bound)


DECAYS: dict[str, Callable[[Any], Any]] = {"the weights": lambda w: w, "the weights' signs": np.sign}
"""Directions of a weight decay, by their names."""


def decayed_at(place: str, along: str, rate: float, uncertainty: float) -> Mistake:
    """So much of a parameter, or of its sign, added to its gradient."""

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        if place not in leaves:
            return leaves
        return leaves | {place: leaves[place] + DECAYS[along](problem.leaves()[place]) * rate}

    what = f"{rate:.6g} × {along} is added: a weight decay that belongs to the optimiser"
    return Mistake(
        "weight decay mixed in", place, what, leaves=change, form=along, constant=rate, uncertainty=uncertainty
    )


def lines_zeroed_at(place: str, lines: Sequence[int], size: int, axis: int = 0) -> Mistake:
    """Rows, or columns, of one gradient left at 0.

    Args:
        place: of the gradient.
        lines: their indices, in order.
        size: how many there are in all.
        axis: 0 for rows, 1 for columns.
    """
    at = tuple(lines)

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        if place not in leaves:
            return leaves
        kept = np.isin(np.arange(size), at, invert=True).astype(float)
        return leaves | {place: leaves[place] * (kept if axis == 1 else kept.reshape(-1, 1))}

    return Mistake("rows left at 0", place, f"{_lines(at, size, ('row', 'column')[axis])} 0", leaves=change)


def _lines(at: Sequence[int], size: int, line: str) -> str:
    """Lines of an array as the subject of a sentence, with the verb.

    >>> _lines([2, 3, 4], 5, "row"), _lines([0, 1], 5, "row"), _lines([3], 5, "column")
    ('rows from 2 on are', 'rows up to 1 are', 'column 3 is')
    """
    if len(at) == 1:
        return f"{line} {at[0]} is"
    if at[-1] - at[0] + 1 == len(at):
        if at[-1] == size - 1:
            return f"{line}s from {at[0]} on are"
        return f"{line}s up to {at[-1]} are" if at[0] == 0 else f"{line}s {at[0]} to {at[-1]} are"
    some = ", ".join(map(str, at[:6])) + (" and more" if len(at) > 6 else "")
    return f"{line}s {some} are"


def rows_of_others_at(place: str, order: Sequence[int]) -> Mistake:
    """Rows of one gradient in the places of others.

    Args:
        place: of the gradient.
        order: the row that stands in each row's place.
    """
    of = tuple(order)

    def change(problem: ref.Problem, leaves: Leaves) -> Leaves:
        return leaves | {place: leaves[place][np.array(of)]} if place in leaves else leaves

    moved = [f"row {i} holds that of row {j}" for i, j in enumerate(of) if i != j]
    what = "; ".join(moved[:3]) + (f"; {len(moved) - 3} more rows hold those of others" if len(moved) > 3 else "")
    return Mistake("rows of others", place, what, leaves=change, vague=True)
