"""Checks of a training's arguments: every error names the argument and what was expected."""

from __future__ import annotations

import numpy as np

from ..losses.row import Loss
from ..network.mlp import MLP
from ..network.problem import Problem
from ..optimizers.optimizer import Optimizer


def problem_of(start: object, data: object, loss: Loss | str | None, reduction: str | None) -> Problem:
    """The problem to train on, checked: start itself, or the network with its data and loss."""
    if isinstance(start, Problem):
        if data is not None or loss is not None or reduction is not None:
            raise TypeError("start: a Problem has its own data, loss and reduction: give none of them")
        problem = start
    elif isinstance(start, MLP):
        if loss is None or not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeError("start: an MLP needs data=(x, target) and loss= to be trained on")
        x, target = data
        problem = Problem(start, x, target, loss, reduction or "mean")
    else:
        raise TypeError(f"start: expected a Problem or an MLP, got {type(start).__name__}")
    if problem.reduction == "none":
        raise ValueError('reduction: "none" leaves a loss of many numbers: train on "mean" or "sum"')
    return problem


def check_arguments(
    optimizer: object, until: object, max_steps: object, batch_size: object, seed: object, examples: int
) -> None:
    """Raise TypeError or ValueError if one of `train`'s arguments is of another kind or out of range."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected one of reference.optimizers, got {type(optimizer).__name__}")
    if until is not None and (isinstance(until, bool) or not isinstance(until, int | float | np.floating)):
        raise TypeError(f"until: expected a loss or None, got {until!r}")
    if until != until:  # noqa: PLR0124 (NaN)
        raise ValueError("until: no loss is at most NaN")
    for name, value, low, high in (
        ("max_steps", max_steps, 0, None),
        ("batch_size", batch_size, 1, examples),
        ("seed", seed, 0, None),
    ):
        if name == "batch_size" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name}: expected an integer, got {value!r}")
        if value < low or (high is not None and value > high):
            most = "" if high is None else f" and at most {high}, the number of examples"
            raise ValueError(f"{name}: expected at least {low}{most}, got {value}")
