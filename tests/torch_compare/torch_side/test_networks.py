"""Networks of operations through torch: gradients by name, and the formats of steps as torch casts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import reference as ref
from tests.helpers import assert_same
from tests.helpers.comparing import assert_within_rounding
from torch_compare.random_problems.networks import NetworkSpec, build_network
from torch_compare.random_problems.operations import names
from torch_compare.torch_side.deviations import deviation, deviations
from torch_compare.torch_side.gradients import torch_gradients, torch_loss
from torch_compare.torch_side.operations import OPERATIONS, WITHOUT


def residual(dtype=np.float64, **formats) -> ref.Problem:
    """A shared weight, a branch, two inputs, a constant, three axes."""
    rng = np.random.default_rng(3)
    values = {name: rng.normal(size=shape).astype(dtype) for name, shape in
              (("w", (4, 4)), ("b", (4,)), ("x", (2, 3, 4)), ("z", (3, 1)), ("t", (2, 3, 4)), ("c", (4,)))}  # fmt: skip
    network = ref.Network(
        {"w": values["w"], "b": values["b"]},
        [
            ref.Step("h", "linear", "x", "w", "b", **formats),
            ref.Step("a", "gelu", "h"),
            ref.Step("r", "linear", "a", "w"),
            ref.Step("s", "add", "r", "x"),
            ref.Step("m", "mul", "s", "z"),
            ref.Step("y", "mul", "m", "c"),
        ],
        inputs=("x", "z"),
        constants={"c": values["c"]},
    )
    return ref.Problem(network, {"x": values["x"], "z": values["z"]}, values["t"], "mse")


@pytest.mark.parametrize("name", ref.operations.MAKERS)
def test_every_row_has_its_function_in_torch_or_a_reason(name):
    assert (name in OPERATIONS) != (name in WITHOUT)


def test_no_entry_stands_for_a_row_that_is_not_there():
    assert {*OPERATIONS, *WITHOUT} <= {*ref.operations.MAKERS, *ref.ACTIVATIONS, *ref.LOSSES}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_gradients_come_by_name_in_the_problems_type(dtype):
    problem = residual(dtype)
    found, expected = torch_gradients(problem).leaves(), ref.gradients(problem.in_float64()).leaves()
    assert list(found) == ["w", "b", "x", "z", "loss"]
    for place, leaf in found.items():
        assert leaf.dtype == dtype
        assert leaf.shape == expected[place].shape
    assert_within_rounding(problem, found, expected)
    assert_same(torch_loss(problem), np.asarray(found["loss"])[()])


def test_bfloat16_is_asked_for_by_name():
    problem = residual(np.float32)
    found = torch_gradients(problem, "bfloat16").leaves()
    assert found["w"].dtype == np.float32
    assert np.all(found["w"].view(np.uint32) & 0xFFFF == 0)
    with pytest.raises(TypeError, match="torch computes in float64, float32, float16, bfloat16, got tf32"):
        torch_gradients(problem, "tf32")


def test_a_step_computes_and_stores_in_its_formats():
    x, w = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.3, -0.7]], requires_grad=True)
    bfloat16 = torch.bfloat16
    (x.to(bfloat16) @ w.to(bfloat16).T).float().square().sum().backward()
    network = ref.Network(
        {"w": w.detach().numpy()},
        [ref.Step("h", "linear", "x", "w", compute="bfloat16"), ref.Step("y", "mul", "h", "h")],
    )
    problem = ref.Problem(network, x.numpy(), np.ones((1, 1), np.float32), "inner_product")
    assert_same(torch_gradients(problem)["w"], w.grad.numpy())
    plain = ref.Network({"w": w.detach().numpy()}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "mul", "h", "h")])
    assert not np.array_equal(torch_gradients(problem.replace(network=plain))["w"], w.grad.numpy())


def test_a_row_that_torch_has_not_is_named():
    row = ref.operations.get("add")
    own = ref.Operation("my_add", row.formula, row.source, row.inputs, row.value, row.pullback, row.pushforward,
                        row.probes)  # fmt: skip
    problem = ref.Problem(ref.Network({}, [ref.Step("y", own, "x", "x")]), np.ones((1, 2)), np.ones((1, 2)), "mse")
    with pytest.raises(ValueError, match=r"steps\[0\] \(y, my_add\): torch has no counterpart of the row 'my_add'"):
        torch_gradients(problem)


def test_losses_take_all_axes_but_the_last_as_examples():
    rng = np.random.default_rng(0)
    network = ref.Network({}, [ref.Step("y", "identity", "x")])
    problem = ref.Problem(network, rng.normal(size=(2, 3, 5)), rng.integers(0, 5, (2, 3)), "cross_entropy")
    assert_within_rounding(problem, torch_gradients(problem).leaves(), ref.gradients(problem).leaves())
    unreduced = problem.replace(reduction="none")
    assert_same(torch_loss(unreduced).shape, ref.loss_value(unreduced).shape)


FORMATS = ("float64", "float32", "float16", "bfloat16")
NOT_IN_TORCH = {
    (name, fmt)
    for name in ("avg_pool3d", "cdist", "multi_margin", "multilabel_margin")
    for fmt in ("float16", "bfloat16")
}
"""What torch does not compute on a CPU."""


def rounded_as_torch(problem: ref.Problem) -> ref.Problem:
    """The problem with torch's own formula where a published deviation says so."""
    row = deviation(problem)
    return row.as_torch(problem) if row is not None and row.as_torch is not None else problem


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", names())
def test_every_operation_agrees_with_the_reference_in_every_format(name, fmt):
    for seed in range(2):
        problem = build_network(NetworkSpec(seed, name, dtype="float64" if fmt == "float64" else "float32"))
        if any(row.name == "group_norm_bias_alone" for row in deviations(problem)):
            with pytest.raises(RuntimeError, match="tensor does not have a device"):
                torch_gradients(problem, fmt)
            continue
        if (name, fmt) in NOT_IN_TORCH:
            with pytest.raises(NotImplementedError, match="not implemented for"):
                torch_gradients(problem, fmt)
            continue
        theirs = rounded_as_torch(problem)
        if fmt == "float16" and name in ("reciprocal", "rsqrt") and leaves_range(theirs):
            continue  # torch multiplies the powers of the output first, which float16 does not hold
        expected = ref.gradients(theirs.in_float64()).leaves()
        assert_within_rounding(theirs, torch_gradients(problem, fmt).leaves(), expected, fmt)


