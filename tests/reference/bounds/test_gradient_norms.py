"""The spectral norm's proved bound, and the bound of a gradient that is made of it."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Decisions, precision
from reference.bounds import gradient_norms
from reference.bounds.gradient_norms import gradient_bounds, spectral_norm
from reference.bounds.slopes import largest_slope
from tests.helpers import ELEMENTWISE, gamma, random_mlp

BITS = 400


# ── the spectral norm ────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32), st.sampled_from([1e-320, 1e-160, 1.0, 1e160]))
def test_no_vector_is_stretched_further(o, i, seed, size):
    """In rational arithmetic: ‖Wv‖² ≤ bound²·‖v‖², for the vector that LAPACK says is stretched most."""
    weight = size * np.random.default_rng(seed).normal(size=(o, i))
    v = np.linalg.svd(weight / size)[2][0]
    product = [sum(Fraction(w) * Fraction(x) for w, x in zip(row, v.tolist(), strict=True)) for row in weight.tolist()]
    bound = Fraction(spectral_norm(weight))
    assert sum(p * p for p in product) <= bound**2 * sum(Fraction(x) ** 2 for x in v.tolist())


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (16, 16), (40, 30)])
def test_the_bound_is_within_rounding_of_the_norm(shape):
    weight = np.random.default_rng(3).normal(size=shape)
    found = spectral_norm(weight)
    # Three residuals of n² entries, each bounded by some γ of n roundings, and LAPACK's own error.
    largest, slack = float(np.linalg.norm(weight, 2)), gradient_norms.gamma(10 * (max(shape) + 4) ** 2)
    assert largest <= found <= largest * (1 + slack)


def test_a_bound_below_the_norm_is_caught():
    """LAPACK's own number, a rounding too small, does not pass the test above for some matrix."""
    short = 0
    for seed in range(40):
        weight = np.random.default_rng(seed).normal(size=(4, 4))
        _, s, vt = np.linalg.svd(weight)
        v = [Fraction(x) for x in vt[0].tolist()]
        product = [sum(Fraction(w) * x for w, x in zip(row, v, strict=True)) for row in weight.tolist()]
        short += sum(p * p for p in product) > Fraction(float(s[0])) ** 2 * sum(x * x for x in v)
    assert short > 0


@pytest.mark.parametrize("weight", [np.zeros((3, 2)), np.zeros((1, 1), np.float32)])
def test_zero_has_norm_zero(weight):
    assert spectral_norm(weight) == 0


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.array([[1, 2]]), TypeError, "weight: expected a NumPy array of float64 or below, got int64"),
        ([[1.0]], TypeError, "weight: expected a NumPy array"),
        (np.array([[1.0]], np.longdouble), TypeError, "float64 or below"),
        (np.array([1.0]), ValueError, r"expected a matrix of finite numbers, got shape \(1,\)"),
        (np.array([[np.nan]]), ValueError, "finite"),
    ],
)
def test_bad_weights_are_refused(weight, error, message):
    with pytest.raises(error, match=message):
        spectral_norm(weight)


# ── the gradient's bound, in exact arithmetic ────────────────────────────────────────────────────────


def in_balls(mlp, decisions):
    def exactly(values):
        return None if values is None else Ball.exact(values, decisions)

    return ref.MLP(tuple(ref.Layer(exactly(p.weight), exactly(p.bias), p.activation) for p in mlp.layers))


def squares(balls):
    return sum((b * b for b in balls.flat), arb(0))


def excess(mlp, x, d_output):
    """The layers whose exact gradient certainly exceeds the bound: no rounding of a pass takes part in this."""
    bounds = gradient_bounds(mlp, ref.forward(mlp, x))
    with precision(BITS):
        decisions = Decisions(hull=True)
        exact = in_balls(mlp, decisions)
        trace, d_h = ref.forward(exact, Ball.exact(x, decisions)), Ball.exact(d_output, decisions)
        found, limit = [], squares(d_h)
        for index in reversed(range(len(mlp.layers))):
            d_h = exact.layers[index].activation.pullback(trace.preactivations[index], d_h) @ exact.layers[index].weight
            if squares(d_h) > arb(float(bounds[index])) ** 2 * limit:
                found.append(index)
    return found


def problem(seed, depth, names=()):
    rng = np.random.default_rng(seed)
    mlp = random_mlp(rng, depth, names=names)
    return mlp, rng.normal(size=(3, mlp.layers[0].fan_in)), rng.normal(size=(3, mlp.layers[-1].width))


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_no_gradient_of_any_network_exceeds_its_bound(seed, depth):
    """Any activations, row-wise ones and unbounded slopes included; any widths, biases, inputs and cotangents."""
    mlp, x, d_output = problem(seed, depth, [name for name in ref.ACTIVATIONS if name != "square" or depth < 4])
    assert excess(mlp, x, d_output) == []


