"""Mistakes in the forward pass: they make the loss wrong, too, and each says that the forward pass differs."""

import numpy as np

import reference as ref
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.mistakes.forward import DEEPEST, SAID, forward_mistakes
from torch_compare.mistakes.mistake import leaves_with

PROBLEM = network([4, 4, 4, 3], ["tanh", "relu", "identity"])


def test_every_one_changes_the_loss_and_says_what_differs():
    right, found = leaves_of(PROBLEM), list(forward_mistakes(PROBLEM))
    assert len({m.key for m in found}) == len(found) > 30
    for mistake in found:
        made = leaves_with((mistake,), PROBLEM)
        assert mistake.what.startswith(SAID)
        assert made.keys() == right.keys()
        assert made["loss"] != right["loss"], mistake.key


def test_no_bias_is_the_same_as_a_bias_of_zeros():
    (mistake,) = (m for m in forward_mistakes(PROBLEM) if "no bias" in m.what and m.where == "layers[1]")
    layers = tuple(
        ref.Layer(l.weight, 0 * l.bias if i == 1 else l.bias, l.activation) for i, l in enumerate(PROBLEM.mlp.layers)
    )
    theirs = leaves_of(PROBLEM.replace(network=ref.MLP(layers)))
    for place, leaf in leaves_with((mistake,), PROBLEM).items():
        assert np.array_equal(leaf, theirs[place]), place


def test_a_transposed_weight_is_so_in_both_passes_or_in_the_forward_pass_alone():
    both, forward = (m for m in forward_mistakes(PROBLEM) if "transposed" in m.what and m.where == "layers[1]")
    assert (both.what, forward.what) == (
        f"{SAID}, and the backward pass too: x·W for x·Wᵀ, the weight transposed",
        f"{SAID}, though not the backward pass: x·W for x·Wᵀ, the weight transposed",
    )
    one, other = (leaves_with((m,), PROBLEM) for m in (both, forward))
    assert one["loss"] == other["loss"]
    assert np.array_equal(one["layers[1].weight"], other["layers[1].weight"])
    assert not np.allclose(one["input"], other["input"])


def test_of_a_deep_network_all_layers_are_tried_at_once_alone():
    deep = network([3] * (DEEPEST + 2), ["tanh"] * (DEEPEST + 1))
    assert not any(m.where.startswith("layers[") for m in forward_mistakes(deep))
    assert any("every layer" in m.where for m in forward_mistakes(deep))
