"""Activations and networks through torch.autograd and JAX: what the benchmarks hold this project against.

JAX is an optional extra: without it `jax_activations` is empty and `jax_gradients` is None.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import reference as ref
from torch_compare.torch_side.functions import ACTIVATIONS
from torch_compare.torch_side.tensors import NUMBERS

Array = Any
Orders = tuple[Array, ...]
"""Value, first and second derivative at the same points; None for one that the peer has not."""

HAS_JAX = importlib.util.find_spec("jax") is not None
HAS_COMPILER = shutil.which(os.environ.get("CXX", "g++")) is not None
"""Whether there is the C++ compiler that torch.compile calls."""


def ours(name: str, z: Array) -> Orders:
    row = ref.ACTIVATIONS[name]
    with np.errstate(all="ignore"):
        found = (getattr(row, order)(z) for order in ("value", "derivative", "second_derivative"))
        return tuple(found)


def by_torch(name: str, z: Array) -> Orders:
    """The value, its gradient, and the gradient of the gradient, which torch lacks for hardsigmoid."""
    x = torch.tensor(z, dtype=NUMBERS[z.dtype], requires_grad=True)
    value = ACTIVATIONS[name](x, **ref.ACTIVATIONS[name].parameters)
    (first,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    second = torch.zeros_like(x)
    if name == "hardsigmoid":
        return value.detach().numpy(), first.detach().numpy(), None
    if first.requires_grad:
        (found,) = torch.autograd.grad(first.sum(), x, allow_unused=True)
        second = second if found is None else found
    return tuple(t.detach().numpy() for t in (value, first, second))


def jax_activations() -> Mapping[str, Callable[[Any], Any]]:
    """JAX's own functions by the name of our row; rows that JAX has not are left out."""
    if not HAS_JAX:
        return {}
    import jax  # noqa: PLC0415
    from jax import nn  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    return {
        "identity": lambda z: z, "square": lambda z: z * z, "tanh": jax.numpy.tanh, "relu": nn.relu,
        "relu6": nn.relu6, "leaky_relu": nn.leaky_relu, "elu": nn.elu, "celu": nn.celu, "selu": nn.selu,
        "gelu": lambda z: nn.gelu(z, approximate=False), "gelu_tanh": lambda z: nn.gelu(z, approximate=True),
        "sigmoid": nn.sigmoid, "logsigmoid": nn.log_sigmoid, "hardsigmoid": nn.hard_sigmoid, "silu": nn.silu,
        "hardswish": nn.hard_silu, "mish": nn.mish, "softplus": nn.softplus, "softsign": nn.soft_sign,
        "hardtanh": nn.hard_tanh,
    }  # fmt: skip


def by_jax(name: str, z: Array) -> Orders | None:
    """By jax.grad and jax.grad of jax.grad; None where JAX or its function is missing."""
    f = jax_activations().get(name)
    if f is None:
        return None
    import jax  # noqa: PLC0415

    found = (f, jax.vmap(jax.grad(f)), jax.vmap(jax.grad(jax.grad(f))))
    return tuple(np.asarray(g(jax.numpy.asarray(z))) for g in found)


def jax_gradients(problem: ref.Problem) -> ref.Gradients | None:
    """A network with half squared error, summed, through jax.grad; None without JAX."""
    table = jax_activations()
    if not table:
        return None
    import jax  # noqa: PLC0415

    def loss(pairs: Any, x: Any) -> Any:
        for (weight, bias), layer in zip(pairs, problem.mlp.layers, strict=True):
            x = table[layer.activation.name](x @ weight.T + bias)
        return ((x - problem.target) ** 2).sum() / 2

    pairs = [(layer.weight, layer.bias) for layer in problem.mlp.layers]
    value, (layers, d_x) = jax.value_and_grad(loss, argnums=(0, 1))(pairs, problem.x)
    return ref.Gradients(
        tuple(ref.LayerGradients(np.asarray(w), np.asarray(b)) for w, b in layers), np.asarray(d_x), np.asarray(value)
    )
