"""The tree of gradients: its leaves and their places."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference.network.gradients import is_parameter, kind_of, layer_of, place_of
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


@pytest.mark.parametrize(("place", "layer", "kind"), [
    ("layers[0].weight", 0, "weight"), ("layers[12].bias", 12, "bias"), ("layers[3]", 3, "layers[3]"),
    ("input", None, "input"), ("loss", None, "loss"), ("layers[-1].weight", None, "layers[-1].weight"),
    ("layers[1].weight ", None, "layers[1].weight "), ("xlayers[1].weight", None, "xlayers[1].weight"),
    ("layers[1].slope", None, "layers[1].slope"),
])  # fmt: skip
def test_a_place_is_read_as_it_is_made(place, layer, kind):
    assert layer_of(place) == layer
    assert kind_of(place) == kind
    assert is_parameter(place) == (kind in ("weight", "bias"))
    if layer is not None:
        assert place_of(layer, kind if kind != place else "") == place


@pytest.mark.parametrize("missing", [(), ("layers[0].bias",), ("input", "loss"), ("layers[10].bias", "loss")])
def test_a_tree_is_made_again_of_its_leaves_in_any_order(missing):
    """Eleven layers: their places, as text, are in another order than their numbers."""
    rng = np.random.default_rng(0)
    layers = tuple(ref.LayerGradients(rng.normal(size=(2, 2)), rng.normal(size=2)) for _ in range(11))
    leaves = ref.Gradients(layers, rng.normal(size=(3, 2)), np.float64(0.5)).leaves()
    kept = {place: leaves[place] for place in sorted(leaves) if place not in missing}
    made = ref.Gradients.from_leaves(kept)
    assert list(made.leaves()) == [place for place in leaves if place not in missing]
    for place, leaf in made.leaves().items():
        assert leaf is kept[place]
