"""Where wrong gradients part from the right ones, for what no known mistake explains."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.unexplained import agrees, not_finite

PROBLEM = network([4, 5, 2], ["tanh", "identity"])
LEAVES = leaves_of(PROBLEM)
FIRST = "layers[0].weight"


def said(change):
    """The diagnosis where the first weight's gradient is changed in place."""
    leaf = LEAVES[FIRST].copy()
    change(leaf)
    return tc.check(PROBLEM, LEAVES | {FIRST: leaf}).diagnosis


def one(leaf):
    leaf[1, 3] += 0.5


def row(leaf):
    leaf[2] *= 1.25


def column(leaf):
    leaf[:, 1] += np.arange(1.0, 6.0)


def slightly(leaf):
    leaf[3] *= 1 + 2.0**-20


def some(leaf):
    leaf[0, 0] += 1
    leaf[1, 1] -= 3


def tile(leaf):
    leaf[3:, 2:] = 0


def every_other(leaf):
    leaf[:3, ::2] *= -1


@pytest.mark.parametrize(("change", "pattern"), [
    (tile, "(at [3:, 2:] alone, where it is 0)"),
    (every_other, "(at [:3, ::2] alone, × -1)"),
    (one, f"(at [1, 3] alone: yours {LEAVES[FIRST][1, 3] + 0.5:.6g}, the oracle's {LEAVES[FIRST][1, 3]:.6g})"),
    (row, "(in row 2 alone, × 1.25)"),
    (column, "(in column 1 alone)"),
    (slightly, "(in row 3 alone, × (1 +9.54e-07))"),
    (some, "(2 of 20 elements)"),
], ids=lambda case: getattr(case, "__name__", ""))  # fmt: skip
def test_a_pattern_of_wrong_elements_is_said(change, pattern):
    found = said(change)
    assert found.names == ()
    assert f"wrong: {FIRST} {pattern}; right: loss, layers[1].bias" in found


def test_the_layer_in_which_they_part_is_the_uppermost_that_is_wrong():
    rng = np.random.default_rng(0)
    given = LEAVES | {place: rng.normal(size=LEAVES[place].shape) for place in ("layers[0].bias", FIRST, "input")}
    text = tc.check(PROBLEM, given).diagnosis
    assert (
        "; from the output down they first differ in layers[0], in d_z: look at the product with layers[1].weight "
        "and at the derivative of tanh" in text
    )
    given |= {place: rng.normal(size=LEAVES[place].shape) for place in ("layers[1].bias", "layers[1].weight")}
    text = tc.check(PROBLEM, given).diagnosis
    assert (
        "; from the output down they first differ in layers[1], in d_z: look at the gradient of the loss; "
        "the loss itself is right" in text
    )


def test_one_error_that_all_below_follows_from_is_said_to_be_one():
    """A derivative that is no activation's, in a layer of at least as many inputs as there are examples."""
    problem = network([3, 8, 8, 2], ["tanh", "tanh", "identity"], examples=4)
    trace = ref.forward(problem.mlp, problem.x)
    d_z = ref.loss_gradient(problem, trace.output)
    given = {"layers[2].weight": d_z.T @ trace.inputs[2], "layers[2].bias": d_z.sum(axis=0)}
    odd = np.random.default_rng(3).normal(size=(4, 8))
    for l in (1, 0):
        d_z = (d_z @ problem.mlp.layers[l + 1].weight) * (odd if l else 1 - trace.inputs[1] ** 2)
        given |= {f"layers[{l}].weight": d_z.T @ trace.inputs[l], f"layers[{l}].bias": d_z.sum(axis=0)}
    text = tc.check(problem, given).diagnosis
    assert "first differ in layers[1], in d_z: look at the product with layers[2].weight and at the derivative" in text
    assert "all that lies below follows from the gradient of its pre-activation, which is wrong: one error" in text


# ── what is not finite ───────────────────────────────────────────────────────────────────────────────


