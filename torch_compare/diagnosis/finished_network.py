"""What was done to the finished gradients of a network: a weight decay, clipping, a norm, rows lost or exchanged.

The backward pass was right, and then one thing was done, to every leaf that is wrong: as of a leaf of an MLP (see
`leaf_fits`), but that no walk is needed.
"""

from __future__ import annotations

import numpy as np

from ..mistakes.mistake import Mistake, habits
from .evidence import Evidence, norm
from .leaf_fits import leaf_fits
from .network_search import Fit, Subject

WAYS = 8
"""Ways to make the leaves so far that are gone on with."""
MOST = 2
"""Things that were done to them all: a factor, say, and a weight decay."""


def finished(subject: Subject, wrong: set[str]) -> list[Fit]:
    """The ways to make every wrong leaf from the right one by the same one or two things done to it.

    Args:
        subject: the gradients.
        wrong: their leaves that are wrong.
    """
    evidence = Evidence.of(subject.problem, subject.held, subject.expected, subject.scale, subject.fmt.unit_roundoff)
    ways: list[tuple[Mistake, ...]] = [()]
    for place in sorted(wrong, key=lambda place: _looseness(subject, place)):
        found: dict[frozenset[tuple[str, str, str]], tuple[Mistake, ...]] = {}
        for way in ways:
            for fit in leaf_fits(evidence, place, subject.expected[place], before=way):
                both = (*way, *(m for m in fit.mistakes if m.key not in {other.key for other in way}))
                if habits(both) <= MOST:
                    found.setdefault(frozenset(m.key for m in both), both)
        ways = sorted(found.values(), key=habits)[:WAYS]
    fewest = min(map(habits, ways), default=0)
    return [Fit(way, 0.0) for way in ways if habits(way) == fewest > 0]


def _looseness(subject: Subject, place: str) -> float:
    """How uncertain a rate of weight decay would be that is fitted to a leaf: the best comes first, inputs last."""
    values = subject.problem.network.named_parameters().get(place)
    size = 0.0 if values is None else norm(values)
    return norm(np.nan_to_num(subject.scale[place], posinf=0.0)) / size if size else np.inf
