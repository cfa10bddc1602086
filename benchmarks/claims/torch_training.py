"""Training by torch, eagerly, as one writes it: zero_grad, forward, backward, step.

The same start, the same batches and the same hyperparameters as `reference.train`; no line of the calculus in common.
The layers are torch.nn.functional's on plain tensors, which costs torch less than modules do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its customary name)

import reference as ref
from reference.optimizers.optimizer import rebuilt
from reference.training.training import batch_order
from torch_compare.torch_side.functions import ACTIVATIONS, LOSSES
from torch_compare.torch_side.optimizers import CLASSES

Array = Any


@dataclass(frozen=True, eq=False)
class TorchTraining:
    """The result of torch's training.

    Attributes:
        mlp: the network after the last update.
        losses: (steps,), the loss that each update saw, before it.
        loss: over the whole data, after the last update.
        reached: updates made when the loss over the whole data was first at most `until`; None if it never was.
    """

    mlp: ref.MLP
    losses: Array
    loss: float
    reached: int | None


def train_torch(
    problem: ref.Problem,
    optimizer: ref.optimizers.Optimizer,
    steps: int,
    batch_size: int | None,
    seed: int = 0,
    until: float | None = None,
    **options: Any,
) -> TorchTraining:
    """`steps` updates with the torch.optim class of the optimiser's name.

    Args:
        problem: network, whole data and loss.
        optimizer: one of ours, for its name and hyperparameters.
        steps: how many updates.
        batch_size: examples a step, in the order of `batch_order`; None for all of them.
        seed: of that order.
        until: the loss to look out for where `reference.train` does; the training goes on to its last step.
        options: further arguments of the torch.optim class, such as fused.

    >>> mlp = ref.MLP((ref.Layer(np.array([[2.0]]), None, "identity"),))
    >>> problem = ref.Problem(mlp, np.array([[1.0]]), np.array([[0.0]]), "mse")
    >>> trained = train_torch(problem, ref.optimizers.sgd(lr=0.25), 2, None, until=0.5)
    >>> trained.losses, trained.reached, trained.mlp.layers[0].weight
    (array([4., 1.]), 2, array([[0.5]]))
    """
    leaves = [torch.tensor(a, requires_grad=True) for layer in problem.mlp.layers for a in _arrays(layer)]
    chosen: Any = CLASSES[optimizer.name](leaves, **(dict(optimizer.hyperparameters) | options))
    x, target = torch.from_numpy(np.array(problem.x)), torch.from_numpy(np.array(problem.target))
    examples = len(x)
    size = examples if batch_size is None else batch_size
    epoch = -(-examples // size)
    losses: list[Tensor] = []
    reached: int | None = None
    batch = (x, target)
    for step in range(steps):
        number, place = divmod(step, epoch)
        if place == 0:
            if until is not None and reached is None and _whole_loss(problem, leaves, x, target) <= until:
                reached = step
            if batch_size is not None:
                order = torch.from_numpy(batch_order(examples, seed, number))
                shuffled = (x[order], target[order])
        if batch_size is not None:
            part = slice(place * size, (place + 1) * size)
            batch = (shuffled[0][part], shuffled[1][part])

        def closure(batch: tuple[Tensor, Tensor] = batch) -> Tensor:
            chosen.zero_grad()
            loss = _loss(problem, leaves, *batch)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        if optimizer.needs_evaluate:
            losses.append(chosen.step(closure).detach())
        else:
            losses.append(closure().detach())
            chosen.step()
    loss = _whole_loss(problem, leaves, x, target)
    if until is not None and reached is None and loss <= until:
        reached = steps
    mlp = rebuilt(problem.mlp, [leaf.detach().numpy().copy() for leaf in leaves])
    return TorchTraining(mlp, torch.stack(losses).numpy(), loss, reached)


def _arrays(layer: ref.Layer) -> Iterator[Array]:
    yield layer.weight
    if layer.bias is not None:
        yield layer.bias


def _loss(problem: ref.Problem, leaves: list[Tensor], x: Tensor, target: Tensor) -> Tensor:
    rest = iter(leaves)
    for layer in problem.mlp.layers:
        x = F.linear(x, next(rest), None if layer.bias is None else next(rest))
        if layer.activation.name != "identity":
            x = ACTIVATIONS[layer.activation.name](x, **layer.activation.parameters)
    return LOSSES[problem.loss.name](x, target, reduction=problem.reduction, **problem.loss.parameters)


def _whole_loss(problem: ref.Problem, leaves: list[Tensor], x: Tensor, target: Tensor) -> float:
    with torch.no_grad():
        return float(_loss(problem, leaves, x, target))
