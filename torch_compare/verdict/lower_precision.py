"""The coarser format whose errors the numbers have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS, Format, get_format
from reference.arithmetic.noise_source import nearest, representable
from reference.rounding.distance import FACTOR
from reference.rounding.measured import measured_errors
from reference.rounding.scale import RUNS, SCREEN_RUNS, Rounding
from reference.rounding.statistics import SIZE, Whitened, sizes

from ..diagnosis.known_changes import fitted_factor
from .by_scale import ByScale
from .given import Given

TYPICAL = (0.1, 1.25)
"""Errors of a precision have a root mean square of 0.14 to 0.83 σ of that precision (120 gradients of torch and NumPy
computed in float32, float16, bfloat16, or with rounded operands); weights that are 1% off make 2.5 and more of
bfloat16's. Less is something else, which a wide enough precision merely hides."""
LARGEST = 8.0
"""σ of the largest element, which was 3.3 at the most there; of the root mean square of a leaf, a third. More only if
the runs have more, as where a printed number may be half a unit off."""
OF_FEW = 4.0
"""How far σ from `SCREEN_RUNS` may be off: see there; it is the wider of both ways."""
ENOUGH = 16
"""Numbers of a format of which one with three bits less holds an eighth each: by chance all of so many once in 2^48."""
NEAR, APART = 4.0, 16.0
"""A right number is within so many σ, and told from one of a format whose σ is so many times as large as that."""
CUT = 2.0**-6
"""Ulps of the format by which a number that is cut off may err besides; one that is rounded exceeds the right one by
more than that in nearly half of all cases."""
OF_ONE_LEAF = 16
"""Numbers of a leaf, of which more than half are right by chance once in 10⁷: no coarser format computed them."""
PRODUCTS: Mapping[str, int] = MappingProxyType(
    {"tf32 (or float16) products": 11, "bfloat16 products": 8, "products of operands split in two bfloat16 numbers": 16}
)
"""Bits of the operands of matrix products, by what is said of them; the last are torch's "high" and XLA's HIGH, which
leave out the product of the two low parts."""
_SINGLE = FORMATS["float32"]


def lower_precision(
    problem: ref.Problem,
    given: Given,
    expected: Mapping[str, Any],
    wider: Rounding,
    fmt: Format,
    seed: int = 0,
) -> str | None:
    """The coarser format whose rounding the errors look like: no direction, and in every leaf the right size.

    Of several it is the one whose σ fits best. Numbers that were computed in a format are numbers of it, the loss too;
    matrix products may have rounded their operands alone.

    Args:
        problem: what they are gradients of.
        given: the gradients; decimals may be those of numbers of the format.
        expected: the right ones.
        wider: the rounding errors of correct ones in the format itself, customary formulas included.
        fmt: the format that the gradients are said to be computed in.
        seed: of the noise.
    """
    leaves = given.leaves
    if not all(np.all(np.isfinite(values)) for values in leaves.values()):
        return None

    def rounding(coarser: Format, runs: int) -> Rounding:
        return given.with_printing(measured_errors(problem, coarser, textbook=True, seed=seed, runs=runs), expected)

    for tier in _candidates(given, fmt):
        best, least = None, np.inf
        for coarser in sorted(tier, key=lambda form: form.operands or form.bits):
            size = _beyond_reach(given, expected, wider, rounding(coarser, SCREEN_RUNS))
            if size > 0:
                break  # what is too large for this format is so for every finer one
            if size < 0:
                continue
            measured = rounding(coarser, RUNS)
            if _mostly_right(given, expected, wider, measured):
                continue
            fit = _misfit(ByScale(problem, leaves, expected, wider.wider(measured), coarser))
            if fit < least:
                best, least = coarser.name, fit
        if best:
            return None if ByScale(problem, leaves, expected, wider, fmt).one_mistake_explains() else best
    return None


def cut_off(given: Given, expected: Mapping[str, Any]) -> str:
    """The format that every number was cut off to, towards 0, and not rounded: none exceeds the right one; "" if none.

    The rounding of what was cut off is far below an ulp of the format: float32 has 13 bits more.
    """
    numbers, names = 0, set()
    for place, values in given.leaves.items():
        if place == "loss":
            continue
        name = given.formats.get(place, "float64")
        fmt, right = get_format(name), np.asarray(expected[place], dtype=float)
        if fmt.bits >= _SINGLE.bits:
            return ""
        short = (np.abs(right) - np.where(right < 0, -1, 1) * np.asarray(values, dtype=float)) / fmt.ulp(right)
        if np.any((short < -CUT) | (short > 1 + CUT)):
            return ""
        numbers += int(np.count_nonzero(short > CUT))
        names.add(name)
    return " and ".join(sorted(names)) if numbers >= ENOUGH else ""


