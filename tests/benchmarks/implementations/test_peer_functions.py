"""The activations in customary formulas: all of the table, over every library, and a library's own before ours."""

import dataclasses

import numpy as np
import pytest

import reference as ref
from benchmarks.implementations.correct_gradients import library
from benchmarks.implementations.peer_functions import ACTIVATIONS, log_softmax, softplus

Z = np.array([[-1.75, -0.625, 0.375, 1.25], [0.0625, 2.5, -3.5, 0.75]])
"""On both sides of every kink, and where no formula cancels: formulas are compared here, not digits."""


def test_every_activation_of_the_table_has_a_formula():
    assert set(ACTIVATIONS) == set(ref.ACTIVATIONS)


@pytest.mark.parametrize("peer", ["JAX", "autograd"])
@pytest.mark.parametrize("name", sorted(ref.ACTIVATIONS))
def test_it_is_the_function_of_the_table(name, peer):
    row = ref.ACTIVATIONS[name]
    given = np.asarray(library(peer).activate(row, Z))
    np.testing.assert_allclose(given, row.value(Z), rtol=64 * np.finfo(float).eps, atol=64 * np.finfo(float).eps)


@pytest.mark.parametrize(
    "row",
    [
        ref.activations.leaky_relu(0.25), ref.activations.elu(2.5), ref.activations.celu(0.375),
        ref.activations.softplus(2.5, 4.0), ref.activations.hardtanh(-2.0, 0.5), ref.activations.hardshrink(1.0),
        ref.activations.softshrink(1.5), ref.activations.threshold(-1.0, 2.0), ref.activations.rrelu(0.25, 0.75),
    ],
    ids=lambda row: row.name,
)  # fmt: skip
@pytest.mark.parametrize("peer", ["JAX", "autograd"])
def test_it_takes_the_rows_parameters(row, peer):
    given = np.asarray(library(peer).activate(row, Z))
    np.testing.assert_allclose(given, row.value(Z), rtol=64 * np.finfo(float).eps)
    assert np.any(given != ref.ACTIVATIONS[row.name].value(Z))


def test_a_librarys_own_function_comes_before_the_formula():
    lib = dataclasses.replace(library("autograd"), own={"tanh": lambda z: z + 1})
    np.testing.assert_array_equal(lib.activate(ref.ACTIVATIONS["tanh"], Z), Z + 1)
    np.testing.assert_array_equal(lib.activate(ref.ACTIVATIONS["square"], Z), Z * Z)


@pytest.mark.parametrize("peer", ["JAX", "autograd"])
def test_far_out_nothing_overflows(peer):
    lib, far = library(peer), np.array([[-800.0, 800.0]])
    np.testing.assert_array_equal(softplus(lib, far), [[0.0, 800.0]])
    np.testing.assert_array_equal(log_softmax(lib, far), [[-1600.0, 0.0]])