@pytest.mark.parametrize("name", sorted(ref.ACTIVATIONS))
def test_no_gradient_of_one_activation_exceeds_its_bound(name):
    assert excess(*problem(17, 4, [name])) == []


def steepest(name, weight=3.0):
    """One unit that sits where its slope is largest: what arrives is the bound, nearly."""
    row = ref.ACTIVATIONS[name]
    z = np.concatenate([np.linspace(-12, 12, 100_001), np.nextafter(row.all_breaks, -np.inf)])
    at = z[np.argmax(np.abs(row.derivative(z)))]
    return ref.MLP((ref.Layer(np.array([[weight]]), np.array([at]), row),)), np.zeros((1, 1)), np.array([[-2.5]])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_bound_with_too_small_a_slope_is_caught(name, monkeypatch):
    assert excess(*steepest(name)) == []
    monkeypatch.setattr(gradient_norms, "largest_slope", lambda row, width: largest_slope(row) * (1 - 1e-3))
    monkeypatch.setattr(gradient_norms, "visited_slope", lambda row, z: abs(2 * z[0, 0]) * (1 - 1e-3))
    assert excess(*steepest(name)) == [0]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_bound_that_omits_a_layer_is_caught(missing, monkeypatch):
    mlp = ref.initialize([3, 3, 3, 3], ["identity"] * 3, seed=4, scheme="orthogonal")
    mlp = ref.MLP(tuple(dataclasses.replace(layer, weight=2 * layer.weight) for layer in mlp.layers))
    x, d_output = np.random.default_rng(1).normal(size=(2, 3, 3))
    assert excess(mlp, x, d_output) == []
    left_out = mlp.layers[missing].weight
    monkeypatch.setattr(gradient_norms, "spectral_norm", lambda w: 1.0 if w is left_out else spectral_norm(w))
    assert excess(mlp, x, d_output) == list(range(missing, -1, -1))


def test_the_bound_is_reached_where_nothing_is_lost():
    """Orthogonal weights and the identity: the bound is the norm, to within the roundings that it allows for."""
    mlp = ref.initialize([5] * 31, ["identity"] * 30, seed=2, scheme="orthogonal")
    bounds = gradient_bounds(mlp, rounding=True)
    assert bounds.shape == (31,)
    assert np.all(np.diff(bounds) <= 0)
    assert 1 <= bounds[0] <= 1 + 30 * gradient_norms.gamma(2000)


def test_unbounded_slopes_without_a_trace_are_infinite():
    mlp = ref.MLP((ref.Layer(np.eye(2), None, "tanh"), ref.Layer(np.eye(2), None, "square")))
    assert gradient_bounds(mlp)[0] == np.inf
    assert np.isfinite(gradient_bounds(mlp, ref.forward(mlp, np.ones((1, 2))))[0])


def test_weights_of_zero_pass_nothing():
    mlp = ref.initialize([2, 2, 2], ["square", "square"], seed=0, scheme="zeros")
    assert gradient_bounds(mlp).tolist() == [0, 0, 1]


def test_known_norms_are_one_per_layer():
    with pytest.raises(ValueError, match=r"norms: expected one per layer \(1\), got 2"):
        gradient_bounds(ref.initialize([1, 1], ["tanh"], seed=0), norms=[1.0, 1.0])


@pytest.mark.parametrize("width", [1, 4, 16, 64, 256])
@pytest.mark.parametrize("name", ["tanh", "softmax"])
def test_the_allowance_for_rounding_counts_every_rounding_of_a_layer(name, width):
    """γ_O√R of the product by W, 9 of an elementwise derivative, 8(O + 5) of a softmax's sums: all that a row can lose.

    And no more than ten times what any activation needs.
    """
    mlp = ref.MLP((ref.Layer(np.full((width, width), 0.5), None, name),))
    exact, allowed = (gradient_bounds(mlp, rounding=rounding, norms=[1.0])[0] for rounding in (False, True))
    product, sums = width * np.sqrt(width), 8 * (width + 5)
    least = product + (9 if name == "tanh" else sums)
    if exact > 0:  # a softmax of one feature is constant
        most = exact * (1 + gamma(int(10 * (product + sums))))
        # Each product is rounded upwards, by an ulp or two.
        assert exact * (1 + gamma(int(np.ceil(least)))) <= allowed <= most * (1 + 2.0**-49)
