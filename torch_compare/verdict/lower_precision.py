"""The coarser format whose errors the numbers have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.rounding.distance import FACTOR, in_scales
from reference.rounding.scale import FORMATS, Format

TYPICAL = 0.05
"""Errors of a precision have a root mean square of 0.1 to 1 σ of that precision in every array; one of less than
this many σ is something else, which a wide enough precision merely hides."""
LOWER_PRECISIONS = ("float32", "tf32", "float16", "bfloat16")


def lower_precision(
    leaves: Mapping[str, Any],
    expected: Mapping[str, Any],
    scale: Mapping[str, Any],
    fmt: Format,
    printing: Mapping[str, Any] | None = None,
) -> str | None:
    """The coarser format whose rounding the errors look like: in every leaf, neither too large nor too small.

    Gradients that were computed in float32 or below are handed over as numbers that float32 holds, or as decimals of
    such numbers: `printing` is what that adds to the rounding scale (`printed.printing`).
    """
    added = dict.fromkeys(leaves, 0.0) | dict(printing or {})
    with np.errstate(over="ignore", invalid="ignore"):
        apart = {k: np.abs(np.asarray(v, np.float32) - np.asarray(v, dtype=float)) for k, v in leaves.items()}
        narrow = all(not np.any(off > FACTOR * added[k]) for k, off in apart.items())
    if fmt.bits > FORMATS["float32"].bits and not narrow:
        return None
    for name in LOWER_PRECISIONS:
        coarser = FORMATS[name]
        if coarser.coarsest_bits >= fmt.coarsest_bits:
            continue
        factor = 2.0 ** (fmt.coarsest_bits - coarser.coarsest_bits)
        ratios = [
            in_scales(values, expected[k], scale[k] * factor + added[k], fmt).ravel() for k, values in leaves.items()
        ]
        judged = [r for k, r in zip(leaves, ratios, strict=True) if k != "loss" and np.any(scale[k] > 0)]
        if judged and all(r.max() <= FACTOR and np.sqrt(np.mean(r**2)) >= TYPICAL for r in judged):
            return name
    return None
