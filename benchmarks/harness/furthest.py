"""The worst element of several, by name."""

from __future__ import annotations

import numpy as np

import reference as ref


def furthest(given: ref.Gradients, expected: ref.Gradients, unit: ref.Gradients) -> float:
    """The largest |given − expected| in units of `unit`, over the elements that are given (not NaN)."""
    worst = 0.0
    truths, units = expected.leaves(), unit.leaves()
    for place, leaf in given.leaves().items():
        off = np.abs(leaf - truths[place])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(off == 0, 0, off / units[place])
        worst = max(worst, float(np.max(ratio, where=~np.isnan(leaf), initial=0.0)))
    return worst
