"""A row of the published lists of torch's deviations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import reference as ref
from reference.network.passes import AnyTrace

AT_LEAST = "2.13 or earlier"


@dataclass(frozen=True)
class Deviation:
    """One row of the list.

    Attributes:
        name: what `verify` counts it by.
        where: the function and the region.
        what: what torch computes there, and why.
        size: how far that is from the derivative.
        since: the first version that is known to do so.
        reference: file and function of PyTorch's source, or an issue of its tracker.
        applies: (problem, trace) ↦ whether the problem reaches the region; the trace is the reference's.
        as_torch: problem ↦ the problem with torch's own formula in the place of the row's; None if
            torch's result is infinite or NaN. Its gradients are to be compared with torch's, no others.
    """

    name: str
    where: str
    what: str
    size: str
    since: str
    reference: str
    applies: Callable[[ref.Problem, AnyTrace], bool] = field(repr=False)
    as_torch: Callable[[ref.Problem], ref.Problem] | None = field(default=None, repr=False)
