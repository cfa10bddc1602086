"""The scripts of the lessons on polynomials and on lost information: what they compute, and what refutes them."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from benchmarks.claims import information_loss, polynomial
from tests.benchmarks.claims.test_linear_collapse import SMALLEST, measured
from tests.helpers import integers

# ── polynomials ──────────────────────────────────────────────────────────────────────────────────────


def network(weight, bias, out, constant, name):
    hidden = ref.Layer(np.array(weight, float)[:, None], np.array(bias, float), name)
    return ref.MLP((hidden, ref.Layer(np.array([out], float), np.array([constant], float), "identity")))


def by_boole(mlp):
    """∫₋₁¹ (|x| − f(x))² dx by Boole's rule, exact to the fifth degree, between every place where a formula changes."""
    hidden, last = mlp.layers
    units = [
        tuple(map(Fraction, unit))
        for unit in zip(hidden.weight[:, 0].tolist(), hidden.bias.tolist(), last.weight[0].tolist(), strict=True)
    ]

    def squared(x):
        y = Fraction(float(last.bias[0]))
        for w, b, c in units:
            z = w * x + b
            y += c * (z * z if hidden.activation.name == "square" else max(z, Fraction(0)))
        return (abs(x) - y) ** 2

    inside = {-b / w for w, b, _ in units if w and abs(b / w) < 1}
    total = Fraction(0)
    for low, high in pairwise(sorted({Fraction(-1), Fraction(0), Fraction(1)} | inside)):
        at = [squared(low + (high - low) * k / 4) for k in range(5)]
        total += (high - low) * sum(a * f for a, f in zip((7, 32, 12, 32, 7), at, strict=True)) / 90
    return total


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["square", "relu"]))
def test_the_distance_from_the_absolute_value_is_exact(seed, name):
    rng = np.random.default_rng(seed)
    units = int(rng.integers(1, 6))
    weight, bias, out = (integers(rng, units, size=4) / 2 for _ in range(3))
    mlp = network(weight, bias, out, integers(rng, 1)[0], name)
    assert polynomial.distance_squared(mlp) == by_boole(mlp)


def test_distances_that_are_known():
    assert polynomial.distance_squared(network([1, -1], [0, 0], [1, 1], 0, "relu")) == 0
    assert polynomial.distance_squared(network([1], [0], [0], 0, "relu")) == Fraction(2, 3)
    nearest = network([1], [0], [15 / 16], 3 / 16, "square")
    assert polynomial.distance_squared(nearest) == polynomial.DISTANCE_SQUARED == Fraction(1, 96)


def test_the_nearest_quadratic_leaves_no_quadratic():
    """The residual |x| − 3/16 − 15/16·x² is orthogonal to 1, x and x², so no quadratic is nearer."""
    for power in range(3):
        of_absolute = Fraction(2, power + 2) if power % 2 == 0 else Fraction(0)
        of_powers = [Fraction(2, power + k + 1) if (power + k) % 2 == 0 else Fraction(0) for k in (0, 2)]
        assert of_absolute == Fraction(3, 16) * of_powers[0] + Fraction(15, 16) * of_powers[1]


@given(seed=st.integers(0, 2**32 - 1))
def test_no_square_network_is_nearer_than_the_quadratics(seed):
    rng = np.random.default_rng(seed)
    mlp = network(*rng.normal(size=(3, 4)), rng.normal(), "square")
    assert polynomial.distance_squared(mlp) > polynomial.DISTANCE_SQUARED


@pytest.mark.parametrize("width", [2, 5, 40])
def test_the_fit_finds_the_nearest_quadratic(width):
    """Its normal equations are solved to rounding; the excess is of second order in that."""
    excess = polynomial.distance_squared(polynomial.fitted("square", width, 0)) - polynomial.DISTANCE_SQUARED
    assert 0 <= excess < Fraction(1, 2**53)


def test_the_gradients_follow_their_laws():
    found = measured(polynomial)
    assert found.holds
    square, relu = (polynomial.of(found.rows, "gradient", name) for name in ("square", "relu"))
    assert [row["law"] for row in square] == [2, 4, 8]
    assert [row["law"] for row in relu] == [1, 1, 1]
    assert all(row["exact"] for row in square + relu)


def test_the_depths_end_where_the_type_does():
    rows = polynomial.gradient_rows(range(1, 14), seed=0)
    depths = [row["size"] for row in polynomial.of(rows, "gradient", "square")]
    assert depths == list(range(1, len(depths) + 1))
    assert 6 < len(depths) < 11  # 2^(2·2¹¹) is no float64
    assert len(polynomial.of(rows, "gradient", "tanh")) == 13


@pytest.mark.parametrize(("name", "instead"), [("square", "relu"), ("relu", "square"), ("tanh", "square")])
def test_gradients_of_another_activation_refute(name, instead, monkeypatch):
    honest = polynomial.first_gradient
    swapped = lambda given, *rest: honest(instead if given == name else given, *rest)  # noqa: E731
    monkeypatch.setattr(polynomial, "first_gradient", swapped)
    assert not measured(polynomial).holds


