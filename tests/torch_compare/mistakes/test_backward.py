"""Mistakes in one layer: what each makes wrong, and what it leaves right."""

import numpy as np
import pytest

import reference as ref
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.mistakes.backward import (
    UPDATES,
    bias_mistakes,
    downward_mistakes,
    early_mistake,
    flow_factor,
    leaky_mistake,
    other_slopes,
    slope_mistakes,
    update_mistake,
    weight_mistakes,
)
from torch_compare.mistakes.mistake import Mistake, leaves_with

SQUARE = network([4, 4, 4, 4], ["tanh", "relu", "softmax"], examples=4)
RIGHT = leaves_of(SQUARE)
LAYERS = range(3)


def changed(mistake, problem=SQUARE):
    """The places whose gradients the mistake changes."""
    made = leaves_with((mistake,), problem)
    right = leaves_of(problem)
    assert made.keys() == right.keys()
    return {place for place in right if not np.array_equal(made[place], right[place])}


def places(layer):
    return {f"layers[{layer}].weight", f"layers[{layer}].bias"}


def below(layer):
    return {"input"}.union(*(places(l) for l in range(layer)))


OF_RELU = {"derivative at the output", "derivative applied twice"}
"""No mistakes on a relu: its slope is that at its output, and its own square."""


@pytest.mark.parametrize("layer", LAYERS)
def test_a_mistaken_slope_spoils_its_layer_and_all_below(layer):
    found = list(slope_mistakes(SQUARE, layer))
    names = {m.name for m in found}
    assert names >= {1: OF_RELU | {"mask from the wrong side", "mask from the gradient"},
                     2: {"softmax Jacobian diagonal"}}.get(layer, {"value for derivative"})  # fmt: skip
    for mistake in found:
        assert mistake.where == f"layers[{layer}]"
        spoilt = set() if layer == 1 and mistake.name in OF_RELU else places(layer) | below(layer)
        assert changed(mistake) == spoilt, mistake.key


@pytest.mark.parametrize("layer", LAYERS)
def test_a_mistaken_product_spoils_one_gradient(layer):
    weight, bias = list(weight_mistakes(SQUARE, layer)), list(bias_mistakes(SQUARE, layer))
    assert {m.name for m in weight} >= {"weight gradient transposed", "input of the wrong layer"}
    assert [m.name for m in bias] == [
        "bias gradient not summed", "bias gradient not summed", "bias gradient averaged", "one bias gradient for all",
        "bias summed over the outputs",
    ]  # fmt: skip
    for mistake in weight:
        assert changed(mistake) == {mistake.where} == {f"layers[{layer}].weight"}
    for mistake in bias:
        assert changed(mistake) == {mistake.where} == {f"layers[{layer}].bias"}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_mistake_on_the_way_down_spoils_what_lies_below(layer):
    found = list(downward_mistakes(SQUARE, layer))
    assert [m.name for m in found] == ["weight not transposed", "layers below detached"]
    for mistake in found:
        assert changed(mistake) == below(layer)
    detached = leaves_with((found[1],), SQUARE)
    assert not any(np.any(detached[place]) for place in below(layer))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_derivative_that_comes_too_late_spoils_its_layer_alone(layer):
    mistake = early_mistake(SQUARE, layer)
    assert changed(mistake) == places(layer)


def test_the_derivative_of_another_activation_is_that_of_every_other_row():
    rows = {row.name for row in ref.ACTIVATIONS.values() if not row.rowwise} - {"identity", "tanh"}
    found = {m.what: m for m in other_slopes(SQUARE, 0)}
    assert set(found) == {f"the backward pass takes the derivative of {name} for that of tanh" for name in rows}
    assert list(other_slopes(SQUARE, 2)) == [], "softmax has no slope by itself"
    problem = network([4, 4], ["relu"])
    vague = {m.what.split(" of ")[1].split(" ")[0]: m.vague for m in other_slopes(problem, 0)}
    assert {name for name, is_vague in vague.items() if not is_vague} == {"leaky_relu", "rrelu"}


@pytest.mark.parametrize("along", UPDATES)
def test_a_weight_that_is_updated_already_spoils_what_lies_below(along):
    assert changed(update_mistake(1, 0.1, along)) == below(1)
    assert changed(update_mistake(1, 0.0, along)) == set()


def test_a_leaky_slope_is_right_where_it_is_that_of_the_row():
    assert changed(leaky_mistake(1, 0.25)) == places(1) | below(1)
    assert changed(leaky_mistake(1, 0.0)) == set()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_factor_of_the_flow_scales_its_layer_and_all_below(layer):
    like = Mistake("factor 2", "", "doubled", form="factor", constant=2.0)
    mistake = flow_factor(layer, 3, like)
    assert mistake.where == ("every gradient" if layer == 2 else f"every gradient from layers[{layer}] down")
    made = leaves_with((mistake,), SQUARE)
    for place, leaf in RIGHT.items():
        np.testing.assert_array_equal(made[place], 2 * leaf if place in places(layer) | below(layer) else leaf)


def test_where_there_is_nothing_to_mistake_there_is_no_mistake():
    one = network([1, 1], ["identity"], examples=1)
    for bank in (slope_mistakes, weight_mistakes, bias_mistakes, other_slopes):
        assert [m for m in bank(one, 0) if m.name != "input of the wrong layer"] == []
    assert early_mistake(one, 0) is None
    assert [m.name for m in downward_mistakes(one, 0)] == ["layers below detached"]
