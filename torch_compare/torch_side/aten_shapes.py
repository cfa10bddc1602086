"""ATen's operations that move, copy and join numbers, as rows of `reference.operations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

import reference as ref
from reference.functions.basics import zero

from .call import Entry, Expression, Value, known, moved, row


def _reshaped(self: Value, out: Value, **_: Any) -> Expression:
    return self if self.shape == out.shape else (row("reshape", shape=out.shape), self)


def _same(self: Value, **_: Any) -> Expression:
    """The same numbers; where the number type is another one, that of the output says so."""
    return self


def _squeeze(self: Value, dim: Any) -> Expression:
    return (row("squeeze", dim=tuple(dim) if isinstance(dim, list) else dim), self)


def _slice(self: Value, dim: int, start: int | None, end: int | None, step: int) -> Expression:
    if step == 1 and not start and (end is None or end >= self.shape[dim]):
        return self
    return (row("slice", dim=dim, start=start, end=end, step=step), self)


def _expand(self: Value, size: Sequence[int], implicit: bool, out: Value) -> Expression:
    return self if self.shape == out.shape else (row("expand", size=out.shape), self)


def _split(self: Value, split_size: Any, dim: int) -> Expression:
    sections = split_size if isinstance(split_size, int) else tuple(split_size)
    return (row("split", split_size_or_sections=sections, dim=dim), self)


def _split_with_sizes(self: Value, split_sizes: Sequence[int], dim: int) -> Expression:
    return _split(self, split_sizes, dim)


def _index(self: Value, indices: Sequence[Value | None]) -> Expression:
    places = np.arange(int(np.prod(self.shape))).reshape(self.shape)
    # torch moves what several index arrays make to the front in the same cases as NumPy
    chosen = places[tuple(slice(None) if i is None else known(i) for i in indices)]
    flat = (row("reshape", shape=(-1,)), self)
    return (row("reshape", shape=chosen.shape), (row("index_select", dim=0), flat, chosen.reshape(-1)))


def _index_put(self: Value, indices: Sequence[Value | None], values: Value, accumulate: bool) -> Expression:
    places = np.arange(int(np.prod(self.shape))).reshape(self.shape)
    return _put(self, places[tuple(slice(None) if i is None else known(i) for i in indices)], values, accumulate)


def _put(self: Any, places: Any, values: Expression, accumulate: bool = False) -> Expression:
    """self with the values at these places of its numbers in a row, added if `accumulate`."""
    same = not isinstance(values, Value) or values.shape == places.shape
    spread: Expression = values if same else (row("expand", size=places.shape), values)
    made = (
        row("index_put", accumulate=accumulate),
        (row("reshape", shape=(-1,)), self),
        (row("reshape", shape=(-1,)), spread),
        places.reshape(-1),
    )
    return (row("reshape", shape=self.shape), made)


def _scatter(self: Value, dim: int, index: Value, src: Value) -> Expression:
    """x with src[i, j, …] at [index[i, j, …], j, …] (for dim 0); index may be smaller than src."""
    whole, into = np.arange(int(np.prod(self.shape))).reshape(self.shape), known(index)
    other = tuple(slice(0, n) if axis != dim % self.ndim else slice(None) for axis, n in enumerate(into.shape))
    part: Expression = src
    if src.shape != into.shape:
        chosen = np.arange(int(np.prod(src.shape))).reshape(src.shape)[tuple(slice(0, n) for n in into.shape)]
        part = (row("index_select", dim=0), (row("reshape", shape=(-1,)), src), chosen.reshape(-1))
    return _put(self, np.take_along_axis(whole[other], into, axis=dim), part)


def _scatter_number(self: Value, dim: int, index: Value, value: float) -> Expression:
    mask = torch.zeros(self.shape, dtype=torch.bool).scatter(dim, torch.as_tensor(known(index)), True)
    return (row("masked_fill", value=float(value)), self, mask.numpy())


def _select_scatter(self: Value, src: Value, dim: int, index: int) -> Expression:
    return _put(self, np.arange(int(np.prod(self.shape))).reshape(self.shape).take(index, axis=dim), src)


def _slice_scatter(self: Value, src: Value, dim: int, start: int | None, end: int | None, step: int) -> Expression:
    if src.shape == self.shape:
        return src
    places = np.arange(int(np.prod(self.shape))).reshape(self.shape)
    return _put(self, places[(slice(None),) * (dim % self.ndim) + (slice(start, end, step),)], src)


def _copy(self: Value, src: Value, non_blocking: bool, out: Value) -> Expression:
    return src if src.shape == out.shape else (row("expand", size=out.shape), src)


def _constant_pad(self: Value, pad: Sequence[int], value: float) -> Expression:
    return (row("pad", pad=tuple(pad), value=float(value)), self)


def _pad(mode: str) -> Entry:
    return lambda self, padding: (row("pad", pad=tuple(padding), mode=mode), self)


def _general_pad(self: Value, pad: Sequence[int], mode: str, value: float | None) -> Expression:
    return (row("pad", pad=tuple(pad), mode=mode, value=float(value or 0.0)), self)


def _moved(operation: Any) -> Entry:
    return lambda self, **arguments: moved(self, lambda places: operation(places, **arguments))


_DETACHED = ref.Operation(
    "detach", "x, which no gradient goes through", "torch.Tensor.detach", ("input",),
    value=lambda x: x,
    pullback=lambda inputs, y, d_y: (None,),
    pushforward=lambda inputs, y, changes: zero(y),
    probes=((np.array([1.5, -0.25]),),),
    data=("input",),
)  # fmt: skip

SHAPES: Mapping[str, Entry] = MappingProxyType({
    **{f"aten.{name}.default": _reshaped for name in ("view", "_unsafe_view", "reshape")},
    "aten.flatten.using_ints": _reshaped,
    "aten.unflatten.int": _reshaped,
    **{
        f"aten.{name}.default": _same
        for name in ("_to_copy", "alias", "clone", "contiguous", "lift_fresh", "lift_fresh_copy", "positive",
                     "resolve_conj", "resolve_neg", "type_as", "view_as")
    },
    "aten.detach.default": lambda self: (_DETACHED, self),
    "aten.t.default": lambda self: self if len(self.shape) < 2 else (row("transpose", dim0=0, dim1=1), self),
    "aten.transpose.int": lambda self, dim0, dim1: (row("transpose", dim0=dim0, dim1=dim1), self),
    "aten.permute.default": lambda self, dims: (row("permute", dims=tuple(dims)), self),
    "aten.movedim.int": lambda self, source, destination: (
        row("movedim", source=source, destination=destination), self),
    "aten.unsqueeze.default": lambda self, dim: (row("unsqueeze", dim=dim), self),
    "aten.squeeze.default": lambda self: (row("squeeze"), self),
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.slice.Tensor": _slice,
    "aten.narrow.default": lambda self, dim, start, length: (row("narrow", dim=dim, start=start, length=length), self),
    "aten.select.int": lambda self, dim, index: (row("select", dim=dim, index=index), self),
    "aten.expand.default": _expand,
    "aten.repeat.default": lambda self, repeats: (row("repeat", repeats=tuple(repeats)), self),
    "aten.repeat_interleave.self_int": lambda self, repeats, dim, output_size: (
        row("repeat_interleave", repeats=repeats, dim=dim), self),
    "aten.flip.default": lambda self, dims: (row("flip", dims=tuple(dims)), self),
    "aten.roll.default": lambda self, shifts, dims: (
        row("roll", shifts=tuple(shifts), dims=tuple(dims) or None), self),
    "aten.tril.default": lambda self, diagonal: (row("tril", diagonal=diagonal), self),
    "aten.triu.default": lambda self, diagonal: (row("triu", diagonal=diagonal), self),
    "aten.split.Tensor": _split,
    "aten.split.sizes": _split,
    "aten.split_with_sizes.default": _split_with_sizes,
    "aten.chunk.default": lambda self, chunks, dim: (row("chunk", chunks=chunks, dim=dim), self),
    "aten.unbind.int": lambda self, dim: (row("unbind", dim=dim), self),
    "aten.cat.default": lambda tensors, dim: (row("cat", dim=dim), *tensors),
    "aten.stack.default": lambda tensors, dim: (row("stack", dim=dim), *tensors),
    "aten.gather.default": lambda self, dim, index, sparse_grad: (row("gather", dim=dim), self, index),
    "aten.take_along_dim.default": lambda self, indices, dim: (row("take_along_dim", dim=dim), self, indices),
    "aten.index_select.default": lambda self, dim, index: (row("index_select", dim=dim), self, index),
    "aten.index.Tensor": _index,
    "aten.index_put.default": _index_put,
    "aten.index_add.default": lambda self, dim, index, source, alpha: (
        row("index_add", dim=dim, alpha=float(alpha)), self, index, source),
    "aten.scatter_add.default": lambda self, dim, index, src: (row("scatter_add", dim=dim), self, index, src),
    "aten.scatter.src": _scatter,
    "aten.scatter.value": _scatter_number,
    "aten.select_scatter.default": _select_scatter,
    "aten.slice_scatter.default": _slice_scatter,
    "aten.copy.default": _copy,
    "aten.constant_pad_nd.default": _constant_pad,
    "aten.pad.default": _general_pad,
    **{f"aten.reflection_pad{n}d.default": _pad("reflect") for n in (1, 2, 3)},
    **{f"aten.replication_pad{n}d.default": _pad("replicate") for n in (1, 2, 3)},
    "aten.unfold.default": _moved(torch.ops.aten.unfold.default),
    "aten.as_strided.default": _moved(torch.ops.aten.as_strided.default),
    "aten.diagonal.default": _moved(torch.ops.aten.diagonal.default),
    "aten.pixel_shuffle.default": _moved(torch.ops.aten.pixel_shuffle.default),
    "aten.pixel_unshuffle.default": _moved(torch.ops.aten.pixel_unshuffle.default),
    "aten.channel_shuffle.default": _moved(torch.ops.aten.channel_shuffle.default),
    "aten.rot90.default": _moved(torch.ops.aten.rot90.default),
})  # fmt: skip
