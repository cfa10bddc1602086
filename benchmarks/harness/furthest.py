"""How far the worst element of one tree of gradients is from that of another."""

from __future__ import annotations

import numpy as np

import reference as ref


def furthest(given: ref.Gradients, expected: ref.Gradients, unit: ref.Gradients) -> float:
    """The largest |given − expected| in units of `unit`, over the elements of gradients that are given (not NaN).

    The loss is no gradient and is not counted.

    Args:
        given: the tree to measure; leaves that are None count for nothing.
        expected: a tree with at least these leaves.
        unit: what the distance of each element is measured in; an element that is right is 0 units off, whatever these.

    Raises:
        KeyError: a leaf that is given has no counterpart.

    >>> g = ref.Gradients((ref.LayerGradients(np.array([[2.0, 5.0]]), None),), None, loss=np.float64(9.0))
    >>> furthest(g, g.map(lambda leaf: leaf + 1), g.map(lambda leaf: np.full_like(leaf, 0.25)))
    4.0
    """
    worst = 0.0
    truths, units = expected.leaves(), unit.leaves()
    for place, leaf in given.leaves().items():
        if place == "loss":
            continue
        off = np.abs(leaf - truths[place])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(off == 0, 0, off / units[place])
        worst = max(worst, float(np.max(ratio, where=~np.isnan(leaf), initial=0.0)))
    return worst
