"""The table of operations in JAX: jax.numpy's and jax.nn's functions, called with a row's inputs and parameters.

Rows that JAX has no operation of (rotary embedding, ALiBi, norms over groups, …) are left out; a few are the one line
of jax.numpy that JAX's users write. JAX is an optional extra: without it `jax_operations` is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

import reference as ref

from .peers import HAS_JAX

Call = Callable[..., Any]


@cache
def jax_operations() -> Mapping[str, Call]:
    """By the row's name: (*inputs, **parameters) ↦ what comes out."""
    if not HAS_JAX:
        return {}
    import jax  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    return {**_elementwise(jax), **_reductions(jax), **_products(jax), **_moving(jax), **_of_networks(jax)}


def jax_operation_gradients(problem: ref.Problem) -> dict[str, Any] | None:
    """A problem of one step, with an inner product for its loss, by jax.vjp; None where JAX has no such operation.

    Raises:
        TypeError, ValueError, NotImplementedError: JAX's operation takes no such shapes or parameters.
    """
    network = problem.graph
    step = network.steps[0]
    if step.operation.name not in jax_operations() or len(network.steps) != 1 or problem.loss.name != "inner_product":
        return None
    leaves = {name: values for name, values in problem.x.items() if values.dtype.kind == "f"}
    data = {name: values for name, values in problem.x.items() if name not in leaves}
    pull = _compiled(step.operation.name, repr(dict(step.operation.parameters)), step.inputs, step.operation)
    found = pull(leaves, data, np.asarray(problem.target))
    return {name: np.asarray(leaf) for name, leaf in found.items()}


_PULLS: dict[tuple[str, str, tuple[str | None, ...]], Call] = {}
"""What is compiled once and serves all inputs of the same shapes."""


def _compiled(name: str, parameters: str, arguments: tuple[str | None, ...], row: ref.Operation) -> Call:
    import jax  # noqa: PLC0415

    def pull(leaves: Any, data: Any, d_output: Any) -> Any:
        def output(held: Any) -> Any:
            values = {**data, **held}
            inputs = (None if key is None else values[key] for key in arguments)
            return jax_operations()[name](*inputs, **row.parameters)

        made, back = jax.vjp(output, leaves)
        return back(d_output.reshape(made.shape))[0]

    return _PULLS.setdefault((name, parameters, arguments), jax.jit(pull))


# ── the table, by kind ───────────────────────────────────────────────────────────────────────────────


def _elementwise(jax: Any) -> dict[str, Call]:
    n, lax = jax.numpy, jax.lax
    same = ("abs", "maximum", "minimum", "exp", "expm1", "log", "log1p", "sqrt", "reciprocal", "sin", "cos")
    return {
        **{name: getattr(n, name) for name in same},
        "mul": n.multiply, "div": n.divide, "neg": n.negative, "where": n.where,
        "add": lambda a, b, *, alpha: n.add(a, b if alpha == 1 else alpha * b),
        "sub": lambda a, b, *, alpha: n.subtract(a, b if alpha == 1 else alpha * b),
        "pow": lambda x, given=None, *, exponent: n.power(x, exponent if given is None else given),
        "rsqrt": lax.rsqrt, "erf": lax.erf,
        "clamp": lambda x, *, min, max: n.clip(x, min, max),
        "dropout": lambda x, mask, *, p: n.where(mask, x / (1 - p), 0),
        "masked_fill": lambda x, mask, *, value: n.where(mask, value, x),
    }  # fmt: skip


def _reductions(jax: Any) -> dict[str, Call]:
    n = jax.numpy

    def along(function: Call, **more: str) -> Call:
        def call(x: Any, *, dim: Any = None, keepdim: bool = False, **parameters: Any) -> Any:
            named = {more[key]: value for key, value in parameters.items()}
            axis = None if dim is None or dim == () else (dim if isinstance(dim, int) else tuple(dim))
            return function(x, axis=axis, keepdims=keepdim, **named)

        return call

    return {
        **{name: along(getattr(n, name)) for name in ("sum", "mean", "prod")},
        "amax": along(n.max), "amin": along(n.min), "max": along(n.max), "min": along(n.min),
        "var": along(n.var, correction="ddof"), "std": along(n.std, correction="ddof"),
        "logsumexp": along(jax.scipy.special.logsumexp),
        "cumsum": lambda x, *, dim: n.cumsum(x, dim), "cumprod": lambda x, *, dim: n.cumprod(x, dim),
        "logcumsumexp": lambda x, *, dim: jax.lax.cumlogsumexp(x, dim % x.ndim),
        "vector_norm": lambda x, *, ord, dim, keepdim: n.linalg.vector_norm(
            x, ord=ord, axis=dim if dim is None or isinstance(dim, int) else tuple(dim), keepdims=keepdim),
        "softmax": lambda x, *, dim=-1: jax.nn.softmax(x, axis=dim),
        "log_softmax": lambda x, *, dim=-1: jax.nn.log_softmax(x, axis=dim),
        "softmin": lambda x, *, dim=-1: jax.nn.softmax(-x, axis=dim),
        "glu": lambda x, *, dim=-1: jax.nn.glu(x, axis=dim),
    }  # fmt: skip


