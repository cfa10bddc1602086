"""Mistakes in gradients that are finished: a factor, clipping, a weight decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import is_parameter

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
        return {k: np.minimum(np.maximum(v, -bound), bound) if is_parameter(k) else v for k, v in leaves.items()}

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
