"""A number whose operations are written down and not done: the lines of a formula as the lines of a program.

>>> program = Program()
>>> z = program.argument("z")
>>> y = np.maximum(z, 0) + np.exp(-z) / 2
>>> print(*program.lines, y.name, sep="; ")
x0 = maximum(z, 0.0); x1 = -z; x2 = exp(x1); x3 = x2 / 2.0; x4 = x0 + x3; x4
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from .constants import Constant
from .error_free import SPLITTER, lost_by_product, lost_by_sum
from .wide import NOTHING

_OPERATORS = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.true_divide: "/",
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=",
}  # fmt: skip
_COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal)
FUNCTIONS: Mapping[np.ufunc, str] = MappingProxyType({np.exp: "exp", np.maximum: "maximum", np.minimum: "minimum"})
"""NumPy's functions that a program may call, and their names there. NumPy's others are as fast as a compiler's, and not
to the last bit the same."""


@dataclass
class Program:
    """The lines that were written down so far; one operation is written once, however often it is asked for.

    Attributes:
        wide: whether its numbers hold those of a narrower type (see `Wide`); if not, what rounding takes away counts.
        lines: assignments of Python, the names on their right being arguments, earlier names and `FUNCTIONS`.
    """

    wide: bool = True
    lines: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict, repr=False)

    def argument(self, name: str) -> Symbol:
        """A number that the program is given."""
        return Symbol(self, name)

    def written(self, expression: str) -> Symbol:
        """The result of an expression, in a line of its own."""
        if expression not in self.known:
            self.known[expression] = f"x{len(self.lines)}"
            self.lines.append(f"{self.known[expression]} = {expression}")
        return Symbol(self, self.known[expression])


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """A float64 number of a program.

    Only what acts element by element can be written down, and only with Python's own numbers: those of other types, and
    truth values, have a type of their own in NumPy, which decides what comes of them.

    Attributes:
        program: where its operations are written.
        name: of the variable that holds it.
    """

    __slots__ = ("name", "program")
    keeps = False

    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.name = name

    def __bool__(self) -> bool:
        raise TypeError("a number that is not computed yet is neither true nor false")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a number that is not computed yet is no array")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        x = list(map(_name, inputs))
        if ufunc in _OPERATORS:
            y = self.program.written(f"{x[0]} {_OPERATORS[ufunc]} {x[1]}")
            return Mask(y.program, y.name) if ufunc in _COMPARISONS else y
        if ufunc is np.negative:
            return self.program.written(f"-{x[0]}")
        if ufunc not in FUNCTIONS:
            return NotImplemented
        return self.program.written(f"{FUNCTIONS[ufunc]}({', '.join(x)})")

    def __iadd__(self, other: Any) -> Any:
        return self._becomes(self + other)

    def __imul__(self, other: Any) -> Any:
        return self._becomes(self * other)

    def _becomes(self, other: Symbol) -> Symbol:
        """Whoever else holds this number sees it change, as an array would."""
        self.name = other.name
        return self

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is not np.where or len(args) != 3 or not any(isinstance(x, Symbol | float) for x in args[1:]):
            return NotImplemented  # between two integers NumPy chooses an integer
        return self.program.written(f"{_name(args[1])} if {_condition(args[0])} else {_name(args[2])}")

    # ── what the calculus asks of an arithmetic (see `dispatch`) ─────────────────────────────────────

    def magnitude(self) -> Symbol:
        """|z|."""
        return self.program.written(f"abs({_name(self)})")

    def is_negative(self) -> Any:
        """Where z < 0."""
        return self < 0

    def limited(self, bound: float) -> Symbol:
        """z within ±bound."""
        return self.program.written(f"minimum(maximum({self.name}, {-float(bound)}), {float(bound)})")

    def finite(self) -> Symbol:
        """z with infinities replaced by the largest finite numbers."""
        return self.limited(float(np.finfo(float).max))

    def two_sum(self, other: Any) -> tuple[Any, Any]:
        """See `dispatch.two_sum`."""
        s = self + other
        return s, NOTHING if self.program.wide else lost_by_sum(self, other, s)

    def two_product(self, other: Any) -> tuple[Any, Any]:
        """See `dispatch.two_product`."""
        p = self * other
        return p, NOTHING if self.program.wide else lost_by_product(self, other, p, SPLITTER[53])

    def constant(self, c: Constant) -> tuple[Any, Any]:
        """See `dispatch.constant_parts`."""
        high, low = map(float, c.in_dtype(np.dtype(float)))
        return high, NOTHING if self.program.wide else low

    def indicator(self, mask: Any) -> Any:
        """1 and 0."""
        return self.program.written(f"1.0 if {_condition(mask)} else 0.0")


class Mask(Symbol):
    """Where a comparison holds: what `numpy.where` and `indicator` choose by, and no number to compute with."""

    __slots__ = ()


def _name(x: Any) -> str:
    if type(x) is Symbol:
        return x.name
    if isinstance(x, float | int) and not isinstance(x, bool):
        return repr(float(x))
    raise TypeError(f"no number that a program computes with: {x!r}")


def _condition(mask: Any) -> str:
    if isinstance(mask, Mask):
        return mask.name
    raise TypeError(f"no comparison of a program: {mask!r}")
