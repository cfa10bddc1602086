"""What an entry of the table of ATen's operations is given and gives: values by name, and steps as expressions.

An entry is called with the arguments of one call by the names of the operation's schema. A tensor comes as a `Value`,
everything else as it is. It gives an `Expression` for the call's output:

* ``(row, a, b, …)``, a row of `reference.operations` applied to expressions;
* a `Value`, for an operation that changes no number;
* an array or a number, which becomes a constant; None for an optional input that is left out.

An operation with several outputs gives a row with as many, or a list of one expression for each, None for one that
no gradient is taken through.

An entry that has a parameter `out` is given what torch made: a `Value` with its shape and type, or a tuple of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

import reference as ref
from reference.operations.of_activation import of_activation

from .tensors import array

Expression: TypeAlias = Any
Entry: TypeAlias = Callable[..., Expression]


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the traced program.

    Attributes:
        name: of the step, parameter, input or constant that it comes from.
        shape: its lengths.
        dtype: torch's number type.
        data: its numbers, if they depend on no parameter and on no input that a gradient is taken of.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    data: Tensor | None = None

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self.shape)


class LackingError(LookupError):
    """There is no such row of operations; the message is its name."""


class RandomError(ValueError):
    """The call draws random numbers; the message says how to have it draw none."""


@lru_cache(maxsize=1024, typed=True)
def row(name: str, **parameters: Any) -> ref.Operation:
    """The row of that name, looked up when it is called for.

    Raises:
        LackingError: there is none.

    >>> row("leaky_relu", negative_slope=0.2).name, row("permute", dims=(1, 0)).parameters
    ('leaky_relu', {'dims': (1, 0)})
    """
    if name in ref.operations.MAKERS:
        return ref.operations.MAKERS[name](**parameters)
    if name in ref.ACTIVATIONS:
        return of_activation(getattr(ref.activations, name)(**parameters) if parameters else name)
    raise LackingError(name)


def real(x: Expression) -> Expression:
    """Integers and truth values that are known as the floating numbers that torch makes of them beside such.

    >>> real(Value("mask", (2,), torch.bool, torch.tensor([True, False])))
    array([1., 0.])
    """
    if isinstance(x, Value) and x.data is not None and not x.dtype.is_floating_point:
        return np.asarray(array(x.data)).astype(float)
    return x


def known(x: Any) -> Any:
    """The numbers of a value that no gradient is taken of, as a NumPy array.

    Raises:
        ValueError: they depend on a parameter or an input.
    """
    if not isinstance(x, Value):
        return x
    if x.data is None:
        raise ValueError(f"{x.name}: expected numbers that depend on no parameter")
    return np.asarray(array(x.data))


def moved(x: Value, move: Callable[[Tensor], Tensor]) -> Expression:
    """Any operation that only moves numbers: torch moves their places, and the numbers are taken from there."""
    places = move(torch.arange(int(np.prod(x.shape))).reshape(x.shape))
    flat = (row("reshape", shape=(-1,)), x)
    taken = (row("index_select", dim=0), flat, np.asarray(array(places.reshape(-1))))
    return (row("reshape", shape=tuple(places.shape)), taken)