def test_gradients_that_are_off_in_their_last_bit_refute(monkeypatch):
    honest = polynomial.first_gradient

    def off(name, depth, size, seed):
        weight = honest(name, depth, size, seed)
        return np.nextafter(weight, np.inf) if size == 1 else weight

    monkeypatch.setattr(polynomial, "first_gradient", off)
    assert not measured(polynomial).holds


@pytest.mark.parametrize(("name", "instead"), [("square", "relu"), ("relu", "square")])
def test_a_fit_with_another_activation_refutes(name, instead, monkeypatch):
    honest = polynomial.fitted
    monkeypatch.setattr(polynomial, "fitted", lambda given, *rest: honest(instead if given == name else given, *rest))
    assert not measured(polynomial).holds


# ── information ──────────────────────────────────────────────────────────────────────────────────────


def test_the_spiral_is_spread_evenly_around_its_centre():
    x = information_loss.spiral()
    assert np.max(np.hypot(*x.T)) <= 1 + 2**-52
    assert np.all(np.any(x != 0, axis=1))
    ahead = np.array([[1.0, 0.25], [0.25, -1.0]])  # two right angles, none of whose sides meets a point
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        assert np.sum(np.all(x @ ahead.T * signs > 0, axis=1)) == information_loss.POINTS / 4


@given(seed=st.integers(0, 2**32 - 1), dimensions=st.integers(2, 6))
def test_a_point_is_lost_where_others_have_the_same_image(seed, dimensions):
    """In integers: a lost point may move along the side of its active unit; a kept one is the only solution."""
    rng = np.random.default_rng(seed)
    weight, point = rng.integers(-9, 10, (dimensions, 2)), rng.integers(-9, 10, 2) * 1000
    z = weight @ point
    if np.any(z == 0) or np.any(np.all(weight == 0, axis=1)):
        return
    active = weight[z > 0]
    gone = information_loss.lost(np.maximum(z, 0)[None]) == 1
    if len(active) < 2:
        side = np.array([-active[0, 1], active[0, 0]]) if len(active) else np.array([1, 0])
        assert gone
        assert np.array_equal(np.maximum(weight @ (point + side), 0), np.maximum(z, 0))
    else:
        assert not gone
        if any(a[0] * b[1] != a[1] * b[0] for a in active for b in active):
            assert np.linalg.matrix_rank(active) == 2


def test_scaling_finds_the_nearest_multiple():
    x = information_loss.spiral()
    assert information_loss.relative_error(information_loss.scaled(x / 4, x), x) == 0
    assert information_loss.relative_error(information_loss.scaled(0 * x, x), x) == 1


def test_the_spirals_rows():
    found = [information_loss.embedding_row(n, 60, seed=0) for n in (2, 3, 5, 9)]
    assert [row["expected"] for row in found] == [0.75, 0.5, 6 / 32, 10 / 512]
    assert all(row["linear"] < 1e-9 < row["smallest"] for row in found)


@pytest.fixture
def no_training(monkeypatch):
    """Losses as the claim wants them, which differ by seed."""
    losses = {information_loss.RULE: 0.5, information_loss.EVERYWHERE: 1.0, information_loss.NOWHERE: 0.8}
    monkeypatch.setattr(
        information_loss, "trained", lambda widths, name, seed, steps: (losses[name] + seed % 3 / 100, 0.9)
    )
    return losses


def test_a_rule_that_gains_nothing_refutes(no_training):
    assert measured(information_loss).holds
    for other in (information_loss.EVERYWHERE, information_loss.NOWHERE):
        kept, no_training[other] = no_training[other], 0.5
        assert not measured(information_loss).holds
        no_training[other] = kept


def test_a_gain_within_its_error_refutes(no_training, monkeypatch):
    noisy = np.random.default_rng(0)
    honest = information_loss.trained
    monkeypatch.setattr(information_loss, "trained", lambda *given: (honest(*given)[0] + 3 * noisy.normal(), 0.9))
    assert not measured(information_loss).holds


@pytest.mark.parametrize("spoil", [lambda share: share * 0, lambda share: min(1.0, share + 0.3)])
def test_another_share_of_lost_points_refutes(spoil, no_training, monkeypatch):
    honest = information_loss.lost
    monkeypatch.setattr(information_loss, "lost", lambda h: spoil(honest(h)))
    assert not measured(information_loss).holds


def test_an_error_that_does_not_fall_refutes(no_training, monkeypatch):
    monkeypatch.setattr(information_loss, "scaled", lambda back, x: 0 * x)
    assert not measured(information_loss).holds


def test_losing_without_relu_refutes(no_training, monkeypatch):
    honest = information_loss.through
    monkeypatch.setattr(information_loss, "through", lambda x, n, name, seed: honest(x, n, "relu", seed))
    assert not measured(information_loss).holds


def test_the_rule_is_trained_from_the_same_weights_as_the_others():
    widths = [64, 8, 2, 8, 10]
    rows = {name: assign(widths) for name, assign in information_loss.ASSIGNMENTS.items()}
    named = {name: [ref.activations.get(row).name for row in given] for name, given in rows.items()}
    assert named == {
        information_loss.RULE: ["identity", "identity", "relu6", "identity"],
        information_loss.EVERYWHERE: ["relu6", "relu6", "relu6", "identity"],
        information_loss.NOWHERE: ["identity"] * 4,
    }
    assert SMALLEST[information_loss]["bottlenecks"] == (2,)
