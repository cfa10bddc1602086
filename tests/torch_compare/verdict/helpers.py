"""The network that verdicts are tried on."""

import numpy as np

import reference as ref


def tanh_problem(dtype=np.float64, seed=0):
    """8-16-16-4 with a batch of 8: BASELINES' network."""
    rng = np.random.default_rng(seed)
    mlp = ref.initialize([8, 16, 16, 4], ["tanh", "tanh", "identity"], seed=seed, dtype=dtype)
    return ref.Problem(mlp, rng.normal(size=(8, 8)).astype(dtype), rng.normal(size=(8, 4)).astype(dtype), "mse")
