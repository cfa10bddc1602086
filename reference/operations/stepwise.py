"""Functions that are constant between jumps, and remainders, which are linear between theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.variants import Variants
from ..functions.basics import zero
from ..functions.recipe import recorded
from .by_element import by_element
from .choices import sign_of
from .functions_of_one import of_one
from .probe import probe
from .row import Operation


def _whole(ufunc: np.ufunc, x: Array) -> Array:
    """A whole number beside x; complex numbers by their real part."""
    found: Any = ufunc(x.real) if isinstance(x, np.ndarray | np.generic | Variants) else ufunc(x)
    return found


def _steps(name: str, formula: str, value: Callable[[Array], Array], jumps: Callable[[Array], Array]) -> Operation:
    return of_one(
        name,
        formula,
        f"torch.{name}",
        value,
        lambda v, y, x: zero(v),
        switches=lambda x: (jumps(x),),
        mistakes={"the gradient let through": (lambda v, y, x: v,)},
    )


def _from_whole(x: Array) -> Array:
    return x - _whole(np.rint, x)


@recorded
def sign() -> Operation:
    """1, −1, and 0 at 0; its gradient is 0."""
    return _steps("sign", "sign x", sign_of, lambda x: x)


@recorded
def floor() -> Operation:
    """The largest whole number not above x; its gradient is 0."""
    return _steps("floor", "⌊x⌋", lambda x: _whole(np.floor, x), _from_whole)


@recorded
def ceil() -> Operation:
    """The smallest whole number not below x; its gradient is 0."""
    return _steps("ceil", "⌈x⌉", lambda x: _whole(np.ceil, x), _from_whole)


@recorded
def trunc() -> Operation:
    """The whole number beside x towards 0; its gradient is 0."""
    return _steps("trunc", "sign(x)⌊|x|⌋", lambda x: _whole(np.trunc, x), _from_whole)


@recorded
def round() -> Operation:
    """The nearest whole number, an even one of two; its gradient is 0."""
    return _steps("round", "the nearest whole number", lambda x: _whole(np.rint, x), lambda x: _from_whole(x + 0.5))


# ── remainders ───────────────────────────────────────────────────────────────────────────────────────


def _remainder(name: str, formula: str, exact: np.ufunc, towards: np.ufunc) -> Operation:
    """y = a − b·q with q = a/b made whole: ∂y/∂a = 1, ∂y/∂b = −q, and q is (a − y)/b, for a/b itself is rounded."""

    def value(a: Array, b: Array) -> Array:
        if all(isinstance(x, np.ndarray | np.generic | Variants) and x.dtype.kind == "f" for x in (a, b)):
            found: Array = exact(a, b)
            return found
        return a - b * _whole(towards, a / b)

    def quotient(y: Array, a: Array, b: Array) -> Array:
        return _whole(np.rint, (a - y) / b)

    return by_element(
        name,
        formula,
        f"torch.{name}",
        ("input", "other"),
        value,
        (lambda v, y, a, b: v + zero(y), lambda v, y, a, b: -(v * quotient(y, a, b))),
        (
            (probe(3, low=2.1, high=4.9), probe(1, low=0.6, high=1.4, start=6)),
            (probe(3, 3, low=2.1), probe(3, start=20)),
        ),
        switches=lambda a, b: (value(a, b),),
        mistakes={
            "other's gradient left out": (lambda v, y, a, b: v + zero(y), lambda v, y, a, b: zero(v + y)),
            "the quotient not made whole": (lambda v, y, a, b: v + zero(y), lambda v, y, a, b: -(v * (a / b))),
        },
    )


@recorded
def fmod() -> Operation:
    """The remainder of a/b with the sign of a."""
    return _remainder("fmod", "a − b·trunc(a/b)", np.fmod, np.trunc)


@recorded
def remainder() -> Operation:
    """The remainder of a/b with the sign of b."""
    return _remainder("remainder", "a − b·⌊a/b⌋", np.remainder, np.floor)


MAKERS: tuple[Callable[..., Operation], ...] = (sign, floor, ceil, trunc, round, fmod, remainder)
