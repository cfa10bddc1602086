"""What a module makes where gradients are switched off, as detached: torch.export does not keep the switch."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree


class Detaching(TorchFunctionMode):
    """While it is entered, what torch makes under no_grad is detached.

    Inside the forward pass of an autograd.Function gradients are switched off too, but its backward pass stands for
    them: there nothing is detached. A reentrant checkpoint is such a Function.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What the function gives, detached where gradients are off."""
        made = func(*args, **(kwargs or {}))
        if torch.is_grad_enabled() or _in_function():
            return made
        return pytree.tree_map_only(Tensor, lambda t: t.detach() if t.is_floating_point() else t, made)


Spans: TypeAlias = "Mapping[str, Sequence[tuple[range, str]]]"
"""The lines of forward passes and the names of their Functions, by file."""


def forward_passes() -> Spans:
    """Where the forward pass of every autograd.Function that there is stands."""
    spans: dict[str, list[tuple[range, str]]] = {}
    for kind, code in _forwards():
        lines = [number for _, _, number in code.co_lines() if number is not None]
        if lines:
            spans.setdefault(code.co_filename, []).append((range(min(lines), max(lines) + 1), kind.__name__))
    return spans


def function_at(file: str, line: int, spans: Spans) -> str:
    """The name of the autograd.Function whose forward pass stands at a line of a file; "" if none does."""
    return next((name for lines, name in spans.get(file, ()) if line in lines), "")


_APPLY = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]


def _in_function() -> bool:
    """Whether an autograd.Function is being applied: its forward pass runs, or torch hands on what that gave."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is _APPLY:
            return True
    return False


def _forwards(kind: Any = torch.autograd.Function) -> Iterator[tuple[type, CodeType]]:
    """Every autograd.Function there is, with the code of its forward pass."""
    for child in kind.__subclasses__():
        forward: Any = inspect.unwrap(getattr(child, "forward", _in_function))
        if isinstance(getattr(forward, "__code__", None), CodeType):
            yield child, forward.__code__
        yield from _forwards(child)