def _products(jax: Any) -> dict[str, Call]:
    n = jax.numpy
    return {
        "linear": lambda x, w, b=None: x @ w.T if b is None else x @ w.T + b,
        **dict.fromkeys(("matmul", "mm", "bmm", "mv"), n.matmul), "dot": n.dot, "outer": n.outer,
        "einsum": lambda *operands, equation: n.einsum(equation, *operands),
    }  # fmt: skip


def _moving(jax: Any) -> dict[str, Call]:
    n = jax.numpy
    return {
        "reshape": lambda x, *, shape: n.reshape(x, shape), "permute": lambda x, *, dims: n.transpose(x, dims),
        "transpose": lambda x, *, dim0, dim1: n.swapaxes(x, dim0, dim1),
        "expand": lambda x, *, size: n.broadcast_to(x, size),
        "cat": lambda *tensors, dim: n.concatenate(tensors, axis=dim),
        "tril": lambda x, *, diagonal: n.tril(x, diagonal), "triu": lambda x, *, diagonal: n.triu(x, diagonal),
        "flip": lambda x, *, dims: n.flip(x, dims), "roll": lambda x, *, shifts, dims: n.roll(x, shifts, dims),
        "take_along_dim": lambda x, index, *, dim: n.take_along_axis(x, index, axis=dim),
        "index_select": lambda x, index, *, dim: n.take(x, index, axis=dim),
    }  # fmt: skip


def _of_networks(jax: Any) -> dict[str, Call]:
    n, nn = jax.numpy, jax.nn

    def layer_norm(x: Any, w: Any = None, b: Any = None, *, normalized_shape: Any, eps: float) -> Any:
        shape = x.shape[-1:] if w is None else w.shape
        count = len(shape) if normalized_shape is None else len(n.atleast_1d(n.asarray(normalized_shape)))
        y = nn.standardize(x, axis=tuple(range(-count, 0)), epsilon=eps)
        y = y if w is None else y * w
        return y if b is None else y + b

    def rms_norm(x: Any, w: Any = None, *, normalized_shape: Any, eps: float) -> Any:
        count = 1 if normalized_shape is None or isinstance(normalized_shape, int) else len(normalized_shape)
        count = count if w is None else w.ndim
        y = x * jax.lax.rsqrt(n.mean(n.square(x), axis=tuple(range(-count, 0)), keepdims=True) + eps)
        return y if w is None else y * w

    def attention(q: Any, k: Any, v: Any, mask: Any = None, *, is_causal: bool, scale: Any, enable_gqa: bool) -> Any:
        # JAX has (batch, length, heads, width)
        leading = q.shape[:-2]
        q, k, v = (n.swapaxes(a.reshape(-1, *((1, 1, *a.shape)[-3:])), -2, -3) for a in (q, k, v))
        more = {} if mask is None else {"mask" if mask.dtype == bool else "bias": mask[(None,) * (4 - mask.ndim)]}
        y = n.swapaxes(nn.dot_product_attention(q, k, v, is_causal=is_causal, scale=scale, **more), -2, -3)
        return y.reshape(*leading, *y.shape[-2:])

    def embedding(x: Any, weight: Any, *, padding_idx: int | None) -> Any:
        if padding_idx is not None:
            raise NotImplementedError("JAX has no padding_idx")
        return weight[x]

    def gated(function: Call) -> Call:
        def call(x: Any, up: Any = None, *, packed: str | None = None, approximate: str = "none") -> Any:
            if packed is not None:
                a, b = n.split(x, 2, axis=-1)
                x, up = (a, b) if packed == "gate_first" else (b, a)
            return function(x, approximate) * up

        return call

    return {
        "layer_norm": layer_norm, "rms_norm": rms_norm, "scaled_dot_product_attention": attention,
        "swiglu": gated(lambda x, _: nn.silu(x)), "reglu": gated(lambda x, _: nn.relu(x)),
        "geglu": gated(lambda x, how: nn.gelu(x, approximate=how == "tanh")),
        "embedding": embedding,
    }  # fmt: skip
