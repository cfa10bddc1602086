"""Mistakes whose only constant is a rate: each moves the gradients along one direction, in proportion to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce

import reference as ref
from reference.network.gradients import place_of

from .backward import UPDATES, update_mistake
from .finished import DECAYS, decayed_at
from .mistake import Leaves, Mistake
from .rules import Rules

OfRate = Callable[[float, float], Mistake]
"""(rate, its uncertainty) ↦ the mistake."""
RATE = 2.0**-10
"""A rate so small that what it changes is straight in it, at any places together."""


def rate_mistakes(problem: ref.Problem) -> Iterator[OfRate]:
    """Weights that are updated before the gradient goes back through them, in a layer or in all; weight decay.

    Of a network of operations, weight decay alone.

    >>> mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=0)
    >>> import numpy as np
    >>> problem = ref.Problem(mlp, np.ones((4, 2)), np.zeros((4, 1)), "mse")
    >>> sorted({mistake(RATE, 0.0).name for mistake in rate_mistakes(problem)})
    ['weight decay mixed in', 'weights already updated']
    """
    named = problem.network.named_parameters()
    if isinstance(problem.network, ref.Network):
        matrices = tuple(place for place, values in named.items() if values.ndim > 1)
        yield from _decays({tuple(named): "every parameter", matrices: "every parameter of two axes or more"})
        return
    layers = range(len(problem.mlp.layers))
    for along in list(UPDATES)[:2]:  # Adam's first step goes where the sign goes
        yield from (_updated((layer,), place_of(layer), along) for layer in layers)
        if len(layers) > 1:
            yield _updated(layers, "every layer", along)
    weights = tuple(place_of(layer, "weight") for layer in layers)
    yield from _decays({tuple(named): "every weight and bias", weights: "every weight"})


def _decays(groups: Mapping[tuple[str, ...], str]) -> Iterator[OfRate]:
    """A decay of each group of parameters; one of none, or the same as one before, is left out."""
    for places, where in groups.items():
        if places:
            yield from (_decayed(places, where, along) for along in DECAYS)


def _updated(layers: Iterable[int], where: str, along: str) -> OfRate:
    def made(rate: float, noise: float) -> Mistake:
        return _together([update_mistake(layer, rate, along, noise) for layer in layers], where)

    return made


def _decayed(places: Iterable[str], where: str, along: str) -> OfRate:
    def made(rate: float, noise: float) -> Mistake:
        return _together([decayed_at(place, along, rate, noise) for place in places], where)

    return made


def _together(mistakes: Sequence[Mistake], where: str) -> Mistake:
    """One habit at several places, as one mistake."""

    def rules(right: Rules) -> Rules:
        return reduce(lambda found, mistake: mistake.rules(found), mistakes, right)

    def leaves(problem: ref.Problem, made: Leaves) -> Leaves:
        return reduce(lambda found, mistake: mistake.leaves(problem, found), mistakes, made)

    return replace(mistakes[0], where=where, rules=rules, leaves=leaves)
