"""The small problem that sources are held against each other on."""

import numpy as np

import reference as ref
from torch_compare.random_problems.spec import Spec

SPEC = Spec(widths=(3, 4, 2), activations=("tanh", "identity"), loss="mse", batch=5, seed=1)


def small_problem(activation="tanh", dtype=np.float64):
    rng = np.random.default_rng(7)
    mlp = ref.initialize([3, 4, 2], [activation, "identity"], seed=7, dtype=dtype)
    return ref.Problem(mlp, rng.normal(size=(2, 3)).astype(dtype), rng.normal(size=(2, 2)).astype(dtype), "mse")


def undecidable():
    """relu of tanh(x) − tanh(x): exactly 0, which no ball can tell from a small number."""
    layers = (
        ref.Layer(np.array([[1.0], [1.0]]), None, "tanh"),
        ref.Layer(np.array([[1.0, -1.0]]), None, "relu"),
        ref.Layer(np.array([[2.0]]), None, "identity"),
    )
    return ref.Problem(ref.MLP(layers), np.array([[0.3]]), np.array([[1.0]]), "mse")
