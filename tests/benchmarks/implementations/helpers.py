"""A problem that the tests of other implementations share."""

import numpy as np

import reference as ref


def with_row(name, seed=0):
    """A network with an activation whose units lie on both sides of its kinks, and on none of them."""
    rng = np.random.default_rng(seed)
    row = ref.ACTIVATIONS[name]
    layers = (
        ref.Layer(rng.normal(size=(6, 3)), rng.normal(size=6), row),
        ref.Layer(rng.normal(size=(4, 6 // row.shrink)), None, "sigmoid"),
    )
    return ref.Problem(ref.MLP(layers), 2 * rng.normal(size=(5, 3)), rng.random((5, 4)), "mse")