def leaves_range(problem):
    """Whether the third power of the output is beyond float16's range."""
    output = ref.network.passes.forward(problem.network, problem.x).output
    return bool(np.any(np.abs(output.astype(float)) ** 3 > np.finfo(np.float16).max))


@pytest.mark.parametrize("name", [name for name in names() if name not in ref.ACTIVATIONS])
def test_torch_computes_with_the_rows_parameters_and_every_input(name):
    """Another derivative by a tenth is out of the scale: the comparison above can fail."""
    problem = build_network(NetworkSpec(1, name))
    found = torch_gradients(problem).leaves()
    wrong = {place: leaf * 1.1 for place, leaf in found.items()}
    if all(np.all(leaf == 0) for leaf in found.values()):
        pytest.fail("a draw of zeros shows nothing")
    with pytest.raises(AssertionError):
        assert_within_rounding(problem, wrong, ref.gradients(problem).leaves())


def test_a_padding_row_that_is_read_has_no_gradient_in_torch_either():
    row = ref.operations.MAKERS["embedding"](padding_idx=1)
    network = ref.Network({"w": np.arange(6.0).reshape(3, 2)}, [ref.Step("y", row, "x", "w")])
    problem = ref.Problem(network, {"x": np.array([0, 1, 1, 2])}, np.ones((4, 2)), "inner_product")
    assert_same(torch_gradients(problem)["w"], ref.gradients(problem)["w"])
    assert np.all(ref.gradients(problem)["w"][1] == 0)
