"""How far given parameters and state lie from expected ones, in units of a step's scales.

An error counts from `LIMIT` σ beyond what rounding to where the number is stored may add. A few roundings make a step,
so the limit is far below that of gradients. Errors too small to count may still lean one way in thousands of elements:
the projection on a direction, in units of its own spread over the noisy runs, counts from `LEANING`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, nan, sqrt
from typing import Any

import numpy as np

from reference.arithmetic.formats import STORED, Format
from reference.rounding.distance import WorstElement, in_scales

from .scales import Scales
from .step import Array, Leaves

LIMIT = 8.0
"""Measured, not chosen: see the room's README."""
LEANING = 8.0
"""Likewise."""


def beyond_rounding(given: Any, expected: Any, slack: Array, fmt: Format) -> Array:
    """given − expected, less what storing may add; 0 where both overflow alike or both are NaN."""
    with np.errstate(all="ignore"):
        error = np.longdouble(given) - np.longdouble(expected)
        left = np.sign(error) * np.maximum(np.abs(error) - slack, 0)
        overflown = np.isinf(given) & (np.sign(given) == np.sign(expected)) & (np.abs(expected) >= fmt.largest)
        same = (np.asarray(given) == np.asarray(expected)) | (np.isnan(given) & np.isnan(expected)) | overflown
        return np.where(same, 0.0, left).astype(np.float64)


def places(
    given: Leaves, expected: Leaves, scales: Scales, formats: Mapping[str, str], fmt: Format
) -> dict[str, WorstElement]:
    """The element of every given place that is furthest off; NaN scales where nothing decides."""
    found = {}
    for place, value in given.items():
        exact = expected[place]
        if not isinstance(exact, np.ndarray):
            found[place] = WorstElement(place, (), float(value), float(exact), 0.0 if value == exact else inf, 0.0)
            continue
        stored = STORED.get(formats.get(place, fmt.name), fmt)
        left = beyond_rounding(value, exact, scales.slack[place], stored)
        ratio = in_scales(left, np.zeros(left.shape), scales.sigma[place], fmt)
        if not left.size:
            continue
        judged = np.where(np.isnan(ratio), -1.0, ratio)
        index = tuple(int(i) for i in np.unravel_index(np.argmax(judged), judged.shape))
        one, truth, far = float(value[index]), float(exact[index]), float(judged[index])
        with np.errstate(all="ignore"):
            ulps = float(abs(np.longdouble(value[index]) - exact[index]) / stored.ulp(truth)) if one != truth else 0.0
        found[place] = WorstElement(place, index, one, truth, nan if far < 0 else far, ulps)
    return found


def leaning(given: Leaves, expected: Leaves, start: Leaves, scales: Scales, fmt: Format) -> tuple[str, float, float]:
    """Where the errors of parameters lean most along the step: the place, the share of the step, and its z.

    z is the projection Σ e·Δ/σ² in units of its root mean square over the noisy runs.
    """
    worst = ("", 0.0, 0.0)
    projected, spread, size = 0.0, np.zeros(1), 0.0
    for place, runs in scales.runs.items():
        if place not in given or not len(runs):
            continue
        sigma, change = scales.sigma[place], np.float64(expected[place] - start[place])
        left = beyond_rounding(given[place], expected[place], scales.slack[place], fmt)
        with np.errstate(all="ignore"):
            weight = change / sigma / sigma
            good = np.isfinite(weight) & np.isfinite(left) & np.all(np.isfinite(runs), axis=0)
            weight = np.where(good, weight, 0.0)
            own, along = (
                float(np.sum(weight * np.where(good, left, 0.0))),
                float(np.sum(weight * np.where(good, change, 0))),
            )
            noise = np.tensordot(np.where(good, runs, 0.0), weight, axes=weight.ndim)
        worst = max(worst, _lean(place, own, noise, along), key=lambda one: abs(one[2]))
        projected, spread, size = projected + own, spread + noise, size + along
    return max(worst, _lean("every array", projected, spread, size), key=lambda one: abs(one[2]))


def _lean(place: str, own: float, noise: Array, along: float) -> tuple[str, float, float]:
    scale = float(np.sqrt(np.mean(np.square(noise))))
    if not (scale > 0 and np.isfinite(scale) and np.isfinite(own)):
        return place, 0.0, 0.0
    return place, own / along, own / scale


def share_of_the_way(given: Leaves, expected: Leaves, start: Leaves) -> float:
    """‖given − expected‖/‖expected − start‖ of the parameters."""
    off = way = 0.0
    for place in given:
        if place.startswith("params["):
            off += _square(given[place], expected[place])
            way += _square(expected[place], start[place])
    return sqrt(off / way) if way > 0 and np.isfinite(off / way) else inf if off > 0 else 0.0


def _square(a: Array, b: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.nansum(np.square(np.longdouble(a) - np.longdouble(b))))
