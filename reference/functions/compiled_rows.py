"""Formulas of rows compiled: what they do to the elements of a row in one loop from one reduction to the next.

A row's sum is known when its last element is; so the lines of a formula fall into stages, each of which needs what the
one before it reduced. A stage is a loop over the row. What a later stage needs of it lies in a buffer, a row long,
which a cache holds; a truth value is found again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.symbol import REDUCTIONS, Mask, Program, Symbol, names_in
from . import compiled

Rows: TypeAlias = "tuple[Array | None, ...]"
_ELEMENTS, _MASKS, _ONCE = "elements", "masks", "once"
FEW = 128
"""Numbers that NumPy adds up without cutting them in halves."""
_FOUND_AGAIN = re.compile(r"\S+ (<|<=|>|>=|==) \S+|1\.0 if \w+ else 0\.0")
"""What is not kept in a buffer: truth values, and the 1 and 0 made of them."""


def loop_of_rows(formula: Callable[..., Any], arrays: Rows) -> Callable[[Rows], tuple[NumPyArray, ...]] | None:
    """The compiled function of the same arrays, each as rows (R, K) or (R, 1) or None; None where NumPy computes them.

    Args:
        formula: (*arrays) ↦ an array or several, acting along the last axis.
        arrays: what it will be given, all float32 or all float64, or truth values, of any leading axes.
    """
    z = arrays[0]
    if not compiled.wanted() or not isinstance(formula, FunctionType) or z is None or not z.ndim or not z.size:
        return None
    kinds = tuple(_kind(a, z) for a in arrays)
    if kinds[0] != _ELEMENTS or "" in kinds:
        return None
    found = _kernel(formula, kinds, z.dtype == np.float32)
    if found is None:
        return None
    kernel, made_of, buffers = found

    def evaluate(rows: Rows) -> tuple[NumPyArray, ...]:
        given = [np.ascontiguousarray(a) for a in rows if a is not None]
        count, length = given[0].shape
        made: tuple[NumPyArray, ...] = tuple(
            np.empty((count, 1 if kind == _ONCE else length), np.bool_ if kind == _MASKS else given[0].dtype)
            for kind in made_of
        )
        kernel(*given, *made, *np.empty((buffers, length)))
        return made

    return evaluate


def _kind(a: Array | None, z: Array) -> str | None:
    """What an argument is in a program of the rows of z; "" of what none has."""
    if a is None:
        return None
    length = z.shape[-1]
    if type(a) is not np.ndarray or a.shape[-1] not in (1, length):
        return ""
    if a.dtype == np.bool_:
        return _MASKS if a.shape[-1] == length else ""
    if a.dtype != z.dtype or a.dtype not in (np.float32, np.float64):
        return ""
    return _ELEMENTS if a.shape[-1] == length else _ONCE


@lru_cache(compiled.MOST)
def _kernel(
    formula: Callable[..., Any], kinds: tuple[str | None, ...], wide: bool
) -> tuple[Callable[..., None], tuple[str, ...], int] | None:
    """The compiled loop, what its results are, and how many buffers it takes; None if there is none.

    A formula that calls a function which no program has, or that branches, has none.
    """
    try:
        source, made_of, buffers = source_of(formula, kinds, wide)
    except Exception:  # what a number has not, arrays may have; if not, they say so
        return None
    kernel = compiled.made(source, wide, _functions())
    return None if kernel is None else (kernel, made_of, buffers)


def source_of(
    formula: Callable[..., Any], kinds: Sequence[str | None], wide: bool = True
) -> tuple[str, tuple[str, ...], int]:
    """The function of a formula of rows, what its results are, and how many buffers it takes.

    Args:
        formula: (*arrays) ↦ an array or several.
        kinds: what each array is: "elements", "masks", "once" (a number for each row) or None.
        wide: whether the numbers are of a narrower type than float64.

    >>> print(source_of(lambda z: z / z.sum(axis=-1, keepdims=True), ["elements"])[0])
    def kernel(a0, y0, z0s):
        length = a0.shape[1]
        number = float64(length)
        for row in range(a0.shape[0]):
            for here in range(length):
                z0 = float64(a0[row, here])
                z0s[here] = z0
            x0 = total(z0s)
            for here in range(length):
                z0 = float64(a0[row, here])
                x1 = z0 / x0
                y0[row, here] = x1

    Raises:
        TypeError: a result is no number that was computed of the arrays; or another error, for what a `Symbol` has not.
    """
    program = Program(wide, of_row=set())
    given = [None if kind is None else _argument(program, f"z{k}", kind) for k, kind in enumerate(kinds)]
    found = formula(*given)
    results = found if isinstance(found, tuple) else (found,)
    if any(type(y) is not Symbol and (type(y) is not Mask or program.is_once(y.name)) for y in results):
        raise TypeError(f"not all of them numbers of a program: {results}")
    names = [y.name for y in results]
    stages = _Stages(program, kinds, names)
    body, buffers = stages.body(), sorted(map(_buffer, stages.kept))
    arguments = [f"a{k}" for k, kind in enumerate(kinds) if kind is not None]
    head = f"def kernel({', '.join([*arguments, *(f'y{k}' for k in range(len(names))), *buffers])}):"
    loop = ["length = a0.shape[1]", "number = float64(length)", "for row in range(a0.shape[0]):"]
    lines = [head, *(f"    {line}" for line in loop), *(f"        {line}" for line in body)]
    made_of = (_MASKS if isinstance(y, Mask) else _ONCE if program.is_once(y.name) else _ELEMENTS for y in results)
    return "\n".join(lines), tuple(made_of), len(buffers)


def _argument(program: Program, name: str, kind: str) -> Symbol:
    return program.mask(name) if kind == _MASKS else program.argument(name, once=kind == _ONCE)


class _Stages:
    """The lines of a program of rows, by the loops that they are in."""

    def __init__(self, program: Program, kinds: Sequence[str | None], results: Sequence[str]) -> None:
        self.results = results
        self.of_row = program.of_row or set()
        self.lines = _needed(dict(line.split(" = ", 1) for line in program.lines), results)
        self.loads = {f"z{k}": _load(f"a{k}", kind) for k, kind in enumerate(kinds) if kind is not None}
        self.stage = dict.fromkeys([*self.loads, "here", "number"], 0)
        """The loop, by its number, in which a number is computed, or at whose beginning, if it is once in a row."""
        self.kept: set[str] = set()
        for name, expression in self.lines.items():
            words = self._numbers(expression)
            reduced = words[:1] if _reduces(expression) else []
            self.stage[name] = max((self.stage[word] + (word in reduced) for word in words), default=0)
            self.kept.update(reduced)

    def _numbers(self, expression: str) -> list[str]:
        return [word for word in names_in(expression) if word in self.stage]

    def body(self) -> list[str]:
        """What is done to every row; afterwards it is known what is `kept` in buffers."""
        last = max(self.stage.values())
        loops = [self._loop(stage) for stage in range(last, -1, -1)][::-1]  # a loop says what it needs of earlier ones
        lines = [f"{name} = {load}" for name, load in self.loads.items() if name in self.of_row]
        for stage, loop in enumerate(loops):
            lines += [
                f"{name} = {_of_buffer(expression)}"
                for name, expression in self.lines.items()
                if name in self.of_row and self.stage[name] == stage
            ]
            lines += ["for here in range(length):", *(f"    {line}" for line in loop)] if loop else []
        return lines + [f"y{k}[row, 0] = {name}" for k, name in enumerate(self.results) if name in self.of_row]

    def _loop(self, stage: int) -> list[str]:
        lines: list[str] = []
        found = {"here", *self.of_row}

        def find(name: str) -> None:
            if name in found:
                return
            found.add(name)
            if name in self.loads:
                lines.append(f"{name} = {self.loads[name]}")
                return
            if self.stage[name] < stage and not _FOUND_AGAIN.fullmatch(self.lines[name]):
                self.kept.add(name)
                lines.append(f"{name} = {_buffer(name)}[here]")
                return
            for word in self._numbers(self.lines[name]):
                find(word)
            lines.append(f"{name} = {self.lines[name]}")

        for name in sorted(self.kept):
            if self.stage[name] == stage:
                find(name)
                lines.append(f"{_buffer(name)}[here] = {name}")
        for k, name in enumerate(self.results):
            if self.stage[name] == stage and name not in self.of_row:
                find(name)
                lines.append(f"y{k}[row, here] = {name}")
        return lines


def _needed(lines: dict[str, str], results: Sequence[str]) -> dict[str, str]:
    """The lines that a result hangs on."""
    needed = set(results)
    for name in reversed(lines):
        if name in needed:
            needed.update(names_in(lines[name]))
    return {name: expression for name, expression in lines.items() if name in needed}


def _load(array: str, kind: str) -> str:
    return f"{array}[row, here]" if kind == _MASKS else f"float64({array}[row, {'0' if kind == _ONCE else 'here'}])"


def _reduces(expression: str) -> bool:
    return expression.partition("(")[0] in REDUCTIONS


def _of_buffer(expression: str) -> str:
    """An expression that is once in a row: a reduction is that of a buffer."""
    if not _reduces(expression):
        return expression
    first = names_in(expression)[1]
    return expression.replace(first, _buffer(first), 1)


def _buffer(name: str) -> str:
    return f"{name}s"


# ── what a program may ask of a row ──────────────────────────────────────────────────────────────────


@cache
def _functions() -> Mapping[str, Any]:
    """The `REDUCTIONS`, compiled."""

    # In NumPy's order: long rows in halves, and up to 128 numbers as eight sums at a time, of every eighth number each.
    def total_of_few(row: Any) -> Any:
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
        eights = len(row) // 8
        for k in range(eights):
            s0 += row[8 * k]
            s1 += row[8 * k + 1]
            s2 += row[8 * k + 2]
            s3 += row[8 * k + 3]
            s4 += row[8 * k + 4]
            s5 += row[8 * k + 5]
            s6 += row[8 * k + 6]
            s7 += row[8 * k + 7]
        found = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
        for k in range(8 * eights, len(row)):
            found += row[k]
        return found

    total_of_few = compiled.jitted()(total_of_few)

    def total(row: Any) -> Any:
        if len(row) <= FEW:
            return total_of_few(row)
        half = len(row) // 16 * 8
        return total(row[:half]) + total(row[half:])

    total = compiled.jitted()(total)

    def largest_number(row: Any) -> Any:
        found = -np.inf
        for k in range(len(row)):
            found = row[k] if row[k] > found else found
        return found

    def least_number(row: Any) -> Any:
        found = np.inf
        for k in range(len(row)):
            found = row[k] if row[k] < found else found
        return found

    def is_of_numbers(row: Any) -> Any:
        others = 0
        for k in range(len(row)):
            others += np.isnan(row[k])
        return others == 0

    # The largest of the largest, in whatever order, once it is known that none of them is NaN.
    of_numbers = compiled.jitted(fastmath={"reassoc", "nsz", "nnan"})
    largest_number, least_number = of_numbers(largest_number), of_numbers(least_number)
    is_of_numbers = compiled.jitted()(is_of_numbers)

    def most(row: Any) -> Any:
        return largest_number(row) if is_of_numbers(row) else np.nan

    def least(row: Any) -> Any:
        return least_number(row) if is_of_numbers(row) else np.nan

    def place(row: Any, top: Any) -> Any:
        for here in range(len(row)):
            if row[here] == top or (np.isnan(top) and np.isnan(row[here])):
                return here
        return 0

    return {"total": total} | {f.__name__: compiled.jitted()(f) for f in (least, most, place)}
