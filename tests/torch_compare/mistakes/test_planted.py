"""The planted faults: each is a fault, and one of its own."""

import numpy as np
import pytest

import reference as ref
from torch_compare.mistakes.planted import MIDDLE, PLANTED, planted_problem


def made(fault):
    problem = planted_problem(fault.activation, fault.loss)
    with np.errstate(all="ignore"):
        return fault.gradients(problem), ref.gradients(problem).leaves()


def test_every_fault_has_a_name_of_its_own():
    assert len({fault.name for fault in PLANTED}) == len(PLANTED) > 20


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.name)
def test_a_fault_makes_the_same_tree_with_other_numbers(fault):
    wrong, right = made(fault)
    assert {place: np.shape(leaf) for place, leaf in wrong.items()} == {p: np.shape(leaf) for p, leaf in right.items()}
    assert any(not np.array_equal(wrong[place], right[place]) for place in right if place != "loss")


@pytest.mark.parametrize("name", [
    "weight gradient transposed", "weight not transposed on the way back", "derivative left out",
    "input of the layer above (stale)", "layers below detached", "weight already updated",
    "relative error 1e-12 in one derivative", "ReLU mask left out", "softmax Jacobian taken as diagonal",
])  # fmt: skip
def test_a_fault_of_the_middle_layer_leaves_the_one_above_right(name):
    wrong, right = made(next(fault for fault in PLANTED if fault.name == name))
    assert len(right) == 8
    for place, leaf in right.items():
        if place.startswith(f"layers[{MIDDLE + 1}]"):
            np.testing.assert_array_equal(wrong[place], leaf)


def test_a_problem_of_the_bank_is_square_where_a_transposition_must_fit():
    problem = planted_problem("tanh", "half_squared_error")
    assert [layer.weight.shape for layer in problem.mlp.layers] == [(16, 8), (16, 16), (16, 16)]
    assert all(np.any(layer.bias) for layer in problem.mlp.layers)
    assert planted_problem("tanh", "cross_entropy").target.dtype.kind == "i"
