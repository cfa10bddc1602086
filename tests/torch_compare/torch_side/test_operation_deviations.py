"""Torch's deviations in operations: each is real, and reached by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import reference as ref
from reference.rounding.distance import FACTOR
from torch_compare.torch_side.deviations import deviations
from torch_compare.torch_side.gradients import torch_gradients, torch_loss
from torch_compare.verdict.checks import check


def normed(*inputs: str | None) -> ref.Problem:
    rng = np.random.default_rng(0)
    parameters = {name: rng.normal(size=4) for name in inputs if name is not None}
    row = ref.operations.MAKERS["group_norm"](2)
    network = ref.Network(parameters, [ref.Step("y", row, "x", *inputs)])
    return ref.Problem(network, rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3)), "inner_product")


@pytest.mark.parametrize("number", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_group_norm_with_a_bias_alone_has_no_backward_pass_in_torch(number):
    x, bias = torch.ones(2, 4, 3, dtype=number, requires_grad=True), torch.ones(4, dtype=number, requires_grad=True)
    loss = torch.nn.functional.group_norm(x, 2, None, bias).sum()
    with pytest.raises(RuntimeError, match="tensor does not have a device"):
        loss.backward()


def test_the_region_is_that_of_a_bias_alone():
    alone = normed(None, "bias")
    assert [row.name for row in deviations(alone)] == ["group_norm_bias_alone"]
    assert np.isfinite(torch_loss(alone))
    for other in (normed(), normed("weight"), normed("weight", "bias")):
        assert deviations(other) == ()
        torch_gradients(other)


NORMS = (
    ref.operations.layer_norm(), ref.operations.rms_norm(eps=1e-5), ref.operations.group_norm(1),
    ref.operations.instance_norm(), ref.operations.batch_norm(training=True), ref.operations.normalize(dim=-1),
    ref.operations.local_response_norm(2, alpha=1.0, beta=0.5, k=0.0), ref.operations.vector_norm(dim=-1),
    ref.operations.vector_norm(ord=3, dim=-1), ref.operations.std(dim=-1),
)  # fmt: skip


def norm_problem(row, size, dtype):
    rng = np.random.default_rng(4)
    x = (size * (1 + rng.uniform(0, 1, (3, 2, 4))) * rng.choice([-1, 1], (3, 2, 4))).astype(dtype)
    network = ref.Network({}, [ref.Step("y", row, "x")])
    d_y = rng.normal(size=np.shape(row.value(x))).astype(dtype)
    return ref.Problem(network, {"x": x}, d_y, "inner_product")


@pytest.mark.parametrize(("dtype", "large", "small"), [(np.float64, 1e200, 1e-200), (np.float32, 1e25, 1e-30)])
@pytest.mark.parametrize("row", NORMS, ids=lambda row: f"{row.name}-{row.parameters.get('ord', '')}")
def test_squares_beyond_the_range_take_torchs_gradients_away(row, dtype, large, small):
    """The truth is certified; ours keeps it, torch's has nothing left, and the list says so, there alone."""
    if row.name == "std" and dtype is np.float32:
        assert deviations(norm_problem(row, large, dtype)) == ()
        return
    no_epsilon = ref.operations.MAKERS[row.name](**{**row.parameters, "eps": 0.0}) if "eps" in row.parameters else row
    for problem in (norm_problem(row, large, dtype), norm_problem(no_epsilon, small, dtype)):
        assert [found.name for found in deviations(problem)] == ["norm_powers_out_of_range"]
        exact = ref.certified_gradients(problem)["x"].nearest
        with np.errstate(all="ignore"):
            theirs = torch_gradients(problem)["x"]
        assert check(problem, ref.gradients(problem), certified=True, strict=True).agrees
        assert not np.all(np.abs(theirs - exact) <= 0.5 * np.abs(exact))
    ordinary = norm_problem(row, 1.0, dtype)
    assert deviations(ordinary) == ()
    assert check(ordinary, torch_gradients(ordinary)).agrees


def test_a_small_row_is_in_range_where_epsilon_is_larger():
    assert deviations(norm_problem(ref.operations.layer_norm(), 1e-200, np.float64)) == ()


