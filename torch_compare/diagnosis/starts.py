"""What a backward pass may start from: mistakes in what is differentiated, or at the loss, the likeliest first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import reference as ref

from ..mistakes.data import activation_mistakes, batch_mistakes, deviation_mistakes
from ..mistakes.forward import forward_mistakes
from ..mistakes.loss import loss_mistakes
from ..mistakes.mistake import Mistake


def starts(problem: ref.Problem, budget: int) -> Iterator[tuple[Mistake, ...]]:
    """Mistakes that the backward pass starts from: none, one, or two that do not make the same thing wrong.

    Args:
        problem: the problem.
        budget: how many mistakes there may be in all.
    """
    yield ()
    if budget > 2:
        return
    losses, batches = list(loss_mistakes(problem)), list(batch_mistakes(problem))
    activations = list(activation_mistakes(problem))
    for mistake in (*deviation_mistakes(problem), *losses, *batches, *activations, *forward_mistakes(problem)):
        yield (mistake,)
    if budget > 1:
        likely = [m for m in (*losses, *activations, *batches) if not m.vague]
        yield from (pair for pair in combinations(likely, 2) if pair[0].name != pair[1].name)
