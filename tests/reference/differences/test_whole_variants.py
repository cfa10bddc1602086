"""Differences on networks of operations: every source within its bar, on pieces, ties and shared values."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference.differences import central_difference, complex_step, directional_difference, random_direction
from reference.differences.multiprecision import multiprecision_difference, multiprecision_directional
from reference.rounding.distance import FACTOR
from tests.reference.differences.helpers import judged, outside


def block(seed: int, loss: str = "mse") -> ref.Problem:
    """Attention with one head, a shared weight, a residual and a kinked unit; three axes."""
    rng = np.random.default_rng(seed)
    network = ref.Network(
        {"w": rng.normal(size=(4, 4)), "b": rng.normal(size=4), "v": rng.normal(size=(4, 1))},
        [
            ref.Step("h", "linear", "x", "w", "b"),
            ref.Step("k", ref.operations.reshape((2, 4, 3)), "h"),
            ref.Step("scores", "matmul", "h", "k"),
            ref.Step("p", "softmax", "scores"),
            ref.Step("a", "matmul", "p", "h"),
            ref.Step("r", "add", "a", "x"),
            ref.Step("u", "linear", "r", "w"),
            ref.Step("n", "relu", "u"),
            ref.Step("z", "mul", "n", "m"),
            ref.Step("y", "matmul", "z", "v"),
        ],
        inputs=("x", "m"),
    )
    x = {"x": rng.normal(size=(2, 3, 4)), "m": rng.normal(size=(3, 1))}
    return ref.Problem(network, x, rng.normal(size=(2, 3, 1)), loss)


def with_fault(gradients: ref.Gradients, place: str, factor: float) -> ref.Gradients:
    leaves = gradients.leaves()
    return ref.Gradients.from_leaves(leaves | {place: leaves[place] * factor})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", ["mse", "inner_product"])
def test_central_differences_hold_the_gradients_and_no_faulty_ones(seed, loss):
    problem = block(seed, loss)
    found, g = central_difference(problem), ref.gradients(problem)
    total = sum(leaf.size for leaf in problem.leaves().values())
    assert judged(found) == total
    assert outside(found, g) == []
    for place in problem.leaves():
        assert outside(found, with_fault(g, place, 1 + 1e-6)) != [], place


def test_only_chosen_elements_are_judged():
    found = central_difference(block(0), entries=7, seed=3)
    assert judged(found) == 7
    stepped = complex_step(block(0), entries=7, seed=3)
    assert judged(stepped) <= 7


def test_a_direction_is_within_its_bar():
    problem = block(1)
    direction = random_direction(problem, seed=4)
    g = ref.gradients(problem)
    expected = sum(np.sum(d * g[place]) for place, d in direction.derivatives().items())
    value, error = directional_difference(problem, direction)
    assert abs(value - expected) <= error
    assert abs(value - 1.000001 * expected) > error
    exact, bar = multiprecision_directional(problem, direction)
    assert abs(float(exact.flat[0]) - value) <= error + bar


@pytest.mark.parametrize("seed", range(3))
def test_the_complex_step_is_right_to_rounding(seed):
    problem = block(seed)
    found, g = complex_step(problem), ref.gradients(problem)
    scale = ref.rounding_scale(problem, textbook=True)
    assert judged(found) > sum(leaf.size for leaf in problem.leaves().values()) / 2
    for place, leaf in found.derivatives().items():
        off = np.abs(leaf - g[place]) > FACTOR * scale[place]
        assert not np.any(off & np.isfinite(leaf)), place


def test_multiprecision_differences_prove_the_certificate():
    problem = block(2)
    found = multiprecision_difference(problem, entries=9, seed=1)
    certified = ref.certified_gradients(problem)
    count = 0
    for place, value in found.value.derivatives().items():
        leaf = certified[place]
        for index in np.argwhere(np.isfinite(found.error[place])):
            at = tuple(index)
            exact = float(value.flat[int(np.ravel_multi_index(at, value.shape))])
            assert leaf.lower[at] <= exact <= leaf.upper[at]
            count += 1
    assert count == 9


def kinked(at: float) -> ref.Problem:
    network = ref.Network({"b": np.array([at, 0.5])}, [ref.Step("z", "add", "x", "b"), ref.Step("y", "relu", "z")])
    return ref.Problem(network, np.zeros((1, 2)), np.ones((1, 2)), "mse")


def test_a_unit_on_a_kink_is_not_judged_and_one_beside_it_is():
    for f in (lambda p: central_difference(p).value, complex_step):
        assert np.array_equal(np.isnan(f(kinked(0.0))["b"]), [True, False])
        assert np.array_equal(np.isnan(f(kinked(1e-9))["b"]), [False, False])
    assert np.array_equal(np.isinf(multiprecision_difference(kinked(0.0)).error["b"]), [True, False])
    assert np.array_equal(np.isinf(multiprecision_difference(kinked(1e-9)).error["b"]), [False, False])
    assert outside(central_difference(kinked(1e-3)), ref.gradients(kinked(1e-3))) == []
