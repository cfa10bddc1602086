"""Arrays made longer or shorter along their last axes: one linear map an axis. Derived in the README, "Interpolation".

Letters: n the length of an axis, O its new length, s the step in the old axis from one new element to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor
from typing import Any, TypeAlias

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.dispatch import magnitude, zeros
from ..functions.recipe import recorded
from .arguments import expect, per_axis
from .interpolation_maps import Along, added_up, applied, copied, matrix, nearest, sizes, transposed
from .pooled import Counts
from .probe import probe
from .row import Inputs, Operation, Pullback

_AXES = {"nearest": None, "nearest-exact": None, "linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
"""How many axes each mode interpolates along; any number from 1 to 3 where none stands."""
Maps: TypeAlias = "Callable[..., tuple[Along, ...]]"
"""An array (and whether corners are aligned, if not as the row has it) ↦ how each of its last axes is interpolated."""


def _step(n: int, count: int, align_corners: bool, factor: Fraction | None) -> Fraction:
    if align_corners:
        return Fraction(n - 1, count - 1) if count > 1 else Fraction(0)
    return Fraction(n, count) if factor is None else 1 / factor


def _factors(given: Any, name: str = "interpolate") -> tuple[Fraction, ...]:
    """As decimals: 1.3 is 13/10, and not the float64 near it, which is larger and takes another nearest element."""
    several = given if isinstance(given, Sequence | np.ndarray) and np.ndim(given) else (given,)
    found = []
    for value in several:
        fits = isinstance(value, int | float | np.number) and not isinstance(value, bool) and 0 < value < np.inf
        expect(name, bool(fits), "scale_factor", "positive numbers", value)
        found.append(Fraction(repr(float(value))))
    return tuple(found)


@recorded
def interpolate(
    size: Counts | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Operation:
    """The last axes of (N, C, …) at another length.

    Args:
        size: the new lengths, one or one for each axis; or
        scale_factor: how many times as long they shall be, one or one for each axis.
        mode: "nearest", "nearest-exact" (the middle of the new element decides), "linear", "bilinear", "trilinear" (of
            3, 4 and 5 dimensions) or "bicubic" (of 4; the polynomials have a = −0.75).
        align_corners: whether the first and the last elements stay where they are; else the outer edges do.
        recompute_scale_factor: whether the step is that of the lengths, where scale_factor is given.
        antialias: False; a filter that widens as an axis shrinks is another map, which is not here.

    >>> interpolate(3, mode="linear", align_corners=True).value(np.array([[[0.0, 1.0]]]))
    array([[[0. , 0.5, 1. ]]])
    """
    name = "interpolate"
    expect(name, not antialias, "antialias", "False: antialiasing is not among the modes here", antialias)
    expect(name, mode in _AXES, "mode", ", ".join(_AXES), mode)
    expect(name, (size is None) != (scale_factor is None), "size", "either it or scale_factor", size)
    smooth = not mode.startswith("nearest")
    expect(name, smooth or align_corners is None, "align_corners", f"None with mode {mode!r}", align_corners)
    again = bool(recompute_scale_factor)
    expect(name, not again or size is None, "recompute_scale_factor", "None where size is given", again)
    factors = None if scale_factor is None else _factors(scale_factor)
    wanted = None if size is None else per_axis(name, "size", size, _given(size), 1)

    def maps(x: Any, aligned: bool = bool(align_corners)) -> tuple[Along, ...]:
        axes = _AXES[mode] or x.ndim - 2
        expect(name, 1 <= axes <= 3 and x.ndim == axes + 2, "input", _expected(mode), f"shape {tuple(x.shape)}")
        for key, given in (("size", wanted), ("scale_factor", factors)):
            expect(name, given is None or len(given) in (1, axes), key, f"one number, or {axes}", given)
        found = []
        for k, n in enumerate(x.shape[2:]):
            factor = None if factors is None else factors[k % len(factors)]
            count = wanted[k % len(wanted)] if wanted is not None else floor(n * factor)
            expect(name, n > 0 and count > 0, "input", "lengths that leave one element at least", f"length {n}")
            found.append(Along(n, count, _step(n, count, aligned, None if again else factor), mode, aligned))
        return tuple(found)

    inner = _smooth_row if smooth else _nearest_row
    axes = max(_AXES[mode] or 1, _given(size), _given(scale_factor))
    length = 3 if factors is None else max(3, *(floor(2 / f) for f in factors))
    row = inner(maps, probe(1, 1, *(length + k for k in range(axes))))
    parameters = {
        "size": size, "scale_factor": scale_factor, "mode": mode, "align_corners": align_corners,
        "recompute_scale_factor": recompute_scale_factor, "antialias": antialias,
    }  # fmt: skip
    return Operation(source=_SOURCES[smooth], inputs=("input",), name=name, parameters=parameters, **row)


_SOURCES = (
    "torch.nn.functional.interpolate",
    "Keys 1981, Cubic convolution interpolation for digital image processing, IEEE TASSP 29, eq. 5, with torch's a",
)


def _given(value: Any) -> int:
    return len(value) if isinstance(value, Sequence | np.ndarray) and np.ndim(value) else 1


def _expected(mode: str) -> str:
    axes = _AXES[mode]
    return "3, 4 or 5 dimensions" if axes is None else f"{axes + 2} dimensions with mode {mode!r}"


def _smooth_row(maps: Maps, x: NumPyArray) -> dict[str, Any]:
    def value(x: Array) -> Array:
        return applied(x, [matrix(along, x) for along in maps(x)])

    def pullback_of(maps: Maps) -> Pullback:
        def pullback(inputs: Inputs, y: Array, d: Array) -> tuple[Array]:
            return (applied(d, transposed([matrix(along, d) for along in maps(inputs[0])])),)

        return pullback

    def other(x: Any) -> tuple[Along, ...]:
        aligned = not maps(x)[0].align_corners
        return maps(x, aligned)

    def size(x: Array, alongs: Sequence[Along], back: bool) -> Array:
        """|M| along all axes but one, and there what a rounded position makes, added up over the axes."""
        matrices = [magnitude(matrix(along, x)) for along in alongs]
        total = zeros((), x)
        for k, along in enumerate(alongs):
            each = [*matrices[:k], sizes(along, x), *matrices[k + 1 :]]
            total = total + applied(magnitude(x), transposed(each) if back else each)
        return total

    probed = zip(maps(x), other(x), strict=True)
    differ = any(np.any(matrix(a, x) != matrix(b, x)) for a, b in probed)
    return {
        "formula": "M₁ ⊗ M₂ ⊗ … x",
        "value": value,
        "pullback": pullback_of(maps),
        "pushforward": lambda inputs, y, changes: value(changes[0]),
        "probes": ((x,),),
        "mistakes": {"align_corners taken the other way": pullback_of(other)} if differ else {},
        "textbook_value": lambda inputs, y: size(inputs[0], maps(inputs[0]), False),
        "textbook_pullback": lambda inputs, y, d: (size(d, maps(inputs[0]), True),),
    }


def _nearest_row(maps: Maps, x: NumPyArray) -> dict[str, Any]:
    def one_copy(inputs: Inputs, y: Array, d: Array) -> tuple[Array]:
        """Copies overwritten by the last one."""
        for axis, along in enumerate(maps(inputs[0]), start=2):
            near = nearest(along)
            last = np.searchsorted(near, np.arange(along.length), "right") - 1
            copied = np.isin(np.arange(along.length), near).reshape(-1, *(1,) * (d.ndim - axis - 1))
            d = np.where(copied, d[(slice(None),) * axis + (last,)], 0)
        return (d,)

    doubled = any(len(set(nearest(along).tolist())) < along.count for along in maps(x))
    return {
        "formula": "y[o] = x[⌊s·o⌋]",
        "value": lambda x: copied(x, maps(x)),
        "pullback": lambda inputs, y, d: (added_up(d, maps(inputs[0])),),
        "pushforward": lambda inputs, y, changes: copied(changes[0], maps(changes[0])),
        "probes": ((x,),),
        "mistakes": {"copies overwritten instead of added": one_copy} if doubled else {},
    }


MAKERS: tuple[Callable[..., Operation], ...] = (interpolate,)
