"""What decides the course of a training, and whether a resumption goes on with the same.

A training that goes on from an earlier one must be the one that was never interrupted: of the same network, data, loss,
optimiser and batches. Whoever wants another course gives the state and the number of updates instead, and begins a
history of his own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from ..activations.row import name_and_parameters
from ..arithmetic.array import Array, is_numpy
from ..losses.row import Loss
from ..network.gradients import place_of
from ..network.mlp import MLP
from ..network.problem import Problem
from ..optimizers.optimizer import Optimizer

__all__ = ["Course", "course_of", "require_same_course"]


@dataclass(frozen=True)
class Course:
    """What decides the course of a training besides the network that it begins with.

    Attributes:
        loss: the row.
        reduction: "mean" or "sum".
        optimizer: with its hyperparameters.
        batch_size: examples a step; None for all.
        seed: of the order of the examples; None where they are not put in order.
        x: the batch as type, shape and checksum of its bytes; of another arithmetic, its shape.
        target: the same of the target.
    """

    loss: Loss
    reduction: str
    optimizer: Optimizer
    batch_size: int | None
    seed: int | None
    x: str
    target: str


def course_of(problem: Problem, optimizer: Optimizer, batch_size: int | None, seed: int) -> Course:
    """The course of a training with these arguments."""
    shuffled = None if batch_size is None else int(seed)
    data = (_told(values) for values in (problem.x, problem.target))
    return Course(problem.loss, problem.reduction, optimizer, batch_size, shuffled, *data)


def require_same_course(before: tuple[MLP, Course], now: tuple[MLP, Course]) -> None:
    """Raise ValueError unless a training with network and course `now` goes on as the one `before` would have.

    The message names everything that differs, with what this training has and what the earlier one had. The numbers of
    the weights are not compared, for they are what a training changes.
    """
    differing = [*_architecture(now[0], before[0]), *_settings(now[1], before[1])]
    if differing:
        raise ValueError(
            "resume: a training of another kind: "
            + "; ".join(f"{what}: expected {expected}, got {found}" for what, expected, found in differing)
        )


Difference = tuple[str, str, str]
"""What differs, what was expected, and what was found."""


def _architecture(expected: MLP, found: MLP) -> Iterator[Difference]:
    if len(expected.layers) != len(found.layers):
        yield "layers", str(len(expected.layers)), str(len(found.layers))
        return
    for index, (wanted, got) in enumerate(zip(expected.layers, found.layers, strict=True)):
        for kind, a, b in (("weight", wanted.weight, got.weight), ("bias", wanted.bias, got.bias)):
            if _form(a) != _form(b):
                yield place_of(index, kind), _form(a), _form(b)
        if wanted.activation != got.activation:
            yield f"{place_of(index)}.activation", *_apart(_row(wanted.activation), _row(got.activation))


def _settings(expected: Course, found: Course) -> Iterator[Difference]:
    if expected.loss != found.loss:
        yield "loss", *_apart(_row(expected.loss), _row(found.loss))
    if expected.optimizer != found.optimizer:
        yield "optimizer", *_apart(_settings_of(expected.optimizer), _settings_of(found.optimizer))
    for what in ("reduction", "batch_size", "seed", "x", "target"):
        a, b = getattr(expected, what), getattr(found, what)
        if a != b:
            yield what, str(a), str(b)


def _apart(expected: str, found: str) -> tuple[str, str]:
    """Two texts that differ: rows that read alike have other functions."""
    return (expected, found) if expected != found else (expected, f"{found} with other functions")


def _row(row: Any) -> str:
    return name_and_parameters(row.name, row.parameters)


def _settings_of(optimizer: Optimizer) -> str:
    return name_and_parameters(optimizer.name, optimizer.hyperparameters)


def _form(values: Array | None) -> str:
    return "none" if values is None else f"{values.dtype} of shape {values.shape}"


def _told(values: Array) -> str:
    if not is_numpy(values):
        return f"{type(values).__name__} of shape {values.shape}"
    return f"{_form(values)} (checksum {crc32(np.ascontiguousarray(values).view(np.uint8).data):08x})"
