"""Optimisers as pure pairs (init, update), with torch.optim's names, defaults and order of operations.

θ are the parameters, g their gradients, t the step from 1, η the learning rate.

>>> import numpy as np
>>> opt = sgd(lr=0.5)
>>> params, state = [np.array([1.0, 2.0])], opt.init([np.array([1.0, 2.0])])
>>> opt.update(params, [np.array([1.0, -1.0])], state)[0]
[array([0.5, 2.5])]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from .adafactor import adafactor
from .adam import adam, adamax, adamw
from .adaptive import adadelta, adagrad, rmsprop
from .lbfgs import lbfgs
from .momentum import asgd, rprop, sgd
from .muon import muon
from .nadam_radam import nadam, radam
from .optimizer import Optimizer

__all__ = [
    "OPTIMIZERS", "Optimizer", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd",
    "lbfgs", "muon", "nadam", "radam", "rmsprop", "rprop", "sgd",
]  # fmt: skip

_MAKERS = (
    sgd, rprop, asgd, adam, adamw, adamax, nadam, radam, rmsprop, adagrad, adadelta, adafactor, muon, lbfgs,
)  # fmt: skip
OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = MappingProxyType({maker.__name__: maker for maker in _MAKERS})
"""Every maker by name."""
