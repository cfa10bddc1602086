"""Numbers around an array: one that is given, or the array's own, whose gradients then come back to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import added_at, parameter
from ..functions.recipe import recorded
from .arguments import expect, wholes
from .moving import Back, moving
from .probe import probe
from .row import Operation

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""numpy.pad's name of each of torch's modes."""


@recorded
def pad(pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Operation:
    """So many numbers before and after each axis.

    Args:
        pad: before and after the last axis, then the last but one, …, as torch has it; with the mode "constant"
            negative ones take numbers away.
        mode: "constant", "reflect" (without the edge), "replicate" (the edge) or "circular".
        value: what is put there, with the mode "constant".

    >>> pad((1, 0), value=9.0).value(np.array([[1.0, 2.0]]))
    array([[9., 1., 2.]])
    """
    given = wholes("pad", "pad", pad)
    expect("pad", bool(given) and len(given) % 2 == 0, "pad", "two numbers for each axis", given)
    expect("pad", mode in _MODES, "mode", ", ".join(_MODES), mode)
    expect("pad", mode == "constant" or min(given) >= 0, "pad", f"no negative number with mode {mode!r}", given)
    pairs = tuple(zip(given[::2], given[1::2], strict=True))[::-1]

    def widths(ndim: int) -> tuple[tuple[int, int], ...]:
        expect("pad", ndim >= len(pairs), "input", f"{len(pairs)} dimensions at least", ndim)
        return (*((0, 0),) * (ndim - len(pairs)), *pairs)

    if mode == "constant":
        around, back = _constant(widths)
        mistakes = _shifted(widths, back) if any(before > 0 for before, _ in pairs) else {}
    else:
        around, back = _of_its_own(widths, mode)
        mistakes = {"padding_left_out": _inner(widths)} if any(given) else {}

    def filled(x: Array) -> Array:
        y = around(x)
        if not value or mode != "constant":
            return y
        inside = np.pad(np.ones(_cut(x, widths(x.ndim)).shape, bool), _positive(widths(x.ndim)))
        return np.where(inside, y, parameter(value, x))

    length = 2 + max(1, *map(abs, given), *(-a - b for a, b in pairs))
    return moving(
        "pad",
        "x with numbers around it",
        filled,
        back,
        (probe(*(length,) * len(pairs)), probe(2, *(length + 1,) * len(pairs))),
        {"pad": given, "mode": mode, "value": value},
        mistakes,
        push=around,
    )


_Widths = Callable[[int], tuple[tuple[int, int], ...]]


def _positive(widths: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return tuple((max(a, 0), max(b, 0)) for a, b in widths)


def _cut(x: Array, widths: tuple[tuple[int, int], ...]) -> Array:
    """Without as many numbers at each end as the widths are below 0."""
    return x[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, x.shape, strict=True))]


def _constant(widths: _Widths) -> tuple[Callable[[Array], Array], Back]:
    """Zeros around; taking away and putting around are each other's adjoint."""

    def around(x: Array) -> Array:
        own = widths(x.ndim)
        left = [n + min(a, 0) + min(b, 0) for (a, b), n in zip(own, x.shape, strict=True)]
        expect("pad", min(left) > 0, "input", "numbers left along every axis", f"shape {x.shape}")
        return np.pad(_cut(x, own), _positive(own))

    def back(shape: tuple[int, ...], d: Array) -> Array:
        against = tuple((-a, -b) for a, b in widths(len(shape)))
        return np.pad(_cut(d, against), _positive(against))

    return around, back


def _shifted(widths: _Widths, back: Back) -> dict[str, Back]:
    def from_the_start(shape: tuple[int, ...], d: Array) -> Array:
        if any(a < 0 or b < 0 for a, b in widths(len(shape))):
            return back(shape, d) * 0
        return d[tuple(slice(n) for n in shape)]

    return {"taken_from_the_start_of_the_axis": from_the_start}


def _of_its_own(widths: _Widths, mode: str) -> tuple[Callable[[Array], Array], Back]:
    """The array's own numbers around it; what was copied has its gradients added up."""

    def places(shape: tuple[int, ...]) -> tuple[NumPyArray, ...]:
        own = widths(len(shape))
        for (a, b), n in zip(own, shape, strict=True):
            most = {"reflect": n - 1, "circular": n}.get(mode, max(a, b))
            expect("pad", max(a, b) <= most, "pad", f"{most} at most around length {n} with mode {mode!r}", (a, b))
        lines = [np.pad(np.arange(n), w, mode=_MODES[mode]) for n, w in zip(shape, own, strict=True)]  # type: ignore[call-overload]
        return np.ix_(*lines)

    def back(shape: tuple[int, ...], d: Array) -> Array:
        return added_at(shape, places(shape), d)

    return lambda x: x[places(x.shape)], back


def _inner(widths: _Widths) -> Back:
    """Only what the middle hands back."""
    return lambda shape, d: d[tuple(slice(a, a + n) for (a, _), n in zip(widths(len(shape)), shape, strict=True))]


MAKERS: tuple[Callable[..., Operation], ...] = (pad,)
