"""ATen's losses, for a module that computes its own: rows of the table of losses, of a target that is known."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.operations.of_loss import of_loss

from .call import Entry, Expression, Value, known, row

REDUCTIONS = ("none", "mean", "sum")
"""By torch's number."""


def _loss(y: Value, target: Any, loss: ref.Loss, reduction: int, *, of_rows: bool = False) -> Expression:
    """The loss of y; of_rows if torch has the classes on axis 1, where there are more than two axes.

    Raises:
        ValueError: the target depends on a parameter or a floating input.
    """
    if isinstance(target, Value) and target.data is None:
        raise ValueError(
            f"{loss.name}: its target depends on parameters or floating inputs, and the oracle takes no derivative of "
            "a target: detach it, or write the loss in elementary operations"
        )
    t, operation = np.asarray(known(target)), of_loss(loss, REDUCTIONS[reduction])
    if of_rows and y.ndim > 2:
        last = (row("movedim", source=1, destination=-1), y)
        return operation, last, np.moveaxis(t, 1, -1) if t.ndim == y.ndim else t
    return operation, y, t


def _of_difference(name: str, parameter: str | None = None) -> Entry:
    """A loss of y − t: of a target that has a derivative, too, it is that of the difference and 0."""

    def entry(self: Value, target: Any, reduction: int = 1, **parameters: Any) -> Expression:
        given = {parameter: float(parameters[parameter])} if parameter else {}
        loss = getattr(ref.losses, name)(**given)
        if isinstance(target, Value) and target.data is None:
            operation = of_loss(loss, REDUCTIONS[reduction])
            return operation, (row("sub"), self, target), np.zeros(np.broadcast_shapes(self.shape, target.shape))
        return _loss(self, target, loss, reduction)

    return entry


def _array(weight: Any) -> Any:
    return None if weight is None else known(weight)


def _cross_entropy(
    self: Value, target: Any, weight: Any, reduction: int, ignore_index: int, label_smoothing: float
) -> Expression:
    if isinstance(target, Value) and target.data is None and weight is None and not label_smoothing:
        axis = 1 if self.ndim > 1 else 0
        of_one = (row("neg"), (row("sum", dim=axis), (row("mul"), target, (row("log_softmax", dim=axis), self))))
        return of_one if REDUCTIONS[reduction] == "none" else (row(REDUCTIONS[reduction]), of_one)
    loss = ref.losses.cross_entropy(_array(weight), ignore_index, label_smoothing)
    return _loss(self, target, loss, reduction, of_rows=True)


def _nll(self: Value, target: Any, weight: Any, reduction: int, ignore_index: int) -> Expression:
    return _loss(self, target, ref.losses.nll(_array(weight), ignore_index), reduction, of_rows=True)


def _weighted(self: Value, target: Any, loss: ref.Loss, weight: Any, reduction: int) -> Expression:
    """torch weights each number, and its mean divides by how many there are."""
    if weight is None:
        return _loss(self, target, loss, reduction)
    weighted = (row("mul"), _loss(self, target, loss, REDUCTIONS.index("none")), weight)
    return weighted if REDUCTIONS[reduction] == "none" else (row(REDUCTIONS[reduction]), weighted)


def _bce_with_logits(self: Value, target: Any, weight: Any, pos_weight: Any, reduction: int) -> Expression:
    return _weighted(self, target, ref.losses.bce_with_logits(None, _array(pos_weight)), weight, reduction)


LOSSES: Mapping[str, Entry] = MappingProxyType({
    "aten.mse_loss.default": _of_difference("mse"),
    "aten.l1_loss.default": _of_difference("l1"),
    "aten.smooth_l1_loss.default": _of_difference("smooth_l1", "beta"),
    "aten.huber_loss.default": _of_difference("huber", "delta"),
    "aten.cross_entropy_loss.default": _cross_entropy,
    "aten.nll_loss_nd.default": _nll,
    "aten.nll_loss.default": _nll,
    "aten.nll_loss2d.default": _nll,
    "aten.nll_loss_forward.default": lambda **given: [_nll(**given), None],
    "aten.binary_cross_entropy.default": lambda self, target, weight, reduction: _weighted(
        self, target, ref.losses.bce(), weight, reduction),
    "aten.binary_cross_entropy_with_logits.default": _bce_with_logits,
    "aten.kl_div.default": lambda self, target, reduction, log_target: _loss(
        self, target, ref.losses.kl_div(log_target), reduction),
    "aten.poisson_nll_loss.default": lambda input, target, log_input, full, eps, reduction: _loss(
        input, target, ref.losses.poisson_nll(log_input, full, eps), reduction),
    "aten.soft_margin_loss.default": lambda self, target, reduction: _loss(
        self, target, ref.losses.soft_margin(), reduction),
    "aten.multi_margin_loss.default": lambda self, target, p, margin, weight, reduction: _loss(
        self, target, ref.losses.multi_margin(int(p), float(margin), _array(weight)), reduction),
    "aten.multilabel_margin_loss.default": lambda self, target, reduction: _loss(
        self, target, ref.losses.multilabel_margin(), reduction),
    "aten.hinge_embedding_loss.default": lambda self, target, margin, reduction: _loss(
        self, target, ref.losses.hinge_embedding(float(margin)), reduction),
})  # fmt: skip
"""By the overload's name."""
