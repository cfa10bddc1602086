"""At how many bits balls are computed, and what becomes of a comparison that they do not decide."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from flint import ctx

from .array import NumPyArray
from .ball_elements import Element, as_arb
from .places import MOVING, answered, moved
from .shaped import Shaped


class _Turn:
    """The one thread that may set flint's precision.

    Attributes:
        lock: that it holds.
        outside: the precisions that were in force where its `precision` blocks began, the outermost first.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.outside: list[int] = []

    def after_fork(self) -> None:
        """In a forked child: if another thread had the turn, it is not there to end it, so lock and precision go."""
        if self.lock.acquire(blocking=False):  # free, or held by the very thread that forked, which goes on
            self.lock.release()
            return
        if self.outside:
            ctx.prec = self.outside[0]
        self.lock, self.outside = threading.RLock(), []


_TURN = _Turn()
if hasattr(os, "register_at_fork"):  # a system without fork has no such child
    os.register_at_fork(after_in_child=_TURN.after_fork)


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work at so many bits; one thread at a time, for flint has one precision for all of them."""
    with _TURN.lock:
        _TURN.outside.append(ctx.prec)
        ctx.prec = bits
        try:
            yield
        finally:
            ctx.prec = _TURN.outside[-1]
            _TURN.outside.pop()


class Undecided(ArithmeticError):  # noqa: N818 (it asks for more bits; nothing went wrong)
    """A comparison of balls that overlap: more bits may decide it.

    Attributes:
        comparison: what was compared, as "greater".
        index: the first element that is not decided.
    """

    def __init__(self, comparison: str, index: tuple[int, ...], left: Element, right: Element) -> None:
        super().__init__(
            f"{comparison} is undecided at {list(index)}: {as_arb(left).str(15)} against {as_arb(right).str(15)}"
        )
        self.comparison = comparison
        self.index = index

    def __reduce__(self) -> tuple[Callable[..., Undecided], tuple[object, ...], dict[str, object]]:
        """The text for the balls: so it comes through to another process."""
        return Undecided.__new__, (Undecided, str(self)), {"comparison": self.comparison, "index": self.index}


@dataclass(frozen=True)
class Decisions:
    """How much is decided.

    Attributes:
        hull: a comparison that the balls do not decide makes a `Mask`; else it raises `Undecided`.
        rational: rational numbers are carried along exactly. It decides what no ball does: whether a sum of thirds
            is 1, or lies halfway between two float64 numbers.
    """

    hull: bool = False
    rational: bool = False


RAISE = Decisions()
_CONNECTIVES: Mapping[np.ufunc, Callable[..., Any]] = MappingProxyType({
    np.logical_and: operator.and_, np.bitwise_and: operator.and_, np.logical_or: operator.or_,
    np.bitwise_or: operator.or_, np.logical_xor: operator.xor, np.bitwise_xor: operator.xor,
    np.logical_not: operator.invert, np.invert: operator.invert,
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Mask(Shaped):
    """Truth values with a third state: certainly true, or at least possibly true."""

    certain: NumPyArray
    possible: NumPyArray

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """As of a NumPy array."""
        return self.certain.shape

    def _taken(self, places: NumPyArray) -> Mask:
        return Mask(self.certain.ravel()[places], self.possible.ravel()[places])

    @property
    def undecided(self) -> NumPyArray:
        """Where either may hold."""
        return self.possible & ~self.certain

    def __and__(self, other: object) -> Mask:
        mask = as_mask(other)
        return Mask(self.certain & mask.certain, self.possible & mask.possible)

    def __or__(self, other: object) -> Mask:
        mask = as_mask(other)
        return Mask(self.certain | mask.certain, self.possible | mask.possible)

    def __invert__(self) -> Mask:
        return Mask(~self.possible, ~self.certain)

    def __xor__(self, other: object) -> Mask:
        mask = as_mask(other)
        return (self & ~mask) | (~self & mask)

    def number_holding(self, numbers: NumPyArray) -> Mask:
        """Whether so many hold along the last axis; it may be, where they lie between the certain and the possible."""
        least, most = (part.sum(axis=-1)[..., None, :] for part in (self.certain, self.possible))
        within = (least <= numbers[:, None]) & (numbers[:, None] <= most)
        return Mask(within & (least == most), within)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or ufunc not in _CONNECTIVES:
            return NotImplemented
        return _CONNECTIVES[ufunc](*map(as_mask, inputs))

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func not in MOVING:
            return answered(func, args, kwargs)
        operands, places = moved(func, args, kwargs, Mask)
        masks = [as_mask(False), *map(as_mask, operands)]
        parts = (
            np.concatenate([np.ravel(m.certain) for m in masks]),
            np.concatenate([np.ravel(m.possible) for m in masks]),
        )
        return Mask(*parts)._taken(places)


def as_mask(values: object) -> Mask:
    """Truth values as a `Mask`."""
    return values if isinstance(values, Mask) else Mask(np.asarray(values), np.asarray(values))
