"""The table of operations in torch: a row's name to torch's function, called with the row's inputs and parameters.

Where the row has torch's name, order of inputs and names of parameters, which is the rule, torch's function stands as
it is. The others have a few lines of torch's operations, by torch's own documentation or by the row's source.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor

from .functions import ACTIVATIONS, LOSSES, loss_of
from .positions import UNITS, alibi, rotary_embedding
from .recurrent import RECURRENT

Output = Tensor | tuple[Tensor, ...]


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch's function, called without the optional inputs at the end that are left out: not all take a None there."""

    def call(*inputs: Tensor | None, **parameters: Any) -> Any:
        count = max((k + 1 for k, x in enumerate(inputs) if x is not None), default=0)
        return function(*inputs[:count], **parameters)

    return call


def _joined(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """What torch calls with one list of tensors."""
    return lambda *tensors, **parameters: function(tensors, **parameters)


def _along(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A reduction along axes that torch wants to have named, of all of them for None."""

    def reduce(x: Tensor, *, dim: Any = None, **parameters: Any) -> Tensor:
        return function(x, dim=tuple(range(x.ndim)) if dim is None else dim, **parameters)

    return reduce


def _values(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """Of what torch returns with the indices."""

    def values(x: Tensor, **parameters: Any) -> Tensor:
        found: Tensor = function(x, **parameters)[0]
        return found

    return values


def _tuple(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


# ── what has other parameters than torch's, or another order of inputs ───────────────────────────────


def _lerp(x: Tensor, end: Tensor, given: Tensor | None = None, *, weight: Any) -> Tensor:
    return torch.lerp(x, end, weight if given is None else given)


def _pow(x: Tensor, given: Tensor | None = None, *, exponent: Any) -> Tensor:
    return torch.pow(x, exponent if given is None else given)


def _prod(x: Tensor, *, dim: Any, keepdim: bool) -> Tensor:
    """torch.prod takes one axis: of several, each in turn."""
    for axis in sorted((a % x.ndim for a in (range(x.ndim) if dim is None else _tuple(dim))), reverse=True):
        x = torch.prod(x, dim=axis, keepdim=keepdim)
    return x


def _slice(x: Tensor, *, dim: int, start: int | None, end: int | None, step: int) -> Tensor:
    index: list[slice] = [slice(None)] * x.ndim
    index[dim] = slice(start, end, step)
    return x[tuple(index)]


def _roll(x: Tensor, *, shifts: Any, dims: Any) -> Tensor:
    return torch.roll(x, shifts) if dims is None else torch.roll(x, shifts, dims)


def _squeeze(x: Tensor, *, dim: Any) -> Tensor:
    return torch.squeeze(x) if dim is None else torch.squeeze(x, dim)


def _split(x: Tensor, *, split_size_or_sections: Any, dim: int) -> tuple[Tensor, ...]:
    sizes = split_size_or_sections
    return torch.split(x, sizes if isinstance(sizes, int) else list(sizes), dim)


def _layer_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, normalized_shape: Any, **parameters: Any
) -> Tensor:
    return F.layer_norm(x, _normalized(x, weight, normalized_shape), weight, bias, **parameters)


def _rms_norm(x: Tensor, weight: Tensor | None = None, *, normalized_shape: Any, **parameters: Any) -> Tensor:
    return F.rms_norm(x, _normalized(x, weight, normalized_shape), weight, **parameters)


def _normalized(x: Tensor, weight: Tensor | None, shape: Any) -> list[int]:
    """The last axes that are normalised: those given, or the weight's, or the last one."""
    if shape is not None:
        return list(_tuple(shape))
    return list(x.shape[-1:] if weight is None else weight.shape)


# torch.nn.functional's norms refuse statistics of one number; the functions that they call do not


def _group_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, num_groups: int, eps: float
) -> Tensor:
    return torch.group_norm(x, num_groups, weight, bias, eps)


def _instance_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, eps: float) -> Tensor:
    return torch.instance_norm(x, weight, bias, None, None, True, 0.1, eps, False)


def _batch_norm(
    x: Tensor, mean: Tensor | None = None, var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, *, training: bool, eps: float,
) -> Tensor:  # fmt: skip
    # torch writes the running statistics anew while it trains, and computes with those of the batch
    running = (None, None) if training else (mean, var)
    return torch.batch_norm(x, weight, bias, *running, training, 0.1, eps, False)


