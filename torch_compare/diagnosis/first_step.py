"""The step of the backward pass at which wrong gradients first differ from the right ones, from the output down.

N examples, O a layer's fan-out; d_z (N, O) is the gradient of a layer's pre-activation. A layer's bias and weight, and
all that lies below, are made of its d_z: what is right of them shows that d_z is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import reference as ref
from reference.network.gradients import place_of

TELLS = 2.0**-12
"""Relative rounding of a loss up to which a right one shows that the forward pass is right."""


@dataclass(frozen=True)
class FirstStep:
    """The first step that differs.

    Attributes:
        layer: its index; −1 for the gradient of the input.
        d_z: whether the layer's d_z is what differs, and not what is made of it.
        text: a clause: where it is and what to look at.
    """

    layer: int
    d_z: bool
    text: str


def first_step(
    problem: ref.Problem, wrong: Collection[str], right: Collection[str], loss_noise: float = 0.0
) -> FirstStep | None:
    """The first step from the output down that differs; None if no gradient is wrong.

    Args:
        problem: the problem.
        wrong: the places whose gradients are wrong, the loss among them if its value is.
        right: those whose gradients are right.
        loss_noise: the relative rounding of the loss.

    >>> import numpy as np
    >>> mlp = ref.initialize([2, 2, 2], ["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((1, 2)), np.ones((1, 2)), "mse")
    >>> first_step(problem, ["layers[0].weight"], ["layers[0].bias"]).text
    'layers[0].weight, in the product of d_z with the input of layers[0]: d_z is right, since layers[0].bias is'
    """
    depth = len(problem.mlp.layers)
    for l in reversed(range(depth)):
        weight, bias = place_of(l, "weight"), place_of(l, "bias")
        here = [place for place in (bias, weight) if place in wrong]
        if not here:
            continue
        shows = _shows(problem, l, wrong, right)
        if not shows:
            return FirstStep(l, True, f"{place_of(l)}, in d_z: {_look_at(problem, l, wrong, right, loss_noise)}")
        since = f"d_z is right, since {shows} is"
        products = {
            bias: "the sum of d_z over the batch",
            weight: f"the product of d_z with the input of {place_of(l)}",
        }
        return FirstStep(l, False, f"{' and '.join(here)}, in {' and '.join(products[p] for p in here)}: {since}")
    if "input" in wrong:
        return FirstStep(-1, False, f"input, in the product of d_z with {place_of(0, 'weight')}")
    return None


def _shows(problem: ref.Problem, l: int, wrong: Collection[str], right: Collection[str]) -> str:
    """A gradient that is right and made of the d_z of a layer, so that it shows that to be right; "" if none is."""
    below = [place_of(m, kind) for m in reversed(range(l)) for kind in ("bias", "weight")]
    weight, bias = place_of(l, "weight"), place_of(l, "bias")
    if weight in right:
        return weight
    lower = [place for place in (*below, "input") if place in right or place in wrong]
    # A wrong d_z may have a right sum over the batch, as that of targets in another order: then all else is wrong.
    if bias in right and not (lower and all(place in wrong for place in lower)):
        return bias
    # Behind a rectifier that is off, or a sum that cancels, one right gradient below may be chance: the nearest counts.
    return lower[0] if lower and all(place in right for place in lower[:2]) else ""


def _look_at(problem: ref.Problem, l: int, wrong: Collection[str], right: Collection[str], loss_noise: float) -> str:
    """What d_z is made of, and what the loss tells of the forward pass."""
    row = problem.mlp.layers[l].activation
    slope = "" if row.name == "identity" else f" and at the derivative of {row.name}"
    if l + 1 < len(problem.mlp.layers):
        return f"look at the product with {place_of(l + 1, 'weight')}{slope}"
    if "loss" in wrong:
        return (
            "the loss is wrong, too: the forward pass differs, or what the loss is of, "
            "so compare the outputs of the layers before any derivative"
        )
    if "loss" in right and loss_noise <= TELLS:
        return f"look at the gradient of the loss{slope}; the loss itself is right"
    return f"look at the network's output, at the gradient of the loss{slope}"
