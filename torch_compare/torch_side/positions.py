"""Gated units, rotary embedding and ALiBi in torch's operations, for torch has no functions of their names.

Each follows the source that its row cites. Shapes: E features, H heads, L queries, S keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor


def gated(activation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """activation(gate)·up, of two inputs or of one that holds both."""

    def unit(*inputs: Tensor, packed: str | None, **parameters: str) -> Tensor:
        first, second = inputs if packed is None else inputs[0].chunk(2, dim=-1)
        gate, up = (second, first) if packed == "gate_last" else (first, second)
        return activation(gate, **parameters) * up

    return unit


def rotary_embedding(x: Tensor, cos: Tensor, sin: Tensor, *, layout: str) -> Tensor:
    """Each pair of features turned as a complex number is by cos + i·sin (Su et al. 2021, eq. 34).

    Tables with a number for each feature hold one for the first and one for the second of a pair.
    """
    width = x.shape[-1]
    cos_a, cos_b = _of_pair(cos, width, layout)
    sin_a, sin_b = _of_pair(sin, width, layout)
    a, b = _pairs(x, layout)
    turned = (a * cos_a - b * sin_a, b * cos_b + a * sin_b)
    return torch.cat(turned, dim=-1) if layout == "half" else torch.stack(turned, dim=-1).flatten(-2)


def _pairs(x: Tensor, layout: str) -> tuple[Tensor, Tensor]:
    if layout == "half":
        first, second = x.chunk(2, dim=-1)
        return first, second
    return x[..., 0::2], x[..., 1::2]


def _of_pair(table: Tensor, width: int, layout: str) -> tuple[Tensor, Tensor]:
    return _pairs(table, layout) if table.shape[-1] == width else (table, table)


def alibi(scores: Tensor, slopes: Tensor | None = None, *, symmetric: bool) -> Tensor:
    """Scores (…, H, L, S) with slope·(key − query) added (Press, Smith & Lewis 2022, §3)."""
    h, l, s = scores.shape[-3:]
    distance = torch.arange(s)[None, :] - torch.arange(l)[:, None] - (s - l)
    if slopes is None:
        slopes = torch.tensor(_slopes(h), dtype=torch.float64)
    bias = (-distance.abs() if symmetric else distance).to(slopes.dtype)
    return scores + (slopes[:, None, None] * bias).to(scores.dtype)


def _slopes(heads: int) -> list[float]:
    """2^(−8k/n) for n heads; for no power of two those of the one below, then every other one of the next."""
    power = 2 ** (heads.bit_length() - 1)
    of_power = [2.0 ** (-8 * (k + 1) / power) for k in range(power)]
    return of_power + [2.0 ** (-8 * (k + 1) / (2 * power)) for k in range(0, 2 * power, 2)][: heads - power]


UNITS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"swiglu": gated(F.silu), "geglu": gated(F.gelu), "reglu": gated(F.relu)}
)
