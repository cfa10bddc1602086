"""Layers and networks: how they are made, what they hold, and that they are frozen."""

from __future__ import annotations

import re

import numpy as np
import pytest

import reference as ref
from tests.helpers import assert_same


def test_a_name_becomes_its_row():
    layer = ref.Layer(np.ones((2, 3)), None, "tanh")
    assert layer.activation is ref.ACTIVATIONS["tanh"]
    assert (layer.fan_in, layer.width) == (3, 2)


def test_lists_become_arrays():
    layer = ref.Layer([[1.0, 2.0]], [0.5], "identity")
    assert_same(layer.weight, np.array([[1.0, 2.0]]))
    assert_same(layer.bias, np.array([0.5]))
    assert isinstance(ref.MLP([layer]).layers, tuple)


def test_parameters_counts_weights_and_biases():
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0, bias=[True, False])
    assert mlp.parameters == 4 * 3 + 4 + 2 * 4


@pytest.mark.parametrize(
    "record",
    [
        ref.initialize([2, 1], ["tanh"], seed=0),
        ref.initialize([2, 1], ["tanh"], seed=0).layers[0],
        ref.forward(ref.initialize([2, 1], ["tanh"], seed=0), np.ones((1, 2))),
        ref.LayerGradients(np.ones((1, 1)), None),
        ref.Gradients((), np.ones((1, 1))),
    ],
    ids=lambda record: type(record).__name__,
)
def test_records_are_frozen(record):
    name = next(iter(record.__dataclass_fields__))
    with pytest.raises(AttributeError):
        setattr(record, name, None)


def test_a_place_that_is_wanted_and_is_not_there_is_refused():
    """None for every gradient would look like an answer."""
    mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=0, bias=[True, False])
    trace = ref.forward(mlp, np.ones((4, 2)))
    assert ref.backward(mlp, trace, np.ones((4, 1)), ["layers[1].weight"]).leaves().keys() == {"layers[1].weight"}
    for unknown, meant in (("layers[1].wieght", "layers[1].weight"), ("layers[1].bias", "layers[0].bias")):
        with pytest.raises(ValueError, match=re.escape(f"no place '{unknown}', is {meant} meant?; it has layers[0]")):
            ref.backward(mlp, trace, np.ones((4, 1)), [unknown])
