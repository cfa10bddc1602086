"""Mistakes that weigh the examples of a batch unlike each other: means of micro-batches, examples left out or repeated.

N examples; a micro-batch is a run of successive examples whose gradients are computed by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.dispatch import parameter
from reference.network.unchecked import changed

from .mistake import Mistake

MOST = 8
"""Micro-batches whose sizes are said."""


def weighed(name: str, what: str, weights: Any, **more: Any) -> Mistake:
    """Each example's part of the gradients, and of the loss, counted so many times.

    Args:
        name: the kind of the mistake.
        what: a clause that says what is done.
        weights: (N,), 1 for what is right.
        more: further attributes of the mistake.
    """

    def change(problem: ref.Problem) -> ref.Problem:
        row = problem.loss
        if problem.x.shape[0] != len(weights):
            raise ValueError(f"{len(weights)} weights for {problem.x.shape[0]} examples")

        def times(values: Any) -> Any:
            column = parameter(np.reshape(weights, (-1, *(1,) * (len(values.shape) - 1))), values)
            return values * column

        return problem.replace(
            loss=changed(
                row, value=lambda y, t: times(row.value(y, t)), gradient=lambda y, t: times(row.gradient(y, t))
            )
        )

    return Mistake(name, "loss", what, problem=change, **more)


def counts_of(problem: ref.Problem) -> Any:
    """How much each example adds to what the loss's mean divides by, (N,): 1 each, 0 if ignored, or a class weight."""
    y, t, divisor = ref.forward(problem.mlp, problem.x).output, problem.target, problem.loss.divisor
    return np.array([float(np.asarray(divisor(y[n : n + 1], t[n : n + 1]))) for n in range(y.shape[0])])


def sums_of(counts: Any, ends: Sequence[int]) -> Any:
    """The counts of each micro-batch together, by the index after its last example."""
    return np.diff(np.concatenate([[0.0], np.cumsum(counts)])[[0, *ends]])


def micro_batch_weights(counts: Any, ends: Sequence[int], averaged: bool) -> Any:
    """The weight of each example if the means of micro-batches are averaged, or added up, as if they were alike.

    Args:
        counts: of each example, see `counts_of`.
        ends: the index after each micro-batch's last example.
        averaged: whether the means are averaged; added up if not.

    >>> micro_batch_weights(np.ones(3), [2, 3], averaged=True)
    array([0.75, 0.75, 1.5 ])
    """
    sums, sizes = sums_of(counts, ends), np.diff([0, *ends])
    share = np.where(sums > 0, counts.sum() / np.where(sums > 0, sums, 1.0), 0.0)
    return np.repeat(share / (len(ends) if averaged else 1), sizes)


def micro_batches(counts: Any, weights: Any, sums: Any, averaged: bool, about: bool = False) -> Mistake:
    """The means of micro-batches averaged, or added up, though they are of different sizes.

    Args:
        counts: of each example, see `counts_of`.
        weights: of each example, see `micro_batch_weights`.
        sums: of the counts of each micro-batch.
        averaged: whether the means are averaged; added up if not.
        about: whether other sizes would explain the same numbers.
    """
    each, some = float(np.max(counts)), np.any(counts == 0)
    alike = np.all((counts == 0) | (counts == each))
    unit = each if alike else 1.0
    sizes = [f"{s / unit:g}" for s in sums[:MOST]] + (["…"] if len(sums) > MOST else [])
    batches = f"micro-batches of {'about ' if about else ''}{', '.join(sizes)} " + (
        ("counted " if some else "") + "examples" if alike else "in weight"
    )
    whole = f"where the mean is over all {counts.sum() / unit:g}"
    if averaged:
        return weighed("mean of micro-batches' means", f"the means of {batches} are averaged, {whole}", weights)
    return weighed("micro-batches' means added up", f"the means of {batches} are added up, {whole}", weights)


def in_micro_batches(problem: ref.Problem, size: int, averaged: bool) -> Mistake:
    """The mistake with micro-batches of one size, of which the last is smaller if it does not go into N."""
    n, counts = problem.x.shape[0], counts_of(problem)
    ends = [*range(size, n, size), n]
    return cut_at(counts, ends, averaged)


def cut_at(counts: Any, ends: Sequence[int], averaged: bool) -> Mistake:
    """The mistake with micro-batches that end before these examples; counts are those of `counts_of`."""
    return micro_batches(counts, micro_batch_weights(counts, ends, averaged), sums_of(counts, ends), averaged)


def of_sequences(problem: ref.Problem, sequences: int) -> Iterator[Mistake]:
    """The means of so many runs of examples, or of micro-batches of some, where they count unlike many."""
    if problem.reduction != "mean" or not 1 < sequences < problem.x.shape[0]:
        return
    counts, length = counts_of(problem), problem.x.shape[0] // sequences
    for size in (s for s in range(1, sequences) if sequences % s == 0):
        ends = [length * k for k in range(size, sequences + 1, size)]
        if np.ptp(sums_of(counts, ends)) > 0:  # else it is a factor
            yield from (cut_at(counts, ends, averaged) for averaged in (True, False))
