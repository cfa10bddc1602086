"""ATen's operations on every element by itself, and its reductions, as rows of `reference.operations`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .call import Entry, Expression, Value, known, real, row

# ── of one tensor ────────────────────────────────────────────────────────────────────────────────────

_SAME = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "digamma", "erf", "erfc", "erfinv", "exp",
    "exp2", "expm1", "hardsigmoid", "hardswish", "lgamma", "log", "log10", "log1p", "log2", "mish", "neg", "reciprocal",
    "relu", "relu6", "rsqrt", "selu", "sigmoid", "silu", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh",
)  # fmt: skip
"""One tensor and nothing else, under the row's name."""


def _of_one(name: str) -> Entry:
    return lambda self: (row(name), self)


def _gelu(self: Value, approximate: str) -> Expression:
    return (row("gelu_tanh" if approximate == "tanh" else "gelu"), self)


def _elu(self: Value, alpha: float, scale: float, input_scale: float) -> Expression:
    if input_scale != 1:
        raise ValueError(f"elu: expected input_scale 1, got {input_scale}")
    found = (row("elu", alpha=alpha), self)
    return found if scale == 1 else (row("mul"), found, scale)


def _hardtanh(self: Value, min_val: float, max_val: float) -> Expression:
    return (row("hardtanh", min_val=float(min_val), max_val=float(max_val)), self)


def _clamp(self: Value, min: Any, max: Any) -> Expression:
    if not isinstance(min, Value) and not isinstance(max, Value):
        bounds = {"min": min, "max": max}
        return (row("clamp", **{name: float(bound) for name, bound in bounds.items() if bound is not None}), self)
    found: Expression = self if min is None else (row("maximum"), self, real(min))
    return found if max is None else (row("minimum"), found, real(max))


# ── of two ───────────────────────────────────────────────────────────────────────────────────────────


def _binary(name: str) -> Entry:
    return lambda self, other: (row(name), real(self), real(other))


def _scaled_binary(name: str) -> Entry:
    return lambda self, other, alpha: (row(name, alpha=float(alpha)), real(self), real(other))


def _rsub(self: Value, other: Any, alpha: float) -> Expression:
    return (row("sub", alpha=float(alpha)), real(other), real(self))


def _div(self: Value, other: Any, rounding_mode: str | None) -> Expression:
    if rounding_mode is not None:
        raise ValueError(f'div: rounding_mode="{rounding_mode}" has no derivative worth the name')
    return (row("div"), real(self), real(other))


def _pow(self: Value, exponent: Any) -> Expression:
    if isinstance(exponent, Value):
        return (row("pow"), real(self), real(exponent))
    return (row("pow", exponent=float(exponent)), self)


def _power_of_number(self: float, exponent: Value) -> Expression:
    return (row("pow"), float(self), exponent)


def _where(condition: Value, self: Any, other: Any) -> Expression:
    return (row("where"), condition, real(self), real(other))


def _masked_fill(self: Value, mask: Value, value: Any) -> Expression:
    if isinstance(value, Value) and value.data is None:
        return (row("where"), mask, value, self)
    return (row("masked_fill", value=float(known(value))), self, mask)


def _lerp(self: Value, end: Value, weight: Any) -> Expression:
    if isinstance(weight, Value):
        return (row("lerp"), self, end, weight)
    return (row("lerp", weight=float(weight)), self, end)


def _addcmul(self: Value, tensor1: Value, tensor2: Value, value: float) -> Expression:
    return (row("addcmul", value=float(value)), self, real(tensor1), real(tensor2))


def _addcdiv(self: Value, tensor1: Value, tensor2: Value, value: float) -> Expression:
    return (row("addcdiv", value=float(value)), self, real(tensor1), real(tensor2))


# ── reductions ───────────────────────────────────────────────────────────────────────────────────────


def _dims(dim: Any) -> Any:
    """ATen's list of axes: an empty one stands for all."""
    return None if dim is None or dim == [] else tuple(dim) if isinstance(dim, list) else dim


