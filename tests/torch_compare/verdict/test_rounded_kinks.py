"""Kinks that rounding moves: customary formulas that shift z before they compare."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc

SUMS = {"float64": 3 - 2.0**-51, "float32": 3 - 2.0**-22, "bfloat16": 3 - 2.0**-6, "float16": 3 - 2.0**-9}
"""The last number below 3 of each format: 3 more is half an ulp below 6, and rounds to it."""
SLOPES = {"hardsigmoid": (1 / 6, 0.0), "hardswish": (1.5, 1.0)}


def of_one(name, z, slope, how):
    """A problem whose first unit is z, and its gradients with that slope there."""
    x = np.array([[z, -1.0], [0.5, 2.0]])
    if how == "operation":
        problem = tc.operation_problem(name, {"input": x}, np.ones((2, 2)))
        leaves = {k: np.array(v) for k, v in ref.gradients(problem).leaves().items() if k != "loss"}
    elif how == "network":
        steps = [ref.Step("h", "mul", "x", "w"), ref.Step("y", name, "h")]
        problem = ref.Problem(ref.Network({"w": np.ones(2)}, steps), x, np.ones((2, 2)), loss="inner_product")
        leaves = {k: np.array(v) for k, v in ref.gradients(problem).leaves().items() if k != "loss"}
    else:
        mlp = ref.MLP((ref.Layer(np.eye(2), None, name),))
        problem = ref.Problem(mlp, x, np.full((2, 2), 7.0), "half_squared_error", "sum")
        leaves = {"input": np.array(ref.gradients(problem).input)}
    for leaf in leaves.values():
        right = ref.ACTIVATIONS[name].derivative(np.array([z]))[0]
        if leaf.ndim == 2:
            leaf[0, 0] *= slope / right
        else:
            leaf[0] += z * (slope - right)
    return problem, leaves


@pytest.mark.parametrize("how", ["operation", "network", "mlp"])
@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("dtype", SUMS)
def test_a_sum_that_rounds_to_a_kink_takes_the_slope_of_its_other_side(name, dtype, how):
    """jax.nn.hard_sigmoid and MobileNetV3 compare z + 3 with 6."""
    _, above = SLOPES[name]
    problem, leaves = of_one(name, SUMS[dtype], above, how)
    verdict = tc.check(problem, leaves, dtype)
    assert verdict.status == "agrees", str(verdict)
    assert "rounding of a kink's place decides" in verdict.diagnosis
    assert "z + 3 rounds to 6" in verdict.diagnosis


@pytest.mark.parametrize("how", ["operation", "network", "mlp"])
@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("dtype", SUMS)
def test_the_next_number_below_is_on_its_own_side(name, dtype, how):
    _, above = SLOPES[name]
    problem, leaves = of_one(name, 2 * SUMS[dtype] - 3, above, how)
    assert tc.check(problem, leaves, dtype, diagnose=False).status == "wrong"


@pytest.mark.parametrize("name", SLOPES)
def test_what_is_added_to_minus_3_is_exact(name):
    """Beside −3 no sum with 3 is rounded (Sterbenz), so the other side's slope stays wrong."""
    z = -(3 - 2.0**-22)
    problem = tc.operation_problem(name, {"input": np.array([z, 0.5])}, np.ones(2))
    leaves = {"input": np.array([0.0, ref.ACTIVATIONS[name].derivative(np.array([0.5]))[0]])}
    assert tc.check(problem, leaves, "float32", diagnose=False).status == "wrong"


def test_the_other_elements_are_held_as_before():
    problem, leaves = of_one("hardswish", SUMS["float32"], 1.0, "operation")
    leaves["input"][1, 1] *= 1.0001
    assert tc.check(problem, leaves, "float32", diagnose=False).status == "wrong"


@pytest.mark.parametrize(("compute", "status"), [("bfloat16", "agrees"), ("float32", "wrong")])
def test_a_step_rounds_in_its_own_format(compute, status):
    net = ref.Network({}, [ref.Step("y", "hardsigmoid", "x", compute=compute)], output="y")
    problem = ref.Problem(net, np.array([SUMS["bfloat16"], 0.5]), np.ones(2), loss="inner_product")
    given = {"x": np.array([0.0, 0.166992]) if compute == "bfloat16" else np.array([0.0, np.float32(1 / 6)])}
    assert tc.check(problem, given, "float32", diagnose=False).status == status


@pytest.mark.parametrize("name", SLOPES)
def test_many_sums_that_round_to_a_kink_are_no_one_mistake(name):
    """Where all units are there, the other slope is a factor on all of the gradient."""
    z = np.full((40, 30), SUMS["bfloat16"])
    d = np.random.default_rng(0).choice([-2.0, -0.5, 1.0, 3.0], size=z.shape)
    verdict = tc.check_operation(name, {"input": z}, d, {"input": d * SLOPES[name][1]}, "bfloat16", diagnose=False)
    assert verdict.status == "agrees", str(verdict)
    assert "z + 3 rounds to 6" in verdict.diagnosis
    assert "inf" not in verdict.diagnosis