def test_the_first_place_from_the_output_that_is_not_finite_is_named():
    spoilt = LEAVES[FIRST].copy()
    spoilt[1, 2] = np.nan
    given = LEAVES | {FIRST: spoilt, "input": np.full(LEAVES["input"].shape, np.inf)}
    found = tc.check(PROBLEM, given).diagnosis
    assert found.names == ("not finite",)
    z = np.abs(ref.forward(PROBLEM.mlp, PROBLEM.x).preactivations[0][:, 1])
    assert found == (
        f"{FIRST}: 1 of 20 elements is not finite, the first at [1, 2]; so are elements of input; it is unit 1 of "
        f"layers[0]: its pre-activation is {z.max():.4g} in size in example {z.argmax()}"
    )


def test_most_units_point_above_and_a_large_preactivation_at_exp():
    fmt = FORMATS["float16"]
    spoilt = LEAVES | {FIRST: np.where(np.arange(5)[:, None] < 3, np.nan, LEAVES[FIRST])}
    text = not_finite(PROBLEM, spoilt, fmt)
    assert text.startswith(f"{FIRST}: 12 of 20 elements are not finite, the first at [0, 0]; most units of layers[0]")
    first, last = PROBLEM.mlp.layers
    for scale, overflows in ((1.0, False), (100.0, True)):
        large = PROBLEM.replace(network=ref.MLP((ref.Layer(scale * first.weight, first.bias, "tanh"), last)))
        given = LEAVES | {FIRST: np.where(np.arange(5)[:, None] == 4, np.inf, LEAVES[FIRST])}
        assert not_finite(large, given, fmt).endswith("overflows in float16") == overflows
    assert not_finite(PROBLEM, LEAVES, fmt) == ""
    loss = not_finite(PROBLEM, LEAVES | {"loss": np.array(np.nan)}, fmt)
    assert loss == "loss: 1 of 1 elements is not finite, the first at [0]"


def test_a_leaf_agrees_within_rounding_in_every_element():
    fmt, right, scale = FORMATS["float64"], {"a": np.ones(3)}, {"a": np.full(3, 2.0**-40)}
    assert agrees("a", {"a": np.array([1.0, 1.0, 1 + 32 * 2.0**-40])}, right, scale, fmt)
    assert not agrees("a", {"a": np.array([1.0, 1.0, 1 + 33 * 2.0**-40])}, right, scale, fmt)
    unknown = {"a": np.array([2.0**-40, np.nan, 2.0**-40])}
    assert agrees("a", {"a": np.array([1.0, 5.0, 1.0])}, right, unknown, fmt)


@pytest.mark.parametrize(("name", "dtype", "deviates"), [
    ("hardsigmoid", "float64", True),
    ("hardsigmoid", "float32", False),
    ("hardsigmoid", "bfloat16", False),
    ("hardsigmoid", "float16", False),
    ("bce", "float64", False),
    ("bce", "float32", True),
])  # fmt: skip
def test_torchs_deviations_are_those_of_the_format_that_was_given(name, dtype, deviates):
    """hardsigmoid's slope is a float32 number in float64 alone; at z = 20 a sigmoid rounds to 1 in float32 alone."""
    x, given = np.array([[20.0, -1.0], [0.5, 2.0]]), np.array([[0.125, -0.25], [0.75, -1.375]])
    if name == "bce":
        net = ref.Network({}, [ref.Step("p", "sigmoid", "x")], output="p")
        problem = ref.Problem(net, x, np.array([[1.0, 0.0], [1.0, 0.0]]), "bce")
    else:
        net = ref.Network({}, [ref.Step("y", name, "x")])
        problem = ref.Problem(net, x, np.ones((2, 2)), "inner_product")
    verdict = tc.check(problem, {"x": given}, dtype)
    assert verdict.status == "wrong"
    assert ("torch is known to deviate here" in verdict.diagnosis) == deviates, str(verdict)
