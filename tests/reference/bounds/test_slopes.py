"""The largest slope of every activation: against closed forms, against the z that reach it, and where it is wrong."""

import dataclasses
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from reference import activations as act
from reference.bounds.slopes import largest_slope, visited_slope
from tests.helpers import ELEMENTWISE, ROWWISE


def gelu_slope():
    """Φ(z) + zφ(z) at z = √2, where gelu″ = φ(z)(2 − z²) is 0: (1 + erf 1)/2 + 1/(e√π)."""
    return (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi)


CLOSED = {
    "identity": 1.0, "relu": 1.0, "relu6": 1.0, "leaky_relu": 1.0, "rrelu": 1.0, "elu": 1.0, "celu": 1.0,
    "selu": 1.7580993408473768, "gelu": gelu_slope(), "sigmoid": 1 / 4, "logsigmoid": 1.0, "hardsigmoid": 1 / 6,
    "hardswish": 1.5, "softplus": 1.0, "softsign": 1.0, "tanh": 1.0, "tanhshrink": 1.0,
    "hardtanh": 1.0, "hardshrink": 1.0, "softshrink": 1.0, "threshold": 1.0, "square": math.inf,
}  # fmt: skip
"""Where a′ is monotone or straight, its limit or its value at the kink; else at the root of a″."""
DEFINED = {
    "gelu": (lambda z: z * mpmath.ncdf(z), 1.4),
    "gelu_tanh": (lambda z: z / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (z + GELU_CUBIC * z**3))), 1.4),
    "mish": (lambda z: z * mpmath.tanh(mpmath.log(1 + mpmath.exp(z))), 1.5),
    "silu": (lambda z: z / (1 + mpmath.exp(-z)), 2.4),
}
"""The function as its paper defines it, and about where its slope is largest."""
GELU_CUBIC = mpmath.mpf("0.044715")


def test_every_elementwise_row_has_an_expectation():
    assert sorted(CLOSED | DEFINED) == list(ELEMENTWISE)


@pytest.mark.parametrize("name", CLOSED)
def test_the_largest_slope_is_the_closed_form(name):
    # Only gelu's is computed here, in some roundings; the others are exact or rounded once.
    slack = 4 * math.ulp(1) if name == "gelu" else 0
    assert largest_slope(name) == CLOSED[name] or abs(largest_slope(name) - CLOSED[name]) <= slack


@pytest.mark.parametrize("name", DEFINED)
def test_the_largest_slope_is_that_of_the_definition(name):
    """At the root of the second difference quotient, with 60 digits and no derivative formula of this package."""
    f, near = DEFINED[name]
    with mpmath.workdps(60):
        at = mpmath.findroot(lambda z: mpmath.diff(f, z, 2), near, tol=1e-40)
        expected = float(mpmath.diff(f, at))
    assert largest_slope(name) == expected


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "square"])
def test_a_slope_is_found_that_is_as_large(name):
    """The supremum is not overestimated: points come within a millionth of it (gently so at infinity)."""
    z = np.concatenate([np.linspace(-20, 20, 400_001), np.nextafter(ref.ACTIVATIONS[name].all_breaks, -np.inf)])
    assert np.max(np.abs(ref.ACTIVATIONS[name].derivative(z))) >= largest_slope(name) * (1 - 1e-6)


@given(st.sampled_from(ELEMENTWISE), st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_no_slope_is_larger(name, z):
    """But for the rounding of a′ itself: within 4 ulps of it (benchmarks/exactness/accuracy.py)."""
    with np.errstate(over="ignore"):
        found = visited_slope(name, np.array([z]))
    assert found <= largest_slope(name) * (1 + 8 * 2.0**-53)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (act.leaky_relu(-3.0), 3.0),
        (act.elu(2.0), 2.0),
        (act.celu(0.3), 1.0),
        (act.softplus(beta=2.0), 1.0),
        (act.softplus(threshold=math.inf), 1.0),
        (act.hardshrink(0.0), 1.0),
        (act.threshold(-0.5, 0.25), 1.0),
    ],
)
def test_rows_with_parameters_of_their_own(row, expected):
    assert largest_slope(row) == expected


def bump(height, at):
    """a′ = 1 + height·e^−(1000(z − at))²: a narrow bump where no grid of this file looks."""

    def near(z):
        w = 1000 * (z - at)
        return w, height * np.exp(-(w * w))

    return dataclasses.replace(
        ref.ACTIVATIONS["identity"],
        name="bump",
        derivative=lambda z: 1 + near(z)[1],
        second_derivative=lambda z: -2000 * near(z)[0] * near(z)[1],
    )


def test_a_narrow_bump_is_not_missed():
    """What a search on a grid would miss: the cover has no gaps."""
    at = 123.456
    assert largest_slope(bump(0.5, at)) == 1.5
    assert np.max(bump(0.5, at).derivative(np.linspace(-200, 200, 20_001))) < 1.01


def test_a_second_derivative_that_says_too_little_is_caught():
    """The mean value form alone would believe it; the points then show more than the bound."""
    honest = ref.ACTIVATIONS["sigmoid"]
    flat = dataclasses.replace(honest, second_derivative=honest.second_derivative)
    object.__setattr__(flat, "second_derivative", lambda z: z * 0)
    assert largest_slope(flat) == 0.25  # a point of the cover is 0, the maximum: found all the same
    shifted = dataclasses.replace(ref.ACTIVATIONS["gelu"])
    object.__setattr__(shifted, "second_derivative", lambda z: z * 0)
    assert largest_slope(shifted) < largest_slope("gelu")


# ── along a row ──────────────────────────────────────────────────────────────────────────────────────


@given(st.sampled_from(ROWWISE), st.integers(1, 6), st.integers(0, 2**32), st.sampled_from([0.1, 1.0, 10.0]))
def test_no_jacobian_is_larger(name, width, seed, size):
    z = size * np.random.default_rng(seed).normal(size=(5, 2 * width))
    # A product with J and LAPACK's norm of it are within some 100 roundings an entry at these widths.
    assert visited_slope(name, z) <= largest_slope(name, width=2 * width) * (1 + 2.0**-44)


@pytest.mark.parametrize(
    ("name", "z"),
    [("softmax", [0.0, 0.0, -800.0]), ("softmin", [0.0, 0.0, 800.0]), ("log_softmax", [0.0, -800.0, -800.0])],
)
def test_the_row_wise_bound_is_reached(name, z):
    assert visited_slope(name, np.array([z])) >= largest_slope(name, width=3) * (1 - 2.0**-44)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_a_row_of_one_feature_is_constant(name):
    assert largest_slope(name, width=1) == 0
    assert visited_slope(name, np.array([[3.0], [-1.0]])) == 0


def test_a_gate_has_no_largest_slope():
    assert largest_slope("glu", width=4) == math.inf
    assert visited_slope("glu", np.array([[8.0, 0.0]])) == pytest.approx(math.hypot(0.5, 2.0), rel=2.0**-48)


def test_an_unknown_row_wise_activation_is_refused():
    row = dataclasses.replace(ref.ACTIVATIONS["softmax"], name="sparsemax")
    with pytest.raises(ValueError, match="no bound is known of the row-wise activation 'sparsemax'"):
        largest_slope(row)
