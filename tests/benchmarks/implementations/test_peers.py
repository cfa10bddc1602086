"""Activations and networks through torch and JAX: they are the functions of our table."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.implementations import peers
from tests.helpers import DTYPES, ELEMENTWISE


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_gives_value_and_two_derivatives_of_every_row(name, dtype):
    z = np.array([-1.75, -0.625, 0.375, 1.25], dtype)
    for given, expected in zip(peers.by_torch(name, z), peers.ours(name, z), strict=True):
        if given is None:
            assert name == "hardsigmoid"
            continue
        assert given.dtype == dtype
        # Formulas are compared here, not digits; torch holds the sixth of hardsigmoid in float32.
        step = np.finfo(np.float32 if name == "hardsigmoid" else dtype).eps
        assert np.max(np.abs(given - expected)) <= 64 * step


@pytest.mark.parametrize("name", sorted(peers.jax_activations()))
def test_jax_gives_value_and_two_derivatives_of_the_rows_that_it_has(name):
    z = np.array([-1.75, -0.625, 0.375, 1.25])
    for given, expected in zip(peers.by_jax(name, z), peers.ours(name, z), strict=True):
        assert given.dtype == np.float64
        assert np.max(np.abs(given - expected)) <= 64 * np.finfo(float).eps


def test_jax_has_no_function_of_a_name_that_it_does_not_know():
    assert peers.by_jax("threshold", np.ones(1)) is None


def test_jax_differentiates_a_network_as_we_do():
    rng = np.random.default_rng(0)
    mlp = ref.initialize([3, 4, 2], ["tanh", "gelu"], seed=0)
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "half_squared_error", "sum")
    given = peers.jax_gradients(problem)
    assert tc.check(problem, given).agrees
    assert not tc.check(problem.replace(x=problem.x + 1e-6), given, diagnose=False).agrees
