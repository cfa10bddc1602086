"""The script on polynomials at its smallest: what it computes is exact, and what refutes it."""

from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from benchmarks.claims import polynomial
from tests.benchmarks.helpers import PNG, run_script
from tests.helpers import integers

SMALLEST = {"depths": (1, 2, 3), "widths": (1, 2, 16), "networks": 3}


def measured():
    return polynomial.measure(quick=True, seed=0, **SMALLEST)


def test_the_script_shows_its_claim_and_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(polynomial, "measure", partial(polynomial.measure, **SMALLEST))
    ran = run_script(monkeypatch, tmp_path, "polynomial", "--quick")
    assert ran.report.holds
    assert ran.status == 0
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
    assert [word in polynomial.__doc__ for word in ("Claim:", "Measured:", "Refuted by:")] == [True] * 3


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
    found = measured()
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
    assert not measured().holds


def test_gradients_that_are_off_in_their_last_bit_refute(monkeypatch):
    honest = polynomial.first_gradient

    def off(name, depth, size, seed):
        weight = honest(name, depth, size, seed)
        return np.nextafter(weight, np.inf) if size == 1 else weight

    monkeypatch.setattr(polynomial, "first_gradient", off)
    assert not measured().holds


@pytest.mark.parametrize(("name", "instead"), [("square", "relu"), ("relu", "square")])
def test_a_fit_with_another_activation_refutes(name, instead, monkeypatch):
    honest = polynomial.fitted
    monkeypatch.setattr(polynomial, "fitted", lambda given, *rest: honest(instead if given == name else given, *rest))
    assert not measured().holds