def _reduction(name: str) -> Entry:
    return lambda self, dim, keepdim, dtype: (row(name, dim=_dims(dim), keepdim=keepdim), self)


def _of_all(name: str) -> Entry:
    return lambda self, dtype: (row(name), self)


def _extreme(name: str) -> Entry:
    return lambda self, dim, keepdim: (
        row(name, dim=tuple(dim) if isinstance(dim, list) else dim, keepdim=keepdim),
        self,
    )


def _along_axis() -> Entry:
    """The values at the places that torch found: of equal ones, one gets all the gradient."""

    def entry(self: Value, dim: int, keepdim: bool, out: tuple[Value, Value]) -> Expression:
        return [_taken(self, dim, out[1], keepdim)]

    return entry


def _taken(self: Value, dim: int, places: Value, keepdim: bool = True) -> Expression:
    if not self.shape:
        return self
    index = known(places) if keepdim else known(places)[(slice(None),) * (dim % self.ndim) + (None,)]
    found = (row("gather", dim=dim), self, index)
    return found if keepdim else (row("squeeze", dim=dim), found)


def _topk(self: Value, k: int, dim: int, largest: bool, sorted: bool, out: tuple[Value, Value]) -> Expression:
    return [_taken(self, dim, out[1])]


def _sort(self: Value, dim: int, descending: bool, out: tuple[Value, Value]) -> Expression:
    return [_taken(self, dim, out[1])]


def _stable_sort(self: Value, stable: bool, dim: int, descending: bool, out: tuple[Value, Value]) -> Expression:
    return [_taken(self, dim, out[1])]


def _moment(name: str) -> Entry:
    def entry(self: Value, dim: Any, correction: Any, keepdim: bool) -> Expression:
        return (row(name, dim=_dims(dim), correction=1 if correction is None else correction, keepdim=keepdim), self)

    return entry


def _moment_with_bool(name: str) -> Entry:
    return lambda self, dim, unbiased, keepdim: (
        row(name, dim=_dims(dim), correction=int(unbiased), keepdim=keepdim),
        self,
    )


def _var_mean(self: Value, dim: Any, correction: Any, keepdim: bool) -> Expression:
    moment = _moment("var")(self, dim, correction, keepdim)
    return [moment, (row("mean", dim=_dims(dim), keepdim=keepdim), self)]


def _vector_norm(self: Value, ord: float, dim: Any, keepdim: bool, dtype: Any) -> Expression:
    return (row("vector_norm", ord=ord, dim=_dims(dim), keepdim=keepdim), self)


def _norm(self: Value, p: float | None, dim: Any, keepdim: bool) -> Expression:
    return (row("vector_norm", ord=2 if p is None else p, dim=_dims(dim), keepdim=keepdim), self)


def _normal_distribution(self: Value) -> Expression:
    """Φ(x) = erfc(−x/√2)/2."""
    return (row("mul"), (row("erfc"), (row("mul"), self, -math.sqrt(0.5))), 0.5)


