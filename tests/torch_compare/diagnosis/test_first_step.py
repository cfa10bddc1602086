"""The step at which wrong gradients first differ, from the output down."""

import pytest

from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.first_step import TELLS, first_step

PROBLEM = network([4, 5, 2], ["tanh", "identity"])
PLACES = list(leaves_of(PROBLEM))
TOP, FIRST = ["layers[1].bias", "layers[1].weight"], ["layers[0].bias", "layers[0].weight"]


@pytest.mark.parametrize(("wrong", "layer", "d_z", "text"), [
    (["layers[1].bias"], 1, False, "layers[1].bias, in the sum of d_z over the batch: d_z is right"),
    (["layers[1].weight"], 1, False, "layers[1].weight, in the product of d_z with the input of layers[1]"),
    ([*FIRST, "input"], 0, True, "layers[0], in d_z: look at the product with layers[1].weight"),
    (["layers[0].weight"], 0, False, "layers[0].weight, in the product of d_z with the input of layers[0]: d_z"),
    (["input"], -1, False, "input, in the product of d_z with layers[0].weight"),
    ([*TOP, *FIRST, "input"], 1, True, "layers[1], in d_z: look at the gradient of the loss; the loss itself is right"),
    (PLACES, 1, True, "layers[1], in d_z: the loss is wrong, too: the forward pass differs"),
    (TOP, 1, False, "layers[1].bias and layers[1].weight, in the sum of d_z over the batch and the product of d_z"),
    (["layers[1].weight", *FIRST, "input"], 1, True, "layers[1], in d_z: look at the gradient of the loss"),
])  # fmt: skip
def test_the_first_step_is_told_by_what_is_right(wrong, layer, d_z, text):
    """The last: targets in another order leave the sum over the batch right, and d_z is wrong all the same."""
    found = first_step(PROBLEM, wrong, [place for place in PLACES if place not in wrong])
    assert (found.layer, found.d_z) == (layer, d_z)
    assert found.text.startswith(text)


def test_nothing_wrong_has_no_first_step():
    assert first_step(PROBLEM, [], PLACES) is None
    assert first_step(PROBLEM, ["loss"], PLACES[1:]) is None


def test_a_loss_that_rounding_blurs_does_not_show_the_forward_pass_right():
    wrong = [*TOP, *FIRST, "input"]
    assert "the loss itself is right" in first_step(PROBLEM, wrong, ["loss"], TELLS).text
    assert "at the network's output" in first_step(PROBLEM, wrong, ["loss"], 2 * TELLS).text
    assert "at the network's output" in first_step(PROBLEM, wrong, []).text
