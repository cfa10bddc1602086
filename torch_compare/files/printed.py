"""Decimals with the digits that they were printed with: how far each may be from the number that was meant.

A program that prints with `%g` or a C++ stream keeps six digits, with `%f` six decimals, with `%.9g` nine digits: what
it computed lies within half a unit of the last one. The text alone tells, of all numbers together: `%g` and streams
leave trailing zeros out, so that 0.25 among numbers of six digits is 0.250000. Decimals that name one number of their
type (17 digits of a float64, 9 of a float32; Steele & White 1990, and IEEE 754-2019, §5.12.2) are that number, and so
are the shortest ones that read back as it; 0.25 alone, which binary has exactly, says nothing of digits.

>>> leaves = {"layers[0].weight": [number("0.123457"), number("-12.5")], "loss": [number("0.25")]}
>>> [print_.digits for print_ in prints(leaves, "float64").values()]
['6 digits', '6 digits']
>>> prints(leaves, "float64")["layers[0].weight"].half.round(9).tolist()
[5e-07, 5e-05]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from reference.arithmetic.array import NumPyArray

FEWEST = 4
"""A format of fewer digits is not believed: 0.5 and 1.5 are written so that were never rounded."""
NAMING = {"float64": 17, "float32": 9}
"""So many digits name one number of the type."""
CHANCE = 6
"""A leaf has a format of its own if the file's would make it by a chance of less than 10 to the power of minus this."""
SLACK = 1 + 2.0**-20
"""Reading and printing round as well."""
_FARTHEST = 400
"""No number of a float64 has a digit so far behind the point."""
_LARGEST = 308
"""The largest power of ten in float64."""


class Layout(NamedTuple):
    """How a decimal is written.

    Attributes:
        last: the power of ten of the last digit.
        digits: from the first that is not 0 to the last; 0 for a zero.
        trailing: whether it ends in a 0 behind the point, not the first there: what shortest decimals never do.
        scientific: whether it has an exponent.
    """

    last: int
    digits: int
    trailing: bool = False
    scientific: bool = False


class Decimal(float):
    """A float that remembers how it was written."""

    __slots__ = ("layout",)
    layout: Layout


_KNOWN: dict[tuple[int, int, bool, bool], Layout] = {}
"""Layouts are few and numbers are many: one object each."""


def number(text: str) -> Decimal:
    """The number of a decimal text as JSON has it.

    >>> number("-0.0120").layout
    Layout(last=-4, digits=3, trailing=True, scientific=False)
    """
    made = Decimal(text)
    mantissa, power = text, 0
    if scientific := "e" in text or "E" in text:
        mantissa, _, exponent = text.lower().partition("e")
        power = int(exponent) if len(exponent) < 9 else 0
    point = mantissa.find(".")
    behind = len(mantissa) - point - 1 if point >= 0 else 0
    digits = len(mantissa.lstrip("-0.").replace(".", ""))
    layout = (power - behind, digits, behind > 1 and mantissa[-1] == "0", scientific)
    made.layout = _KNOWN.get(layout) or _known(layout)
    return made


def _known(layout: tuple[int, int, bool, bool]) -> Layout:
    last, digits, trailing, scientific = layout
    made = Layout(max(-_FARTHEST, min(_FARTHEST, last)), digits, trailing, scientific)
    if len(_KNOWN) < 2**12:
        _KNOWN[layout] = made
    return made


@dataclass(frozen=True)
class Print:
    """How the numbers of an array were printed.

    Attributes:
        digits: "6 digits" or "6 decimals".
        half: half a unit of the last digit of each number: how far it may be from what was computed.
    """

    digits: str
    half: NumPyArray


@dataclass(frozen=True)
class _Leaf:
    """The numbers of one array, as far as they tell digits."""

    values: NumPyArray
    last: NumPyArray
    digits: NumPyArray
    trailing: bool
    scientific: bool

    @classmethod
    def of(cls, numbers: Sequence[Any]) -> _Leaf:
        layouts = [_layout(n) for n in numbers]
        values = np.array([0.0 if isinstance(n, str) else float(n) for n in numbers])
        last, digits = (np.array([layout[i] for layout in layouts], dtype=int) for i in (0, 1))
        return cls(values, last, digits, any(la.trailing for la in layouts), any(la.scientific for la in layouts))

    @property
    def nonzero(self) -> int:
        return int(np.count_nonzero(self.digits))

    @property
    def inexact(self) -> NumPyArray:
        """Which numbers cannot be what they say exactly: binary has them not, or they are large integers."""
        with np.errstate(all="ignore"):
            binary = np.ldexp(self.values, np.clip(-self.last, 0, _FARTHEST))
        return np.where(self.last < 0, binary != np.rint(binary), self.digits >= 6)

    @property
    def most(self) -> int:
        """Digits of the inexact number that has most."""
        return int(self.digits[self.inexact].max(initial=0))

    @property
    def rounded(self) -> bool:
        """Whether there is an inexact number."""
        return self.most > 0

    @property
    def decimals(self) -> int:
        """Behind the point, if all have as many of them; 0 if not."""
        if self.scientific or not len(self.last) or np.any(self.last != self.last[0]):
            return 0
        return max(0, -int(self.last[0]))


def _layout(number: Any) -> Layout:
    if isinstance(number, Decimal):
        return number.layout
    return Layout(0, len(str(abs(number))) if isinstance(number, int) and number else 0)


@np.errstate(all="ignore")  # digits may lie beyond the range of float64
def prints(leaves: Mapping[str, Sequence[Any]], dtype: str) -> dict[str, Print]:
    """How the arrays of a file were printed; none for those whose decimals are the numbers themselves.

    Args:
        leaves: numbers by place, all of one file: a `Decimal`, an integer, or a word for what is not finite.
        dtype: "float64", or "float32" for all that is narrower: what they are numbers of.
    """
    seen = {place: _Leaf.of(numbers) for place, numbers in leaves.items()}
    naming, fixed = NAMING[dtype], _fixed(list(seen.values()))
    file = max((leaf.most for leaf in seen.values() if leaf.rounded and leaf.decimals not in fixed), default=0)
    found = {}
    for place, leaf in seen.items():
        if leaf.decimals in fixed:
            if leaf.digits.max(initial=0) < naming:
                half = np.full(leaf.values.shape, 0.5 * 10.0**-leaf.decimals)
                found[place] = Print(f"{leaf.decimals} decimals", SLACK * half)
            continue
        own = leaf.rounded and leaf.most >= FEWEST and (file - leaf.most) * leaf.nonzero >= CHANCE
        digits = leaf.most if own else file
        if FEWEST <= digits < naming:
            first = leaf.last + leaf.digits - 1
            unit = 10.0 ** np.clip(np.minimum(leaf.last, first - digits + 1), -_FARTHEST, _LARGEST)
            found[place] = Print(f"{digits} digits", SLACK * np.where(leaf.digits > 0, unit / 2, 0.0))
    return found


def _fixed(leaves: Sequence[_Leaf]) -> set[int]:
    """Numbers of decimals that arrays of the file were printed with, as `%f` does.

    Zeros at the end tell, which no shortest decimals have; or else that all numbers of the file have as many decimals.
    """
    sure = {leaf.decimals for leaf in leaves if leaf.trailing and leaf.decimals >= 2}
    others = [leaf for leaf in leaves if leaf.rounded and leaf.decimals not in sure]
    alike = {leaf.decimals for leaf in others}
    if len(alike) == 1 and min(alike) >= FEWEST and sum(leaf.nonzero for leaf in others) > 1:
        return sure | alike
    return sure
