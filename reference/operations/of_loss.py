"""Every loss of the table as an operation: a network that computes its own loss has it as a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import losses
from ..arithmetic.array import Array, NumPyArray, Term, is_numpy
from ..arithmetic.dispatch import parameter
from ..functions.recipe import recorded
from ..losses import reduced
from ..losses.common import examples, one
from ..losses.row import Loss
from .row import Inputs, Operation, Pullback

Target = NumPyArray


def of_loss(loss: str | Loss, reduction: str = "mean") -> Operation:
    """The operation that takes a loss of its input (…, K) and what is expected of it, which has no derivative here.

    torch calls that the target; but a problem has its own target, and no value of its network goes by that name.

    Args:
        loss: a row of `LOSSES`, or its name.
        reduction: "mean", "sum", or "none" for one number for each example or element.

    Raises:
        ValueError: there is no such loss or reduction.

    >>> row = of_loss("cross_entropy", "sum")
    >>> logits, target = np.zeros((1, 2, 4)), np.array([[3, 0]])
    >>> bool(row.value(logits, target) == 2 * np.log(4))
    True
    >>> row.pullback((logits, target), row.value(logits, target), np.array(1.0))[0]
    array([[[ 0.25,  0.25,  0.25, -0.75],
            [-0.75,  0.25,  0.25,  0.25]]])
    """
    if reduction not in reduced.REDUCTIONS:
        raise ValueError(f"reduction: expected one of {', '.join(reduced.REDUCTIONS)}, got {reduction!r}")
    return _of_row(losses.get(loss), reduction)


@recorded
def _of_row(row: Loss, reduction: str) -> Operation:
    """The row; ℓ are the unreduced losses, of which each depends on its own row or element of y alone.

    L = Σℓ / divisor        d_y = d_L · ∂Σℓ/∂y / divisor        dL = ⟨∂Σℓ/∂y, dy⟩ / divisor.
    """

    def expected(y: Array, target: Target) -> Array:
        """The target; in the arithmetic of y where the loss computes with it alone, as 1 − t."""
        alone = row.target == "probabilities" and is_numpy(target) and not is_numpy(y)
        return parameter(target, y) if alone else target

    def value(y: Array, target: Target) -> Array:
        return reduced.reduced(row, y, expected(y, target), reduction)

    def pullback(inputs: Inputs, loss: Array, d_loss: Array) -> tuple[Array, None]:
        y, target = inputs[0], expected(*inputs)
        return _of_each(d_loss, y) * reduced.gradient(row, y, target, reduction), None

    def pushforward(inputs: Inputs, loss: Array, changes: Inputs) -> Array:
        y, target = inputs[0], expected(*inputs)
        change = reduced.gradient(row, y, target, reduction) * changes[0]
        if reduction != "none":
            return change.sum()
        return change if loss.ndim == y.ndim else change.sum(axis=-1)

    def size(inputs: Inputs, loss: Array) -> Term:
        y, target = inputs
        of_one = row.textbook_value(reduced.in_rows(y), reduced.target_in_rows(target, y))
        if isinstance(of_one, float | int):
            return of_one
        if reduction == "none":
            return of_one.reshape(loss.shape)
        total = of_one.sum()
        return total / reduced.divisor(row, y, target) if reduction == "mean" else total

    def sizes(inputs: Inputs, loss: Array, d_loss: Array) -> tuple[Term, float]:
        y, target = inputs
        of_one = row.textbook_gradient(reduced.in_rows(y), reduced.target_in_rows(target, y))
        if not isinstance(of_one, float | int):
            of_one = of_one.reshape(y.shape)
        share = np.abs(_of_each(d_loss, y))
        return share * of_one / (reduced.divisor(row, y, target) if reduction == "mean" else 1), 0.0

    def divided_by(divisor: Callable[[Array, Array], Term]) -> Pullback:
        def wrong(inputs: Inputs, loss: Array, d_loss: Array) -> tuple[Array, None]:
            y, target = inputs
            rows = reduced.in_rows(y), reduced.target_in_rows(target, y)
            return d_loss * reduced.gradient(row, y, target, "sum") / divisor(*rows), None

        return wrong

    y, target, _ = row.probe()
    probes, mistakes = [(y, target)], {}
    if reduction == "mean" and row.divisor is not one:
        mistakes["sum for mean"] = divided_by(one)
    if reduction == "mean" and row.ignore_index is not None:
        mistakes["mean over all for those that count"] = divided_by(examples)
        probes.append((y, np.where(np.arange(target.size) > 0, row.ignore_index, target)))
    return Operation(
        row.name,
        f"{'Σ ' if reduction != 'none' else ''}{row.formula}{' / what the mean divides by' * (reduction == 'mean')}",
        row.source,
        ("input", "expected"),
        value,
        pullback,
        pushforward,
        probes=tuple(probes),
        data=("expected",),
        switches=lambda y, target: row.switches(reduced.in_rows(y), reduced.target_in_rows(target, y)),
        mistakes=mistakes,
        parameters=dict(row.parameters) | {"reduction": reduction},
        textbook_value=size,
        textbook_pullback=sizes,
    )


def _of_each(d_loss: Array, y: Array) -> Array:
    """The gradient of one number, of each element's or of each example's loss, to be multiplied with the output's."""
    return d_loss[..., None] if 0 < d_loss.ndim < y.ndim else d_loss
