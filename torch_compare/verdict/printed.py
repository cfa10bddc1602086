"""Results that were printed with few digits: judged as what they are.

A number that was printed may lie half a unit of its last digit from the one that was computed, and no further: so much
is added to what rounding allows, element by element. What exceeds that is as wrong as ever. Where only that allowance
makes a result agree, the verdict says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import floor, log2
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.rounding.distance import FACTOR, worst_places

from ..diagnosis.wording import Diagnosis
from .conventions import another_convention
from .given import Given
from .overflow import in_range
from .status import Status
from .verdict import Verdict

ADVICE = "print 17"


def printing(given: Given) -> dict[str, Any]:
    """What printing adds to the rounding scale: an error of half a unit counts `FACTOR` of it, and so just agrees."""
    return {place: found.half / FACTOR for place, found in given.prints.items()}


def settled(
    verdict: Verdict,
    problem: ref.Problem,
    given: Given,
    expected: Mapping[str, Any],
    scale: Mapping[str, Any],
    fmt: Format,
) -> Verdict:
    """The verdict on numbers that were printed with few digits, in words that say so.

    Args:
        verdict: by the scale with `printing` in it.
        problem: that was judged.
        given: the gradients as they were read.
        expected: the right ones.
        scale: theirs, with `printing` in it.
        fmt: what they were computed in.

    Returns:
        It is *unresolved* where gradients were printed as 0 throughout and are not: nothing of them is left to judge.
        Another convention is looked for anew, in what printing leaves of it.
    """
    added = printing(given)
    scale = dict(scale) | {place: scale[place] - more for place, more in added.items()}
    if verdict.status in (Status.AGREES, Status.UNRESOLVED):
        return _said(verdict, given, expected, scale, fmt)
    if verdict.status is not Status.WRONG:
        return verdict
    slope = another_convention(problem, in_range(problem, given.leaves, fmt), fmt, added)
    if slope:
        return replace(verdict, status=Status.ANOTHER_CONVENTION, diagnosis=Diagnosis(slope, sought=False))
    return verdict


def _said(
    verdict: Verdict, given: Given, expected: Mapping[str, Any], scale: Mapping[str, Any], fmt: Format
) -> Verdict:
    bare = worst_places(given.leaves, expected, scale, fmt)
    off = [place for place in given.prints if bare[place].scales > FACTOR]
    if not off:
        return verdict
    empty = [place for place in off if not np.any(given.leaves[place])]
    if empty:
        text = f"{empty[0]}: printed with {given.prints[empty[0]].digits}, of which nothing is left but 0; {ADVICE}"
        return replace(verdict, status=Status.UNRESOLVED, diagnosis=Diagnosis(text, sought=False))
    if not verdict.agrees:
        return verdict
    digits = " and ".join(dict.fromkeys(given.prints[place].digits for place in off))
    text = f"{verdict.diagnosis}, half a unit of its last digit granted: printed with {digits}; {ADVICE}"
    return replace(verdict, diagnosis=Diagnosis(text, sought=False))


def as_printed(fmt: Format, given: Given) -> Format:
    """The format with no more bits than the printed numbers have: what a mistake is looked for in.

    A diagnosis makes the mistake itself and judges by rounding alone; rounded so coarsely it sees no finer than print.
    """
    bits, absolute = float(fmt.bits), 0.0
    for place, found in given.prints.items():
        size, half = np.abs(np.asarray(given.leaves[place], dtype=float)), found.half
        if found.digits.endswith("decimals"):
            absolute = max(absolute, float(half.max(initial=0.0)))
            size = np.where(size == np.max(size, initial=0.0), size, 0.0)
        with np.errstate(all="ignore"):
            relative = np.where((size > 0) & np.isfinite(size) & (half > 0), half / size, 0.0).max(initial=0.0)
        bits = min(bits, -log2(relative)) if relative > 0 else bits
    if bits >= fmt.bits and absolute <= fmt.smallest:
        return fmt
    coarse = max(3, min(fmt.bits, floor(bits)))
    accumulation = fmt.accumulation if coarse == fmt.bits else None
    return replace(fmt, bits=coarse, smallest=max(fmt.smallest, absolute), accumulation=accumulation)
