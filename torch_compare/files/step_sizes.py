"""What a step of a network will make, counted before it is run: a file of a few bytes may ask for much memory.

An outer product of two arrays of 4,000 numbers has 16 million, and a step may follow that multiplies them again.
`require_small` runs a network step by step and asks before each how many numbers it makes, and with how many
multiply-adds, at the most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

import reference as ref
from reference.network import graph
from reference.training.checkpoint import printable

from .image_sizes import SIZES, convolution_work
from .rows_as_data import UNFIT
from .untrusted import DIMENSIONS, LARGEST_NUMBERS

Shape: TypeAlias = "tuple[int, ...]"
LARGEST_WORK = 2**28
"""Multiply-adds of a forward pass: about a second of NumPy."""
LARGEST_VALUES = 2 * LARGEST_NUMBERS
"""The numbers that all steps make together."""


def require_small(network: ref.Network, x: Mapping[str, Any]) -> Shape:
    """Run the network, and give the shape of its output.

    Raises:
        ValueError: a step makes more numbers than `LARGEST_NUMBERS`, or all of them take more than the bounds of this
            module; or one cannot take its inputs. The message names the step.
    """
    values: dict[str, Any] = {**network.constants, **network.parameters, **x}
    total = work = 0
    for index, step in enumerate(network.steps):
        at = f"steps[{index}] ({step.name!r}, {step.operation.name})"
        shapes = [None if name is None else tuple(np.shape(values[name])) for name in step.inputs]
        try:
            size, products = size_of(step.operation, shapes), work_of(step.operation, shapes)
        except UNFIT:
            size, products = prod(prod(s) for s in shapes if s is not None), 0
        total, work = total + size, work + max(size, products)
        if size > LARGEST_NUMBERS or total > LARGEST_VALUES or work > LARGEST_WORK:
            raise ValueError(f"{at}: about {size} numbers and {work} multiply-adds, more than are read")
        try:
            with np.errstate(all="ignore"):
                made = graph.made_by(step, values)
        except UNFIT as error:
            raise ValueError(f"{at}: {printable(error)}") from None
        if any(np.ndim(value) > DIMENSIONS for value in made.values()):
            raise ValueError(f"{at}: more than {DIMENSIONS} dimensions")
        values.update(made)
    return tuple(np.shape(values[network.output]))


def size_of(operation: ref.Operation, shapes: Sequence[Shape | None]) -> int:
    """The numbers of the largest array that an operation makes of inputs of these shapes, at the most."""
    given = [shape for shape in shapes if shape is not None]
    if operation.name in _GROWING:
        return _GROWING[operation.name](given, operation.parameters)
    try:
        together = prod(np.broadcast_shapes(*given))
    except ValueError:
        together = 0
    return max(together, sum(map(prod, given)), 1)


def work_of(operation: ref.Operation, shapes: Sequence[Shape | None]) -> int:
    """The multiply-adds of an operation that multiplies matrices; 0 of every other."""
    given = [shape for shape in shapes if shape is not None]
    if operation.name.startswith("conv") and operation.name in SIZES:
        return convolution_work(given, operation.parameters)
    if operation.name not in _PRODUCTS:
        return 0
    inner = max((shape[-1] for shape in given if shape), default=1)
    return size_of(operation, shapes) * inner


def _matmul(a: Shape, b: Shape) -> int:
    rows, columns = a[-2:-1] if len(a) > 1 else (), b[-1:] if len(b) > 1 else ()
    leading = np.broadcast_shapes(a[:-2], b[:-2])
    return max(prod(leading) * prod(rows) * prod(columns), prod(a), prod(b))


def _einsum(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    """The product of the lengths of all letters: what a sum over everything at once would visit."""
    terms = parameters["equation"].replace(" ", "").partition("->")[0].split(",")
    if any("." in term for term in terms) or len(terms) != len(shapes):
        return prod(map(prod, shapes))
    lengths = {c: n for term, shape in zip(terms, shapes, strict=True) for c, n in zip(term, shape, strict=True)}
    return prod(lengths.values())


def _attention(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    query, key, value = shapes[:3]
    scores = np.broadcast_shapes(query[:-2], value[:-2]) if not parameters.get("enable_gqa") else query[:-2]
    scores = np.broadcast_shapes(scores, *(mask[:-2] for mask in shapes[3:]))
    return max(prod(scores) * query[-2] * max(key[-2], value[-1]), sum(map(prod, shapes)))


def _repeated(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    counts = parameters["repeats"]
    return prod(shapes[0]) * (prod(counts) if isinstance(counts, tuple) else int(counts))


def _expanded(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    lengths = (1,) * (len(parameters["size"]) - len(shapes[0])) + shapes[0]
    return prod(max(n, m) for n, m in zip(parameters["size"], lengths, strict=True))


def _padded(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    (x,), pad = shapes, parameters["pad"]
    around = [max(a, 0) + max(b, 0) for a, b in zip(pad[::2], pad[1::2], strict=True)]
    return prod(n + more for n, more in zip(x[::-1], [*around, *(0,) * len(x)], strict=False))


def _along(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    """The array at every index along its axis."""
    x, index = shapes[0], shapes[1]
    return max(prod(x) // x[parameters["dim"]] * prod(index), prod(x))


def _each(given: Any, axes: int) -> tuple[Any, ...]:
    """One number for all axes, or one for each."""
    numbers = tuple(given) if isinstance(given, tuple) else (given,)
    return numbers if len(numbers) == axes else numbers * axes


def _windows(axes: int) -> Callable[[Sequence[Shape], Mapping[str, Any]], int]:
    """The elements of all windows together: no more than one begins at each place of an axis or its padding."""

    def size(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
        (x,), kernel = shapes, _each(parameters["kernel_size"], axes)
        return prod(x[: len(x) - axes]) * prod((n + k) * k for n, k in zip(x[len(x) - axes :], kernel, strict=True))

    return size


def _adapted(axes: int) -> Callable[[Sequence[Shape], Mapping[str, Any]], int]:
    """The elements of all windows together: fewer than n + 2 · O along each axis."""

    def size(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
        lengths = shapes[0][len(shapes[0]) - axes :]
        wanted = _each(parameters["output_size"], axes)
        return prod(shapes[0][: len(shapes[0]) - axes]) * prod(
            n + 2 * (m or n) for n, m in zip(lengths, wanted, strict=True)
        )

    return size


def _interpolated(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    """The new array, the old one and the matrices between them."""
    (leading, lengths), axes = (shapes[0][:2], shapes[0][2:]), len(shapes[0]) - 2
    if parameters["size"] is not None:
        wanted = _each(parameters["size"], axes)
    else:
        factors = _each(tuple(np.ravel(parameters["scale_factor"]).tolist()), axes)
        wanted = tuple(int(n * f) + 1 for n, f in zip(lengths, factors, strict=True))
    grown = [max(n, m) for n, m in zip(lengths, wanted, strict=True)]
    return prod(leading) * prod(grown) + sum(n * m for n, m in zip(lengths, wanted, strict=True))


def _compared(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    """Every element with every other along the axis, as noise and balls find their order."""
    return prod(shapes[0]) * (shapes[0][parameters["dim"]] if shapes[0] else 1)


def _pairs(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    """The differences of all pairs of rows."""
    a, b = shapes
    return prod(np.broadcast_shapes(a[:-2], b[:-2])) * a[-2] * b[-2] * a[-1]


_SLIDING = ("lp_pool1d", "lp_pool2d", *(f"{kind}_pool{axes}d" for kind in ("max", "avg") for axes in (1, 2, 3)))
_ADAPTIVE = tuple(f"adaptive_{kind}_pool{axes}d" for kind in ("avg", "max") for axes in (1, 2, 3))


def _on_diagonals(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    """A matrix for every row that is put on a diagonal."""
    *rest, size = shapes[0] or (1,)
    return max(prod(rest), 1) * (size + abs(int(parameters.get("offset", parameters.get("diagonal", 0))))) ** 2


_RECURRENT = ("gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell")


def _recurrent(shapes: Sequence[Shape], parameters: Mapping[str, Any]) -> int:
    """What all gates of all layers get at every step."""
    weights = [shape for shape in shapes[2:] if len(shape) == 2]
    steps = prod(shapes[0][:-1])
    return max(steps * sum(shape[0] for shape in weights), sum(map(prod, shapes)))


_GROWING: Mapping[str, Callable[[Sequence[Shape], Mapping[str, Any]], int]] = MappingProxyType({
    "addmm": lambda s, p: _matmul(s[1], s[2]),
    "baddbmm": lambda s, p: _matmul(s[1], s[2]),
    "bmm": lambda s, p: _matmul(s[0], s[1]),
    "diag": _on_diagonals,
    "diag_embed": _on_diagonals,
    "einsum": _einsum,
    "embedding": lambda s, p: prod(s[0]) * s[1][-1] + prod(s[1]),
    "expand": _expanded,
    "gather": lambda s, p: prod(s[0]) + prod(s[1]),
    **dict.fromkeys(_RECURRENT, _recurrent),
    "index_select": _along,
    "linear": lambda s, p: max(prod(s[0][:-1]) * s[1][0], prod(s[0]), prod(s[1])),
    "matmul": lambda s, p: _matmul(s[0], s[1]),
    "mm": lambda s, p: _matmul(s[0], s[1]),
    "outer": lambda s, p: prod(s[0]) * prod(s[1]),
    "pad": _padded,
    "repeat": _repeated,
    "repeat_interleave": _repeated,
    "scaled_dot_product_attention": _attention,
    **SIZES,
    **{name: _windows(int(name[-2])) for name in _SLIDING},
    **{name: _adapted(int(name[-2])) for name in _ADAPTIVE},
    **dict.fromkeys(("sort", "topk", "kthvalue", "median"), _compared),
    "cdist": _pairs,
    "interpolate": _interpolated,
    "take_along_dim": lambda s, p: prod(map(max, s[0], s[1])) if len(s[0]) == len(s[1]) else sum(map(prod, s)),
})  # fmt: skip
"""Operations that make more numbers than they are given, or than their inputs have broadcast."""
_PRODUCTS = ("addmm", "baddbmm", "bmm", "linear", "matmul", "mm", "scaled_dot_product_attention", *_RECURRENT)