def _beyond_reach(given: Given, expected: Mapping[str, Any], fine: Rounding, few: Rounding) -> int:
    """1 where errors are so much larger than the scale of few runs that more would not make it theirs, −1 so much less.

    What they have in common with the gradient does not make them large: the rounding of 1/N moves all of it.
    """
    sigma = {place: np.maximum(fine.sigma[place], few.sigma[place]) for place in few.sigma}
    white = Whitened.of(given.leaves, expected, Rounding(sigma, few.errors))
    apart = white.without(fitted_factor(white, tuple(white.gradient))[0])
    least, most = (_root_mean_square(s.errors for s in sizes(side)) for side in (apart, white))
    return int(least > OF_FEW * TYPICAL[1]) - int(most * OF_FEW < TYPICAL[0])


def _mostly_right(given: Given, expected: Mapping[str, Any], fine: Rounding, coarse: Rounding) -> bool:
    """Whether most numbers, of all or of one leaf, are right to the finer format: by chance so few are so in a coarser.

    Those count whose errors are apart in the two formats, where by chance one in `APART` is right at the most, and
    which are not 0: a dead unit's are 0 in any format.
    """
    right = apart = 0
    for place, values in given.leaves.items():
        allowed = (FACTOR if place in given.prints else NEAR) * fine.sigma[place]  # half a digit is as far as `FACTOR`
        told = (expected[place] != 0) & (coarse.sigma[place] > APART * allowed)
        error = np.abs(np.asarray(values, dtype=float) - expected[place])
        here, right_here = int(np.count_nonzero(told)), int(np.count_nonzero(told & (error <= allowed)))
        if here >= OF_ONE_LEAF and 2 * right_here > here:
            return True
        apart, right = apart + here, right + right_here
    return 2 * right > apart


def holds_coarser(given: Given, fmt: Format) -> bool:
    """Whether a coarser format holds every number, and they are too many for chance."""
    numbers = sum(int(np.count_nonzero(values)) for values in given.leaves.values())
    return numbers >= ENOUGH and _held(given) < fmt.bits


def looks_like_rounding(found: ByScale) -> bool:
    """Whether errors have the size of a scale and no direction, as far as there are enough of them to tell."""
    return not found.sizes() or bool(np.isfinite(_misfit(found)))


def _misfit(found: ByScale) -> float:
    """How far the size of the errors is from the format's, as |log| of their ratio; ∞ if they are none of its rounding.

    Their directions are judged in units of their own size: a format may be coarse enough to hide one.
    """
    of_leaves = found.sizes().values()
    size = _root_mean_square(of_leaves)
    if not TYPICAL[0] <= size <= TYPICAL[1] or max(of_leaves) > LARGEST / 3:
        return float("inf")
    of_runs = max(float(np.abs(runs).max(initial=0.0)) for runs in found.rounding.errors.values())
    if found.worst.scales > max(LARGEST, 1.1 * of_runs):
        return float("inf")
    directions = chain((s for s in found.together if s.kind != SIZE), found.towards_mistakes)
    if any(statistic.excess > min(1.0, size) for statistic in directions):
        return float("inf")
    return float(abs(np.log(size / 0.4)))


def _root_mean_square(of_leaves: Iterable[float]) -> float:
    """Of the sizes of leaves, each counted once; 0 of none."""
    squares = np.square([*of_leaves])
    return float(np.sqrt(squares.mean())) if squares.size else 0.0


def _candidates(given: Given, fmt: Format) -> Iterator[list[Format]]:
    """The formats that may have made the numbers, which hold all of them, in tiers: the likelier come first."""
    held, half = (
        _held(given),
        [FORMATS[name] for name in ("bfloat16", "float16") if FORMATS[name].bits < fmt.coarsest_bits],
    )
    for coarser in half:
        if held <= coarser.bits:
            yield [replace(coarser.accumulating_in(_SINGLE), name=coarser.name)]
            yield [_summing(coarser)]
            return
    if fmt.bits < _SINGLE.bits:
        return
    storage = _SINGLE if held <= _SINGLE.bits else fmt
    first = [replace(storage, name=name, operands=bits) for name, bits in PRODUCTS.items() if bits < fmt.coarsest_bits]
    if fmt.bits > _SINGLE.bits:
        first.append(_SINGLE if held <= _SINGLE.bits else replace(_SINGLE, name="float32 in some step"))
    yield first


def _summing(coarse: Format) -> Format:
    return replace(coarse, name=f"{coarse.name} with sums accumulated in {coarse.name}")


def _held(given: Given) -> int:
    """The bits of the coarsest format that holds every number, as it was printed."""
    for name in ("bfloat16", "float16", "float32"):
        bits = FORMATS[name].bits
        if all(_holds(place, np.asarray(values, dtype=float), given, bits) for place, values in given.leaves.items()):
            return bits
    return FORMATS["float64"].bits


def _holds(place: str, values: Any, given: Given, bits: int) -> bool:
    if place not in given.prints:
        return bool(np.all(representable(values, bits)))
    return bool(np.all(np.abs(nearest(values, bits) - values) <= given.prints[place].half))
