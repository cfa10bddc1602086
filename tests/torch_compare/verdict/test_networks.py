"""Gradients of networks of operations, judged."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import reference as ref
import torch_compare as tc
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.single import single_mistakes


def residual(loss: str = "cross_entropy", seed: int = 1) -> ref.Problem:
    rng = np.random.default_rng(seed)
    parameters = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=4), "v": rng.normal(size=(4, 4))}
    steps = [
        ref.Step("h", "linear", "x", "w", "b"), ref.Step("a", "gelu", "h"), ref.Step("k", "linear", "a", "v"),
        ref.Step("t", "tanh", "k"), ref.Step("y", "add", "t", "h"),
    ]  # fmt: skip
    target = rng.integers(0, 4, (2, 3)) if loss == "cross_entropy" else rng.normal(size=(2, 3, 4))
    return ref.Problem(ref.Network(parameters, steps), rng.normal(size=(2, 3, 3)), target, loss=loss)


PROBLEM = residual()
RIGHT = ref.gradients(PROBLEM).leaves()


def rounded(leaves, dtype):
    return {place: np.asarray(leaf, dtype=dtype) for place, leaf in leaves.items()}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_right_gradients_agree(dtype):
    stored = {"float64": "float64", "float16": "float16"}.get(dtype, "float32")
    verdict = tc.check(PROBLEM, rounded(RIGHT, stored), dtype=dtype)
    assert verdict.status == "agrees"
    assert verdict.reproduce.startswith('ref.gradients(problem)["')


def test_right_gradients_agree_with_the_certificate():
    assert tc.check(PROBLEM, RIGHT, certified=True).status == "agrees"


@pytest.mark.parametrize(("dtype", "every"), [
    ("float64", 3), *(pytest.param(dtype, 1, marks=pytest.mark.explore) for dtype in ("float64", "float32")),
])  # fmt: skip
def test_every_known_mistake_is_caught_and_named(dtype, every):
    seen = 0
    for mistake in islice(single_mistakes(PROBLEM), None, None, every):
        made = leaves_with((mistake,), PROBLEM)
        if all(np.array_equal(made[place], RIGHT[place]) for place in made):
            continue
        if dtype == "float32" and mistake.name == "constant cut short":
            continue  # by less than float32 rounds
        seen += 1
        verdict = tc.check(PROBLEM, rounded(made, dtype))
        assert verdict.status == "wrong", mistake
        assert (mistake.name,) in (verdict.diagnosis.names, *verdict.diagnosis.others), (mistake, str(verdict))
    assert seen * every >= 33


def test_the_step_is_named():
    steps = {"y", "t", "a", "k", "h"}
    for mistake in single_mistakes(PROBLEM):
        if mistake.where in steps and mistake.name == "activation derivative missing":
            said = str(tc.check(PROBLEM, leaves_with((mistake,), PROBLEM)).diagnosis)
            assert said.startswith(f"{mistake.where}: the activation's derivative is missing")


def test_a_common_factor_has_its_name():
    verdict = tc.check(PROBLEM, {place: leaf * 6 for place, leaf in RIGHT.items() if place != "loss"})
    assert verdict.diagnosis.names == ("sum for mean",)
    assert "6 is the number of rows of the output: a sum where the loss takes the mean" in verdict.diagnosis


def test_what_nothing_explains_names_the_first_step_on_the_way_back():
    given = dict(RIGHT) | {"v": RIGHT["v"] + np.sin(np.arange(16.0)).reshape(4, 4)}
    verdict = tc.check(PROBLEM, given)
    assert verdict.diagnosis.names == ()
    assert "v (15 of 16 elements) of the step k (linear) is the first that is wrong" in verdict.diagnosis


def test_what_only_all_elements_show_names_the_first_step_too():
    sigma = ref.rounding_scale(PROBLEM, "bfloat16", textbook=True)["v"]
    given = dict(RIGHT) | {"v": RIGHT["v"] + 16 * sigma * np.random.default_rng(0).choice([-1, 1], sigma.shape)}
    verdict = tc.check(PROBLEM, given, dtype="bfloat16", accumulate="same")
    assert verdict.status == "wrong"
    assert verdict.decided
    assert verdict.diagnosis.endswith(
        "v of the step k (linear) is the first that is wrong"
    )  # of others nothing is known


def test_what_two_steps_use_is_no_reason_to_blame_the_last_of_them():
    rng = np.random.default_rng(3)
    steps = [
        ref.Step("h", "linear", "x", "w"), ref.Step("a", "linear", "h", "v"), ref.Step("y", "linear", "a", "w"),
    ]  # fmt: skip
    network = ref.Network({"w": rng.normal(size=(4, 4)), "v": rng.normal(size=(4, 4))}, steps)
    problem = ref.Problem(network, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), loss="mse")
    given = dict(ref.gradients(problem).leaves()) | {place: rng.normal(size=(4, 4)) for place in "wv"}
    assert "v of the step a (linear) is the first that is wrong" in tc.check(problem, given).diagnosis


def test_a_factor_that_leaves_most_of_the_error_explains_nothing():
    """Where errors are few scales large, nearly any factor brings the largest of them within the limit."""
    rng = np.random.default_rng(0)
    network = ref.Network({"w": rng.normal(size=(3, 4))}, [ref.Step("y", "linear", "x", "w")])
    problem = ref.Problem(network, rng.normal(size=(64, 4)), rng.integers(0, 3, 64), loss="cross_entropy")
    right = ref.gradients(problem)["w"]
    sigma = ref.rounding_scale(problem, "bfloat16", textbook=True)["w"]
    given = right + 25 * sigma * rng.choice([-1, 1], right.shape)
    large, small = (np.unravel_index(find(abs(right)), right.shape) for find in (np.argmax, np.argmin))
    given[large] = right[large] * 64 / 63
    given[small] = right[small] + 36 * sigma[small] * np.sign(right[small])
    verdict = tc.check(problem, {"w": given}, dtype="bfloat16", accumulate="same")
    assert (verdict.status, verdict.diagnosis.names) == ("wrong", ())


def test_numbers_that_are_not_finite_name_leaf_and_element():
    given = dict(RIGHT) | {"w": np.where(np.arange(12).reshape(4, 3) == 5, np.nan, RIGHT["w"])}
    verdict = tc.check(PROBLEM, given)
    assert verdict.status == "wrong"
    assert "w: 1 of 12 elements are not finite, the first at [1, 2]" in verdict.diagnosis


def relu_at_0():
    net = ref.Network({"w": np.ones((2, 2))}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "relu", "h")])
    x, d_y = np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    return ref.Problem(net, x, d_y, loss="inner_product"), x, d_y


@pytest.mark.parametrize(("slope", "said"), [(1.0, "the slope from the right"), (0.5, "the mean of both slopes")])
def test_another_slope_at_an_exact_kink_is_a_convention(slope, said):
    problem, x, d_y = relu_at_0()
    d_h = d_y * np.array([[slope, slope], [1.0, 1.0]])
    verdict = tc.check(problem, {"w": d_h.T @ x, "x": d_h @ np.ones((2, 2))})
    assert verdict.status == "another convention"
    assert f"{said} (relu)" in verdict.diagnosis


def test_another_slope_where_no_kink_is_met_is_wrong():
    problem, x, d_y = relu_at_0()
    d_h = d_y * np.array([[0.0, 0.0], [1.0, 0.5]])
    assert tc.check(problem, {"w": d_h.T @ x}).status == "wrong"


def test_a_step_in_float32_is_judged_in_float32():
    net = ref.Network(
        PROBLEM.graph.parameters,
        [ref.Step("h", "linear", "x", "w", "b"), ref.Step("a", "gelu", "h", compute="float32"),
         ref.Step("k", "linear", "a", "v"), ref.Step("t", "tanh", "k"), ref.Step("y", "add", "t", "h")],
    )  # fmt: skip
    island = ref.Problem(net, PROBLEM.x, PROBLEM.target, loss="cross_entropy")
    w = RIGHT["w"] * (1 + 1e-8 * np.sin(np.arange(12.0)).reshape(4, 3))
    assert tc.check(PROBLEM, {"w": w}).status != "agrees"
    assert tc.check(island, {"w": w}).status == "agrees"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rounding_errors_times_rounding_errors_agree(dtype):
    """Behind a norm of one number d_y is nothing but rounding, and so is x̂ before it: their product is no mistake."""
    rng = np.random.default_rng(0)
    parameters = {name: rng.normal(size=1).astype(dtype) for name in ("w", "b", "v")}
    norm = ref.operations.layer_norm()
    steps = [ref.Step("h", norm, "x", "w", "b"), ref.Step("y", norm, "h", "v")]
    x, target = rng.normal(size=(2, 3, 1)).astype(dtype)
    problem = ref.Problem(ref.Network(parameters, steps), x, target, loss="inner_product")
    found = tc.SOURCES["torch"](problem).leaves()
    assert found["w"] != 0
    assert tc.check(problem, found).status == "agrees"
    assert tc.check(problem, {**found, "w": 1e6 * found["w"]}).status == "wrong"


@pytest.mark.parametrize("size", [1, 2])
def test_means_of_sequences_that_count_unlike_many_tokens_are_named(size):
    """Torch's own gradients of the mean of the means of (pairs of) sequences, some of whose tokens are ignored."""
    rng = np.random.default_rng(4)
    w, x, target = rng.normal(size=(5, 3)), rng.normal(size=(4, 6, 3)), rng.integers(0, 5, (4, 6))
    target[0, :4] = target[3, 2:4] = -100
    network = ref.Network({"w": w}, [ref.Step("y", "linear", "x", "w")])
    problem = ref.Problem(network, x, target, loss="cross_entropy")
    leaf, features, indices = torch.tensor(w, requires_grad=True), torch.tensor(x), torch.tensor(target)
    parts = [slice(k, k + size) for k in range(0, 4, size)]
    loss = sum(cross_entropy((features[p] @ leaf.T).flatten(0, 1), indices[p].flatten()) for p in parts) / len(parts)
    loss.backward()
    verdict = tc.check(problem, {"w": leaf.grad.numpy(), "loss": loss.item()})
    assert verdict.diagnosis.names == ("mean of micro-batches' means",)
    assert ("2, 6, 6, 4" if size == 1 else "8, 10") in str(verdict)


@pytest.mark.parametrize(("part", "times", "said"), [
    ((..., slice(2, None)), 0.0, "x (at [..., 2:] alone, where it is 0) of the step h"),
    ((slice(None), slice(1, 2)), 2.0, "x (at [:, 1, :] alone, × 2) of the step h"),
])  # fmt: skip
def test_a_tile_that_alone_is_wrong_is_said(part, times, said):
    leaves = {place: np.array(leaf) for place, leaf in RIGHT.items()}
    leaves["x"][part] *= times
    assert said in str(tc.check(PROBLEM, leaves))
