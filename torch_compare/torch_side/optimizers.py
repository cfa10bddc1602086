"""torch.optim beside the optimisers of `reference`: the same hyperparameters, arrays in and arrays out.

Nothing global is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference.optimizers import Optimizer

from .tensors import Array, array, tensor

State = dict[str, Any]

CLASSES: Mapping[str, type[torch.optim.Optimizer]] = MappingProxyType({
    name.lower(): getattr(torch.optim, name)
    for name in (
        "SGD", "Rprop", "ASGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta",
        "Adafactor", "Muon", "LBFGS",
    )
    if hasattr(torch.optim, name)
})  # fmt: skip
"""The name of an optimiser of ours -> torch's class."""
ONE_NUMBER = ("mu_product", "eta", "mu")
"""Slots that are one number for a whole array: of shape () with torch, here (1,) or (1, 1), with the array's axes."""
PARTIAL = ("adafactor",)
"""Optimisers whose slots depend on the array; None stands for those that it does not have."""
UNCOUNTED = ("sgd", "muon")
"""Optimisers of which torch does not count the steps."""


class Twin:
    """The torch.optim optimiser of the same name and hyperparameters, on tensors of its own.

    >>> from reference.optimizers import sgd
    >>> twin = Twin(sgd(lr=0.5), [np.array([1.0, 2.0])])
    >>> twin.step([np.array([1.0, -1.0])])
    >>> twin.params
    [array([0.5, 2.5])]
    """

    def __init__(self, optimizer: Optimizer, params: Sequence[Array]) -> None:
        """Copy the parameters.

        Args:
            optimizer: one of ours.
            params: arrays of a type that torch has.

        Raises:
            ValueError: torch has no optimiser of that name.
        """
        if optimizer.name not in CLASSES:
            raise ValueError(f"optimizer: torch has no counterpart of {optimizer.name!r}")
        self.name = optimizer.name
        self.steps = 0
        self._tensors = [tensor(p).requires_grad_() for p in params]
        self._optimizer: Any = CLASSES[optimizer.name](self._tensors, **_arguments(optimizer.hyperparameters))

    @property
    def params(self) -> list[Array]:
        """Copies of the parameters."""
        return [array(t) for t in self._tensors]

    def step(self, grads: Sequence[Array]) -> None:
        """One step with these gradients."""
        for own, g in zip(self._tensors, grads, strict=True):
            own.grad = tensor(g)
        self._optimizer.step()
        self.steps += 1

    def set(self, **hyperparameters: Any) -> None:
        """Change hyperparameters between two steps, as torch's schedulers do."""
        for group in self._optimizer.param_groups:
            group.update(_arguments(hyperparameters))

    @property
    def state(self) -> State:
        """torch's state in the form of ours: "step" and a tuple per slot; a slot of one number has p's axes."""
        slots: State = {"step": self.steps}
        kept = [self._optimizer.state.get(t, {}) for t in self._tensors]
        for key in dict.fromkeys(key for of_one in kept for key in of_one if key != "step"):
            slots[key] = tuple(
                None if self.name in PARTIAL and key not in of_one else _slot(of_one.get(key), t)
                for of_one, t in zip(kept, self._tensors, strict=True)
            )
        return slots

    def load(self, params: Sequence[Array], state: State) -> None:
        """Go on from parameters and a state of ours, through torch's own `load_state_dict`.

        Raises:
            ValueError: the state is of another number of arrays.
        """
        with torch.no_grad():
            for own, p in zip(self._tensors, params, strict=True):
                own.copy_(tensor(p))
        self.steps = state["step"]
        slots = {
            index: {} if self.name in UNCOUNTED else {"step": torch.tensor(float(self.steps))}
            for index in range(len(self._tensors))
        }
        for key, arrays in state.items():
            if key != "step" and (self.steps or self.name not in UNCOUNTED):
                for index, a in enumerate(arrays):
                    if a is None:
                        continue
                    slots[index][key] = tensor(a).reshape(()) if key in ONE_NUMBER else tensor(a)
        self._optimizer.load_state_dict(self._optimizer.state_dict() | {"state": slots})


def _arguments(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """As torch takes them: it refuses whole numbers for betas."""
    given = dict(hyperparameters)
    if "betas" in given:
        given["betas"] = tuple(float(b) for b in given["betas"])
    return given


def _slot(value: Any, like: Tensor) -> Array:
    if value is None:
        return np.zeros(tuple(like.shape), dtype=array(like).dtype)
    kept = array(value)
    return kept.reshape((1,) * like.ndim) if kept.ndim == 0 else kept
