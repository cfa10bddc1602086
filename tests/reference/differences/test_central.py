"""Differences of the loss alone against the hand-written gradients, judged by the differences' own error bars."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference.differences import (
    central_difference,
    complex_step,
    directional_difference,
    random_direction,
)
from reference.differences.multiprecision import multiprecision_directional
from tests.helpers import derivatives
from tests.reference.differences.helpers import (
    ACTIVATIONS,
    LOSSES,
    OUTPUT_IN_DOMAIN,
    ULP,
    finite_gradients,
    judged,
    kinked,
    largest,
    network_problem,
    outside,
    stiff_problem,
    with_fault,
)

# ── central differences: right, honest, and able to fail ─────────────────────────────────────────────


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_within_the_bar(name):
    problem = network_problem(11, [name, name, "identity"], "half_squared_error", [3, 4, 4, 2])
    g, found = ref.gradients(problem), central_difference(problem)
    assert outside(found, g) == []
    assert judged(found) == problem.mlp.parameters + problem.x.size
    assert np.median(np.concatenate([e.ravel() for e in derivatives(found.error).values()])) < 1e-10 * largest(g)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_within_the_bar(loss):
    problem = network_problem(5, ["tanh", OUTPUT_IN_DOMAIN.get(loss, "identity")], loss, [3, 5, 4], n=4)
    g, found = ref.gradients(problem), central_difference(problem)
    assert outside(found, g) == []
    assert judged(found) == problem.mlp.parameters + problem.x.size
    assert found.value.loss == g.loss
    assert 0 < found.error.loss < 1e-12 * max(1, abs(g.loss))
    assert outside(found, with_fault(g, 0, 1 + 1e-6))


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.explore)])
def test_bars_are_honest_and_informative_on_stiff_problems(count):
    """In 16,000 (735,000 elements) no bar was too small; their median was 4e-13 of the largest element."""
    relative, elements = [], 0
    for seed in (*range(count), 4022):  # 4022: entries of the tableau agree by accident
        problem = stiff_problem(seed)
        g = finite_gradients(problem)
        if g is None:
            continue
        found = central_difference(problem, entries=48, seed=seed)
        assert outside(found, g) == [], f"stiff_problem({seed})"
        bars = np.concatenate([e[np.isfinite(e)] for e in derivatives(found.error).values()])
        elements += bars.size
        if largest(g) > 0:
            relative.append(bars / largest(g))
    assert elements > 30 * count
    assert np.median(np.concatenate(relative)) < 4e-12


def test_a_fault_of_1e6th_is_outside_the_bar_in_every_layer():
    for seed, name in enumerate(["tanh", "gelu", "softplus", "silu", "relu", "softmax"]):
        problem = network_problem(seed, [name, name, "identity"], "mse", [3, 6, 5, 2], n=4)
        g, found = ref.gradients(problem), central_difference(problem)
        for layer in range(3):
            places = {place for place, _ in outside(found, with_fault(g, layer, 1 + 1e-6))}
            assert places == {f"layers[{layer}].weight", f"layers[{layer}].bias"}, (name, layer)


def test_piecewise_linear_networks_get_bars_of_a_few_roundings():
    problem = network_problem(3, ["relu", "leaky_relu", "identity"], "half_squared_error", [4, 8, 8, 2], n=4)
    found = central_difference(problem)
    bars = np.concatenate([e.ravel() for e in derivatives(found.error).values()])
    # a rounding error of the loss, divided by steps of about 0.1 that stay between the kinks
    assert np.median(bars) < 1e4 * ULP * largest(ref.gradients(problem))


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_scales_of_the_weights_do_not_spoil_the_bars(scale):
    problem = network_problem(9, ["identity", "identity"], "mse", [3, 4, 2], scale=scale)
    g, found = ref.gradients(problem), central_difference(problem)
    assert outside(found, g) == []
    assert outside(found, with_fault(g, 1, 1 + 1e-6))


# ── what is not judged ───────────────────────────────────────────────────────────────────────────────


def test_a_unit_exactly_on_a_kink_is_not_judged_where_it_moves():
    for found in (central_difference(kinked(0.0)).value, complex_step(kinked(0.0))):
        first = found.layers[0]
        assert np.array_equal(np.isnan(first.weight), [[True, False], [False, False]])
        assert np.array_equal(np.isnan(first.bias), [True, False])
        assert np.isnan(found.input).all()
        assert np.isfinite(found.layers[1].weight).all()
    assert np.isinf(central_difference(kinked(0.0)).error.layers[0].weight[0, 0])


def test_beside_a_kink_steps_stay_on_its_side():
    for at in (-1e-3, 1e-3, -1e-9, 1e-9):
        problem = kinked(at)
        found = central_difference(problem)
        assert outside(found, ref.gradients(problem)) == []
        assert np.isfinite(found.value.layers[0].weight).all()
        other = ref.gradients(kinked(-at))
        assert outside(found, other), "the other side's gradient must not fit"


def test_a_loss_exactly_on_its_switch_is_not_judged():
    mlp = ref.MLP((ref.Layer(np.array([[2.0], [3.0]]), None, "identity"),))
    problem = ref.Problem(mlp, np.array([[0.5]]), np.array([[1.0, 1.0]]), "l1")
    for found in (central_difference(problem).value, complex_step(problem)):
        assert np.array_equal(np.isnan(found.layers[0].weight), [[True], [False]])


def test_what_moves_nothing_has_the_derivative_0_and_no_error():
    problem = kinked(1.0)
    found = central_difference(problem)
    assert np.array_equal(found.value.layers[0].weight[:, 1], [0, 0])
    assert np.array_equal(found.error.layers[0].weight[:, 1], [0, 0])


def test_an_infinite_loss_is_not_judged():
    mlp = ref.MLP((ref.Layer(np.array([[1e200]]), None, "square"),))
    with np.errstate(over="ignore"):
        problem = ref.Problem(mlp, np.array([[1.0]]), np.array([[0.0]]), "mse")
    found = central_difference(problem)
    assert judged(found) == 0
    assert np.isinf(found.error.input).all()
    assert directional_difference(problem, random_direction(problem, seed=0))[1] == np.inf


# ── which elements, in which type ────────────────────────────────────────────────────────────────────


def test_nothing_is_modified():
    problem = network_problem(8, ["relu", "identity"], "mse", [3, 4, 2])
    before = [leaf.copy() for layer in problem.mlp.layers for leaf in (layer.weight, layer.bias)] + [problem.x.copy()]
    central_difference(problem)
    complex_step(problem)
    directional_difference(problem, random_direction(problem, seed=0))
    after = [leaf for layer in problem.mlp.layers for leaf in (layer.weight, layer.bias)] + [problem.x]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


# ── along a direction ────────────────────────────────────────────────────────────────────────────────


def along(gradients, direction):
    return sum(float(np.sum(d * gradients[place])) for place, d in direction.leaves().items())


def test_directions_within_the_bar_and_a_fault_outside():
    caught = total = 0
    for seed in range(100):
        problem = stiff_problem(seed)
        g = finite_gradients(problem)
        if g is None:
            continue
        direction = random_direction(problem, seed)
        value, error = directional_difference(problem, direction)
        if np.isfinite(value):
            assert abs(value - along(g, direction)) <= error, f"stiff_problem({seed})"
            total += 1
            caught += abs(value - along(with_fault(g, 0, 1 + 1e-4), direction)) > error
    assert total > 70
    assert caught >= total / 2


def test_a_wide_network_at_once():
    problem = network_problem(7, ["gelu", "tanh", "identity"], "cross_entropy", [64, 256, 128, 10], n=16)
    direction = random_direction(problem, seed=3)
    value, error = directional_difference(problem, direction)
    g = ref.gradients(problem)
    assert abs(value - along(g, direction)) <= error < 1e-9 * abs(value)
    assert abs(value - along(with_fault(g, 1, 1 + 1e-6), direction)) > error


def test_no_direction_has_the_derivative_0():
    problem = network_problem(7, ["gelu"], "mse", [2, 2])
    still = random_direction(problem, seed=3).map(np.zeros_like)
    assert directional_difference(problem, still) == (0.0, 0.0)


# ── whatever the signs ───────────────────────────────────────────────────────────────────────────────


def all_negative(size):
    """A linear network whose every number is negative."""
    layers = (ref.Layer(np.full((2, 2), -size), None, "identity"), ref.Layer(np.full((1, 2), -size), None, "identity"))
    return ref.Problem(ref.MLP(layers), np.array([[-1.5, -0.5]]) * size, np.array([[-(size**3)]]), "mse")


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_sign_of_the_pre_activations_does_not_spoil_the_bars(size, sign):
    """A fault of 1e-10, some thousand roundings of the loss, is outside the bars in every layer."""
    layer = ref.Layer(np.array([[2.0 * size]]), np.array([size]), "identity")
    last = ref.Layer(np.array([[0.75]]), None, "identity")
    problem = ref.Problem(ref.MLP((layer, last)), np.array([[sign * 3.0]]), np.array([[0.25 * size]]), "mse")
    g, found = ref.gradients(problem), central_difference(problem)
    assert outside(found, g) == []
    for index in range(2):
        places = {place for place, _ in outside(found, with_fault(g, index, 1 + 1e-10))}
        assert places == {place for place in derivatives(g) if place.startswith(f"layers[{index}]")}


@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_a_direction_of_a_problem_of_negative_numbers_has_a_bar_of_a_few_roundings(size):
    """A step as long as the largest number is: a fault of 1e-10 is seen, whatever the sign of the numbers."""
    problem = all_negative(size)
    for signed in (problem, problem.map(np.negative)):
        g, direction = ref.gradients(signed), random_direction(signed, seed=1)
        value, error = directional_difference(signed, direction)
        assert abs(value - along(g, direction)) <= error
        assert abs(value - along(with_fault(g, 1, 1 + 1e-10), direction)) > error


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_sign_of_a_direction_does_not_spoil_its_bar(sign):
    """Along a direction of negative numbers alone, a fault of 1e-10 is seen as well."""
    problem = all_negative(1.0)
    direction = random_direction(problem, seed=1).map(lambda leaf: sign * np.abs(leaf))
    value, error = directional_difference(problem, direction)
    g = ref.gradients(problem)
    assert abs(value - along(g, direction)) <= error
    assert abs(value - along(with_fault(g, 1, 1 + 1e-10), direction)) > error


@pytest.mark.parametrize("loss", [None, 1.0, 1e6, 1e300, np.inf, np.nan])
def test_the_loss_of_a_direction_does_not_count(loss):
    problem = network_problem(0, ["tanh", "identity"], "mse", [2, 2, 1])
    along = random_direction(problem, seed=1)
    alone = directional_difference(problem, along)
    assert directional_difference(problem, ref.Gradients(along.layers, along.input, loss)) == alone
    assert multiprecision_directional(problem, ref.Gradients(along.layers, along.input, loss))[1] < 1e-100
    still = along.map(np.zeros_like)
    assert directional_difference(problem, ref.Gradients(still.layers, still.input, loss)) == (0.0, 0.0)
