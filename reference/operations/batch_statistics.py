"""Batch norm: each channel over the batch (training), or with given statistics (evaluation).

x (N, C, …); running_mean, running_var, weight, bias (C,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import parameter
from ..functions.recipe import recorded
from . import norm as n_
from .norm import Norm, Triple, norm
from .norm_mistakes import losing_norms, norm_mistakes, other_norms
from .probe import probe
from .row import Inputs, Operation, Passes

_SOURCE = "Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1 and the formulas of §3"
_INPUTS = ("x", "running_mean", "running_var", "weight", "bias")


def _over_batch(eps: float) -> Norm:
    def check(x: Array, weight: Array | None, bias: Array | None) -> None:
        if x.ndim < 2 or 0 in x.shape:
            raise ValueError(f"batch_norm: x: expected shape (N, C, …), none of them 0, got {x.shape}")
        _require(x, weight=weight, bias=bias)

    return norm(
        "batch_norm",
        lambda x: x.swapaxes(0, 1).reshape(x.shape[1], -1),
        lambda rows, shape: rows.reshape(shape[1], shape[0], *shape[2:]).swapaxes(0, 1),
        lambda weight, ndim: weight.reshape(-1, *(1,) * (ndim - 2)),
        check,
        eps,
    )


def _require(x: Array, **given: Array | None) -> None:
    for name, values in given.items():
        if values is not None and tuple(values.shape) != (x.shape[1],):
            raise ValueError(f"batch_norm: {name}: expected shape ({x.shape[1]},), got {values.shape}")


def _five(inputs: Inputs) -> Inputs:
    return (*inputs, None, None, None, None)[:5]


@recorded
def batch_norm(training: bool = False, eps: float = 1e-5) -> Operation:
    """(x − mean)/√(var + ε) ∘ weight + bias for each channel of x (N, C, …).

    The running statistics are data: no gradient is taken of them, and they are not changed here.

    Args:
        training: whether mean and variance (divided by N, not N − 1) are those of the batch, which the gradient goes
            through; else they are running_mean and running_var, which must be given then.
        eps: ε.

    >>> batch_norm(training=True, eps=0.0).value(np.array([[1.0], [3.0]]))
    array([[-1.],
           [ 1.]])
    >>> batch_norm(eps=0.0).value(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([4.0]))
    array([[-0.5],
           [ 0.5]])
    """
    n = _over_batch(eps)
    return _of_batch(n, eps) if training else _of_running(n, eps)


# ── with the statistics of the batch ─────────────────────────────────────────────────────────────────


def _of_batch(n: Norm, eps: float) -> Operation:
    def from_batch(f: Callable[..., tuple[Array | None, ...]]) -> Callable[..., tuple[Array | None, ...]]:
        """The gradients as the operation states them, from those of x, weight and bias."""

        def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
            x, _, _, weight, bias = _five(inputs)
            d_x, d_weight, d_bias = f(x, weight, bias, d_y)
            return (d_x, None, None, d_weight, d_bias)[: len(inputs)]

        return pullback

    def textbook(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | float, ...]:
        x, _, _, weight, bias = _five(inputs)
        sizes = n_.textbook_pullback(n, x, weight, bias, d_y)
        d_x, d_weight, d_bias = (0.0 if size is None else size for size in sizes)
        return (d_x, 0.0, 0.0, d_weight, d_bias)[: len(inputs)]

    def value(x: Array, *rest: Array | None) -> Array:
        _, mean, var, weight, bias = _five((x, *rest))
        y = n_.value(n, x, weight, bias)
        _require(x, running_mean=mean, running_var=var)
        return y

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        dx, _, _, dw, db = _five(changes)
        return n_.pushforward(n, inputs[0], _five(inputs)[3], (dx, dw, db))

    def passes(found: Mapping[str, tuple[Callable[..., Array], Callable[..., Triple]]]) -> dict[str, Passes]:
        return {
            name: (lambda *inputs, value=value: value(inputs[0], *_five(inputs)[3:]), from_batch(back))
            for name, (value, back) in found.items()
        }

    return Operation(
        "batch_norm",
        "(x − mean x)/√(var x + ε) ∘ weight + bias, over the batch",
        _SOURCE,
        _INPUTS,
        value,
        from_batch(lambda *given: n_.pullback(n, *given)),
        pushforward,
        probes=(
            (probe(3, 2, 2), None, None, probe(2, start=5), probe(2, start=9)),
            (probe(4, 2), probe(2, start=3), probe(2, low=0.5, start=7)),
        ),
        optional=_INPUTS[1:],
        data=_INPUTS[1:3],
        mistakes={name: from_batch(wrong) for name, wrong in norm_mistakes(n, one_weight=True).items()},
        other_passes=passes(other_norms(n)),
        losing=passes(losing_norms(n)),
        parameters={"training": True, "eps": eps},
        textbook_value=lambda inputs, y: n_.textbook_value(n, inputs[0], *_five(inputs)[3:]),
        textbook_pullback=textbook,
    )


# ── with running statistics: a linear function of x ──────────────────────────────────────────────────


def _of_running(n: Norm, eps: float) -> Operation:
    def root(x: Array, var: Array) -> Array:
        return n.view(np.sqrt(var + parameter(eps, x)), x.ndim)

    def normal(x: Array, mean: Array, var: Array) -> Array:
        return (x - n.view(mean, x.ndim)) / root(x, var)

    def value(x: Array, mean: Array, var: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        n.check(x, weight, bias)
        _require(x, running_mean=mean, running_var=var)
        return n_.scaled(n, normal(x, mean, var), weight, bias)

    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        x, mean, var, weight, bias = _five(inputs)
        d_x = n_.scaled(n, d_y, weight, None) / root(x, var)
        d_weight = None if weight is None else n_.gathered(n, d_y * normal(x, mean, var), weight)
        return (d_x, None, None, d_weight, None if bias is None else n_.gathered(n, d_y, bias))[: len(inputs)]

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        (x, mean, var, weight, _), (dx, _, _, dw, db) = _five(inputs), _five(changes)
        dy = y * 0 if dx is None else n_.scaled(n, dx / root(x, var), weight, None)
        if dw is not None:
            dy = dy + normal(x, mean, var) * n.view(dw, x.ndim)
        return dy if db is None else dy + n.view(db, x.ndim)

    def through_the_batch(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        x, _, _, weight, _ = _five(inputs)
        _, *rest = pullback(inputs, y, d_y)
        return (n_.pullback(n, x, weight, None, d_y)[0], *rest)

    def outside(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        x, _, var, weight, _ = _five(inputs)
        wrong = n.view(np.sqrt(var) + parameter(eps, x), x.ndim)
        _, *rest = pullback(inputs, y, d_y)
        return (n_.scaled(n, d_y, weight, None) / wrong, *rest)

    return Operation(
        "batch_norm",
        "(x − running_mean)/√(running_var + ε) ∘ weight + bias",
        _SOURCE,
        _INPUTS,
        value,
        pullback,
        pushforward,
        probes=(
            (probe(3, 2, 2), probe(2, start=3), probe(2, low=0.5, start=7), probe(2, start=5), probe(2, start=9)),
            (probe(3, 2), probe(2, start=3), probe(2, low=0.5, start=7)),
        ),
        optional=_INPUTS[3:],
        data=_INPUTS[1:3],
        mistakes={"gradient_through_batch_statistics": through_the_batch}
        | ({"epsilon_outside_the_root": outside} if eps else {}),
        parameters={"training": False, "eps": eps},
    )
