"""The gradients of more examples than memory holds: those of one batch after the other, added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import losses
from ..arithmetic.array import Array, Term, typed_like, with_room
from ..arithmetic.dispatch import two_sum
from ..losses.common import one
from ..losses.row import Loss
from .gradients import Gradients
from .graph import Network
from .mlp import MLP
from .problem import Problem, gradients_and_output, loss_divisor


def gradients_of_batches(
    network: MLP | Network, batches: Iterable[tuple[Any, Any]], loss: Loss | str, reduction: str = "mean"
) -> Gradients:
    """The loss of all examples and its gradients, with one batch in memory at a time.

    L = Σ_b L_b, and so ∂L/∂W = Σ_b ∂L_b/∂W; the mean divides both by Σ_b of what the loss's row divides the mean of one
    batch by, so that uneven batches count by their examples. What each sum loses is kept and added at the end (Neumaier
    1974): the result is that of the whole data to the rounding scale, however many batches it is cut into.

    Args:
        network: an MLP; or a network of operations in which examples do not meet: one that takes statistics over a
            batch (batch_norm) takes those of each.
        batches: pairs (x, target), as for `Problem`: a list, a generator, the blocks of a Dask array. It is gone
            through once, and no batch is kept.
        loss: a row of `LOSSES`, or its name. A row of one's own must divide its mean by a count, which adds up.
        reduction: "mean" or "sum", over all examples.

    Returns:
        As of `gradients`, without those of x.

    Raises:
        TypeError, ValueError: a batch does not fit, as for `Problem`; the message begins with its number, from 0.
        ValueError: there is no batch, no target of any counts, or the reduction is another.

    >>> import numpy as np
    >>> from reference import MLP, Layer
    >>> mlp = MLP((Layer(np.array([[1.0]]), np.array([0.0]), "identity"),))
    >>> x, t = np.array([[1.0], [2.0], [6.0]]), np.array([[0.0], [0.0], [3.0]])
    >>> g = gradients_of_batches(mlp, ((x[i : i + 2], t[i : i + 2]) for i in (0, 2)), "half_squared_error")
    >>> g.loss, g.layers[0].weight, g.layers[0].bias
    (np.float64(2.3333333333333335), array([[7.66666667]]), array([2.]))
    """
    row = losses.get(loss)
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction: expected "mean" or "sum", got {reduction!r}')
    totals: dict[str, tuple[Array, Term]] = {}
    divisor: tuple[Array, Term] = np.zeros(()), 0.0
    for number, batch in enumerate(batches):
        try:
            x, target = batch
            problem = Problem(network, _loaded(x), np.asanyarray(target), row, "sum")
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"batch {number}: {error}") from error
        found, output = gradients_and_output(problem, to_input=False)
        divisor = _added(divisor, np.asarray(loss_divisor(problem, output)))
        for place, leaf in found.leaves().items():
            totals[place] = _added(totals[place], leaf) if place in totals else (with_room(leaf), 0.0)
    if not totals:
        raise ValueError("batches: expected at least one (x, target), got none")
    by: Term = 1 if reduction == "sum" or row.divisor is one else _sum(*divisor)
    if by == 0:
        raise ValueError(f"batches: the weights of all targets add up to 0, so {row.name} has no mean")
    return Gradients.from_leaves(
        {place: typed_like(_sum(*totals[place]) / by, leaf) for place, leaf in found.leaves().items()}
    )


def _added(total: tuple[Array, Term], leaf: Array) -> tuple[Array, Term]:
    """The sum so far and what it has lost, with one term more; beyond all range nothing is lost that could be told."""
    so_far, lost = total
    with np.errstate(invalid="ignore"):  # ∞ − ∞ in what is lost
        so_far, gone = two_sum(so_far, with_room(leaf))
        return so_far, lost + gone


def _sum(total: Array, lost: Term) -> Array:
    return np.where(np.isfinite(total), total + lost, total)[()]


def _loaded(x: Any) -> Any:
    """The arrays of a batch as NumPy's, wherever they were until now."""
    return {name: np.asanyarray(one) for name, one in x.items()} if isinstance(x, Mapping) else np.asanyarray(x)
