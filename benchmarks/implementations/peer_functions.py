"""Every activation of the table in customary formulas, for a library that differentiates them by itself.

The formulas are written once over a library's array functions (`Library`): JAX, whose own functions stand in place of
ours wherever it has one, and HIPS autograd. They share no line with `reference` nor with `torch_compare`.

z is a layer's pre-activation, (N, K): N examples, K features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import reference as ref

Array = Any
Activation = Callable[..., Array]
"""(library, z, **parameters) ↦ a(z)."""


@dataclass(frozen=True)
class Library:
    """The functions that a library differentiates.

    Attributes:
        np: its counterpart of NumPy.
        sigmoid: σ.
        erf: the error function.
        held: an array as a constant, which is not differentiated.
        own: its own activations, by the name of our row, as (z, **parameters) ↦ a(z).
    """

    np: Any
    sigmoid: Callable[[Array], Array]
    erf: Callable[[Array], Array]
    held: Callable[[Array], Array]
    own: Mapping[str, Callable[..., Array]] = field(default_factory=dict)

    def activate(self, row: ref.Activation, z: Array) -> Array:
        """The row's value: by the library's own function, or by the formula."""
        if row.name in self.own:
            return self.own[row.name](z, **row.parameters)
        return ACTIVATIONS[row.name](self, z, **row.parameters)


# ── activations ──────────────────────────────────────────────────────────────────────────────────────


def softplus(lib: Library, z: Array) -> Array:
    return lib.np.logaddexp(z, lib.np.zeros_like(z))


def _clipped(lib: Library, z: Array, low: float, high: float) -> Array:
    return lib.np.minimum(lib.np.maximum(z, low), high)


def _leaky(lib: Library, z: Array, slope: float) -> Array:
    return lib.np.where(z > 0, z, z * slope)


def _exponential(lib: Library, z: Array, alpha: float, scale: float = 1.0, beyond: float = 1.0) -> Array:
    """beyond·z if z > 0 else scale·(e^(z/alpha) − 1); a positive z never meets the exponential."""
    below = lib.np.where(z > 0, lib.np.zeros_like(z), z)
    return lib.np.where(z > 0, beyond * z, scale * lib.np.expm1(below / alpha))


def _gelu_tanh(lib: Library, z: Array) -> Array:
    return 0.5 * z * (1 + lib.np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _softplus_activation(lib: Library, z: Array, beta: float, threshold: float) -> Array:
    small = lib.np.where(z * beta > threshold, lib.np.zeros_like(z), z)
    return lib.np.where(z * beta > threshold, z, softplus(lib, beta * small) / beta)


def _softshrink(lib: Library, z: Array, lambd: float) -> Array:
    return lib.np.where(z > lambd, z - lambd, lib.np.where(z < -lambd, z + lambd, lib.np.zeros_like(z)))


def _shifted(lib: Library, z: Array) -> Array:
    """z less the largest of its row, which the softmax does not depend on."""
    return z - lib.held(z).max(axis=1, keepdims=True)


def log_softmax(lib: Library, z: Array) -> Array:
    shifted = _shifted(lib, z)
    return shifted - lib.np.log(lib.np.exp(shifted).sum(axis=1, keepdims=True))


def _softmax(lib: Library, z: Array) -> Array:
    e = lib.np.exp(_shifted(lib, z))
    return e / e.sum(axis=1, keepdims=True)


def _glu(lib: Library, z: Array) -> Array:
    half = z.shape[1] // 2
    return z[:, :half] * lib.sigmoid(z[:, half:])


_SELU = 1.0507009873554805, 1.6732632423543773
ACTIVATIONS: Mapping[str, Activation] = {
    "identity": lambda lib, z: z,
    "relu": lambda lib, z: lib.np.maximum(z, 0),
    "relu6": lambda lib, z: _clipped(lib, z, 0, 6),
    "leaky_relu": lambda lib, z, **p: _leaky(lib, z, *p.values()),
    "rrelu": lambda lib, z, lower, upper: _leaky(lib, z, (lower + upper) / 2),
    "elu": lambda lib, z, alpha: _exponential(lib, z, 1, alpha),
    "celu": lambda lib, z, alpha: _exponential(lib, z, alpha, alpha),
    "selu": lambda lib, z: _exponential(lib, z, 1, _SELU[0] * _SELU[1], _SELU[0]),
    "gelu": lambda lib, z: z * (1 + lib.erf(z / math.sqrt(2))) / 2,
    "gelu_tanh": _gelu_tanh,
    "sigmoid": lambda lib, z: lib.sigmoid(z),
    "logsigmoid": lambda lib, z: -softplus(lib, -z),
    "hardsigmoid": lambda lib, z: _clipped(lib, z + 3, 0, 6) / 6,
    "silu": lambda lib, z: z * lib.sigmoid(z),
    "hardswish": lambda lib, z: z * _clipped(lib, z + 3, 0, 6) / 6,
    "mish": lambda lib, z: z * lib.np.tanh(softplus(lib, z)),
    "softplus": _softplus_activation,
    "softsign": lambda lib, z: z / (1 + lib.np.abs(z)),
    "tanh": lambda lib, z: lib.np.tanh(z),
    "tanhshrink": lambda lib, z: z - lib.np.tanh(z),
    "hardtanh": lambda lib, z, **p: _clipped(lib, z, *p.values()),
    "hardshrink": lambda lib, z, lambd: lib.np.where(lib.np.abs(z) > lambd, z, lib.np.zeros_like(z)),
    "softshrink": _softshrink,
    "threshold": lambda lib, z, threshold, value: lib.np.where(z > threshold, z, value + lib.np.zeros_like(z)),
    "square": lambda lib, z: z * z,
    "softmax": _softmax,
    "log_softmax": log_softmax,
    "softmin": lambda lib, z: _softmax(lib, -z),
    "glu": _glu,
}  # fmt: skip

# ── the libraries ────────────────────────────────────────────────────────────────────────────────────


def jax_library() -> Library:
    """JAX in float64, its own activations where it has them."""
    import jax  # noqa: PLC0415
    from jax import nn  # noqa: PLC0415
    from jax.scipy import special  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    own: dict[str, Callable[..., Array]] = {
        "relu": nn.relu, "relu6": nn.relu6, "selu": nn.selu, "logsigmoid": nn.log_sigmoid,
        "hardsigmoid": nn.hard_sigmoid, "silu": nn.silu, "hardswish": nn.hard_silu, "mish": nn.mish,
        "softsign": nn.soft_sign, "softmax": nn.softmax, "log_softmax": nn.log_softmax,
        "softmin": lambda z: nn.softmax(-z),
        "glu": lambda z: nn.glu(z, axis=1),
        "leaky_relu": nn.leaky_relu,
        "elu": nn.elu,
        "celu": nn.celu,
        "gelu": lambda z: nn.gelu(z, approximate=False),
        "gelu_tanh": lambda z: nn.gelu(z, approximate=True),
    }  # fmt: skip
    return Library(jax.numpy, nn.sigmoid, special.erf, jax.lax.stop_gradient, own)


def autograd_library() -> Library:
    """HIPS autograd."""
    import autograd.numpy  # noqa: PLC0415
    from autograd.scipy import special  # noqa: PLC0415
    from autograd.tracer import getval  # noqa: PLC0415

    return Library(autograd.numpy, special.expit, special.erf, getval)
