"""Every mistake that can be made at one place of a problem, without a constant that would have to be fitted."""

from __future__ import annotations

from collections.abc import Iterator

import reference as ref

from .backward import bias_mistakes, downward_mistakes, other_slopes, slope_mistakes, weight_mistakes
from .data import activation_mistakes, batch_mistakes, deviation_mistakes
from .loss import loss_mistakes
from .mistake import Mistake
from .network_forward import other_passes_of
from .of_network import network_mistakes


def single_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """The mistakes of the loss, the batch and the activations, and those of every layer's backward pass, or step's.

    >>> import numpy as np
    >>> mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((4, 2)), np.zeros((4, 1)), "mse")
    >>> "activation derivative missing" in {mistake.name for mistake in single_mistakes(problem)}
    True
    """
    if isinstance(problem.network, ref.Network):
        yield from network_mistakes(problem)
        yield from other_passes_of(problem)
        return
    yield from loss_mistakes(problem)
    yield from batch_mistakes(problem)
    yield from activation_mistakes(problem)
    yield from deviation_mistakes(problem)
    for layer in range(len(problem.mlp.layers)):
        for of_layer in (slope_mistakes, other_slopes, weight_mistakes, bias_mistakes, downward_mistakes):
            yield from of_layer(problem, layer)
