"""Binary floating-point formats: what an implementation may compute in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arithmetic import Array


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Attributes:
        name: as NumPy or torch spell it.
        bits: of the significand, the hidden one included: the unit roundoff is 2^−bits.
        smallest: the smallest positive subnormal number.
        largest: the largest finite number.
    """

    name: str
    bits: int
    smallest: float
    largest: float

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next larger number (Higham 2002, §2.1)."""
        return 2.0**-self.bits

    def ulp(self, values: Array) -> Array:
        """The unit in the last place of each value, as float64."""
        _, exponent = np.frexp(np.asarray(values, dtype=float))
        return np.maximum(np.ldexp(1.0, exponent - self.bits), self.smallest)


FORMATS: Mapping[str, Format] = {
    f.name: f
    for f in (
        Format("float64", 53, 2.0**-1074, float(np.finfo(np.float64).max)),
        Format("float32", 24, 2.0**-149, float(np.finfo(np.float32).max)),
        Format("tf32", 11, 2.0**-136, float(np.finfo(np.float32).max)),
        Format("float16", 11, 2.0**-24, 65504.0),
        Format("bfloat16", 8, 2.0**-133, (2 - 2.0**-7) * 2.0**127),
    )
}
"""IEEE 754-2019, table 3.5; bfloat16 and TensorFloat-32 as their hardware documents them."""


def get_format(dtype: Any) -> Format:
    """The format of that name or NumPy type.

    Raises:
        ValueError: there is none; the message lists those that exist.

    >>> get_format("bfloat16").unit_roundoff, get_format(np.float32).bits
    (0.00390625, 24)
    """
    if isinstance(dtype, Format):
        return dtype
    try:
        name = dtype if isinstance(dtype, str) and dtype in FORMATS else np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in FORMATS:
        raise ValueError(f"dtype: expected one of {', '.join(FORMATS)}, got {name}")
    return FORMATS[name]
