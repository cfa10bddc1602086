"""Formulas compiled: all of their lines in one loop, and no array between two of them.

A formula is written down by running it on a `Symbol`: so what is compiled are the lines of this room themselves,
each of which costs NumPy an array. Numba makes a loop over float64 numbers of them. Those of float32 are rounded once
at its end, as `elementwise` does with NumPy, and their exponential is one that a processor computes for several numbers
at once; those of float64 take that of the C library, and no product and sum are made one operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from types import FunctionType, MappingProxyType
from typing import Any

import numpy as np

from ..arithmetic.array import NumPyArray
from ..arithmetic.symbol import Program, Symbol

_DEPTH: ContextVar[int] = ContextVar("compiled", default=0)
"""How many `compiled` stand around; counted, for generators may leave theirs in any order."""
MOST = 256
"""Loops that a process compiles: Numba never gives back their memory, about 1 MB each, and rows may be made without
end. NumPy computes what comes after them."""
_LOOPS: dict[tuple[str, bool], Callable[..., None]] = {}
"""Those that were compiled: one for all formulas that come to the same lines."""
DEGREE = 11
"""Of the polynomial for exp(r), |r| ≤ ½ ln 2: its next term is 6e-15, and float32 takes 24 bits of the result."""
_LN2_HIGH, _LN2_LOW = 0.693145751953125, 1.4286068203094172e-06
"""ln 2 in two parts (Cody & Waite 1980): k·high is exact for the k that float64's exponents reach."""
_LARGEST, _SMALLEST = 709.782712893384, -745.1332191019412
"""The ends of what exp takes to a number that is neither infinite nor 0."""


@contextmanager
def compiled() -> Iterator[None]:
    """Within it, activations of float32 and float64 arrays are computed by loops, which Numba makes of their formulas.

    So are softmax, cross-entropy, the weights of attention and norms, whose formulas sum up rows. Each formula is
    compiled once for a process, which takes a second or two, and pays off from millions of numbers on.
    The results are those without it, or differ in the last bit of their terms where NumPy's exponential is another.
    Other types, orders in memory and shapes that are broadcast, functions whose own roundings decide where they branch,
    and those that call more of each element than exp and a root are computed as always.
    A formula is read once: a number that it takes from elsewhere must not change. A loop reports no underflow or the
    like to `numpy.errstate`.

    Raises:
        ImportError: Numba is not installed.

    >>> import numpy as np, reference as ref
    >>> gelu = ref.activations.ACTIVATIONS["gelu"]
    >>> z = np.linspace(-3, 3, 5, dtype=np.float32)
    >>> with ref.compiled():
    ...     y = gelu.value(z)
    >>> bool(np.allclose(y, gelu.value(z), rtol=1e-7, atol=0))
    True
    """
    _numba()
    _DEPTH.set(_DEPTH.get() + 1)
    try:
        yield
    finally:
        _DEPTH.set(max(_DEPTH.get() - 1, 0))


def wanted() -> bool:
    """Whether this is within `compiled`."""
    return bool(_DEPTH.get())


def loop_of(
    shared: Any, formulas: tuple[Any, ...], z: NumPyArray
) -> Callable[[NumPyArray], tuple[NumPyArray, ...]] | None:
    """The compiled function z ↦ the formulas' results; None where NumPy computes them."""
    if not wanted() or type(z) is not np.ndarray or not z.ndim or z.dtype not in (np.float32, np.float64):
        return None
    if not all(f is None or isinstance(f, FunctionType) for f in (shared, *formulas)):
        return None  # an object that is called may change
    kernel = _kernel(shared, formulas, z.dtype == np.float32)
    if kernel is None:
        return None

    def evaluate(z: NumPyArray) -> tuple[NumPyArray, ...]:
        found = tuple(np.empty(z.size, z.dtype) for _ in formulas)
        kernel(np.ascontiguousarray(z).reshape(-1), *found)
        return tuple(y.reshape(z.shape) for y in found)

    return evaluate


def lines_of(shared: Any, formulas: tuple[Any, ...], wide: bool = True) -> tuple[list[str], list[str]]:
    """The lines of the formulas, of a number z of a narrower type or of float64, and the names of their results.

    >>> lines_of(lambda z: (z * z,), (lambda z, square: square + z, lambda z, square: 2 * square))
    (['x0 = z * z', 'x1 = x0 + z', 'x2 = 2.0 * x0'], ['x1', 'x2'])

    Raises:
        TypeError: a result is no number that was computed of z; or another error, for what a `Symbol` has not.
    """
    program = Program(wide)
    z = program.argument("z")
    parts = () if shared is None else shared(z)
    results = [formula(z, *parts) for formula in formulas]
    if any(type(y) is not Symbol for y in results):
        raise TypeError(f"not all of them numbers of a program: {results}")
    return program.lines, [y.name for y in results]


