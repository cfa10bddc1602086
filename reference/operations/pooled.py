"""How rows of pooling are made: the windows that their parameters ask for, and probes that show what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import NumPyArray
from .arguments import expect, per_axis, whole
from .lines import Line, Lines, adapted, sliding, spread
from .probe import probe
from .row import Inputs, Operation, Pullback

Counts: TypeAlias = "int | Sequence[int]"
"""One number for all axes, or one for each."""
LinesOf: TypeAlias = "Callable[[Any], Lines]"
"""The windows along the last axes of an array."""


@dataclass(frozen=True)
class Pool:
    """What a row of pooling is made with.

    Attributes:
        name: torch's.
        axes: how many axes have windows.
        parameters: of the row.
        probe: an array that several windows fit into; where they overlap, the largest element lies in several of them.
        lines: its windows.
        lines_of: the windows of an array.
    """

    name: str
    axes: int
    parameters: Mapping[str, Any]
    probe: NumPyArray
    lines: Lines
    lines_of: LinesOf

    @property
    def overlap(self) -> bool:
        """Whether an element of the probe lies in more than one window."""
        return bool(_cover(self.lines).max() > 1)

    @property
    def largest(self) -> int:
        """The elements of the largest window."""
        return prod(len(line.places) for line in self.lines)


def _cover(lines: Lines) -> NumPyArray:
    """How many windows each element lies in."""
    return np.asarray(spread(np.ones(tuple(line.count for line in lines)), lines))


def _pool(
    name: str, axes: int, parameters: Mapping[str, Any], lengths: Sequence[int], make: Callable[[int, int], Line]
) -> Pool:
    def lines_of(x: Any) -> Lines:
        dimensions = f"{axes} dimension{'s' * (axes > 1)} at least"
        expect(name, x.ndim >= axes, "input", dimensions, f"shape {tuple(x.shape)}")
        return tuple(make(k, n) for k, n in enumerate(x.shape[x.ndim - axes :]))

    x = probe(*lengths)
    lines = lines_of(x)
    x[np.unravel_index(_cover(lines).argmax(), x.shape)] += 4
    return Pool(name, axes, parameters, x, lines, lines_of)


def sliding_pool(name: str, axes: int, parameters: Mapping[str, Any]) -> Pool:
    """The windows of torch's max_pool, avg_pool and lp_pool, by their parameters; padding and dilation may be missing.

    Raises:
        ValueError: the padding is more than half of a window, as torch refuses it.
    """

    def of(key: str, least: int, default: Any) -> tuple[int, ...]:
        return per_axis(name, key, parameters.get(key, default), axes, least)

    kernel, around, apart = of("kernel_size", 1, None), of("padding", 0, 0), of("dilation", 1, 1)
    step = kernel if parameters["stride"] is None else of("stride", 1, None)
    for p, k, d in zip(around, kernel, apart, strict=True):
        half = (d * (k - 1) + 1) // 2
        expect(name, p <= half, "padding", f"{half} at most, half of the window", p)
    ceil_mode = parameters["ceil_mode"]
    expect(name, isinstance(ceil_mode, bool), "ceil_mode", "True or False", ceil_mode)

    def make(axis: int, n: int) -> Line:
        return sliding(name, n, kernel[axis], step[axis], around[axis], apart[axis], ceil_mode)

    lengths = [d * (k - 1) + 1 + s + s // 2 for k, s, d in zip(kernel, step, apart, strict=True)]
    return _pool(name, axes, parameters, lengths, make)


def adaptive_pool(name: str, axes: int, output_size: Any) -> Pool:
    """The windows of torch's adaptive pooling; None keeps the length of an axis."""
    several = isinstance(output_size, Sequence) and not isinstance(output_size, str)
    sizes = tuple(output_size) if several else (output_size,) * axes
    expect(name, len(sizes) == axes, "output_size", f"one number, or {axes}", output_size)
    sizes = tuple(None if n is None else whole(name, "output_size", n, 1) for n in sizes)
    lengths = [3 if n is None else n + 1 + n // 2 for n in sizes]

    def make(axis: int, n: int) -> Line:
        return adapted(name, n, sizes[axis] or n)

    return _pool(name, axes, {"output_size": output_size}, lengths, make)


def pooling(
    pool: Pool,
    formula: str,
    value: Callable[[Any], Any],
    pullback: Pullback,
    pushforward: Callable[[Inputs, Any, Inputs], Any],
    probes: Sequence[NumPyArray],
    **rest: Any,
) -> Operation:
    """The row of a pooling, which is of one input."""
    return Operation(
        pool.name,
        formula,
        f"torch.nn.functional.{pool.name}",
        ("input",),
        value,
        pullback,
        pushforward,
        probes=tuple((x,) for x in probes),
        parameters=pool.parameters,
        **rest,
    )
