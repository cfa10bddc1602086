"""Mistakes in networks of operations, and the short way to what they change."""

import numpy as np
import pytest

import reference as ref
from benchmarks.implementations.transformers import llama, next_tokens
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.network_pass import NetworkPass
from torch_compare.mistakes.of_network import loss_alone
from torch_compare.mistakes.single import single_mistakes


@pytest.fixture(scope="module")
def problem():
    return next_tokens(llama(layers=1, width=8, heads=2, groups=1, vocabulary=11, shape=(2, 5)), shape=(2, 5))


def test_the_short_way_makes_what_the_whole_backward_pass_makes(problem):
    right = NetworkPass.of(problem)
    scale = ref.rounding_scale(problem, textbook=True).leaves()
    seen = set()
    for mistake in single_mistakes(problem):
        whole, short = leaves_with((mistake,), problem), leaves_with((mistake,), problem, right)
        seen.add(mistake.name)
        for place, leaf in whole.items():
            times = max(1.0, np.abs(leaf).max() / max(np.abs(right.leaves[place]).max(), 1e-300))
            assert np.all(np.abs(short[place] - leaf) <= 32 * times * np.max(scale[place])), (mistake, place)
    assert {"branch lost", "branch added twice", "softmax missing"} <= seen


def test_most_mistakes_change_something_and_keep_every_shape(problem):
    right = ref.gradients(problem).leaves()
    changed = 0
    for mistake in single_mistakes(problem):
        made = leaves_with((mistake,), problem)
        assert {place: np.shape(leaf) for place, leaf in made.items()} == problem.gradient_shapes()
        changed += any(not np.array_equal(made[place], right[place]) for place in right)
    assert changed >= 60


def test_a_value_that_is_used_twice_may_lose_a_branch_or_count_it_twice():
    net = ref.Network({"w": np.array([[2.0]])}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "add", "h", "x")])
    problem = ref.Problem(net, np.array([[3.0]]), np.array([[1.0]]), loss="inner_product")
    found = {}
    for mistake in single_mistakes(problem):
        if mistake.where == "x":
            found.setdefault(mistake.name, []).append(float(leaves_with((mistake,), problem)["x"][0, 0]))
    assert found == {"branch lost": [1.0, 2.0], "branch added twice": [5.0, 4.0]}


def test_the_loss_alone_has_the_loss_and_the_gradient_of_the_output(problem):
    alone = loss_alone(problem)
    assert float(ref.loss_value(alone)) == pytest.approx(float(ref.loss_value(problem)), rel=1e-15)
    output = ref.network.passes.forward(problem.network, problem.x).output
    d_output = ref.network.problem.loss_gradient(problem, output)
    assert np.array_equal(ref.gradients(alone).input, d_output.reshape(-1, 11))


def test_a_loss_taken_with_its_activation_has_no_passes_of_its_own():
    net = ref.Network({"w": np.eye(2)}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "sigmoid", "h")])
    problem = ref.Problem(net, np.ones((1, 2)), np.ones((1, 2)), loss="bce")
    assert NetworkPass.of(problem) is None
    assert NetworkPass.of(problem.replace(loss="mse")) is not None
