"""ATen's products, norms, attention, embeddings and other layers, as rows of `reference.operations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from .call import Entry, Expression, RandomError, Value, row

# ── norms ────────────────────────────────────────────────────────────────────────────────────────────


def _layer_norm(
    input: Value, normalized_shape: Sequence[int], weight: Any, bias: Any, eps: float, **_: Any
) -> Expression:  # fmt: skip
    return (row("layer_norm", normalized_shape=tuple(normalized_shape), eps=eps), input, weight, bias)


def _native_layer_norm(**arguments: Any) -> Expression:
    return [_layer_norm(**arguments)]


def _rms_norm(input: Value, normalized_shape: Sequence[int], weight: Any, eps: float | None) -> Expression:
    if eps is None:  # torch takes that of float32 for half precision, whatever its documentation says
        eps = torch.finfo(input.dtype if input.dtype == torch.float64 else torch.float32).eps
    return (row("rms_norm", normalized_shape=tuple(normalized_shape), eps=eps), input, weight)


def _group_norm(
    input: Value, num_groups: int, weight: Any, bias: Any, eps: float, cudnn_enabled: bool
) -> Expression:  # fmt: skip
    return (row("group_norm", num_groups=num_groups, eps=eps), input, weight, bias)


def _native_group_norm(
    input: Value, weight: Any, bias: Any, N: int, C: int, HxW: int, group: int, eps: float  # noqa: N803
) -> Expression:  # fmt: skip
    return [_group_norm(input, group, weight, bias, eps, False)]


def _batch_norm(
    input: Value, weight: Any, bias: Any, running_mean: Any = None, running_var: Any = None, *, training: bool,
    eps: float, **_: Any,
) -> Expression:  # fmt: skip
    own = (None, None) if training or running_mean is None else (running_mean, running_var)
    return (row("batch_norm", training=own == (None, None), eps=eps), input, *own, weight, bias)


def _native_batch_norm(**fixed: Any) -> Entry:
    return lambda **arguments: [_batch_norm(**fixed, **arguments)]


def _instance_norm(
    input: Value, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool, eps: float,
    **_: Any,
) -> Expression:  # fmt: skip
    if use_input_stats:
        return (row("instance_norm", eps=eps), input, weight, bias)
    return _batch_norm(input, weight, bias, running_mean, running_var, training=False, eps=eps)


def _weight_norm(v: Value, g: Value, dim: int) -> Expression:
    """g·v/‖v‖, the norm over all axes but one."""
    axes = tuple(k for k in range(v.ndim) if k != dim % v.ndim)
    norm = (row("vector_norm", ord=2, dim=axes or None, keepdim=True), v)
    return (row("mul"), v, (row("div"), g, norm))


# ── attention, embedding, what is random ─────────────────────────────────────────────────────────────


def _attention(
    query: Value, key: Value, value: Value, attn_mask: Any, dropout_p: float, is_causal: bool, scale: float | None,
    enable_gqa: bool = False, **_: Any,
) -> Expression:  # fmt: skip
    if dropout_p:
        raise RandomError("attention drops weights at random: call module.eval() first, or give it dropout_p=0")
    named = row("scaled_dot_product_attention", is_causal=is_causal, scale=scale, enable_gqa=enable_gqa)
    return (named, query, key, value, attn_mask)


def _embedding(weight: Value, indices: Value, padding_idx: int, scale_grad_by_freq: bool, sparse: bool) -> Expression:
    if scale_grad_by_freq:
        raise ValueError("embedding: scale_grad_by_freq=True divides the gradient, so that it is none of a function")
    return (row("embedding", padding_idx=None if padding_idx < 0 else padding_idx), indices, weight)


def _dropout(input: Value, p: float, train: bool | None) -> Expression:
    if train is not False and p > 0:
        raise RandomError("dropout is random in training mode: call module.eval() first, or set its p to 0")
    return input


def _native_dropout(input: Value, p: float, train: bool | None) -> Expression:
    return [_dropout(input, p, train)]


def _rrelu(self: Value, lower: float, upper: float, training: bool, generator: Any = None) -> Expression:
    if training:
        raise RandomError("rrelu is random in training mode: call module.eval() first")
    return (row("rrelu", lower=float(lower), upper=float(upper)), self)


# ── products ─────────────────────────────────────────────────────────────────────────────────────────


def _added_product(name: str) -> Entry:
    def entry(self: Value, beta: float, alpha: float, **matrices: Value) -> Expression:
        return (row(name, beta=float(beta), alpha=float(alpha)), self, *matrices.values())

    return entry


def _bilinear(input1: Value, input2: Value, weight: Value, bias: Any) -> Expression:
    product = (row("einsum", equation="...i,oij,...j->...o"), input1, weight, input2)
    return product if bias is None else (row("add"), product, bias)


def _einsum(equation: str, tensors: Sequence[Value], path: Any) -> Expression:
    return (row("einsum", equation=equation), *tensors)


# ── convolution, pooling, resampling ─────────────────────────────────────────────────────────────────


def _convolution(dimensions: int) -> Entry:
    def entry(
        input: Value, weight: Value, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> Expression:  # fmt: skip
        many = {"stride": stride, "dilation": dilation, "padding": padding}
        given = {name: value if isinstance(value, str) else _each(value, dimensions) for name, value in many.items()}
        return (row(f"conv{dimensions}d", groups=groups, **given), input, weight, bias)

    return entry


def _transposed(dimensions: int) -> Entry:
    def entry(
        input: Value, weight: Value, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
        dilation: Any,
    ) -> Expression:  # fmt: skip
        many = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        given = {name: _each(value, dimensions) for name, value in many.items()}
        return (row(f"conv_transpose{dimensions}d", groups=groups, **given), input, weight, bias)

    return entry


def _any_convolution(
    input: Value, weight: Value, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int,
) -> Expression:  # fmt: skip
    n = len(weight.shape) - 2
    if transposed:
        return _transposed(n)(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return _convolution(n)(input, weight, bias, stride, padding, dilation, groups)


def _each(values: Any, dimensions: int) -> tuple[int, ...]:
    """One number an axis; ATen takes one for all of them."""
    numbers = [values] if isinstance(values, int) else list(values)
    return tuple(numbers * dimensions if len(numbers) == 1 else numbers)


def _max_pool(dimensions: int) -> Entry:
    def entry(self: Value, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Expression:
        many = {"kernel_size": kernel_size, "stride": stride or kernel_size, "padding": padding, "dilation": dilation}
        given = {name: _each(value, dimensions) for name, value in many.items()}
        return (row(f"max_pool{dimensions}d", ceil_mode=ceil_mode, **given), self)

    return entry


def _max_pool_with_indices(dimensions: int) -> Entry:
    return lambda **arguments: [_max_pool(dimensions)(**arguments)]


def _avg_pool(dimensions: int) -> Entry:
    def entry(
        self: Value, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
        divisor_override: int | None = None,
    ) -> Expression:  # fmt: skip
        many = {"kernel_size": kernel_size, "stride": stride or kernel_size, "padding": padding}
        given: dict[str, Any] = {name: _each(value, dimensions) for name, value in many.items()}
        if divisor_override is not None:
            given["divisor_override"] = divisor_override
        return (
            row(f"avg_pool{dimensions}d", ceil_mode=ceil_mode, count_include_pad=count_include_pad, **given), self,
        )  # fmt: skip

    return entry


def _adaptive(name: str) -> Entry:
    return lambda self, output_size: (row(name, output_size=tuple(output_size)), self)


def _upsample(mode: str) -> Entry:
    def entry(
        input: Value, output_size: Any, scale_factors: Any, align_corners: bool | None = None
    ) -> Expression:  # fmt: skip
        given: dict[str, Any] = {} if align_corners is None else {"align_corners": align_corners}
        given |= {"size": tuple(output_size)} if output_size is not None else {"scale_factor": tuple(scale_factors)}
        return (row("interpolate", mode=mode, **given), input)

    return entry


# ── recurrence ───────────────────────────────────────────────────────────────────────────────────────


def _recurrent(name: str) -> Entry:
    def entry(
        input: Value, hx: Any, params: Sequence[Value], has_biases: bool, num_layers: int, dropout: float,
        train: bool, bidirectional: bool, batch_first: bool,
    ) -> Expression:  # fmt: skip
        if dropout and train and num_layers > 1:
            raise RandomError(
                f"{name} drops units at random in training mode: call module.eval() first, or set dropout to 0"
            )
        options = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": batch_first}
        states = hx if isinstance(hx, list | tuple) else (hx,)
        return (row(name, has_biases=has_biases, **options), input, *states, *params)

    return entry


LAYERS: Mapping[str, Entry] = MappingProxyType({
    "aten.linear.default": lambda input, weight, bias: (row("linear"), input, weight, bias),
    "aten.matmul.default": lambda self, other: (row("matmul"), self, other),
    "aten.mm.default": lambda self, mat2: (row("mm"), self, mat2),
    "aten.bmm.default": lambda self, mat2: (row("bmm"), self, mat2),
    "aten.mv.default": lambda self, vec: (row("mv"), self, vec),
    "aten.dot.default": lambda self, tensor: (row("dot"), self, tensor),
    "aten.vdot.default": lambda self, other: (row("dot"), self, other),
    "aten.outer.default": lambda self, vec2: (row("outer"), self, vec2),
    "aten.addmm.default": _added_product("addmm"),
    "aten.baddbmm.default": _added_product("baddbmm"),
    "aten.bilinear.default": _bilinear,
    "aten.einsum.default": _einsum,
    "aten.layer_norm.default": _layer_norm,
    "aten.native_layer_norm.default": _native_layer_norm,
    "aten.rms_norm.default": _rms_norm,
    "aten._fused_rms_norm.default": lambda **arguments: [_rms_norm(**arguments)],
    "aten.group_norm.default": _group_norm,
    "aten.native_group_norm.default": _native_group_norm,
    "aten.batch_norm.default": _batch_norm,
    "aten.instance_norm.default": _instance_norm,
    "aten._weight_norm.default": _weight_norm,
    "aten._weight_norm_interface.default": lambda **arguments: [_weight_norm(**arguments)],
    **{
        f"aten.{name}": _native_batch_norm()
        for name in ("native_batch_norm.default", "_native_batch_norm_legit.default",
                     "_native_batch_norm_legit.no_stats", "_native_batch_norm_legit_functional.default")
    },
    "aten._native_batch_norm_legit_no_training.default": _native_batch_norm(training=False),
    "aten._batch_norm_with_update_functional.default": _native_batch_norm(training=True),
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.embedding.default": _embedding,
    "aten.dropout.default": _dropout,
    "aten.native_dropout.default": _native_dropout,
    "aten.feature_dropout.default": _dropout,
    "aten.alpha_dropout.default": _dropout,
    "aten.rrelu.default": _rrelu,
    "aten.softmax.int": lambda self, dim, dtype: (row("softmax", dim=dim), self),
    "aten._softmax.default": lambda self, dim, half_to_float: (row("softmax", dim=dim), self),
    "aten._safe_softmax.default": lambda self, dim, dtype: (row("softmax", dim=dim), self),
    "aten.log_softmax.int": lambda self, dim, dtype: (row("log_softmax", dim=dim), self),
    "aten._log_softmax.default": lambda self, dim, half_to_float: (row("log_softmax", dim=dim), self),
    "aten.glu.default": lambda self, dim: (row("glu", dim=dim), self),
    "aten.convolution.default": _any_convolution,
    "aten.adaptive_avg_pool1d.default": _adaptive("adaptive_avg_pool1d"),
    "aten.adaptive_avg_pool2d.default": _adaptive("adaptive_avg_pool2d"),
    "aten.adaptive_avg_pool3d.default": _adaptive("adaptive_avg_pool3d"),
    **{
        f"aten.adaptive_max_pool{n}d.default": lambda self, output_size, n=n: [
            _adaptive(f"adaptive_max_pool{n}d")(self, output_size)]
        for n in (1, 2, 3)
    },
    **{f"aten.conv{n}d.{kind}": _convolution(n) for n in (1, 2, 3) for kind in ("default", "padding")},
    "aten.conv_transpose1d.default": _transposed(1),
    "aten.conv_transpose2d.input": _transposed(2),
    "aten.conv_transpose3d.input": _transposed(3),
    **{f"aten.max_pool{n}d.default": _max_pool(n) for n in (1, 2, 3)},
    **{f"aten.max_pool{n}d_with_indices.default": _max_pool_with_indices(n) for n in (2, 3)},
    **{f"aten.avg_pool{n}d.default": _avg_pool(n) for n in (1, 2, 3)},
    **{
        f"aten.upsample_{mode}{n}d.vec": _upsample(mode)
        for mode, n in (("nearest", 1), ("nearest", 2), ("nearest", 3), ("bilinear", 2), ("linear", 1),
                        ("trilinear", 3), ("bicubic", 2))
    },
    "aten.lstm.input": _recurrent("lstm"),
    "aten.gru.input": _recurrent("gru"),
    "aten.rnn_tanh.input": _recurrent("rnn_tanh"),
    "aten.rnn_relu.input": _recurrent("rnn_relu"),
})  # fmt: skip
