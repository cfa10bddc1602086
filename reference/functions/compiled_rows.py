"""Formulas of rows compiled: what they do to the elements of a row in one loop from one reduction to the next.

A row's sum is known when its last element is; so the lines of a formula fall into stages, each of which needs what the
one before it reduced. A stage is a loop over the row. What a later stage needs of it lies in a buffer, a row long,
which a cache holds; a truth value is found again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.symbol import REDUCTIONS, Mask, Program, Symbol, names_in
from . import compiled
from .compiled_reductions import reductions

Rows: TypeAlias = "tuple[Array | None, ...]"
_ELEMENTS, _MASKS, _ONCE = "elements", "masks", "once"
_FOUND_AGAIN = re.compile(r"\S+ (<|<=|>|>=|==) \S+|1\.0 if \w+ else 0\.0|0\.0 \* here")
"""What is not kept in a buffer: truth values, the 1 and 0 made of them, and zeros."""


def loop_of_rows(formula: Callable[..., Any], arrays: Rows) -> Callable[[Rows], tuple[NumPyArray, ...]] | None:
    """The compiled function of such arrays; None where NumPy computes it.

    NumPy does where the leading axes differ, or the order in memory is another one, in which it would add up.

    Args:
        formula: (*arrays) ↦ an array or several, acting along the last axis.
        arrays: what it will be given, all float32 or all float64, or truth values, with the same leading axes.
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
    *leading, length = z.shape

    def evaluate(arrays: Rows) -> tuple[NumPyArray, ...]:
        made: tuple[NumPyArray, ...] = tuple(
            np.empty((*leading, 1 if kind == _ONCE else length), np.bool_ if kind == _MASKS else z.dtype)
            for kind in made_of
        )
        rows = [np.ascontiguousarray(a).reshape(-1, a.shape[-1]) for a in (*arrays, *made) if a is not None]
        kernel(*rows, *np.empty((buffers, length)))
        return made

    return evaluate


def _kind(a: Array | None, z: Array) -> str | None:
    """What an argument is in a program of the rows of z; "" of what none has."""
    if a is None:
        return None
    length = z.shape[-1]
    if type(a) is not np.ndarray or a.shape[:-1] != z.shape[:-1] or a.shape[-1] not in (1, length):
        return ""
    if a.dtype == np.bool_:
        return _MASKS if a.shape[-1] == length else ""
    if a.dtype != z.dtype or a.dtype not in (np.float32, np.float64) or not a.flags.c_contiguous:
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
    kernel = compiled.made(source, wide, reductions())
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
    if any(type(y) is not Symbol and (type(y) is not Mask or y.is_once()) for y in results):
        raise TypeError(f"not all of them numbers of a program: {results}")
    names = [y.name for y in results]
    if "number" in names or (isinstance(found, tuple) and len(found) < 2):
        raise TypeError("a length, nothing, or a tuple of one array is made of no row")
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
