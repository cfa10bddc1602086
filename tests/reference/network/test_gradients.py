"""The tree of gradients: its leaves and their places."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from tests.helpers import assert_same, assert_same_gradients


def test_gradients_name_and_map_their_leaves():
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0, bias=[True, False])
    g = ref.gradients(ref.Problem(mlp, np.ones((1, 3)), np.ones((1, 2)), "mse"))
    assert list(g.leaves()) == ["layers[0].weight", "layers[0].bias", "layers[1].weight", "input", "loss"]
    assert_same(g["layers[0].bias"], g.layers[0].bias)
    with pytest.raises(KeyError, match=r"no place of these gradients; there are layers\[0\].weight"):
        g["layers[1].bias"]
    doubled = g.map(lambda leaf: 2 * leaf)
    assert_same(doubled.loss, 2 * g.loss)
    assert doubled.layers[1].bias is None
    assert_same_gradients(doubled, g.map(lambda p, q: p + q, g))
    without = ref.backward(mlp, ref.forward(mlp, np.ones((1, 3))), np.ones((1, 2)))
    assert without.loss is None
    assert without.map(lambda leaf: leaf).loss is None
