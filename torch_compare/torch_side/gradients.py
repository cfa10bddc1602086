"""A problem run through torch.autograd.

Nothing global is changed: no default type, no number of threads, no `.grad` of anybody's parameters.

Shapes: N examples, I a layer's fan-in, O its fan-out, K the network's outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor

import reference as ref
from reference.network.gradients import place_of

from .functions import ACTIVATIONS, loss_of
from .networks import FORMATS, run_network
from .tensors import NUMBERS, Array, array, tensor


def torch_gradients(problem: ref.Problem, dtype: str | None = None) -> ref.Gradients:
    """The loss and all its gradients by torch.autograd.

    Args:
        problem: float64, float32 or float16; every row of the tables with its parameters.
        dtype: what torch computes in, "bfloat16" say, to which the problem's numbers are rounded; the problem's own
            number type if not given.

    Returns:
        NumPy arrays of the problem's type: weight (O, I), bias (O,) or None, input (N, I), loss (). Of a network of
        operations the gradients by name. What is bfloat16 comes as float32.

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
    number = _number(problem.dtype) if dtype is None else _named(dtype)
    with torch.inference_mode(False), torch.enable_grad():
        if isinstance(problem.network, ref.Network):
            return _of_network(problem, number)
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
    number = _number(problem.dtype)
    with torch.no_grad():
        if isinstance(problem.network, ref.Network):
            return array(_loss_of_network(problem, number)[0])
        return array(_run(problem, number)[0])


def _number(dtype: Any) -> torch.dtype:
    if not isinstance(dtype, np.dtype) or dtype not in NUMBERS:
        raise TypeError(f"dtype: torch takes {', '.join(str(d) for d in NUMBERS)}, got {dtype}")
    return NUMBERS[dtype]


def _named(dtype: str) -> torch.dtype:
    names = [str(d).removeprefix("torch.") for d in (*NUMBERS.values(), torch.bfloat16)]
    if dtype not in names:
        raise TypeError(f"dtype: torch computes in {', '.join(names)}, got {dtype}")
    return FORMATS[dtype]


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
    return _loss(problem, h, number), leaves, x


def _loss(problem: ref.Problem, y: Tensor, number: torch.dtype) -> Tensor:
    target = tensor(problem.target, number)
    return loss_of(problem.loss.name, y, target, problem.reduction, problem.loss.parameters)


def _loss_of_network(problem: ref.Problem, number: torch.dtype) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a network of operations, and its leaves by name."""
    assert isinstance(problem.network, ref.Network)
    output, leaves = run_network(problem.network, problem.x, number, _leaf)
    return _loss(problem, output.to(number), number), leaves


def _of_network(problem: ref.Problem, number: torch.dtype) -> ref.Gradients:
    loss, leaves = _loss_of_network(problem, number)
    if not loss.requires_grad:
        raise ValueError("loss: it depends on no parameter and no input, as far as torch.autograd can see")
    found = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
    return ref.Gradients.from_leaves(
        {name: array(d) for name, d in zip(leaves, found, strict=True)} | {"loss": array(loss)}
    )


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
