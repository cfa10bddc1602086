"""Networks with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import DTypeLike

from .. import activations as table
from ..activations.row import Activation
from ..arithmetic.array import NumPyArray
from ..arithmetic.names import meant
from .mlp import MLP, Layer


def _orthogonal(rng: np.random.Generator, o: int, i: int) -> NumPyArray:
    """Orthonormal columns, or rows where there are fewer: uniform, once the signs of R are undone (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.normal(size=(max(o, i), min(o, i))))
    q = q * np.where(np.diagonal(r) < 0, -1, 1)
    return q if o >= i else q.T


SCHEMES: Mapping[str, Callable[[np.random.Generator, int, int], NumPyArray]] = MappingProxyType(
    {
        "glorot_normal": lambda rng, o, i: rng.normal(0, np.sqrt(2 / (i + o)), (o, i)),
        "glorot_uniform": lambda rng, o, i: rng.uniform(-1, 1, (o, i)) * np.sqrt(6 / (i + o)),
        "he_normal": lambda rng, o, i: rng.normal(0, np.sqrt(2 / i), (o, i)),
        "he_uniform": lambda rng, o, i: rng.uniform(-1, 1, (o, i)) * np.sqrt(6 / i),
        "lecun_normal": lambda rng, o, i: rng.normal(0, np.sqrt(1 / i), (o, i)),
        "lecun_uniform": lambda rng, o, i: rng.uniform(-1, 1, (o, i)) * np.sqrt(3 / i),
        "torch_uniform": lambda rng, o, i: rng.uniform(-1, 1, (o, i)) / np.sqrt(i),
        "orthogonal": _orthogonal,
        "zeros": lambda rng, o, i: np.zeros((o, i)),
    }
)
"""Ways to draw a weight (O, I): Glorot & Bengio 2010, eq. 12 and 16; He et al. 2015, eq. 10; LeCun et al.
1998, eq. 16; torch.nn.Linear's own, which is the heuristic of Glorot & Bengio 2010, eq. 1; Saxe, McClelland & Ganguli
2014, arXiv:1312.6120, §3 (orthogonal)."""


def initialize(
    widths: Sequence[int],
    activations: Sequence[str | Activation],
    seed: int,
    *,
    dtype: DTypeLike = np.float64,
    bias: bool | Sequence[bool] = True,
    scheme: str = "glorot_normal",
) -> MLP:
    """A network with random weights and zero biases.

    Args:
        widths: the number of features before the first layer and behind each layer: one more than layers.
        activations: one row or name per layer.
        seed: of the generator; the same seed makes the same network.
        dtype: float64, float32, or another floating type.
        bias: whether the layers have one, for all or for each.
        scheme: a name in `SCHEMES`.

    Raises:
        ValueError: too few widths, a width below 1, a wrong number of activations, an unknown scheme.
        TypeError: the type is not a floating one.

    >>> initialize([2, 2, 1], activations=["tanh", "identity"], seed=0).layers[0].weight.shape
    (2, 2)
    """
    check_widths(widths)
    if isinstance(activations, str) or len(activations) != len(widths) - 1:
        raise ValueError(f"activations: expected one per layer ({len(widths) - 1}), got {activations!r}")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}{meant(scheme, SCHEMES)}")
    number = np.dtype(dtype)
    if number.kind != "f":
        raise TypeError(f"dtype: expected a floating type, got {number}")
    biased = [bias] * (len(widths) - 1) if isinstance(bias, bool) else list(bias)
    if len(biased) != len(widths) - 1:
        raise ValueError(f"bias: expected one flag per layer ({len(widths) - 1}), got {bias!r}")
    rng = np.random.default_rng(seed)
    layers = []
    for fan_in, width, row, has_bias in zip(widths, widths[1:], map(_row, activations), biased, strict=False):
        fan_out = width * row.shrink
        weight = SCHEMES[scheme](rng, fan_out, fan_in).astype(number)
        layers.append(Layer(weight, np.zeros(fan_out, number) if has_bias else None, row))
    return MLP(tuple(layers))


def check_widths(widths: Sequence[int]) -> None:
    """Raise ValueError unless widths are at least two whole numbers of at least 1."""
    if len(widths) < 2 or not all(isinstance(w, int | np.integer) and w >= 1 for w in widths):
        raise ValueError(f"widths: expected at least two whole numbers of at least 1, got {widths!r}")


def _row(row: str | Activation) -> Activation:
    return table.get(row)
