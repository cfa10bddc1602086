"""The naive network with sums as programs write them: one term after the other, in blocks, in pairs.

Only the order of the additions differs; each addition is rounded to the precision that the sum is kept in. A sum of n
terms of one sign, one after the other, may be off by n/2 roundings; in pairs by log₂ n.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .naive import Naive

Array = Any
Sum = Callable[[Array], Array]
"""Terms (n, …) ↦ their sum over the first axis, in their own precision."""


def one_after_the_other(terms: Array) -> Array:
    """``for n: total += terms[n]``, as a loop in C does it.

    >>> float(one_after_the_other(np.full(2**25, 1.0, np.float32)))
    16777216.0
    """
    return np.add.accumulate(terms, axis=0, dtype=terms.dtype)[-1]


def in_pairs(terms: Array) -> Array:
    """Neighbours first, then the sums of neighbours, and so on.

    >>> int(in_pairs(np.arange(7)))
    21
    """
    while len(terms) > 1:
        paired = terms[0 : len(terms) // 2 * 2 : 2] + terms[1::2]
        terms = np.concatenate([paired, terms[-1:]]) if len(terms) % 2 else paired
    return terms[0]


def in_blocks(terms: Array, size: int = 64) -> Array:
    """Blocks of so many terms, each one after the other; then the blocks.

    >>> int(in_blocks(np.arange(200)))
    19900
    """
    blocks = [one_after_the_other(terms[start : start + size]) for start in range(0, len(terms), size)]
    return one_after_the_other(np.stack(blocks))


def in_lanes(terms: Array, lanes: int = 8) -> Array:
    """Every eighth term together, as a vector unit does it; then the eight.

    >>> int(in_lanes(np.arange(21)))
    210
    """
    return one_after_the_other(
        np.stack([one_after_the_other(terms[lane::lanes]) for lane in range(lanes) if lane < len(terms)])
    )


SUMS: Mapping[str, Sum] = {
    "one after the other": one_after_the_other,
    "pairs": in_pairs,
    "blocks": in_blocks,
    "lanes": in_lanes,
}


class Summed(Naive):
    """The naive network whose sums, those of products and of the loss among them, are added up in a given order.

    Args:
        problem: what to differentiate.
        sums: how terms are added up, one of `SUMS`.
        dtype: the precision to compute in, as for `Naive`.
        stored: whether a narrow precision only holds what goes in and comes out, and all is computed in float32.
    """

    def __init__(self, problem: Any, sums: Sum, dtype: str | None = None, *, stored: bool = False) -> None:
        super().__init__(problem, (), dtype)
        self.sums = sums
        self.bits, self.narrow = self.narrow, None if stored else self.narrow

    def _dot(self, a: Array, b: Array) -> Array:
        return self._rounded(self.sums(a.T[:, :, None] * b[:, None, :]))

    def _total(self, rows: Array) -> Array:
        return self._rounded(self.sums(rows))

    def _sum_of_losses(self, each: Array) -> Array:
        return self.sums(np.ravel(each))

    def run(self) -> dict[str, Array]:
        """The gradients by place, and the loss; see `Naive.run`."""
        leaves = super().run()
        self.narrow = self.bits
        return {place: leaf if place == "loss" else self._rounded(leaf) for place, leaf in leaves.items()}
