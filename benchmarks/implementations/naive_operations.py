"""Operations as their textbook formulas are written in a few lines of torch, differentiated by torch.autograd.

They run in float32 and are stored in the format, as kernels do: correct, and with the rounding of customary formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

import reference as ref

Array = Any


def _layer_norm(x: Tensor, w: Tensor, b: Tensor | None = None, *, eps: float, **_: Any) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    var = (x * x).mean(-1, keepdim=True) - mean * mean
    y = (x - mean) / (var + eps).sqrt() * w
    return y if b is None else y + b


def _rms_norm(x: Tensor, w: Tensor, *, eps: float, **_: Any) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def _over(x: Tensor, axes: tuple[int, ...], w: Tensor, b: Tensor, eps: float) -> Tensor:
    """(N, C, …): normalised over some axes, then scaled by channel."""
    mean = x.mean(axes, keepdim=True)
    y = (x - mean) / ((x - mean).pow(2).mean(axes, keepdim=True) + eps).sqrt()
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return y * w.reshape(shape) + b.reshape(shape)


def _group_norm(x: Tensor, w: Tensor, b: Tensor, *, num_groups: int, eps: float) -> Tensor:
    rows = x.reshape(x.shape[0], num_groups, -1)
    one = torch.ones(num_groups, dtype=x.dtype)
    y = _over(rows, (2,), one, 0 * one, eps).reshape(x.shape)
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return y * w.reshape(shape) + b.reshape(shape)


def _softmax(x: Tensor, *, dim: int = -1) -> Tensor:
    e = (x - x.amax(dim, keepdim=True).detach()).exp()
    return e / e.sum(dim, keepdim=True)


def _attention(
    q: Tensor, k: Tensor, v: Tensor, mask: None = None, *, is_causal: bool, scale: float | None, enable_gqa: bool
) -> Tensor:
    if enable_gqa:
        k, v = (t.repeat_interleave(q.shape[-3] // t.shape[-3], dim=-3) for t in (k, v))
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -torch.inf)
    return _softmax(scores) @ v


def _rotary(x: Tensor, cos: Tensor, sin: Tensor, *, layout: str) -> Tensor:
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def _gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / 2**0.5))


NAIVE: Mapping[str, Callable[..., Tensor]] = MappingProxyType({
    "linear": lambda x, w, b: (x[:, None, :] * w).sum(-1) + b,
    "matmul": lambda a, b: (a[..., :, :, None] * b[..., None, :, :]).sum(-2),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": lambda x, w, b, *, eps: _over(x, tuple(range(2, x.ndim)), w, b, eps),
    "batch_norm": lambda x, mean, var, w, b, *, eps, **_: _over(x, (0, *range(2, x.ndim)), w, b, eps),
    "normalize": lambda x, **_: x / x.pow(2).sum(1, keepdim=True).sqrt(),
    "softmax": _softmax,
    "log_softmax": lambda x, *, dim=-1: _softmax(x, dim=dim).log(),
    "logsumexp": lambda x, *, dim, keepdim: x.exp().sum(dim).log(),
    "var": lambda x, *, dim, **_: ((x * x).sum(dim) - x.sum(dim) ** 2 / x.shape[dim]) / (x.shape[dim] - 1),
    "std": lambda x, *, dim, **_: ((x - x.mean(dim, keepdim=True)).pow(2).sum(dim) / (x.shape[dim] - 1)).sqrt(),
    "vector_norm": lambda x, *, dim, **_: (x * x).sum(dim).sqrt(),
    "gelu": _gelu,
    "silu": lambda x: x / (1 + (-x).exp()),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "scaled_dot_product_attention": _attention,
    "rotary_embedding": _rotary,
    "swiglu": lambda x, y, **_: x / (1 + (-x).exp()) * y,
    "geglu": lambda x, y, **_: _gelu(x) * y,
    "reglu": lambda x, y, **_: x.clamp(min=0) * y,
    "embedding": lambda i, w, *, padding_idx: torch.nn.functional.one_hot(i, len(w)).to(w.dtype) @ w,
})  # fmt: skip
"""By the row's name: (*inputs, **parameters) ↦ what comes out."""


def naive_operation_gradients(problem: ref.Problem) -> dict[str, Array] | None:
    """The gradients of a problem of one step, in the problem's type; None where there is no naive formula of it."""
    first, *others = problem.graph.steps
    row = first.operation
    if others or row.name not in NAIVE or row.parameters.get("padding_idx") is not None:
        return None
    tensors = {name: torch.from_numpy(np.array(values)) for name, values in problem.x.items()}
    leaves = {name: t.requires_grad_() for name, t in tensors.items() if t.is_floating_point()}
    made = NAIVE[row.name](*(None if name is None else tensors[name] for name in first.inputs), **row.parameters)
    found = torch.autograd.grad(made, list(leaves.values()), torch.from_numpy(np.array(problem.target)))
    return {name: leaf.numpy() for name, leaf in zip(leaves, found, strict=True)}
