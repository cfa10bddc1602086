"""Other slopes at exact kinks of a network's steps: kink by kink, and step by step."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from torch_compare.verdict import step_conventions


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize(("name", "low", "high"), [("hardtanh", -1, 1), ("relu6", 0, 6)])
def test_the_bounds_of_a_clamp_belong_to_its_inside(name, low, high, dtype):
    """torch.clamp in the place of hardtanh: the slope from the right below, that from the left above."""
    x, d = np.array([low, 0.5, high, 9.0]), np.array([1.0, 1.5, 2.0, 1.0])
    given = d * np.array([1.0, 1.0, 1.0, 0.0])
    verdict = tc.check_operation(name, {"input": x}, d, {"input": given}, dtype)
    assert verdict.status == "another convention", str(verdict)
    assert f"the slope from the left ({name} at {high})" in verdict.diagnosis
    assert f"the slope from the right ({name} at {low})" in verdict.diagnosis
    unmasked = tc.check_operation(name, {"input": x}, d, {"input": d}, dtype)
    assert unmasked.status == "wrong", str(unmasked)


def test_each_bound_of_clamp_has_a_convention_of_its_own():
    x, d = np.array([-1.0, 0.5, 2.0, 9.0]), np.ones(4)
    given = {"input": np.array([0.0, 1.0, 1.0, 0.0])}
    verdict = tc.check_operation("clamp", {"input": x}, d, given, min=-1.0, max=2.0)
    assert verdict.status == "another convention"
    assert "0 at the lower bound (clamp)" in verdict.diagnosis


W, X = np.array([1.0, -1.0, 0.0]), np.array([[0.0, 1.0, 3.0], [1.0, 0.0, -2.0]])
STEPS = [ref.Step("a", "relu", "x"), ref.Step("b", "add", "a", "w"), ref.Step("c", "relu", "b")]
TWICE = ref.Problem(ref.Network({"w": W}, STEPS, output="c"), X, np.full((2, 3), 5.0), "mse")


def through_two(first, second):
    """The gradients with these slopes at the exact kinks of the first and of the second relu."""
    a = np.maximum(X, 0)
    b = a + W
    d_b = 2 * (np.maximum(b, 0) - 5) / 6 * np.where(b == 0, second, b > 0)
    return {"x": d_b * np.where(X == 0, first, X > 0), "w": d_b.sum(axis=0)}


@pytest.mark.parametrize(("first", "second", "said"), [
    (0.0, 1.0, "the slope from the right (relu in c)"),
    (1.0, 0.0, "the slope from the right (relu in a)"),
    (1.0, 1.0, "the slope from the right (relu)"),
    (0.5, 1.0, "the slope from the right (relu in c) and the mean of both slopes (relu in a)"),
])  # fmt: skip
@pytest.mark.parametrize("leaves", [("x", "w"), ("x",)])
def test_two_steps_of_one_operation_may_differ(first, second, said, leaves):
    given = {place: leaf for place, leaf in through_two(first, second).items() if place in leaves}
    verdict = tc.check(TWICE, given)
    assert verdict.status == "another convention", str(verdict)
    assert said in verdict.diagnosis


def test_a_slope_that_no_side_has_is_wrong_in_either_step():
    for slopes in ((0.25, 1.0), (1.0, 0.25)):
        assert tc.check(TWICE, through_two(*slopes), diagnose=False).status == "wrong"


def test_two_layers_of_one_activation_may_differ():
    layers = [ref.Layer(np.eye(3), None, "relu"), ref.Layer(np.eye(3), W, "relu")]
    problem = ref.Problem(ref.MLP(tuple(layers)), X, np.full((2, 3), 5.0), "mse")
    for slopes, said in (((0.0, 1.0), "relu at 0 in layers[1]"), ((1.0, 0.0), "relu at 0 in layers[0]")):
        verdict = tc.check(problem, {"input": through_two(*slopes)["x"]})
        assert verdict.status == "another convention", str(verdict)
        assert f"the slope from above ({said})" in verdict.diagnosis
    assert tc.check(problem, {"input": through_two(0.25, 1.0)["x"]}, diagnose=False).status == "wrong"


def test_many_steps_cost_few_passes(monkeypatch):
    steps = [ref.Step(f"s{k}", "relu", "x" if k == 0 else f"s{k - 1}") for k in range(8)]
    problem = ref.Problem(ref.Network({}, steps, output="s7"), X, np.full((2, 3), 5.0), "mse")
    calls = []
    plain = step_conventions.away
    monkeypatch.setattr(step_conventions, "away", lambda *a, **k: calls.append(1) or plain(*a, **k))
    assert tc.check(problem, {"x": np.full((2, 3), 7.5)}, diagnose=False).status == "wrong"
    assert 0 < len(calls) <= 70
