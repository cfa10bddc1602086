"""Values that a module makes where gradients are switched off, as detached ones: torch.export does not keep the switch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree


class Detaching(TorchFunctionMode):
    """While it is entered, what torch makes under no_grad is detached.

    Inside the forward pass of an autograd.Function gradients are switched off too, but its backward pass stands for them:
    there nothing is detached. A reentrant checkpoint is such a Function.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What the function gives, detached where gradients are off."""
        made = func(*args, **(kwargs or {}))
        if torch.is_grad_enabled() or _in_function():
            return made
        return pytree.tree_map_only(Tensor, lambda t: t.detach() if t.is_floating_point() else t, made)


def _in_function() -> bool:
    """Whether the forward pass of an autograd.Function is running."""
    codes = {getattr(kind.forward, "__code__", None) for kind in _kinds(torch.autograd.Function)}
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code in codes:
            return True
    return False


def _kinds(kind: Any) -> Iterator[Any]:
    for child in kind.__subclasses__():
        yield child
        yield from _kinds(child)
