"""A row of the published lists of JAX's deviations, and its examples, which JAX runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np

Numbers = float | tuple["Numbers", ...]


@dataclass(frozen=True)
class Example:
    """One point, what JAX computes there, and what is right.

    Attributes:
        function: by its full name.
        inputs: its arguments, arrays of one number type.
        jax: what JAX gives.
        right: the derivative that is right, rounded to the type; at infinity its limit, at a kink the reference's
            choice.
        dtype: of all of them.
        by: the input whose gradient it is; None if it is the value that is lost.
        d_y: the gradient of the output.
        parameters: the function's others.
    """

    function: str
    inputs: tuple[Numbers, ...]
    jax: Numbers
    right: Numbers
    dtype: str = "float64"
    by: int | None = 0
    d_y: Numbers = 1.0
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        """The example as a line.

        >>> print(Example("jax.numpy.divide", (1.0, 2.0), -0.25, -0.25, by=1))
        jax.numpy.divide(1.0, 2.0), float64, the gradient of argument 2: -0.25; right: -0.25
        """
        named = [f"{key}={value!r}" for key, value in self.parameters.items()]
        which = f" of argument {self.by + 1}" if self.by is not None and len(self.inputs) > 1 else ""
        what = "the value" if self.by is None else f"the gradient{which}"
        behind = "" if self.by is None or self.d_y == 1.0 else f" where the output's is {self.d_y}"
        call = f"{self.function}({', '.join([*map(str, self.inputs), *named])})"
        return f"{call}, {self.dtype}, {what}{behind}: {self.jax}; right: {self.right}"


@dataclass(frozen=True)
class JaxDeviation:
    """One row of a list.

    Attributes:
        name: of the row.
        where: the functions and the region.
        what: what JAX computes there, and why.
        reference: file and function of JAX's source.
        examples: each run by the tests, and held against its documented formula in mpmath.
    """

    name: str
    where: str
    what: str
    reference: str
    examples: tuple[Example, ...]


def array(numbers: Numbers, dtype: str) -> np.ndarray[Any, Any]:
    """Numbers of an example in its type, rounded."""
    return np.asarray(numbers, dtype=ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def by_jax(example: Example) -> np.ndarray[Any, Any]:
    """What JAX gives at the example's point; a value is the one that comes with a gradient (jax.vjp)."""
    import jax  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    function = resolve_name(example.function)
    inputs = [jax.numpy.asarray(array(x, example.dtype)) for x in example.inputs]
    y, pull = jax.vjp(lambda *x: function(*x, **example.parameters), *inputs)
    if example.by is None:
        return np.asarray(y)
    return np.asarray(pull(jax.numpy.broadcast_to(array(example.d_y, example.dtype), y.shape))[example.by])