@lru_cache(MOST)
def _kernel(shared: Any, formulas: tuple[Any, ...], wide: bool) -> Callable[..., None] | None:
    """The compiled loop; None of formulas that call a function which no program has, or that branch, or too many."""
    try:
        lines, results = lines_of(shared, formulas, wide)
    except Exception:  # what a number has not, arrays may have; if not, they say so
        return None
    outputs = [f"y{k}" for k in range(len(results))]
    body = [*lines, *(f"{y}[i] = {x}" for y, x in zip(outputs, results, strict=True))]
    text = "\n        ".join(
        ["for i in range(numbers.size):", "    z = float64(numbers[i])", *("    " + x for x in body)]
    )
    return made(f"def kernel(numbers, {', '.join(outputs)}):\n        {text}\n", wide)


def made(source: str, wide: bool, more: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., None] | None:
    """The function `kernel` of a source, compiled; None where there are too many, or Numba compiles none.

    Args:
        source: a program, in Python.
        wide: see `Program`.
        more: compiled functions that it may call besides those that every program may.
    """
    if _numba().config.DISABLE_JIT:
        return None
    if (source, wide) not in _LOOPS and len(_LOOPS) < MOST:
        names = {"inf": math.inf, "nan": math.nan} | _functions() | ({} if wide else {"exp": math.exp}) | dict(more)
        exec(source, names)
        _LOOPS[source, wide] = jitted()(names["kernel"])
    return _LOOPS.get((source, wide))


def jitted(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What compiles a function, which divides by 0 as NumPy does."""
    decorate: Callable[[Callable[..., Any]], Callable[..., Any]] = _numba().njit(error_model="numpy", **options)
    return decorate


def _numba() -> Any:
    try:
        import numba  # noqa: PLC0415  (not needed but here)
    except ModuleNotFoundError:
        raise ImportError("compiled(): Numba is not installed; pip install 'gradient-oracle[compiled]'") from None
    return numba


@cache
def _functions() -> dict[str, Any]:
    """The functions that a program may call, compiled, by their names."""
    inlined = jitted(inline="always")
    power_of_two = _power_of_two()
    taylor = tuple(1 / math.factorial(n) for n in range(DEGREE + 1))
    c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 = taylor
    per_ln2 = 1 / math.log(2)

    def exp(x: Any) -> Any:
        within = x if x < _LARGEST else _LARGEST
        within = within if within > _SMALLEST else _SMALLEST
        k = np.floor(within * per_ln2 + 0.5)
        r = within - k * _LN2_HIGH - k * _LN2_LOW
        p = ((((c11 * r + c10) * r + c9) * r + c8) * r + c7) * r + c6
        p = (((((p * r + c5) * r + c4) * r + c3) * r + c2) * r + c1) * r + c0
        half = np.floor(0.5 * k)  # 2ᵏ may be subnormal, and its halves are not
        y = p * power_of_two(half) * power_of_two(k - half)
        y = y if x <= _LARGEST else np.inf
        y = y if x >= _SMALLEST else 0.0
        return x if np.isnan(x) else y

    def maximum(x: Any, y: Any) -> Any:
        larger = x if x > y else y
        return x if np.isnan(x) else larger

    def minimum(x: Any, y: Any) -> Any:
        smaller = x if x < y else y
        return x if np.isnan(x) else smaller

    return {"float64": np.float64, "sqrt": math.sqrt, "log1p": math.log1p} | {
        f.__name__: inlined(f) for f in (exp, maximum, minimum)
    }


def _power_of_two() -> Any:
    """k ↦ 2ᵏ for the exponents of normal numbers, by its bits: the last ones of 2⁵² + 1023 + k are those of 1023 + k.

    Processors turn floating numbers into integers of 64 bits one at a time, and shift several at once.
    """
    from llvmlite import ir  # noqa: PLC0415
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def shifted(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], ir.IntType(64))
        return builder.bitcast(builder.shl(bits, ir.Constant(ir.IntType(64), 52)), ir.DoubleType())

    def typed(context: Any, number: Any) -> Any:
        return types.float64(types.float64), shifted

    last_bits_as_exponent: Any = intrinsic(typed)

    def power(k: Any) -> Any:
        return last_bits_as_exponent(k + (2.0**52 + 1023))

    return _numba().njit(inline="always")(power)
