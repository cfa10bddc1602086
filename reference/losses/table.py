"""The table of losses: one row each, with torch.nn.functional's names, parameters and defaults.

y (N, K) is the network's output and t the target. Every row states the unreduced loss, the gradient of
its sum, and what reduction="mean" divides by: the batch size N for a loss per example, and what torch
divides by for torch's losses. A function of this room makes a row with parameters of its own:
``huber(delta=2.0)``. `LOSSES` holds every row with its default parameters, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..functions.recipe import row_named
from ..functions.rows import Rows
from .distance import gaussian_nll, half_squared_error, huber, l1, mse, smooth_l1
from .inner_product import inner_product
from .likelihood import bce, bce_with_logits, cross_entropy, kl_div, nll, poisson_nll
from .margin import hinge_embedding, multi_margin, multilabel_margin, multilabel_soft_margin, soft_margin
from .row import Loss

__all__ = [
    "LOSSES",
    "Loss",
    "bce",
    "bce_with_logits",
    "cross_entropy",
    "gaussian_nll",
    "get",
    "half_squared_error",
    "hinge_embedding",
    "huber",
    "inner_product",
    "kl_div",
    "l1",
    "mse",
    "multi_margin",
    "multilabel_margin",
    "multilabel_soft_margin",
    "nll",
    "poisson_nll",
    "smooth_l1",
    "soft_margin",
]  # fmt: skip

_MAKERS: tuple[Callable[[], Loss], ...] = (
    half_squared_error, mse, l1, smooth_l1, huber, cross_entropy, nll, bce, bce_with_logits, kl_div,
    poisson_nll, gaussian_nll, soft_margin, multilabel_soft_margin, multilabel_margin, multi_margin,
    hinge_embedding, inner_product,
)  # fmt: skip

LOSSES: Mapping[str, Loss] = Rows({make.__name__: make for make in _MAKERS})
"""Every row with its default parameters, by name."""


def get(row: str | Loss) -> Loss:
    """The row itself, or the row of that name.

    Raises:
        ValueError: no row has that name (the message lists those that exist).
        TypeError: neither a name nor a row.

    >>> get("mse").formula
    '(y − t)²'
    """
    return row_named("loss", row, LOSSES, Loss)
