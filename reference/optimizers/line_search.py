"""A step length that satisfies the strong Wolfe conditions.

Along a direction of descent, φ(t) the loss at x + td: sufficient decrease, φ(t) ≤ φ(0) + c₁tφ′(0), and a slope that
has flattened, |φ′(t)| ≤ −c₂φ′(0) (Nocedal & Wright 2006, eq. 3.7). The search is their algorithms 3.5 and 3.6 with
cubic interpolation (eq. 3.59) and the safeguards of torch.optim.LBFGS, which are those of Schmidt's minFunc (2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arithmetic.array import Array

DECREASE, CURVATURE = 1e-4, 0.9
"""c₁ and c₂: the customary values for quasi-Newton directions (Nocedal & Wright 2006, section 3.1)."""
NARROWEST = 1e-9
"""A bracket that spans less than this in every parameter is not refined: torch's constant."""


@dataclass(frozen=True, slots=True)
class Point:
    """A trial: the step t, φ(t), the gradient (P,) and φ′(t)."""

    step: float
    loss: float
    grad: Array
    slope: float


At = Callable[[float], Point]


def strong_wolfe(at: At, start: Point, step: float, span: float, budget: int) -> tuple[Point, int]:
    """A point that satisfies the strong Wolfe conditions, or the best that the budget found.

    Args:
        at: step ↦ the point there.
        start: the point of step 0, with a negative slope.
        step: the first to be tried.
        span: the largest |dᵢ|.
        budget: trials beyond the first.

    Returns:
        The point, and how many trials were made.

    >>> def at(t):
    ...     return Point(t, (t - 3.0) ** 2, np.array([2 * (t - 3.0)]), 2 * (t - 3.0))
    >>> found, trials = strong_wolfe(at, at(0.0), 0.01, 1.0, budget=20)
    >>> found.step, trials
    (np.float64(1.0), 3)
    """
    before, new = start, at(step)
    for trial in range(budget):
        # From the third trial on, as minFunc and torch count; Nocedal & Wright do so from the second.
        if _too_high(new, start) or (trial > 1 and new.loss >= before.loss):
            return _zoom(at, start, [before, new], span, budget, trial)
        if _flat(new, start):
            return new, trial + 1
        if new.slope >= 0:
            return _zoom(at, start, [before, new], span, budget, trial)
        farther = cubic_minimum(before, new, new.step + 0.01 * (new.step - before.step), 10 * new.step)
        before, new = new, at(farther)
    return (start if start.loss <= new.loss else new), budget + 1


def _zoom(at: At, start: Point, ends: list[Point], span: float, budget: int, trial: int) -> tuple[Point, int]:
    """Narrow a bracket of a good step: the end of lower loss stays one, and the slope there points to the other."""
    low = _lower(ends)
    near_before = False
    while trial < budget:
        left, right = np.minimum(ends[0].step, ends[1].step), np.maximum(ends[0].step, ends[1].step)
        if (right - left) * span < NARROWEST:
            break
        step = cubic_minimum(ends[0], ends[1], left, right)
        margin = 0.1 * (right - left)
        near = np.minimum(right - step, step - left) < margin
        if near and (near_before or step >= right or step <= left):
            step = right - margin if right - step < step - left else left + margin
            near = False
        near_before = near
        new = at(step)
        trial += 1
        if _too_high(new, start) or new.loss >= ends[low].loss:
            ends[1 - low] = new
            low = _lower(ends)
            continue
        done = _flat(new, start)
        if not done and new.slope * (ends[1 - low].step - ends[low].step) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = new
        if done:
            break
    return ends[low], trial + 1


def _too_high(new: Point, start: Point) -> bool:
    return new.loss > start.loss + DECREASE * new.step * start.slope


def _flat(new: Point, start: Point) -> bool:
    bound = -CURVATURE * start.slope
    return -bound <= new.slope <= bound


def _lower(ends: list[Point]) -> int:
    return 0 if ends[0].loss <= ends[1].loss else 1


def cubic_minimum(p: Point, q: Point, least: float, most: float) -> float:
    """The minimiser, kept within least and most, of the cubic with both points' losses and slopes.

    Their mean where the cubic has none. Nocedal & Wright 2006, eq. 3.59.

    >>> cubic_minimum(Point(0.0, 1.0, None, -2.0), Point(2.0, 1.0, None, 2.0), 0.0, 2.0)
    np.float64(1.0)
    """
    left, right = (p, q) if p.step <= q.step else (q, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        d1 = left.slope + right.slope - 3 * (left.loss - right.loss) / (left.step - right.step)
        square = d1 * d1 - left.slope * right.slope
        if not square >= 0:
            return (least + most) / 2
        # The maximum changes no number; among the runs of `Noisy` it keeps those real that are not on this side.
        d2 = np.sqrt(np.maximum(square, 0))
        share = (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2)
        return np.minimum(np.maximum(right.step - (right.step - left.step) * share, least), most)
