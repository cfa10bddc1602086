"""The line search of lbfgs: the Wolfe conditions, its budget, and the minimum of a cubic."""

import numpy as np
import pytest

from reference.optimizers.line_search import CURVATURE, DECREASE, Point, cubic_minimum, strong_wolfe
from tests.helpers import gamma


def random_line(rng):
    """φ(t) of a random wavy polynomial that falls at 0 and rises at last, and the search on it."""
    a, b, w = rng.uniform(0.1, 3), rng.uniform(-2, 2), rng.uniform(0.5, 6)
    depth, centre, power = rng.uniform(0, 0.5), 10 ** rng.uniform(-1.5, 1.5), rng.choice([2, 4])

    def at(t):
        u = t / centre
        loss = a * (u - 1) ** power + depth * np.sin(w * u + b)
        slope = (a * power * (u - 1) ** (power - 1) + depth * w * np.cos(w * u + b)) / centre
        return Point(t, float(loss), np.array([slope]), float(slope))

    return at


def test_it_finds_strong_wolfe_points():
    """Nocedal & Wright 2006, eq. 3.7, whenever the budget is not used up; they exist by their lemma 3.1."""
    found = 0
    rng = np.random.default_rng(0)
    for _ in range(300):
        at = random_line(rng)
        start = at(0.0)
        if start.slope >= 0:
            continue
        point, trials = strong_wolfe(at, start, 10 ** rng.uniform(-2, 2), 1.0, budget=40)
        assert trials <= 41
        if trials < 41:
            found += 1
            assert point.loss <= start.loss + DECREASE * point.step * start.slope
            assert abs(point.slope) <= -CURVATURE * start.slope
    assert found > 200


def test_with_no_budget_it_takes_the_better_of_both_ends():
    at = random_line(np.random.default_rng(2))
    start = at(0.0)
    high, low = Point(2.0, start.loss + 1, None, 1.0), Point(2.0, start.loss - 1, None, 1.0)
    assert strong_wolfe(lambda t: high, start, 2.0, 1.0, budget=0) == (start, 1)
    assert strong_wolfe(lambda t: low, start, 2.0, 1.0, budget=0) == (low, 1)


def test_the_cubics_minimum_is_exact_on_cubics():
    """t³ − 3t has its minimum at 1, in whatever order its points come, and is kept within bounds."""

    def at(t):
        return Point(t, t**3 - 3 * t, None, 3 * t**2 - 3)

    for left, right in ((0.0, 2.0), (2.0, 0.0), (-0.5, 4.0)):
        assert cubic_minimum(at(left), at(right), -5.0, 5.0) == pytest.approx(1.0, rel=gamma(16), abs=0)
    assert cubic_minimum(at(0.0), at(2.0), 1.5, 2.0) == 1.5
    assert cubic_minimum(at(0.0), at(2.0), 0.0, 0.5) == 0.5
    # a cubic without a minimum: slopes 1 at both ends of a rise of 1/3 of that
    assert cubic_minimum(Point(0.0, 0.0, None, 1.0), Point(1.0, 0.7, None, 1.0), 0.25, 0.75) == 0.5
