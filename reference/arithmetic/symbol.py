"""A number whose operations are written down and not done: the lines of a formula as the lines of a program.

>>> program = Program()
>>> z = program.argument("z")
>>> y = np.maximum(z, 0) + np.exp(-z) / 2
>>> print(*program.lines, y.name, sep="; ")
x0 = maximum(z, 0.0); x1 = -z; x2 = exp(x1); x3 = x2 / 2.0; x4 = x0 + x3; x4
"""

from __future__ import annotations

import re
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
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==",
}  # fmt: skip
_COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal)
FUNCTIONS: Mapping[np.ufunc, str] = MappingProxyType(
    {np.exp: "exp", np.maximum: "maximum", np.minimum: "minimum", np.sqrt: "sqrt"}
)
"""NumPy's functions that a program may call, and their names there. NumPy's others are as fast as a compiler's, and not
to the last bit the same."""
ONCE: Mapping[np.ufunc, str] = MappingProxyType({np.log1p: "log1p"})
"""Those that it may call besides for what is once in a row."""
REDUCTIONS: Mapping[str, str] = MappingProxyType({"total": "sum", "least": "min", "most": "max", "place": "argmax"})
"""What a program of rows may ask of a whole row, and what NumPy calls it."""
_NAME = re.compile(r"(?<![\w.])[a-z]\w*")


@dataclass
class Program:
    """The lines that were written down so far; one operation is written once, however often it is asked for.

    Attributes:
        wide: whether its numbers hold those of a narrower type (see `Wide`); if not, what rounding takes away counts.
        lines: assignments of Python, the names on their right being arguments, earlier names, `FUNCTIONS` and
            `REDUCTIONS`.
        of_row: the names of what there is once in a row; None of a program whose numbers form no rows. A row has
            `number` elements, and `here` is the place of one of them.
    """

    wide: bool = True
    lines: list[str] = field(default_factory=list)
    of_row: set[str] | None = None
    known: dict[str, str] = field(default_factory=dict, repr=False)

    def argument(self, name: str, once: bool = False) -> Symbol:
        """A number that the program is given, or one that it is given `once` in a row."""
        if once and self.of_row is not None:
            self.of_row.add(name)
        return Symbol(self, name)

    def mask(self, name: str) -> Mask:
        """Truth values that the program is given."""
        return Mask(self, name)

    def written(self, expression: str) -> Symbol:
        """The result of an expression, in a line of its own."""
        if expression not in self.known:
            name = self.known[expression] = f"x{len(self.lines)}"
            self.lines.append(f"{name} = {expression}")
            if self.of_row is not None and self.is_once(expression):
                self.of_row.add(name)
        return Symbol(self, self.known[expression])

    def is_once(self, expression: str) -> bool:
        """Whether an expression has one value in a row."""
        words = set(names_in(expression))
        return bool(words & REDUCTIONS.keys()) or words <= (self.of_row or set()) | WORDS

    def reduced(self, name: str, number: str) -> Symbol:
        """What a row has once: one of the `REDUCTIONS`.

        Raises:
            TypeError: the program's numbers form no rows.
        """
        if self.of_row is None:
            raise TypeError(f"{REDUCTIONS[name]}: the numbers of this program form no rows")
        return Symbol(self, number) if number in self.of_row else self.written(f"{name}({number})")


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """A float64 number of a program.

    What acts element by element can be written down, and in a program of rows what reduces the last axis and keeps it;
    only with Python's own numbers: those of other types, and truth values, have a type of their own in NumPy, which
    decides what comes of them.

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
        if ufunc in ONCE and self.program.of_row is not None and self.is_once():
            return self.program.written(f"{ONCE[ufunc]}({x[0]})")
        if ufunc not in FUNCTIONS:
            return NotImplemented
        return self.program.written(f"{FUNCTIONS[ufunc]}({', '.join(x)})")

    def __iadd__(self, other: Any) -> Any:
        return self._becomes(self + other)

    def __imul__(self, other: Any) -> Any:
        return self._becomes(self * other)

    def _becomes(self, other: Symbol) -> Symbol:
        """Whoever else holds this number sees it change, as an array would."""
        if self.is_once() and not other.is_once():
            raise TypeError("a number that a row has once cannot become one of each element")
        self.name = other.name
        return self

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.zeros_like and len(args) == 1 and not kwargs:
            return self.program.written("0.0" if self.is_once() else "0.0 * here")
        if func is not np.where or len(args) != 3 or not any(isinstance(x, Symbol | float) for x in args[1:]):
            return NotImplemented  # between two integers NumPy chooses an integer
        return self.program.written(f"{_name(args[1])} if {_condition(args[0])} else {_name(args[2])}")

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def shape(self) -> Any:
        """Of which the last length alone is known: that of a row."""
        if self.program.of_row is None:
            raise TypeError("the numbers of this program form no rows")
        return _Shape(1 if self.is_once() else self.program.argument("number", once=True))

    def is_once(self) -> bool:
        """Whether there is one such number in a row, or the numbers form none."""
        return self.program.of_row is None or self.name in self.program.of_row

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The sum of a row."""
        return self._along("total", axis, keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The least element of a row."""
        return self._along("least", axis, keepdims)

    def _along(self, name: str, axis: Any, keepdims: bool) -> Symbol:
        if axis != -1 or not keepdims:
            raise TypeError(f"{REDUCTIONS[name]}: a program reduces the last axis alone, and keeps it")
        return self.program.reduced(name, _name(self))

    def largest(self, axis: int = -1) -> tuple[Mask, Symbol]:
        """Where one largest element of a row is, and that element."""
        top = self._along("most", axis, True)
        if self.is_once():
            raise TypeError("argmax: this number is once in a row")
        place = self.program.written(f"place({self.name}, {top.name})")
        return Mask(self.program, self.program.written(f"here == {place.name}").name), top

    # ── what the calculus asks of an arithmetic (see `dispatch`) ─────────────────────────────────────

    def magnitude(self) -> Symbol:
        """|z|."""
        return self.program.written(f"abs({_name(self)})")

    def is_negative(self) -> Any:
        """Where z < 0."""
        return self < 0

    def limited(self, bound: float) -> Symbol:
        """z within ±bound."""
        least, most = -float(bound), float(bound)
        below = self.program.written(f"{most} if {self.name} > {most} else {self.name}")
        return self.program.written(f"{least} if {below.name} < {least} else {below.name}")

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


@dataclass(frozen=True)
class _Shape:
    length: Any

    def __getitem__(self, axis: Any) -> Any:
        if axis != -1:
            raise TypeError(f"shape[{axis}]: a program knows the length of the last axis alone")
        return self.length


class Mask(Symbol):
    """Where a comparison holds: what `numpy.where` and `indicator` choose by, and no number to compute with."""

    __slots__ = ()


WORDS = frozenset({"if", "else", "abs", "inf", "nan", *FUNCTIONS.values(), *ONCE.values()})
"""What an expression has that is no name of a number."""


def names_in(expression: str) -> list[str]:
    """The names in an expression, of numbers and functions, and Python's words.

    >>> names_in("exp(x1) if m < 1e-07 else z")
    ['exp', 'x1', 'if', 'm', 'else', 'z']
    """
    return _NAME.findall(expression)


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
