"""What wrong gradients tell of the inputs and targets that they were made of."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from tests.torch_compare.diagnosis.helpers import leaves_of, network


@pytest.mark.parametrize("loss", ["mse", "half_squared_error"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_targets_in_another_order_are_put_in_order(loss, reduction):
    problem = network([12, 8, 3], ["tanh", "identity"], examples=6, loss=loss).replace(reduction=reduction)
    order = np.array([2, 0, 1, 5, 3, 4])
    found = tc.check(problem, ref.gradients(problem.replace(target=problem.target[order]))).diagnosis
    assert found.names == ("stale batch",)
    assert found == "the targets belong to other examples: they are in the order 2, 0, 1, 5, 3 and 4"


def test_classes_of_another_batch_are_named():
    problem = network([12, 8, 4], ["tanh", "identity"], examples=6, loss="cross_entropy")
    theirs = (problem.target + np.array([0, 1, 0, 2, 0, 0])) % 4
    found = tc.check(problem, ref.gradients(problem.replace(target=theirs))).diagnosis
    assert found.names == ("stale batch",)
    swaps = " and ".join(f"example {i} had class {theirs[i]}, not {problem.target[i]}" for i in (1, 3))
    assert found == f"the targets are others than this batch's: as if {swaps}"


def test_targets_that_are_numbers_of_no_batch_are_not_made_up():
    problem = network([12, 8, 3], ["tanh", "identity"], examples=6)
    other = problem.replace(target=problem.target + np.random.default_rng(1).normal(size=(6, 3)))
    found = tc.check(problem, ref.gradients(other)).diagnosis
    assert found.names == ()
    assert "all that lies below follows from the gradient of its pre-activation, which is wrong" in found


def other_batch(examples):
    problem = network([12, 5, 3], ["tanh", "identity"], examples=examples)
    rng = np.random.default_rng(6)
    return problem, problem.replace(x=rng.normal(size=(examples, 12)), target=rng.normal(size=(examples, 3)))


def test_inputs_of_another_batch_leave_its_rank():
    problem, other = other_batch(2)
    found = tc.check(problem, leaves_of(other, "input")).diagnosis
    assert found.names == ("stale batch",)
    assert "of layers[0].weight is no combination of this batch's inputs" in found
    assert found.endswith("it has rank 2, as 2 other examples make it: it is the gradient of another batch's inputs")


def test_gradients_that_are_not_set_to_0_leave_both_batches():
    problem, other = other_batch(2)
    earlier = leaves_of(other)
    given = {place: leaf + earlier[place] for place, leaf in leaves_of(problem, "loss", "input").items()}
    found = tc.check(problem, given).diagnosis
    assert found.names == ("accumulated",)
    assert (
        "it has rank 2, as 2 other examples make it: the gradient of an earlier batch is in it, not set to 0" in found
    )
    problem, other = other_batch(1)
    found = tc.check(problem, leaves_of(other, "input")).diagnosis
    assert "it has rank 1, as 1 other example makes it" in found


def test_many_other_examples_have_no_rank_of_their_own():
    problem, other = other_batch(6)
    found = tc.check(problem, leaves_of(other, "input")).diagnosis
    assert found.names == ()
    assert found.endswith("other inputs went into it, or something was added afterwards")


def test_gradients_in_each_others_place_are_exchanged():
    problem = network([4, 4, 4], ["tanh", "tanh"])
    leaves = leaves_of(problem)
    first, second = "layers[0].weight", "layers[1].weight"
    found = tc.check(problem, leaves | {first: leaves[second], second: leaves[first]}).diagnosis
    assert found.names == ("gradients exchanged",)
    assert found == f"{second} holds the gradient of {first} and {first} holds the gradient of {second}"
    noise = np.random.default_rng(0).normal(size=(4, 4))
    found = tc.check(problem, leaves | {first: leaves[second], second: noise}).diagnosis
    assert found.names == ()


def test_a_loss_that_is_wrong_alone_says_by_what():
    problem = network([4, 5, 2], ["tanh", "identity"])
    leaves = leaves_of(problem)
    found = tc.check(problem, leaves | {"loss": 18 * leaves["loss"]}).diagnosis
    assert found.names == ("sum for mean",)
    assert found.startswith("loss: yours = oracle × 18; 18 is the number of output elements")
    found = tc.check(problem, leaves | {"loss": leaves["loss"] + 0.3}).diagnosis
    assert found.names == ()
    yours, right = (f"{float(v):.6g}" for v in (leaves["loss"] + 0.3, leaves["loss"]))
    assert found == f"the loss alone is wrong, by no known mistake: yours {yours}, the oracle's {right}"


def test_a_loss_beside_wrong_gradients_has_the_mistake_too_or_another_or_none():
    problem = network([4, 5, 2], ["tanh", "identity"])
    leaves = leaves_of(problem)
    negated = {place: -leaf for place, leaf in leaves.items()}
    assert tc.check(problem, negated).diagnosis.endswith("the sign is wrong; your loss has the mistake too")
    assert tc.check(problem, negated | {"loss": leaves["loss"]}).diagnosis.endswith("; the sign is wrong")
    found = tc.check(problem, negated | {"loss": leaves["loss"] + 1}).diagnosis
    yours, right = (f"{float(v):.6g}" for v in (leaves["loss"] + 1, leaves["loss"]))
    assert found.endswith(f"; your loss, {yours}, is wrong too and not by that: it is {right}")
