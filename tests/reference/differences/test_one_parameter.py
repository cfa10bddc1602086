"""Which elements are judged, in which type, and in how many batches."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference.differences import (
    Difference,
    central_difference,
    complex_step,
    directional_difference,
    random_direction,
)
from reference.rounding.distance import FACTOR
from tests.helpers import derivatives
from tests.reference.differences.helpers import (
    judged,
    network_problem,
    outside,
)


@pytest.mark.parametrize("method", [central_difference, complex_step])
def test_a_subset_is_seeded_and_spread_over_the_leaves(method):
    problem = network_problem(1, ["tanh", "gelu", "identity"], "mse", [6, 8, 7, 3], n=5)
    tree = {seed: method(problem, entries=14, seed=seed) for seed in (0, 1)}
    values = {seed: t.value if isinstance(t, Difference) else t for seed, t in tree.items()}
    again = method(problem, entries=14, seed=0)
    again = again.value if isinstance(again, Difference) else again
    everything = method(problem)
    scale = ref.rounding_scale(problem).map(lambda sigma: FACTOR * sigma).leaves()
    both = {place: 2 * bar for place, bar in tree[0].error.leaves().items()} if method is central_difference else {}
    allowed = both or scale
    everything = everything.value if isinstance(everything, Difference) else everything
    for place, leaf in derivatives(values[0]).items():
        assert np.isfinite(leaf).sum() == 2
        assert np.array_equal(leaf, again.leaves()[place], equal_nan=True)
        chosen = np.isfinite(leaf)
        apart = np.abs(leaf[chosen] - everything.leaves()[place][chosen])
        assert np.all(apart <= allowed[place][chosen])
    assert any(
        not np.array_equal(np.isfinite(leaf), np.isfinite(values[1].leaves()[place]))
        for place, leaf in derivatives(values[0]).items()
    )
    assert judged(method(problem, entries=3, seed=0)) == 3
    assert judged(method(problem, entries=10**6)) == problem.mlp.parameters + problem.x.size


def test_a_large_problem_is_cut_into_batches():
    problem = network_problem(4, ["tanh", "identity"], "mse", [20, 30, 10], n=16)
    assert outside(central_difference(problem), ref.gradients(problem)) == []


def test_float32_is_computed_in_float64():
    wide = network_problem(6, ["tanh", "leaky_relu"], "cross_entropy", [3, 4, 3])

    def narrow(values):
        return values.astype(np.float32)

    for target in (wide.target, np.array([[0.2, 0.3, 0.5]] * 3, dtype=np.float32)):
        single = wide.map(narrow).replace(target=target)
        double = single.map(lambda values: values.astype(np.float64)).replace(
            target=target.astype(np.float64) if target.dtype.kind == "f" else target
        )
        found, expected = central_difference(single), central_difference(double)
        for place, leaf in derivatives(found.value).items():
            assert leaf.dtype == np.float64
            assert np.array_equal(leaf, expected.value.leaves()[place])
            assert np.array_equal(complex_step(single).leaves()[place], complex_step(double).leaves()[place])
        assert outside(found, ref.gradients(double)) == []
        assert outside(found, ref.gradients(single)), "float32 gradients are off by more than the bars"


def test_bad_arguments_are_named():
    problem = network_problem(0, ["tanh"], "mse", [2, 2])
    unreduced = problem.replace(reduction="none")
    for method in (central_difference, complex_step):
        with pytest.raises(ValueError, match='reduction "none"'):
            method(unreduced)
        with pytest.raises(ValueError, match="entries: expected at least 1, got 0"):
            method(problem, entries=0)
    with pytest.raises(ValueError, match='reduction "none"'):
        directional_difference(unreduced, random_direction(unreduced, seed=0))
