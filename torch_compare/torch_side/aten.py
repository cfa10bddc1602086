"""The table of ATen's operations: an overload's name, as torch.export writes it, to an entry that makes it a row.

How an entry is called and what it gives is said in `call`. To have one more, write it into the table of its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from .aten_elementwise import ELEMENTWISE
from .aten_layers import LAYERS
from .aten_losses import LOSSES
from .aten_others import OTHERS
from .aten_shapes import SHAPES
from .call import Entry

ATEN: Mapping[str, Entry] = MappingProxyType({**ELEMENTWISE, **LAYERS, **LOSSES, **OTHERS, **SHAPES})
"""By the overload's name: (the call's arguments by the schema's names) ↦ expression."""

WITHOUT_DERIVATIVE = frozenset(
    f"aten.{name}"
    for name in (
        "ceil.default", "floor.default", "floor_divide.default", "round.default", "round.decimals",
        "sign.default", "sgn.default", "trunc.default", "heaviside.default", "zeros_like.default", "ones_like.default",
        "full_like.default", "new_zeros.default", "new_ones.default", "new_full.default", "new_empty.default",
        "empty_like.default", "nextafter.default",
    )
)  # fmt: skip
"""Floating numbers that no gradient goes through: what torch makes of them is a constant."""


def schemas() -> dict[str, str]:
    """The arguments of every operation of the table by its name, in the order of the names.

    >>> schemas()["aten.mm.default"]
    '(Tensor self, Tensor mat2) -> Tensor'
    """
    found = {}
    for name in sorted(ATEN):
        _, operation, overload = name.split(".")
        schema = str(getattr(getattr(torch.ops.aten, operation), overload)._schema)
        found[name] = schema[schema.index("(") :]
    return found