def _convolution(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A convolution without torch's warning that an odd number of zeros costs a copy."""

    def call(*inputs: Tensor | None, **parameters: Any) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same'")
            return function(*inputs, **parameters)

    return call


def _local_response_norm(x: Tensor, *, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """Of three axes, which torch takes in every number type; of more of them, on a CPU in none of 16 bits."""
    return F.local_response_norm(x.flatten(2), size, alpha, beta, k).reshape(x.shape)


def _dropout(x: Tensor, mask: Tensor, *, p: float) -> Tensor:
    return x * mask / (1 - p)


def _loss(name: str) -> Callable[..., Tensor]:
    return lambda y, target, *, reduction, **parameters: loss_of(name, y, target, reduction, parameters)


# ── the table ────────────────────────────────────────────────────────────────────────────────────────

_OF_TORCH = (
    "abs", "add", "addcdiv", "addcmul", "addmm", "baddbmm", "bmm", "cdist", "chunk", "clamp", "clone", "cos", "cumsum",
    "div", "dot", "erf", "exp", "expm1", "flatten", "log", "log1p", "masked_fill", "matmul", "max", "maximum", "min",
    "minimum", "mm", "movedim", "mul", "mv", "narrow", "neg", "outer", "permute", "reciprocal", "repeat_interleave",
    "reshape", "rsqrt", "select", "sin", "sqrt", "sub", "take_along_dim", "transpose", "tril", "triu", "unbind",
    "unflatten", "unsqueeze", "where",
    "abs", "acos", "acosh", "add", "addcdiv", "addcmul", "addmm", "asin", "asinh", "atan", "atan2", "atanh", "baddbmm",
    "bmm", "ceil", "chunk", "clamp", "clone", "cos", "cosh", "cross", "cumsum", "diag", "diag_embed", "diagonal",
    "diff", "dist", "div", "dot", "erf", "erfc", "exp", "exp2", "expm1", "flatten", "floor", "fmod", "hypot", "log",
    "log10", "log1p", "log2", "logaddexp", "logit", "masked_fill", "matmul", "max", "maximum", "min", "minimum", "mm",
    "movedim", "mul", "mv", "narrow", "neg", "outer", "permute", "reciprocal", "remainder", "repeat_interleave",
    "reshape", "round", "rsqrt", "select", "sign", "sin", "sinh", "sqrt", "sub", "take_along_dim", "tan", "trace",
    "transpose", "tril", "triu", "trunc", "unbind", "unflatten", "unsqueeze", "where",
)  # fmt: skip
_OF_FUNCTIONAL = (
    "channel_shuffle", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "pixel_shuffle",
    "pixel_unshuffle", "unfold",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "cosine_similarity", "embedding", "interpolate",
    "linear", "lp_pool1d", "lp_pool2d", "max_pool1d", "max_pool2d", "max_pool3d", "normalize", "pad",
    "pairwise_distance", "prelu", "scaled_dot_product_attention",
)  # fmt: skip

OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    **ACTIVATIONS,
    **{name: _loss(name) for name in LOSSES},
    **{name: called(getattr(torch, name)) for name in _OF_TORCH},
    **{name: called(getattr(F, name)) for name in _OF_FUNCTIONAL},
    **{name: _along(getattr(torch, name)) for name in ("amax", "amin", "logsumexp", "mean", "std", "sum", "var")},
    **{name: _convolution(getattr(F, name)) for name in ("conv1d", "conv2d", "conv3d")},
    **UNITS,
    **RECURRENT,
    "alibi": alibi,
    "batch_norm": _batch_norm,
    "cat": _joined(torch.cat),
    "cumprod": torch.cumprod,
    "contiguous": Tensor.contiguous,
    "dropout": _dropout,
    "einsum": lambda *operands, equation: torch.einsum(equation, *operands),
    "expand": lambda x, *, size: x.expand(size),
    "flip": lambda x, *, dims: torch.flip(x, _tuple(dims)),
    "gather": lambda x, index, *, dim: torch.gather(x, dim, index),
    "group_norm": _group_norm,
    "index_add": lambda x, index, source, *, dim, alpha: torch.index_add(x, dim, index, source, alpha=alpha),
    "index_put": lambda x, values, *indices, accumulate: torch.index_put(x, indices, values, accumulate),
    "index_select": lambda x, index, *, dim: torch.index_select(x, dim, index),
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "lerp": _lerp,
    "local_response_norm": _local_response_norm,
    "logcumsumexp": torch.logcumsumexp,
    "prod": _prod,
    "pow": _pow,
    "repeat": lambda x, *, repeats: x.repeat(repeats),
    "rms_norm": _rms_norm,
    "roll": _roll,
    "rotary_embedding": rotary_embedding,
    "scatter_add": lambda x, index, src, *, dim: torch.scatter_add(x, dim, index, src),
    "slice": _slice,
    **{name: _values(getattr(torch, name)) for name in ("kthvalue", "median", "sort", "topk")},
    "split": _split,
    "squeeze": _squeeze,
    "stack": _joined(torch.stack),
    "vector_norm": torch.linalg.vector_norm,
})  # fmt: skip
"""By the row's name: (*inputs, **parameters) ↦ what comes out; an optional input that is left out is None."""

WITHOUT: Mapping[str, str] = MappingProxyType({})
"""Rows that torch has no counterpart of, and why."""
