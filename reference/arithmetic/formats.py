"""Binary floating-point formats: what an implementation may compute in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .array import NumPyArray
from .names import meant


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, and how matrix products and sums are computed in it.

    Attributes:
        name: as NumPy or torch spell it.
        bits: of the significand, the hidden one included: the unit roundoff is 2^−bits.
        smallest: the smallest positive subnormal number.
        largest: the largest finite number.
        operands: bits that the operands of a matrix product are rounded to first; None where they are taken as
            they are.
        accumulation: bits that products and sums accumulate in before the result is rounded once; None where
            every partial sum is rounded to `bits`.
        functions: bits that an activation's value and derivative are computed in before the result is rounded once,
            where its row says so (`one_rounding`); None where every step is rounded to `bits`.
    """

    name: str
    bits: int
    smallest: float
    largest: float
    operands: int | None = None
    accumulation: int | None = None
    functions: int | None = None

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next larger number (Higham 2002, §2.1)."""
        return 2.0**-self.bits

    @property
    def coarsest_bits(self) -> int:
        """Of the significands that occur in a computation: those of the operands of products, if they are rounded."""
        return min(self.bits, self.operands or self.bits)

    def accumulating_in(self, other: Format) -> Format:
        """The same format with products and sums that accumulate in a wider one.

        Raises:
            ValueError: the other one is no wider.

        >>> get_format("bfloat16").accumulating_in(get_format("float32")).name
        'bfloat16 accumulated in float32'
        """
        if other.bits <= self.bits:
            raise ValueError(f"accumulation: {self.name} cannot accumulate in {other.name}, which is no wider")
        return replace(self, name=f"{self.name} accumulated in {other.name}", accumulation=other.bits)

    def evaluating_in(self, other: Format) -> Format:
        """The same format with activations that are computed in a wider one and rounded once.

        Raises:
            ValueError: the other one is no wider.

        >>> get_format("bfloat16").evaluating_in(get_format("float32")).functions
        24
        """
        if other.bits <= self.bits:
            raise ValueError(f"functions: {self.name} cannot evaluate in {other.name}, which is no wider")
        return replace(self, functions=other.bits)

    @property
    def smallest_normal(self) -> float:
        """The smallest positive number that has all its bits."""
        return self.smallest * 2.0 ** (self.bits - 1)

    def flushing(self) -> Format:
        """The same format where every subnormal result becomes 0, as on many GPUs, in XLA, or with -ffast-math.

        >>> bool(get_format("float32").flushing().smallest == np.finfo(np.float32).smallest_normal)
        True
        """
        return replace(self, name=f"{self.name}, subnormal numbers flushed to 0", smallest=self.smallest_normal)

    def ulp(self, values: ArrayLike) -> NumPyArray:
        """The unit in the last place of each value, as float64."""
        _, exponent = np.frexp(np.asarray(values, dtype=float))
        return np.maximum(np.ldexp(1.0, exponent - self.bits), self.smallest)

    def rounding(self, values: ArrayLike) -> NumPyArray:
        """The most that rounding to the format changes each value by, as float64."""
        return self.unit_roundoff * np.abs(np.asarray(values, dtype=float)) + self.smallest / 2


_SINGLE = Format("float32", 24, 2.0**-149, float(np.finfo(np.float32).max))

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        f.name: f
        for f in (
            Format("float64", 53, 2.0**-1074, float(np.finfo(np.float64).max)),
            _SINGLE,
            replace(_SINGLE, name="tf32", operands=11),
            Format("float16", 11, 2.0**-24, 65504.0),
            Format("bfloat16", 8, 2.0**-133, (2 - 2.0**-7) * 2.0**127),
            replace(_SINGLE, name="float8_e4m3", operands=4),
            replace(_SINGLE, name="float8_e5m2", operands=3),
        )
    }
)
"""IEEE 754-2019, table 3.5; bfloat16 and TensorFloat-32 as their hardware documents them: TensorFloat-32 rounds the
operands of matrix products to 11 bits and does all else in float32. FP8 likewise, to 4 or 3 bits (Micikevicius et al.
2022); its scaling factors are taken to keep every operand within the format's range."""


STORED: Mapping[str, Format] = MappingProxyType(
    {
        **FORMATS,
        "float8_e4m3": Format("float8_e4m3", 4, 2.0**-9, 448.0),
        "float8_e5m2": Format("float8_e5m2", 3, 2.0**-16, 57344.0),
    }
)
"""The formats as arrays are stored in them (FP8: Micikevicius et al. 2022, table 1)."""


def step_format(name: str) -> Format:
    """The format of that name as a step of a network computes in it: below float32, sums accumulate in float32.

    >>> step_format("bfloat16").name, step_format("float32").name
    ('bfloat16 accumulated in float32', 'float32')
    """
    form = get_format(name)
    return form.accumulating_in(_SINGLE) if form.bits < _SINGLE.bits else form


def get_format(dtype: DTypeLike | Format) -> Format:
    """The format of that name or type, of NumPy or torch.

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
        name = str(dtype).removeprefix("torch.")
    if name not in FORMATS:
        raise ValueError(f"dtype: expected one of {', '.join(FORMATS)}, got {name}{meant(name, FORMATS)}")
    return FORMATS[name]
