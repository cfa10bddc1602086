"""The complex step: as accurate as the forward pass, or it does not judge."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference.differences import (
    complex_step,
)
from tests.helpers import derivatives, gamma
from tests.reference.differences.helpers import (
    ACTIVATIONS,
    LOSSES,
    OUTPUT_IN_DOMAIN,
    ULP,
    largest,
    network_problem,
    with_fault,
)


def misfit(found, gradients):
    """The largest deviation in a leaf, in units of an ulp of the largest element of all."""
    return max(
        float(np.max(np.abs(leaf - gradients.leaves()[place]))) / (ULP * largest(gradients))
        for place, leaf in derivatives(found).items()
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_complex_step_on_every_activation(name):
    """Measured: 6 ulps at the most."""
    problem = network_problem(11, [name, name, "identity"], "half_squared_error", [3, 4, 4, 2])
    g, found = ref.gradients(problem), complex_step(problem)
    assert misfit(found, g) < 100
    assert misfit(found, with_fault(g, 2, 1 + 1e-12)) > 100


@pytest.mark.parametrize("loss", LOSSES)
def test_complex_step_on_every_loss(loss):
    """Measured: 6 ulps at the most."""
    problem = network_problem(5, ["tanh", OUTPUT_IN_DOMAIN.get(loss, "identity")], loss, [3, 5, 4], n=4)
    g, found = ref.gradients(problem), complex_step(problem)
    assert misfit(found, g) < 100
    assert misfit(found, with_fault(g, 1, 1 + 1e-12)) > 100
    assert found.loss == g.loss


def test_complex_step_where_gradients_are_tiny():
    """Times 1e-100 they are subnormal: a larger step gives them all their digits, or they are not judged."""
    for depth, least in ((25, 1e-190), (31, 1e-225), (42, 1e-300)):
        problem = network_problem(2, ["tanh"] * depth, "mse", [3] * (depth + 1), scale=1e-7)
        expected, found = ref.gradients(problem).layers[0].weight, complex_step(problem).layers[0].weight
        assert least < np.abs(expected).max() < 1e-150
        error = np.abs(found - expected)
        assert np.all(np.isnan(error) | (error < 1000 * ULP * np.abs(expected).max()))
        assert np.isfinite(found).all() == (depth < 42)


def test_complex_step_at_a_stationary_point_is_not_a_truncation_error():
    """The loss is h² there: with no other step than a large one, its derivative would come out as h."""
    layers = (ref.Layer(np.array([[1.0, 2.0]]), None, "gelu"), ref.Layer(np.array([[3.0]]), None, "identity"))
    problem = ref.Problem(ref.MLP(layers), np.zeros((2, 2)), np.zeros((2, 1)), "mse")
    for leaf in derivatives(complex_step(problem)).values():
        assert np.all(np.isnan(leaf) | (leaf == 0))


def test_an_underflow_in_an_inner_layer_alone_costs_no_digits():
    """There the imaginary part of one unit is subnormal, and that of the other, which nothing moves, is 0."""
    layers = (
        ref.Layer(np.array([[0.75]]), None, "tanh"),
        ref.Layer(np.array([[2.0**-735 / 3], [0.0]]), None, "identity"),
        ref.Layer(np.array([[2.0**735, 1.0]]), None, "identity"),
    )
    problem = ref.Problem(ref.MLP(layers), np.array([[0.7]]), np.array([[1.0]]), "mse")
    g, found = ref.gradients(problem), complex_step(problem)
    for place in ("layers[0].weight", "input"):
        # a forward pass of six roundings and a backward pass of as many; a subnormal number lacks half of its digits
        assert np.all(np.abs(found[place] - g[place]) <= gamma(16) * np.abs(g[place])), place


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus", "sigmoid"])
@pytest.mark.parametrize("power", [60, 101, 120, 150])
def test_gradients_far_beyond_the_inverse_of_the_step_are_right(name, power):
    """At 1e100 the usual step turns the last argument by 1 off the real axis, where the function bends."""
    layers = (
        ref.Layer(np.array([[10.0**-power]]), None, "identity"),
        ref.Layer(np.array([[10.0**power]]), None, name),
    )
    problem = ref.Problem(ref.MLP(layers), np.array([[0.7]]), np.array([[1.0]]), "half_squared_error")
    g, found = ref.gradients(problem), complex_step(problem)
    assert np.abs(g["layers[0].weight"]) > 10.0 ** (power - 2)
    for place, leaf in derivatives(found).items():
        judged = np.isfinite(leaf)
        assert np.all(~judged | (np.abs(leaf - g[place]) <= gamma(32) * np.abs(g[place]))), place
    # gelu evaluates a density, which may underflow for steps so small
    assert np.isfinite(found["layers[0].weight"]).all() or (name == "gelu" and power >= 120)


@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu"])
def test_a_tiny_derivative_of_straight_lines_is_no_zero(name):
    """Its product with a step that a bent function allows underflows; what is 0 because a unit is dead stays 0."""
    layers = tuple(ref.Layer(np.array([[weight]]), None, name) for weight in (1.0, 1e-140, 1e-140, 1.0))
    problem = ref.Problem(ref.MLP(layers), np.array([[0.7]]), np.array([[1.0]]), "mse")
    g, found = ref.gradients(problem), complex_step(problem)
    assert np.abs(g["layers[0].weight"]) < 1e-279
    for place, leaf in derivatives(found).items():
        assert np.all(np.abs(leaf - g[place]) <= gamma(32) * np.abs(g[place])), place
    dead = complex_step(problem.replace(x=-problem.x))
    assert np.all((dead["layers[0].weight"] == 0) == (name == "relu"))
