"""Random inputs of diagonals, differences of neighbours, cross products and distances."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from numpy.random import Generator

from .drawn import Draw, Drawn, row_of
from .numbers import real
from .shapes import Shape, axis_of, broadcast_pair, length, shape


def _two_axes(rng: Generator, ndim: int) -> tuple[int, int]:
    first, second = (int(axis) for axis in rng.permutation(ndim)[:2])
    return first - ndim * int(rng.integers(2)), second


def _offset(rng: Generator, rows: int, columns: int) -> int:
    return int(rng.integers(1 - rows, columns))


def _diagonal(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=2)
    dim1, dim2 = _two_axes(rng, len(size))
    row = row_of(name, offset=_offset(rng, size[dim1], size[dim2]), dim1=dim1, dim2=dim2)
    return row, (real(rng, size),)


def _diag_embed(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    dim1, dim2 = _two_axes(rng, len(size) + 1)
    return row_of(name, offset=int(rng.integers(-2, 3)), dim1=dim1, dim2=dim2), (real(rng, size),)


def _diag(rng: Generator, name: str) -> Drawn:
    size: Shape = (length(rng), length(rng))[int(rng.integers(2)) :]
    offset = _offset(rng, *size) if len(size) > 1 else int(rng.integers(-2, 3))
    return row_of(name, diagonal=offset), (real(rng, size),)


def _trace(rng: Generator, name: str) -> Drawn:
    return row_of(name), (real(rng, (length(rng), length(rng))),)


def _diff(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    dim = axis_of(rng, size)
    n = min(int(rng.integers(3)), size[dim] - 1)
    return row_of(name, n=n, dim=dim), (real(rng, size),)


def _cross(rng: Generator, name: str) -> Drawn:
    pair = broadcast_pair(rng, most=2)
    most = max(map(len, pair))
    a, b = ((*(1,) * (most - len(size)), *size, 3) for size in pair)
    return row_of(name, dim=-1), (real(rng, a), real(rng, b))


def _dist(rng: Generator, name: str) -> Drawn:
    a, b = broadcast_pair(rng)
    return row_of(name, p=float(rng.choice([1.0, 2.0, 3.0]))), (real(rng, a), real(rng, b))


DIAGONALS: Mapping[str, Draw] = MappingProxyType({
    "diagonal": _diagonal, "diag_embed": _diag_embed, "diag": _diag, "trace": _trace, "diff": _diff, "cross": _cross,
    "dist": _dist,
})  # fmt: skip
