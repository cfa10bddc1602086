"""The table of activations: one row each, with torch.nn.functional's names, parameters and defaults.

A function of this room makes a row with parameters of its own: ``leaky_relu(negative_slope=0.2)``.
`ACTIVATIONS` holds every row with its default parameters, by name. z is the pre-activation.

>>> ACTIVATIONS["relu"].kinks
(Kink(at=0.0, derivative=0.0, left=0.0, right=1.0, jump=0.0),)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..functions.recipe import row_named
from ..functions.rows import Rows
from .along_rows import glu, log_softmax, softmax, softmin
from .piecewise_linear import (
    hardshrink,
    hardsigmoid,
    hardtanh,
    identity,
    leaky_relu,
    relu,
    relu6,
    rrelu,
    softshrink,
    threshold,
)
from .piecewise_smooth import celu, elu, hardswish, selu, softplus, softsign
from .row import Activation, Kink
from .smooth import gelu, gelu_tanh, logsigmoid, mish, sigmoid, silu, square, tanh, tanhshrink

__all__ = [
    "ACTIVATIONS", "Activation", "Kink", "celu", "elu", "gelu", "gelu_tanh", "get", "glu", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "identity", "leaky_relu", "log_softmax", "logsigmoid", "mish",
    "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink",
    "softsign", "square", "tanh", "tanhshrink", "threshold",
]  # fmt: skip

_MAKERS: tuple[Callable[[], Activation], ...] = (
    identity, relu, relu6, leaky_relu, rrelu, elu, celu, selu, gelu, gelu_tanh, sigmoid, logsigmoid,
    hardsigmoid, silu, hardswish, mish, softplus, softsign, tanh, tanhshrink, hardtanh, hardshrink,
    softshrink, threshold, square, softmax, log_softmax, softmin, glu,
)  # fmt: skip

ACTIVATIONS: Mapping[str, Activation] = Rows({make.__name__: make for make in _MAKERS})
"""Every row with its default parameters, by name."""


def get(row: str | Activation) -> Activation:
    """The row itself, or the row of that name.

    Raises:
        ValueError: no row has that name (the message lists those that exist).
        TypeError: neither a name nor a row.

    >>> get("tanh").formula
    'tanh z'
    """
    return row_named("activation", row, ACTIVATIONS, Activation)
