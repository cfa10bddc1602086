"""Every activation and loss of the tables in torch: a row's name to torch's function, called with its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor

from .tensors import tensor

_ROWS = 2
"""Axes of what torch's losses take: examples and features."""


def _reduced(unreduced: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return unreduced
    return unreduced.mean() if reduction == "mean" else unreduced.sum()


def _half_squared_error(y: Tensor, t: Tensor, reduction: str) -> Tensor:
    return _reduced(0.5 * ((y - t) ** 2).sum(dim=1), reduction)


def _inner_product(y: Tensor, t: Tensor, reduction: str) -> Tensor:
    return t * y if reduction == "none" else (t * y).sum()


def _cross_entropy(y: Tensor, t: Tensor, *, ignore_index: int, **rest: Any) -> Tensor:
    # torch refuses an ignore_index beside probabilities, to which it has no meaning
    return (
        F.cross_entropy(y, t, **rest)
        if t.is_floating_point()
        else F.cross_entropy(y, t, ignore_index=ignore_index, **rest)
    )


def _kl_div(y: Tensor, t: Tensor, *, log_target: bool, reduction: str) -> Tensor:
    # reduction="mean" in the call itself warns that it is no batch mean; a warning filter is not thread-safe
    return _reduced(F.kl_div(y, t, reduction="none", log_target=log_target), reduction)


def _gaussian_nll(y: Tensor, t: Tensor, *, var: Tensor, **rest: Any) -> Tensor:
    return F.gaussian_nll_loss(y, t, var.expand_as(y), **rest)


ACTIVATIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType({
    "identity": lambda z: z,
    "rrelu": lambda z, **p: F.rrelu(z, training=False, **p),
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "square": lambda z: z * z,
    "softmax": lambda z, dim=-1: F.softmax(z, dim=dim),
    "log_softmax": lambda z, dim=-1: F.log_softmax(z, dim=dim),
    "softmin": lambda z, dim=-1: F.softmin(z, dim=dim),
    "glu": lambda z, dim=-1: F.glu(z, dim=dim),
    **{
        name: getattr(F, name)
        for name in (
            "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "logsigmoid", "hardsigmoid", "silu",
            "hardswish", "mish", "softplus", "softsign", "tanhshrink", "hardtanh", "hardshrink", "softshrink",
            "threshold",
        )
    },
})  # fmt: skip

LOSSES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "half_squared_error": _half_squared_error,
        "inner_product": _inner_product,
        "mse": F.mse_loss,
        "l1": F.l1_loss,
        "smooth_l1": F.smooth_l1_loss,
        "huber": F.huber_loss,
        "cross_entropy": _cross_entropy,
        "nll": F.nll_loss,
        "bce": F.binary_cross_entropy,
        "bce_with_logits": F.binary_cross_entropy_with_logits,
        "kl_div": _kl_div,
        "poisson_nll": F.poisson_nll_loss,
        "gaussian_nll": _gaussian_nll,
        "soft_margin": F.soft_margin_loss,
        "multilabel_soft_margin": F.multilabel_soft_margin_loss,
        "multilabel_margin": F.multilabel_margin_loss,
        "multi_margin": F.multi_margin_loss,
        "hinge_embedding": F.hinge_embedding_loss,
    }
)


def loss_of(
    name: str, y: Tensor, target: Tensor, reduction: str, parameters: Mapping[str, Any] = MappingProxyType({})
) -> Tensor:
    """A loss of the table, of an output (…, K): the last axis holds its features, all before it number the examples.

    Raises:
        ValueError: torch has no counterpart of the row.
    """
    if name not in LOSSES:
        raise ValueError(f"loss: torch has no counterpart of the row {name!r}")
    given = {
        key: tensor(value, y.dtype) if value is not None and key in ("weight", "pos_weight", "var") else value
        for key, value in parameters.items()
    }
    rows = y
    if y.ndim != _ROWS:
        target = target.reshape(-1) if target.ndim < y.ndim else target.reshape(-1, *target.shape[-1:] or (1,))
        rows = y.reshape(-1, *y.shape[-1:] or (1,))
    found = LOSSES[name](rows, target, reduction=reduction, **given)
    if reduction == "none" and y.ndim != _ROWS:
        found = found.reshape(y.shape[: y.ndim - 2 + found.ndim])
    return found
