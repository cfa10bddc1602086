"""One way of going wrong, as far as a walk has come with it, and the cost of looking for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..mistakes.mistake import Mistake

ELEMENT = 10.0
"""Multiply-adds in the time that a few operations on one element of an array take."""


@dataclass(frozen=True)
class Way:
    """One way of going wrong that explains the gradients down to some layer.

    Attributes:
        mistakes: what was done wrong so far.
        d_h: the gradient of the output of the layer that comes next.
        d_z: of the layer above, if the step down from it was right; None at the output.
        away: how far the gradients that it makes so far are from those given, in rounding scales.
    """

    mistakes: tuple[Mistake, ...]
    d_h: Any
    d_z: Any = None
    away: float = 0.0

    def with_(self, *more: Mistake) -> tuple[Mistake, ...]:
        """The mistakes and more, each place once."""
        known = {m.key for m in self.mistakes}
        return (*self.mistakes, *(m for m in more if m.key not in known))


@dataclass
class Effort:
    """The cost of a search, in multiply-adds.

    Attributes:
        limit: the largest, of all that is looked for together.
        spent: so far.
    """

    limit: float
    spent: float = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.spent >= self.limit
