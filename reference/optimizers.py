"""Optimisers as pure pairs (init, update), with torch.optim's names, defaults and order of operations.

θ are the parameters, g their gradients, t the step from 1, η the learning rate.

>>> import numpy as np
>>> opt = sgd(lr=0.5)
>>> params, state = [np.array([1.0, 2.0])], opt.init([np.array([1.0, 2.0])])
>>> opt.update(params, [np.array([1.0, -1.0])], state)[0]
[array([0.5, 2.5])]
"""

from __future__ import annotations

from .optimizer import Optimizer
from .optimizers_adam import adam, adamw
from .optimizers_adaptive import rmsprop
from .optimizers_momentum import sgd

__all__ = ["OPTIMIZERS", "Optimizer", "adam", "adamw", "rmsprop", "sgd"]

OPTIMIZERS = {maker.__name__: maker for maker in (sgd, adam, adamw, rmsprop)}
"""Every maker by name."""