ELEMENTWISE: Mapping[str, Entry] = MappingProxyType({
    **{f"aten.{name}.default": _of_one(name) for name in _SAME},
    "aten.gelu.default": _gelu,
    "aten.special_ndtr.default": _normal_distribution,
    "aten.log_sigmoid.default": lambda self: (row("logsigmoid"), self),
    "aten.leaky_relu.default": lambda self, negative_slope: (
        row("leaky_relu", negative_slope=float(negative_slope)), self),
    "aten.elu.default": _elu,
    "aten.celu.default": lambda self, alpha: (row("celu", alpha=float(alpha)), self),
    "aten.hardtanh.default": _hardtanh,
    "aten.hardshrink.default": lambda self, lambd: (row("hardshrink", lambd=float(lambd)), self),
    "aten.softshrink.default": lambda self, lambd: (row("softshrink", lambd=float(lambd)), self),
    "aten.softplus.default": lambda self, beta, threshold: (
        row("softplus", beta=float(beta), threshold=float(threshold)), self),
    "aten.threshold.default": lambda self, threshold, value: (
        row("threshold", threshold=float(threshold), value=float(value)), self),
    "aten.prelu.default": lambda self, weight: (row("prelu"), self, weight),
    "aten.clamp.default": _clamp,
    "aten.clamp.Tensor": _clamp,
    "aten.clamp_min.default": lambda self, min: _clamp(self, min, None),
    "aten.clamp_min.Tensor": lambda self, min: _clamp(self, min, None),
    "aten.clamp_max.default": lambda self, max: _clamp(self, None, max),
    "aten.clamp_max.Tensor": lambda self, max: _clamp(self, None, max),
    "aten.add.Tensor": _scaled_binary("add"),
    "aten.add.Scalar": _scaled_binary("add"),
    "aten.sub.Tensor": _scaled_binary("sub"),
    "aten.sub.Scalar": _scaled_binary("sub"),
    "aten.rsub.Tensor": _rsub,
    "aten.rsub.Scalar": _rsub,
    "aten.mul.Tensor": _binary("mul"),
    "aten.mul.Scalar": _binary("mul"),
    "aten.div.Tensor": _binary("div"),
    "aten.div.Scalar": _binary("div"),
    "aten.div.Tensor_mode": _div,
    "aten.maximum.default": _binary("maximum"),
    "aten.minimum.default": _binary("minimum"),
    "aten.atan2.default": _binary("atan2"),
    "aten.hypot.default": _binary("hypot"),
    "aten.logaddexp.default": _binary("logaddexp"),
    "aten.logaddexp2.default": _binary("logaddexp2"),
    "aten.pow.Tensor_Scalar": _pow,
    "aten.pow.Tensor_Tensor": _pow,
    "aten.pow.Scalar": _power_of_number,
    "aten.where.self": _where,
    "aten.where.ScalarSelf": _where,
    "aten.where.ScalarOther": _where,
    "aten.masked_fill.Scalar": _masked_fill,
    "aten.masked_fill.Tensor": _masked_fill,
    "aten.lerp.Scalar": _lerp,
    "aten.lerp.Tensor": _lerp,
    "aten.addcmul.default": _addcmul,
    "aten.addcdiv.default": _addcdiv,
    "aten.sum.default": _of_all("sum"),
    "aten.sum.dim_IntList": _reduction("sum"),
    "aten.mean.default": _of_all("mean"),
    "aten.mean.dim": _reduction("mean"),
    "aten.prod.default": _of_all("prod"),
    "aten.prod.dim_int": _reduction("prod"),
    "aten.amax.default": _extreme("amax"),
    "aten.amin.default": _extreme("amin"),
    "aten.max.default": lambda self: (row("max"), self),
    "aten.min.default": lambda self: (row("min"), self),
    "aten.max.dim": _along_axis(),
    "aten.min.dim": _along_axis(),
    "aten.topk.default": _topk,
    "aten.sort.default": _sort,
    "aten.sort.stable": _stable_sort,
    "aten.logsumexp.default": lambda self, dim, keepdim: (row("logsumexp", dim=_dims(dim), keepdim=keepdim), self),
    "aten.var.correction": _moment("var"),
    "aten.std.correction": _moment("std"),
    "aten.var.dim": _moment_with_bool("var"),
    "aten.std.dim": _moment_with_bool("std"),
    "aten.var_mean.correction": _var_mean,
    "aten.linalg_vector_norm.default": _vector_norm,
    "aten.norm.ScalarOpt_dim": _norm,
    "aten.cumsum.default": lambda self, dim, dtype: (row("cumsum", dim=dim), self),
    "aten.cumprod.default": lambda self, dim, dtype: (row("cumprod", dim=dim), self),
    "aten.logcumsumexp.default": lambda self, dim: (row("logcumsumexp", dim=dim), self),
})  # fmt: skip
