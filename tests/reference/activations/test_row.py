"""A row that contradicts itself cannot be made: each planted fault raises ValueError, the right row passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
from reference.activations.row import AGREE, PROBES
from tests.helpers import ELEMENTWISE, ROWWISE

FAULT = 1.001
"""A derivative that is wrong by one part in a thousand."""

CURVED = tuple(n for n in ELEMENTWISE if np.any(ref.ACTIVATIONS[n].second_derivative(np.array(PROBES))))
KINKED = tuple(n for n in ELEMENTWISE if ref.ACTIVATIONS[n].kinks)


@pytest.mark.parametrize("name", ref.ACTIVATIONS)
def test_a_right_row_can_be_made_again(name):
    row = ref.ACTIVATIONS[name]
    assert replace(row) == row


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_wrong_derivative_cannot_be_made(name):
    row = ref.ACTIVATIONS[name]
    if name == "threshold":
        # Its slope at the probe points is 0 or 1, and 0 stays 0: one point must have the slope 1.
        assert np.any(row.derivative(np.array(PROBES)))
    with pytest.raises(ValueError, match=f"'{name}': derivative"):
        replace(row, derivative=lambda z: row.derivative(z) * FAULT)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_derivative_of_the_wrong_sign_cannot_be_made(name):
    row = ref.ACTIVATIONS[name]
    with pytest.raises(ValueError, match=f"'{name}': derivative"):
        replace(row, derivative=lambda z: -row.derivative(z))


@pytest.mark.parametrize("name", CURVED)
def test_a_wrong_second_derivative_cannot_be_made(name):
    row = ref.ACTIVATIONS[name]
    with pytest.raises(ValueError, match=f"'{name}': second_derivative"):
        replace(row, second_derivative=lambda z: row.second_derivative(z) * FAULT)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n not in CURVED])
def test_a_curvature_on_a_straight_row_cannot_be_made(name):
    row = ref.ACTIVATIONS[name]
    with pytest.raises(ValueError, match=f"'{name}': second_derivative"):
        replace(row, second_derivative=lambda z: row.second_derivative(z) + (FAULT - 1))


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("which", ["derivative", "left", "right", "at"])
def test_a_wrong_kink_cannot_be_made(name, which):
    row = ref.ACTIVATIONS[name]
    for index, kink in enumerate(row.kinks):
        wrong = replace(kink, **{which: getattr(kink, which) + 0.125})
        with pytest.raises(ValueError, match=f"'{name}': (derivative at the kink|slopes beside the kink)"):
            replace(row, kinks=(*row.kinks[:index], wrong, *row.kinks[index + 1 :]))


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_left_out_is_noticed_by_the_tests_of_one_sided_slopes(name):
    row = ref.ACTIVATIONS[name]
    for kink in row.kinks:
        beside = row.derivative(np.array([np.nextafter(kink.at, -np.inf), np.nextafter(kink.at, np.inf)]))
        assert abs(beside[1] - beside[0]) > AGREE, "the derivative does not jump here: no kink"


@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("which", ["vjp", "jvp"])
def test_a_wrong_rowwise_product_cannot_be_made(name, which):
    row = ref.ACTIVATIONS[name]
    right = getattr(row, which)
    with pytest.raises(ValueError, match=f"'{name}': {which}"):
        replace(row, **{which: lambda z, v: right(z, v) * FAULT})


def test_softmax_with_its_jacobian_taken_as_diagonal_cannot_be_made():
    row = ref.ACTIVATIONS["softmax"]

    def diagonal(z, d_y):
        y = row.value(z)
        return d_y * y * (1 - y)

    with pytest.raises(ValueError, match="'softmax': vjp"):
        replace(row, vjp=diagonal)


@pytest.mark.parametrize(
    "stated",
    [
        {"derivative": None},
        {"second_derivative": None},
        {"derivative": None, "second_derivative": None},
        {"vjp": lambda z, v: v, "jvp": lambda z, v: v},
    ],
)
def test_a_row_states_one_kind_of_derivative(stated):
    with pytest.raises(ValueError, match="'tanh': state derivative and second_derivative, or vjp and jvp"):
        replace(ref.ACTIVATIONS["tanh"], **stated)


@pytest.mark.parametrize("row", [ref.ACTIVATIONS["tanh"], ref.LOSSES["mse"], ref.ACTIVATIONS["relu"].kinks[0]])
def test_rows_are_frozen(row):
    with pytest.raises(AttributeError, match="cannot assign"):
        row.name = "another"


@pytest.mark.parametrize("name", ref.ACTIVATIONS)
def test_every_row_cites_its_formula_and_source(name):
    row = ref.ACTIVATIONS[name]
    assert row.name == name
    assert row.formula
    assert row.source


@pytest.mark.parametrize("size", [1e-8, 1e8, 1e30])
def test_a_right_row_can_be_made_with_numbers_of_any_size(size):
    """AGREE is relative to the derivative where that is large, and absolute where it is small."""
    row = ref.activations.elu(alpha=size / 7)
    with pytest.raises(ValueError, match="'elu': derivative"):
        replace(row, derivative=lambda z: row.derivative(z) * FAULT + (size < 1))


def test_an_error_far_below_one_is_a_rounding_even_where_the_derivative_is_small():
    row = ref.activations.elu(alpha=1e-8)
    assert replace(row, derivative=lambda z: row.derivative(z) + 2.0**-40)
    with pytest.raises(ValueError, match="'elu': derivative"):
        replace(row, derivative=lambda z: row.derivative(z) + 2.0**-31)
