"""One way of going wrong, what makes it a simple one, and what looking for it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..mistakes.mistake import Mistake


@dataclass(frozen=True)
class Way:
    """One way of going wrong that explains the gradients down to some layer.

    Attributes:
        mistakes: what was done wrong so far.
        d_h: the gradient of the output of the layer that comes next.
        d_z: of the layer above, where the step down from it was right; None at the output.
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
    """What a search may cost, in multiply-adds.

    Attributes:
        limit: in all.
        spent: so far.
    """

    limit: float
    spent: float = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.spent >= self.limit
