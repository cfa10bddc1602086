"""The exact count of linear pieces, against the network evaluated in fractions and against known networks."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from benchmarks.claims.line_pieces import breakpoints, random_network, sawtooth, segments, whole
from tests.helpers import exact_mlp

ROWS = {
    "identity": lambda z: z,
    "relu": lambda z: max(z, Fraction(0)),
    "relu6": lambda z: min(max(z, Fraction(0)), Fraction(6)),
    "hardtanh": lambda z: min(max(z, Fraction(-1)), Fraction(1)),
    "leaky_relu": lambda z: z if z > 0 else z * Fraction(0.01),
}
LINE = np.zeros(1), np.ones(1)


def exactly(mlp, x, direction, t):
    """The output at x + t·direction, unit by unit in fractions."""
    h = [Fraction(a) + t * Fraction(b) for a, b in zip(x.tolist(), direction.tolist(), strict=True)]
    for layer in mlp.layers:
        bias = [0.0] * len(layer.weight) if layer.bias is None else layer.bias.tolist()
        z = [
            sum((Fraction(w) * y for w, y in zip(row, h, strict=True)), Fraction(b))
            for row, b in zip(layer.weight.tolist(), bias, strict=True)
        ]
        h = [ROWS[layer.activation.name](v) for v in z]
    return h


def assert_pieces(mlp, x, direction, found, rng):
    """Straight between neighbouring breakpoints, at random points too; bent at each of them."""

    def f(t):
        return exactly(mlp, x, direction, t)

    edges = [found[0] - 8, *found, found[-1] + 8] if found else [Fraction(-8), Fraction(8)]
    slopes = []
    for low, high in pairwise(edges):
        slope = [(b - a) / (high - low) for a, b in zip(f(low), f(high), strict=True)]
        for share in (Fraction(1, 2**30), 1 - Fraction(1, 2**30), *(Fraction(s) for s in rng.random(4).tolist())):
            t = low + share * (high - low)
            assert f(t) == [a + s * (t - low) for a, s in zip(f(low), slope, strict=True)]
        slopes.append(slope)
    assert all(left != right for left, right in pairwise(slopes))


@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 4), whole_numbers=st.booleans())
def test_the_pieces_are_those_of_the_network(seed, depth, whole_numbers):
    """Integers make units cross kinks together and stay on them; normal numbers never do."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 5, depth + 1).tolist()
    names = rng.choice(list(ROWS), depth).tolist()
    if whole_numbers:
        mlp = exact_mlp(rng, widths, names, bias=bool(rng.random() < 0.7))
        x, direction = rng.integers(-2, 3, (2, widths[0])).astype(float)
    else:
        layers = (ref.Layer(rng.normal(size=(o, i)), rng.normal(size=o), n)
                  for (i, o), n in zip(pairwise(widths), names, strict=True))  # fmt: skip
        mlp = ref.MLP(tuple(layers))
        x, direction = rng.normal(size=(2, widths[0]))
    assert_pieces(mlp, x, direction, breakpoints(mlp, x, direction), rng)


@pytest.mark.parametrize("wrong", [lambda t: t[:-1], lambda t: t[1:], lambda t: [*t, t[-1] + 1], lambda t: []])
def test_the_check_above_sees_a_wrong_list(wrong):
    rng = np.random.default_rng(0)
    mlp = random_network([3, 4, 4, 1], "relu", 0, 2.0)
    x, direction = rng.normal(size=(2, 3))
    found = breakpoints(mlp, x, direction)
    assert_pieces(mlp, x, direction, found, rng)
    with pytest.raises(AssertionError):
        assert_pieces(mlp, x, direction, wrong(found), rng)


@pytest.mark.parametrize(("folds", "depth"), [(2, 1), (2, 2), (2, 8), (3, 3), (4, 4), (8, 2)])
def test_a_sawtooth_has_folds_to_the_power_of_the_depth(folds, depth):
    found = breakpoints(sawtooth(depth, folds), *LINE, between=(0, 1))
    assert found == [Fraction(k, folds**depth) for k in range(1, folds**depth)]


@pytest.mark.parametrize(("folds", "depth"), [(2, 1), (2, 6), (4, 3)])
def test_a_sawtooth_goes_up_and_down(folds, depth):
    x = np.arange(folds**depth + 1)[:, None] / folds**depth
    y = ref.forward(sawtooth(depth, folds), x).output.ravel()
    np.testing.assert_array_equal(y, np.arange(len(x)) % 2)


@pytest.mark.parametrize("units", [1, 5, 20])
def test_one_hidden_layer_has_a_breakpoint_a_unit(units):
    x, direction = np.random.default_rng(units).normal(size=(2, 3))
    assert len(breakpoints(random_network([3, units, 1], "relu", 0, 1.0), x, direction)) == units


def test_units_that_cancel_or_coincide_make_no_piece_of_their_own():
    twice = ref.Layer(np.ones((2, 1)), np.zeros(2), "relu")
    cancelled = ref.MLP((twice, ref.Layer(np.array([[1.0, -1.0]]), None, "identity")))
    together = ref.MLP((twice, ref.Layer(np.array([[1.0, 1.0]]), None, "identity")))
    folded = ref.MLP((ref.Layer(np.array([[1.0], [-1.0]]), None, "relu"),
                      ref.Layer(np.array([[1.0, -1.0]]), None, "identity")))  # fmt: skip
    assert breakpoints(cancelled, *LINE) == []
    assert breakpoints(together, *LINE) == [0]
    assert breakpoints(folded, *LINE) == []  # relu(x) − relu(−x) is x


def test_a_part_of_the_line_has_its_breakpoints():
    mlp = random_network([2, 6, 6, 1], "hardtanh", 3, 3.0)
    x, direction = np.random.default_rng(3).normal(size=(2, 2))
    everywhere = breakpoints(mlp, x, direction)
    assert breakpoints(mlp, x, direction, between=(-1, 1)) == [t for t in everywhere if -1 < t < 1]
    assert breakpoints(mlp, x, direction, between=(everywhere[0], everywhere[-1])) == everywhere[1:-1]


def test_a_direction_that_does_not_move_meets_nothing():
    assert breakpoints(random_network([2, 5, 1], "relu", 0, 1.0), np.ones(2), np.zeros(2)) == []


def test_what_is_not_piecewise_linear_is_named():
    for name, text in (("tanh", "tanh is not"), ("softmax", "softmax is not"), ("hardshrink", "hardshrink jumps")):
        mlp = ref.initialize([1, 2, 2], activations=["relu", name], seed=0)
        with pytest.raises(ValueError, match=rf"layers\[1\]: {text}"):
            breakpoints(mlp, *LINE)


@pytest.mark.parametrize("name", list(ROWS))
def test_the_segments_are_the_function(name):
    straight = segments(ref.ACTIVATIONS[name])
    for z in map(Fraction, [-7.5, -1.0, -0.25, 0.0, 0.5, 1.0, 2.5, 6.0, 9.0]):
        which = sum(kink < z for kink in straight.kinks)
        assert straight.slopes[which] * z + straight.offsets[which] == ROWS[name](z)


def test_whole_numbers_are_the_floats():
    numbers, exponent = whole(np.array([0.375, -2.0, 0.0, 2.0**-60]))
    assert numbers.tolist() == [3 * 2**57, -(2**61), 0, 1]
    assert exponent == 60