def interpolated(length, axes=1, **parameters):
    rng = np.random.default_rng(5)
    row = ref.operations.interpolate(**parameters)
    x = rng.normal(size=(1, 1, *(length,) * axes))
    network = ref.Network({}, [ref.Step("y", row, "x")])
    return ref.Problem(network, {"x": x}, rng.normal(size=row.value(x).shape), "inner_product")


OTHER_PLACES = (
    interpolated(3, scale_factor=1.3), interpolated(3, 3, scale_factor=1.3),
    interpolated(3, 2, scale_factor=1.3, mode="bicubic"), interpolated(3, scale_factor=1.3, mode="linear"),
    interpolated(2, size=82), interpolated(2, size=61, mode="nearest-exact"),
)  # fmt: skip
OWN_PLACES = (
    interpolated(3, scale_factor=2.5), interpolated(3, 2, scale_factor=2), interpolated(3, size=3),
    interpolated(3, scale_factor=1.3, mode="linear", recompute_scale_factor=True), interpolated(2, size=81),
)  # fmt: skip


@pytest.mark.parametrize("problem", OTHER_PLACES)
def test_torch_interpolates_from_other_places_than_the_factor_says(problem):
    assert [found.name for found in deviations(problem)] == ["interpolate_other_places"]
    assert not check(problem, torch_gradients(problem)).agrees
    assert check(problem, ref.gradients(problem), certified=True).agrees


@pytest.mark.parametrize("problem", OWN_PLACES)
def test_and_from_the_same_places_elsewhere(problem):
    assert deviations(problem) == ()
    assert check(problem, torch_gradients(problem)).agrees


def cumulated(x, row):
    """torch's gradient of a running product along the last axis, and the problem."""
    inputs = torch.tensor(x, requires_grad=True)
    d = torch.tensor(np.sin(1.0 + np.arange(x.size)).reshape(x.shape).astype(x.dtype))
    torch.cumprod(inputs, -1).backward(d)
    network = ref.Network({}, [ref.Step("y", row, "x")])
    return ref.Problem(network, {"x": x}, d.numpy(), "inner_product"), {"x": inputs.grad.numpy()}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_running_products_that_underflow_take_torchs_gradients_away(dtype):
    row, tiny = ref.operations.cumprod(dim=-1), 1e-51 if dtype is np.float64 else 1e-6
    x = np.array([[1.5, -0.5, 2.0, 0.75, 1.25, -3.0, 1.0]], dtype=dtype)
    problem, found = cumulated(x, row)
    assert deviations(problem) == ()
    assert check(problem, found, diagnose=False).status == "agrees"
    problem, found = cumulated(x * dtype(tiny), row)
    assert [d.name for d in deviations(problem)] == ["products_out_of_range"]
    exact = float(ref.certified_gradients(problem)["x"].nearest[0, -1])
    assert exact != 0
    assert abs(float(found["x"][0, -1]) / exact - 1) > FACTOR * np.finfo(dtype).eps
    if dtype is np.float64:  # in float32 it is what flushing subnormal numbers to 0 may lose
        verdict = check(problem, found)
        assert verdict.status == "wrong"
        assert "products_out_of_range" in verdict.diagnosis


def test_a_zero_among_the_factors_is_no_deviation():
    x = np.array([[1.5, 0.0, 2.0, 0.75], [1.0, -2.0, 3.0, 0.5]])
    problem, found = cumulated(x, ref.operations.cumprod(dim=-1))
    assert deviations(problem) == ()
    assert check(problem, found, diagnose=False).status == "agrees"


def test_torchs_atan2_tells_minus_zero_from_zero_and_its_gradients_are_right():
    network = ref.Network({}, [ref.Step("y", "atan2", "a", "b")], inputs=("a", "b"))
    for a, names in ((-0.0, ["atan2_signed_zero"]), (0.0, [])):
        x = {"a": np.array([a, 1.0]), "b": np.array([-2.0, 3.0])}
        problem = ref.Problem(network, x, np.ones(2), "inner_product", "sum")
        rows = deviations(problem)
        assert [row.name for row in rows] == names
        given = torch_gradients(problem).leaves()
        assert check(problem, {k: v for k, v in given.items() if k != "loss"}).agrees
        assert check(rows[0].as_torch(problem) if rows else problem, given).agrees
        assert check(problem, given).agrees is not bool(rows)
