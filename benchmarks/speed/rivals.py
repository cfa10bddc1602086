"""The same gradients by this project and by torch, eager and compiled, and their matrix products alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

import reference as ref
from torch_compare.torch_side.functions import LOSSES
from torch_compare.torch_side.networks import run_network
from torch_compare.torch_side.tensors import tensor

Work: TypeAlias = "Callable[[], Any]"


def ours(problem: ref.Problem) -> Work:
    """All gradients by this project."""
    return partial(ref.gradients, problem)


def in_loops(problem: ref.Problem) -> Work:
    """The same with formulas compiled by Numba."""

    def run() -> ref.Gradients:
        with ref.compiled():
            return ref.gradients(problem)

    return run


def eager(problem: ref.Problem) -> Work:
    """All gradients by torch, of tensors that are there already: what is timed copies nothing."""
    total, leaves = _loss(problem)
    return lambda: torch.autograd.grad(total(*leaves), leaves)


def compiled(problem: ref.Problem) -> Work:
    """The same by torch.compile, of the forward pass as one graph: half a minute to make, by a C++ compiler."""
    total, leaves = _loss(problem)
    graph = torch.compile(make_fx(total)(*leaves), dynamic=False)
    return lambda: torch.autograd.grad(graph(*leaves), leaves)


def products(problem: ref.Problem) -> Work:
    """The matrix products of an MLP's two passes alone, through NumPy."""
    weights, inputs = [layer.weight for layer in problem.mlp.layers], [problem.x]
    for weight in weights:
        inputs.append(np.ascontiguousarray(inputs[-1] @ weight.T))

    def run() -> None:
        for weight, x, y in zip(weights, inputs, inputs[1:], strict=False):
            x @ weight.T, y.T @ x, y @ weight

    return run


def _loss(problem: ref.Problem) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The loss as torch's function of the leaves, and the leaves, in the order of the problem's."""
    if isinstance(problem.network, ref.MLP):
        problem = problem.replace(network=ref.as_network(problem.mlp), x={"input": problem.x})
    number = torch.float32 if problem.dtype == np.float32 else torch.float64
    target, loss = tensor(problem.target, number), LOSSES[problem.loss.name]

    def total(*leaves: Tensor) -> Tensor:
        given = iter(leaves)
        output, _ = run_network(problem.graph, problem.x, number, lambda *_: next(given))
        rows = output.reshape(-1, output.shape[-1])
        t = target.reshape(-1) if target.ndim < output.ndim else target.reshape(rows.shape)
        return loss(rows, t, reduction=problem.reduction, **problem.loss.parameters)

    _, leaves = run_network(problem.graph, problem.x, number, lambda values, n: tensor(values, n).requires_grad_())
    return total, list(leaves.values())
