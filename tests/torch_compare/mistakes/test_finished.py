"""What is done to finished gradients: decay, clipping, normalising; found again with its constant."""

import numpy as np
import pytest

import torch_compare as tc
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.mistakes.finished import factor_at
from torch_compare.mistakes.mistake import Mistake

PROBLEM = network([4, 5, 2], ["tanh", "identity"])
LEAVES = leaves_of(PROBLEM)
PARAMETERS = {place: leaf for place, leaf in LEAVES.items() if place not in ("input", "loss")}


@pytest.mark.parametrize("place", PARAMETERS)
@pytest.mark.parametrize("rate", [0.03, -0.5])
def test_a_decay_of_one_parameter_is_named_with_its_rate(place, rate):
    """A bias of two elements, too: there the factor of the gradient is taken to be 1."""
    assert PARAMETERS["layers[1].bias"].shape == (2,)
    given = LEAVES | {place: LEAVES[place] + rate * PROBLEM.leaves()[place]}
    found = tc.check(PROBLEM, given).diagnosis
    assert found.names == ("weight decay mixed in",)
    assert found.startswith(f"{place}: {rate:g} × the weights is added: a weight decay that belongs to the optimiser;")
    assert found.scales <= 4


@pytest.mark.parametrize(("shape", "along"), [(lambda w: w, "the weights"), (np.sign, "the weights' signs")])
def test_a_decay_of_every_weight_is_one_mistake(shape, along):
    weights = {place: LEAVES[place] for place in ("layers[0].weight", "layers[1].weight")}
    given = LEAVES | {place: leaf + 0.003 * shape(PROBLEM.leaves()[place]) for place, leaf in weights.items()}
    found = tc.check(PROBLEM, given).diagnosis
    assert found.names == ("weight decay mixed in",)
    assert found.startswith(f"every weight: 0.003 × {along} is added")


def test_a_decay_beside_a_factor_is_two_mistakes():
    given = {place: -leaf for place, leaf in LEAVES.items() if place != "loss"}
    given["layers[0].weight"] = given["layers[0].weight"] + 0.01 * PROBLEM.mlp.layers[0].weight
    assert set(tc.check(PROBLEM, given).diagnosis.names) == {"sign", "weight decay mixed in"}


def test_elements_that_are_clipped_are_named_with_the_bound():
    sizes = np.sort(np.abs(np.concatenate([leaf.ravel() for leaf in PARAMETERS.values()])))
    bound = sizes[-6]
    found = tc.check(PROBLEM, {place: np.clip(leaf, -bound, bound) for place, leaf in PARAMETERS.items()}).diagnosis
    assert found.names == ("gradient clipped",)
    assert found.startswith(f"every weight and bias: every element is clipped to ±{bound:.6g};")


def test_gradients_that_are_normalised_one_by_one_are_named_with_the_norm():
    given = {place: 0.5 * leaf / np.sqrt(np.sum(leaf * leaf)) for place, leaf in PARAMETERS.items()}
    found = tc.check(PROBLEM, given).diagnosis
    assert found.names == ("gradient clipped",)
    assert "every weight and bias: the norm of this gradient by itself is clipped, or normalised, to 0.5" in found


def test_a_factor_scales_its_places_and_no_others():
    like = Mistake("sign", "", "the sign is wrong", form="factor", constant=-2.0, uncertainty=0.25, also=("other",))
    made = factor_at(["input", "layers[0].bias"], "some", like)
    assert (made.name, made.where, made.what, made.constant) == ("sign", "some", "the sign is wrong", -2.0)
    assert (made.form, made.uncertainty, made.also, made.vague) == ("factor", 0.25, ("other",), False)
    changed = made.leaves(PROBLEM, dict(LEAVES))
    for place, leaf in LEAVES.items():
        np.testing.assert_array_equal(changed[place], -2.0 * leaf if place in ("input", "layers[0].bias") else leaf)
