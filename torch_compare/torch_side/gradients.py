"""A problem run through torch.autograd.

Nothing global is changed: no default type, no number of threads, no `.grad` of anybody's parameters.

Shapes: N examples, I a layer's fan-in, O its fan-out, K the network's outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor

import reference as ref
from reference.network.gradients import place_of

from .tensors import NUMBERS, Array, array, tensor

# ── the tables: a row's name -> torch's function, called with the row's parameters ─────────────────────


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
    "softmax": lambda z: F.softmax(z, dim=-1),
    "log_softmax": lambda z: F.log_softmax(z, dim=-1),
    "softmin": lambda z: F.softmin(z, dim=-1),
    "glu": lambda z: F.glu(z, dim=-1),
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

# ── a problem through torch ──────────────────────────────────────────────────────────────────────────


def torch_gradients(problem: ref.Problem) -> ref.Gradients:
    """The loss and all its gradients by torch.autograd, in the problem's number type.

    Args:
        problem: float64, float32 or float16; every row of the tables with its parameters.

    Returns:
        NumPy arrays of the problem's type: weight (O, I), bias (O,) or None, input (N, I), loss ().

    Raises:
        TypeError: torch has no such number type.
        ValueError: torch has no counterpart of a row (one that the user made), or reduction is "none".

    >>> mlp = ref.MLP((ref.Layer(np.array([[1.0, 2.0]]), np.array([0.5]), "identity"),))
    >>> problem = ref.Problem(mlp, np.array([[3.0, 4.0]]), np.array([[10.0]]), loss="half_squared_error")
    >>> g = torch_gradients(problem)
    >>> g.loss, g.layers[0].weight, g.layers[0].bias, g.input
    (np.float64(1.125), array([[4.5, 6. ]]), array([1.5]), array([[1.5, 3. ]]))
    """
    if problem.reduction == "none":
        raise ValueError(
            'reduction "none" leaves a loss of many numbers, which has no single gradient: use "sum" or "mean"'
        )
    number = _number(problem.dtype)
    with torch.inference_mode(False), torch.enable_grad():
        return differentiate(*_run(problem, number))


def torch_loss(problem: ref.Problem) -> Array:
    """The loss by torch's forward pass alone: (), or for reduction "none" (N,) or (N, K).

    Raises:
        TypeError: torch has no such number type.
        ValueError: torch has no counterpart of a row.

    >>> mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, "relu"),))
    >>> torch_loss(ref.Problem(mlp, np.array([[2.0], [-2.0]]), np.array([[0.0], [0.0]]), loss="mse"))
    np.float64(2.0)
    """
    with torch.no_grad():
        return array(_run(problem, _number(problem.dtype))[0])


def _number(dtype: Any) -> torch.dtype:
    if not isinstance(dtype, np.dtype) or dtype not in NUMBERS:
        raise TypeError(f"dtype: torch takes {', '.join(str(d) for d in NUMBERS)}, got {dtype}")
    return NUMBERS[dtype]


Pair = tuple[Tensor, Tensor | None]


def _run(problem: ref.Problem, number: torch.dtype) -> tuple[Tensor, list[Pair], Tensor]:
    """The loss, and the leaves that it depends on: (weight, bias) of each layer, and x."""
    x = _leaf(problem.x, number)
    leaves: list[Pair] = []
    h = x
    for index, layer in enumerate(problem.mlp.layers):
        row = layer.activation
        if row.name not in ACTIVATIONS:
            raise ValueError(f"{place_of(index)}.activation: torch has no counterpart of the row {row.name!r}")
        leaves.append((_leaf(layer.weight, number), None if layer.bias is None else _leaf(layer.bias, number)))
        h = ACTIVATIONS[row.name](F.linear(h, *leaves[-1]), **row.parameters)
    if problem.loss.name not in LOSSES:
        raise ValueError(f"loss: torch has no counterpart of the row {problem.loss.name!r}")
    parameters = dict(problem.loss.parameters)
    for name in parameters.keys() & {"weight", "pos_weight", "var"}:
        parameters[name] = None if parameters[name] is None else tensor(parameters[name], number)
    target = tensor(problem.target, number)
    return LOSSES[problem.loss.name](h, target, reduction=problem.reduction, **parameters), leaves, x


def differentiate(loss: Tensor, leaves: Sequence[Pair], x: Tensor) -> ref.Gradients:
    """The gradients by torch.autograd; None for a leaf that is None or does not require one."""
    wanted = [leaf for pair in leaves for leaf in pair if leaf is not None and leaf.requires_grad] + [x]
    if not loss.requires_grad:
        raise ValueError("loss: it depends on no parameter and not on x, as far as torch.autograd can see")
    found = iter(torch.autograd.grad(loss, wanted, materialize_grads=True))

    def next_of(leaf: Tensor | None) -> Array:
        return None if leaf is None or not leaf.requires_grad else array(next(found))

    layers = tuple(ref.LayerGradients(next_of(weight), next_of(bias)) for weight, bias in leaves)
    return ref.Gradients(layers, next_of(x), array(loss))


def _leaf(values: Array, number: torch.dtype) -> Tensor:
    return tensor(values, number).requires_grad_(torch.is_grad_enabled())
