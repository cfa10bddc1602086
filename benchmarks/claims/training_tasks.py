"""The tasks of the training benchmark: networks on data that scikit-learn ships, with an optimiser of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_digits

import reference as ref
from reference import optimizers as opt
from reference.optimizers import Optimizer

Array = Any


@dataclass(frozen=True, eq=False)
class Task:
    """A task to train on.

    Attributes:
        name: of the data.
        problem: the network before training, with the training data.
        held_out: (x, target) of the examples kept aside.
        batch_size: None for the whole data at each step.
        steps: of every training.
        enough: the loss to train to.
        optimizers: by what they are called here.
    """

    name: str
    problem: ref.Problem
    held_out: tuple[Array, Array]
    batch_size: int | None
    steps: int
    enough: float
    optimizers: Mapping[str, Optimizer]


def digits_task(seed: int) -> Task:
    """The handwritten digits. The least loss with labels smoothed by 0.1 is their entropy, 0.500."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    held_out, rest = np.split(order, [len(labels) // 5])
    mlp = ref.initialize([64, 128, 10], ["relu", "identity"], seed=seed)
    loss = ref.losses.cross_entropy(label_smoothing=0.1)
    chosen = {
        "sgd": opt.sgd(lr=0.5), "momentum": opt.sgd(lr=0.1, momentum=0.9),
        "nesterov": opt.sgd(lr=0.1, momentum=0.9, nesterov=True), "asgd": opt.asgd(lr=0.5), "adam": opt.adam(lr=3e-3),
        "adamw": opt.adamw(lr=3e-3), "adamax": opt.adamax(lr=1e-2), "nadam": opt.nadam(lr=3e-3),
        "radam": opt.radam(lr=1e-2), "rmsprop": opt.rmsprop(lr=3e-3), "adagrad": opt.adagrad(lr=3e-2),
        "adadelta": opt.adadelta(lr=1.0), "adafactor": opt.adafactor(lr=3e-2),
    }  # fmt: skip
    x = pixels / 16
    problem = ref.Problem(mlp, x[rest], labels[rest], loss)
    return Task("digits", problem, (x[held_out], labels[held_out]), 64, 920, 0.58, chosen)


def diabetes_task(seed: int) -> Task:
    """The diabetes data, measurements and target standardised by the training examples."""
    x, y = load_diabetes(return_X_y=True)
    target = y[:, None]
    order = np.random.default_rng(seed).permutation(len(x))
    held_out, rest = np.split(order, [len(x) // 5])
    x, target = ((a - a[rest].mean(axis=0)) / a[rest].std(axis=0) for a in (x, target))
    mlp = ref.initialize([10, 16, 1], ["tanh", "identity"], seed=seed)
    chosen = {
        "sgd": opt.sgd(lr=0.1), "momentum": opt.sgd(lr=0.03, momentum=0.9),
        "nesterov": opt.sgd(lr=0.03, momentum=0.9, nesterov=True), "asgd": opt.asgd(lr=0.1), "rprop": opt.rprop(),
        "adam": opt.adam(lr=1e-2), "adamw": opt.adamw(lr=1e-2), "adamax": opt.adamax(lr=1e-2),
        "nadam": opt.nadam(lr=1e-2), "radam": opt.radam(lr=1e-2), "rmsprop": opt.rmsprop(lr=1e-3),
        "adagrad": opt.adagrad(lr=3e-2), "adadelta": opt.adadelta(lr=1.0), "adafactor": opt.adafactor(lr=3e-2),
        "lbfgs": opt.lbfgs(max_iter=4, line_search_fn="strong_wolfe"),
    }  # fmt: skip
    problem = ref.Problem(mlp, x[rest], target[rest], "half_squared_error")
    return Task("diabetes", problem, (x[held_out], target[held_out]), None, 300, 0.24, chosen)


def wide_task(seed: int) -> Task:
    """784-1024-1024-10 on random pictures: nothing is to be learnt from them, a step is timed."""
    rng = np.random.default_rng(seed)
    mlp = ref.initialize([784, 1024, 1024, 10], ["relu", "relu", "identity"], seed=seed)
    x, labels = rng.uniform(size=(1024, 784)), rng.integers(0, 10, 1024)
    problem = ref.Problem(mlp, x, labels, "cross_entropy")
    chosen = {"momentum": opt.sgd(lr=0.01, momentum=0.9), "adam": opt.adam(lr=1e-3)}
    return Task("784-1024-1024-10", problem, (x, labels), 256, 4, np.inf, chosen)
