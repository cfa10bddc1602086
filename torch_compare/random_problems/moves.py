"""Random inputs of operations that take, put, move, copy, join and part numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator

from .diagonals import DIAGONALS
from .drawn import Draw, Drawn, row_of
from .numbers import real
from .shapes import Shape, axis_of, length, shape

# ── shapes and places ────────────────────────────────────────────────────────────────────────────────


def _moved(parameters: Callable[[Generator, Shape], dict[str, Any]], least: int = 1) -> Draw:
    """A row of one input, whose parameters are drawn for its shape."""

    def drawn(rng: Generator, name: str) -> Drawn:
        size = shape(rng, least=least)
        return row_of(name, **parameters(rng, size)), (real(rng, size),)

    return drawn


def _reshaped(rng: Generator, size: Shape) -> dict[str, Any]:
    to = [(-1,), (1, -1), size[::-1], (int(np.prod(size)),), (*size, 1)]
    if int(np.prod(size)) == 1:
        to.append(())
    return {"shape": to[int(rng.integers(len(to)))]}


def _flattened(rng: Generator, size: Shape) -> dict[str, Any]:
    first, last = sorted(int(axis) for axis in rng.integers(0, len(size), 2))
    return {"start_dim": first, "end_dim": last - (len(size) if rng.random() < 0.5 else 0)}


def _unflattened(rng: Generator, size: Shape) -> dict[str, Any]:
    dim = axis_of(rng, size)
    return {"dim": dim, "sizes": ((1, -1), (size[dim], 1), (1, size[dim]))[int(rng.integers(3))]}


def _two_axes(first: str, second: str) -> Callable[[Generator, Shape], dict[str, Any]]:
    return lambda rng, size: {first: axis_of(rng, size), second: axis_of(rng, size)}


def _permuted(rng: Generator, size: Shape) -> dict[str, Any]:
    return {"dims": tuple(int(axis) - len(size) * int(rng.random() < 0.3) for axis in rng.permutation(len(size)))}


def _squeezed(rng: Generator, size: Shape) -> dict[str, Any]:
    return {} if rng.random() < 0.5 or not size else {"dim": axis_of(rng, size)}


def _new_axis(rng: Generator, size: Shape) -> dict[str, Any]:
    return {"dim": int(rng.integers(-len(size) - 1, len(size) + 1))}


def _repeated(rng: Generator, size: Shape) -> dict[str, Any]:
    leading = (2,) if rng.random() < 0.3 else ()
    return {"repeats": (*leading, *(int(rng.integers(1, 4)) for _ in size))}


def _interleaved(rng: Generator, size: Shape) -> dict[str, Any]:
    along = {} if rng.random() < 0.4 else {"dim": axis_of(rng, size)}
    return {"repeats": int(rng.integers(1, 4))} | along


def _expanded(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    given = tuple(1 if rng.random() < 0.5 else n for n in size)
    to = tuple(-1 if one == n and rng.random() < 0.3 else n for one, n in zip(given, size, strict=True))
    return row_of(name, size=(*((2,) if rng.random() < 0.3 else ()), *to)), (real(rng, given),)


def _sliced(rng: Generator, size: Shape) -> dict[str, Any]:
    dim = axis_of(rng, size)
    start = int(rng.integers(0, size[dim]))
    found: dict[str, Any] = {"dim": dim, "start": start}
    if rng.random() < 0.5:
        found["end"] = int(rng.integers(start + 1, size[dim] + 1))
    elif rng.random() < 0.5:
        found["start"] = start - size[dim]
    return found | ({"step": 2} if rng.random() < 0.4 else {})


def _narrowed(rng: Generator, size: Shape) -> dict[str, Any]:
    dim = axis_of(rng, size)
    start = int(rng.integers(0, size[dim]))
    return {"dim": dim, "start": start, "length": int(rng.integers(1, size[dim] - start + 1))}


def _selected(rng: Generator, size: Shape) -> dict[str, Any]:
    dim = axis_of(rng, size)
    return {"dim": dim, "index": int(rng.integers(-size[dim], size[dim]))}


def _flipped(rng: Generator, size: Shape) -> dict[str, Any]:
    return {"dims": tuple(int(axis) for axis in rng.permutation(len(size))[: rng.integers(1, len(size) + 1)])}


def _rolled(rng: Generator, size: Shape) -> dict[str, Any]:
    if rng.random() < 0.3:
        return {"shifts": int(rng.integers(-3, 4))}
    dims = tuple(int(axis) for axis in rng.permutation(len(size))[: rng.integers(1, len(size) + 1)])
    return {"shifts": tuple(int(rng.integers(-3, 4)) for _ in dims), "dims": dims}


def _padded(rng: Generator, size: Shape) -> dict[str, Any]:
    widths = rng.integers(0, 3, 2 * int(rng.integers(1, len(size) + 1))).tolist()
    return {"pad": tuple(widths), "value": float(rng.choice([0.0, 1.5]))}


# ── joining and parting ──────────────────────────────────────────────────────────────────────────────


def _cat(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    dim = axis_of(rng, size)
    at = dim % len(size)
    lengths = [length(rng) for _ in range(int(rng.integers(1, 4)))]
    return row_of(name, dim=dim), tuple(real(rng, (*size[:at], n, *size[at + 1 :])) for n in lengths)


def _stack(rng: Generator, name: str) -> Drawn:
    size = shape(rng, most=2)
    dim = int(rng.integers(-len(size) - 1, len(size) + 1))
    return row_of(name, dim=dim), tuple(real(rng, size) for _ in range(int(rng.integers(1, 4))))


def _parted(rng: Generator, size: Shape) -> dict[str, Any]:
    dim = axis_of(rng, size)
    n = size[dim]
    sections = (int(rng.integers(1, n + 1)), (n,), (1, n - 1) if n > 1 else (1,))[int(rng.integers(3))]
    return {"split_size_or_sections": sections, "dim": dim}


# ── taking and putting: indices repeat themselves ────────────────────────────────────────────────────


def _embedding(rng: Generator, name: str) -> Drawn:
    """The padding row, whose gradient is 0 by convention and no derivative, is not read: differences would object."""
    count, width = int(rng.integers(1, 6)), length(rng)
    padding = {"padding_idx": count} if rng.random() < 0.5 else {}
    weight = real(rng, (count + len(padding), width))
    return row_of(name, **padding), (rng.integers(0, count, shape(rng, most=2)), weight)


def _index_select(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    dim = axis_of(rng, size)
    return row_of(name, dim=dim), (real(rng, size), rng.integers(0, size[dim], length(rng)))


def _indices(rng: Generator, size: Shape, dim: int) -> Any:
    """Indices along an axis, no longer than the array along any other one."""
    at = dim % len(size)
    lengths = [length(rng) if k == at else int(rng.integers(1, n + 1)) for k, n in enumerate(size)]
    return rng.integers(0, size[at], lengths)


def _gather(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    dim = axis_of(rng, size)
    return row_of(name, dim=dim), (real(rng, size), _indices(rng, size, dim))


def _take_along_dim(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    if rng.random() < 0.2:
        return row_of(name), (real(rng, size), rng.integers(0, int(np.prod(size)), length(rng)))
    dim = axis_of(rng, size)
    lengths = [length(rng) if k == dim % len(size) else int(rng.choice([1, n])) for k, n in enumerate(size)]
    return row_of(name, dim=dim), (real(rng, size), rng.integers(0, size[dim], lengths))


def _scatter_add(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    dim = axis_of(rng, size)
    index = _indices(rng, size, dim)
    return row_of(name, dim=dim), (real(rng, size), index, real(rng, index.shape))


def _index_add(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    dim = axis_of(rng, size)
    index = rng.integers(0, size[dim], length(rng))
    at = dim % len(size)
    source = real(rng, (*size[:at], len(index), *size[at + 1 :]))
    return row_of(name, dim=dim, alpha=float(rng.choice([1.0, -2.0]))), (real(rng, size), index, source)


def _index_put(rng: Generator, name: str) -> Drawn:
    """Values put at places, each hit once unless they are added up: which of two is left, torch leaves open."""
    size, accumulate = shape(rng, least=1), bool(rng.integers(2))
    count, axes = length(rng), int(rng.integers(1, len(size) + 1))
    places = int(np.prod(size[:axes]))
    flat = rng.integers(0, places, count) if accumulate else rng.permutation(places)[:count]
    indices = np.unravel_index(flat, size[:axes])
    return row_of(name, accumulate=accumulate), (real(rng, size), real(rng, (len(flat), *size[axes:])), *indices)


MOVES: Mapping[str, Draw] = MappingProxyType({
    "reshape": _moved(_reshaped, 0), "flatten": _moved(_flattened), "unflatten": _moved(_unflattened),
    "transpose": _moved(_two_axes("dim0", "dim1")), "permute": _moved(_permuted),
    "movedim": _moved(_two_axes("source", "destination")), "squeeze": _moved(_squeezed, 0),
    "unsqueeze": _moved(_new_axis, 0), "expand": _expanded, "repeat": _moved(_repeated),
    "repeat_interleave": _moved(_interleaved), "slice": _moved(_sliced), "narrow": _moved(_narrowed),
    "select": _moved(_selected), "flip": _moved(_flipped), "roll": _moved(_rolled), "pad": _moved(_padded),
    "tril": _moved(lambda rng, size: {"diagonal": int(rng.integers(-2, 3))}, 2),
    "triu": _moved(lambda rng, size: {"diagonal": int(rng.integers(-2, 3))}, 2),
    "cat": _cat, "stack": _stack, "split": _moved(_parted),
    "chunk": _moved(lambda rng, size: {"chunks": int(rng.integers(1, 4)), "dim": axis_of(rng, size)}),
    "unbind": _moved(lambda rng, size: {"dim": axis_of(rng, size)}),
    **DIAGONALS,
    "embedding": _embedding, "index_select": _index_select, "gather": _gather, "take_along_dim": _take_along_dim,
    "scatter_add": _scatter_add, "index_add": _index_add, "index_put": _index_put,
})  # fmt: skip
