"""Activations and networks through torch and JAX: they are the functions of our table."""

import numpy as np
import pytest

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
