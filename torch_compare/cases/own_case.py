"""A case of a network that somebody asks for by its widths: what `gradient-oracle vectors --widths` writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

import reference as ref

from ..files.case_file import NAME, Case
from ..random_problems.spec import OUTPUTS, Spec, build
from .draft import Draft, certify, same_parameters

LARGEST = 10**6
"""Multiply-adds of the forward pass, at the most: certifying so many takes minutes, and the file has megabytes."""


def own_case(
    widths: Sequence[int],
    activation: str,
    loss: str,
    *,
    dtype: str = "float64",
    batch: int = 8,
    seed: int = 0,
    reduction: str = "mean",
) -> Case:
    """A network with random numbers, and its certified gradients.

    Args:
        widths: features before the first layer and behind each layer.
        activation: of all layers but the last, which is linear, or what the loss takes: sigmoid, log_softmax.
        loss: a name in `ref.LOSSES`.
        dtype: "float64" or "float32".
        batch: the number of examples.
        seed: of the numbers.
        reduction: "mean" or "sum".

    Raises:
        ValueError: there is no such activation or loss, a number is below 1, or the network is too large.

    >>> case = own_case([4, 6, 5, 3], "relu", "cross_entropy", dtype="float32")
    >>> case.name, [layer.activation.name for layer in case.problem.mlp.layers]
    ('net_4_6_5_3_relu_cross_entropy_mean_float32_batch_8_seed_0', ['relu', 'relu', 'identity'])
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths: expected two numbers or more, each at least 1, got {','.join(map(str, widths))}")
    if batch < 1:
        raise ValueError(f"batch: expected at least 1, got {batch}")
    hidden, judged = ref.activations.get(activation), ref.losses.get(loss)
    for kind, value, known in (
        ("dtype", dtype, ("float64", "float32")),
        ("reduction", reduction, ("mean", "sum")),
    ):
        if value not in known:
            raise ValueError(f"{kind}: expected one of {', '.join(known)}, got {value}")
    work = batch * sum(i * o * hidden.shrink for i, o in pairwise(widths))
    if work > LARGEST:
        raise ValueError(f"widths and batch: {work} multiply-adds in a forward pass, more than {LARGEST}")
    last = OUTPUTS[loss][0] if loss in OUTPUTS else "identity"
    rows = (*[activation] * (len(widths) - 2), last)
    spec = Spec(tuple(widths), rows, loss, batch, seed, reduction=reduction, dtype=dtype, variants=False)
    problem = next(found for found in _problems(spec) if same_parameters(found.loss, judged))
    if problem.loss.target in ("classes", "indices"):  # of one class each, none of them ignored
        classes = np.random.default_rng([seed, 1]).integers(0, widths[-1], batch)
        problem = ref.Problem(problem.mlp, problem.x, classes, loss, reduction)
    shape = "_".join(map(str, widths)) if len(widths) < 10 else f"{len(widths) - 1}_layers"
    name = f"net_{shape}_{activation}_{loss}_{reduction}_{dtype}_batch_{batch}_seed_{seed}"
    note = f"a network of {len(widths) - 1} layers with random numbers from seed {seed}"
    return certify(Draft(name if NAME.fullmatch(name) else name[:100], problem, ("random",), note))


def _problems(spec: Spec) -> Iterator[ref.Problem]:
    """The problems of a seed one after the other: the generator draws the loss's parameters for half of them."""
    rng = np.random.default_rng(spec.seed)
    while True:
        yield build(replace(spec, seed=int(rng.integers(2**63))))
