"""Wrong gradients that people reported in public, as small inputs: each is given its name. A number is a report's."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference import activations as act
from reference import losses
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.rules import Rules, backward_with

BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def op(x, row, dtype=np.float64):
    """A bare operation as a problem: its upstream gradient is 1."""
    x = np.array(x, dtype)[:, None]
    layer = ref.Layer(np.ones((1, 1), dtype), None, row)
    target = np.full(x.shape, -1024.0, dtype)
    return ref.Problem(ref.MLP((layer,)), x, target, loss="l1", reduction="sum")


def from_output(problem, d_output, dtype):
    """The gradients that come of another gradient of the output."""
    wrong = backward_with(Rules(d_output=lambda p, y: d_output), problem)
    return {k: np.asarray(v, dtype) for k, v in wrong.leaves().items() if k != "loss"}


def in_bfloat16(values):
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def named(problem, given, dtype=None):
    verdict = tc.check(problem, given, dtype)
    assert verdict.status == "wrong"
    return verdict.diagnosis


# ── activations ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_tt_metal_6598_a_threshold_of_softplus_that_is_ignored(dtype):
    z = np.array([0.25, 0.5, 1.0, 2.0, 3.0])
    slope = 1 / (1 + np.exp(-z))[:, None]
    given = slope if dtype == "float64" else slope.astype(np.float32) if dtype == "float32" else in_bfloat16(slope)
    found = named(op(z, act.softplus(threshold=0.0), given.dtype), {"input": given}, dtype)
    assert found.names == ("activation parameter ignored",)
    assert "threshold=" in found


@BOTH
@pytest.mark.parametrize("row", ["hardsigmoid", "hardtanh", "relu6", "hardswish"])
def test_tt_metal_6534_a_saturated_part_that_is_not_masked(row, dtype):
    z = np.array([-7.0, -4.0, -0.5, 0.25, 4.0, 8.0], dtype)
    middle = {"hardsigmoid": np.full(6, 1 / 6), "hardswish": (2 * z + 3) / 6}.get(row, np.ones(6))
    found = named(op(z, row, dtype), {"input": middle.astype(dtype)[:, None]})
    assert found.names == ("saturated part not masked",)
    assert found.startswith("layers[0]: the saturated part is not masked")


@BOTH
def test_tvm_7340_tanh_whose_gradient_multiplies_one_term_only(dtype):
    problem = network([4, 6, 3], ["tanh", "tanh"]).in_dtype(dtype)
    trace = ref.forward(problem.mlp, problem.x)
    d_h = ref.loss_gradient(problem, trace.output)
    d_z = d_h - trace.output**2
    given = {"layers[1].weight": d_z.T @ trace.inputs[1], "layers[1].bias": d_z.sum(axis=0)}
    found = named(problem, given)
    assert found.names == ("gradient in one term only",)
    assert "d − h²" in found


def along_rows(row, pull, dtype):
    problem = network([4, 6, 5], ["tanh", row]).in_dtype(dtype)
    trace = ref.forward(problem.mlp, problem.x)
    d_z = pull(trace.output, ref.loss_gradient(problem, trace.output))
    given = {"layers[1].weight": d_z.T @ trace.inputs[1], "layers[1].bias": d_z.sum(axis=0)}
    return named(problem, given)


@BOTH
def test_onednn_616_and_mlpack_2360_log_softmax_by_another_formula(dtype):
    def by_softmax(h, d):
        return np.exp(h) * (d - (np.exp(h) * d).sum(axis=1, keepdims=True))

    def with_plus(h, d):
        return d + np.exp(h) * d.sum(axis=1, keepdims=True)

    found = along_rows("log_softmax", by_softmax, dtype)
    assert found.names == ("softmax's formula for its kin",)
    assert "the formula of softmax stands for that of log_softmax" in found
    assert along_rows("log_softmax", with_plus, dtype).names == ("sign of a derivative term",)


@BOTH
def test_ctensor_31_softmax_times_the_gradient_above_once_more(dtype):
    def twice(h, d):
        return h * (d - (h * d).sum(axis=1, keepdims=True)) * d

    assert along_rows("softmax", twice, dtype).names == ("upstream gradient applied twice",)


@BOTH
def test_a_community_s_85937_the_pre_activation_multiplied_in(dtype):
    z = np.array([-1.5, -0.5, 0.25, 1.0, 2.0], dtype)
    found = named(op(z, "sigmoid", dtype), {"input": (z * np.exp(-z) / (1 + np.exp(-z)) ** 2)[:, None]})
    assert found.names == ("pre-activation multiplied in",)


# ── sums over the batch ──────────────────────────────────────────────────────────────────────────────


@BOTH
def test_stat453_5_one_sum_for_the_bias_of_every_class(dtype):
    problem = network([4, 6, 3], ["tanh", "sigmoid"]).in_dtype(dtype)
    given = {k: np.asarray(v, dtype) for k, v in leaves_of(problem.in_float64()).items()}
    given["layers[1].bias"] = np.full(3, given["layers[1].bias"].sum(), dtype)
    assert named(problem, given).names == ("one bias gradient for all",)


@pytest.mark.parametrize("residue", [2.0**-11, 2.0**-12, -(2.0**-10)])
def test_one_sum_for_every_class_s_bias_is_no_factor_though_it_cancels(residue):
    """Behind the cross entropy it should be 0: what rounding leaves of it was called a loss scale of 1/2048."""
    problem = network([5, 7, 4, 3], ["relu", "tanh", "identity"], 16, "cross_entropy")
    problem = problem.map(lambda a: in_bfloat16(a).astype(np.float64))
    given = {k: in_bfloat16(v) for k, v in leaves_of(problem).items()}
    right = given["layers[2].bias"]
    given["layers[2].bias"] = np.full(3, np.float32(residue * np.abs(right).max()))
    assert named(problem, given, "bfloat16").names == ("one bias gradient for all",)
    given["layers[2].bias"] = right / np.float32(2048)
    assert named(problem, given, "bfloat16").names == ("loss scale",)


@BOTH
@pytest.mark.parametrize(("averaged", "name"), [(True, "mean of micro-batches' means"),
                                                (False, "micro-batches' means added up")])  # fmt: skip
def test_transformers_24725_and_37197_means_of_uneven_micro_batches(averaged, name, dtype):
    problem = network([6, 8, 5], ["tanh", "identity"], examples=13, loss="cross_entropy")
    parts = [(0, 5), (5, 7), (7, 13)]
    each = [ref.gradients(problem.replace(x=problem.x[a:b], target=problem.target[a:b])).leaves() for a, b in parts]
    given = {k: sum(g[k] for g in each) / (3 if averaged else 1) for k in each[0] if k != "input"}
    found = named(problem.in_dtype(dtype), {k: np.asarray(v, dtype) for k, v in given.items()})
    assert found.names == (name,)
    assert "micro-batches of 5, 2, 6 examples" in found
    assert found.endswith("; your loss has the mistake too")


@BOTH
def test_pytorch_180201_rows_of_the_input_s_gradient_that_are_0(dtype):
    problem = network([3, 6, 2], ["tanh", "identity"], examples=64).in_dtype(dtype)
    rows = np.array(ref.gradients(problem.in_float64()).input, dtype)
    rows[9:] = 0
    found = named(problem, {"input": rows})
    assert found.names == ("rows left at 0",)
    assert found.startswith("input: rows from 9 on are 0; ")


# ── overflow ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", ["softplus", act.softplus(threshold=np.inf)], ids=["threshold 20", "no threshold"])
def test_burn_5373_and_1139_softplus_whose_exponential_overflows(row):
    z = np.array([1.0, 100.0], np.float32)
    with np.errstate(all="ignore"):
        given = (np.exp(z) / (np.exp(z) + 1))[:, None]
    found = named(op(z, row, np.float32), {"input": given})
    assert found.names == ("not finite",)
    assert "it first arises in layers[0], at unit 0 in example 1, where z = 100" in found
    assert "is ∞/∞ there: e^(βz) overflows in float32 from an exponent of 88.72 on" in found


def test_pytorch_13773_bce_with_logits_whose_exponential_overflows():
    mlp = ref.MLP((ref.Layer(np.ones((1, 1), np.float32), None, "identity"),))
    x, ones = np.array([[1.0], [-120.0]], np.float32), np.ones((2, 1), np.float32)
    problem = ref.Problem(mlp, x, ones, losses.bce_with_logits(pos_weight=np.array(1.0, np.float32)))
    with np.errstate(all="ignore"):
        given = -np.exp(-x) / (1 + np.exp(-x)) / 2
    found = named(problem, {"input": given})
    assert "it first arises in the loss, at output 0 in example 1, where y = -120" in found
    assert "is ∞/∞ there: e^−y overflows in float32" in found


# ── losses ───────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_paddle_54730_pos_weight_on_the_negatives(dtype):
    problem = network([4, 6, 3], ["tanh", "identity"])
    target = (problem.target > 0).astype(float)
    problem = problem.replace(loss=losses.bce_with_logits(pos_weight=np.array(3.0)), target=target)
    sigmoid = 1 / (1 + np.exp(-ref.forward(problem.mlp, problem.x).output))
    d_output = ((1 - target) * 3 * sigmoid - target * (1 - sigmoid)) / target.size
    found = named(problem.in_dtype(dtype), from_output(problem, d_output, dtype))
    assert found.names == ("pos_weight on the negatives",)


@pytest.mark.parametrize(("dtype", "eps"), [(np.float64, 1e-6), (np.float32, 1e-2)])
def test_pytorch_190058_eps_added_to_a_variance(dtype, eps):
    problem = network([4, 6, 3], ["tanh", "identity"]).replace(loss=losses.gaussian_nll(var=0.5, eps=eps))
    y = ref.forward(problem.mlp, problem.x).output
    found = named(problem.in_dtype(dtype), from_output(problem, (y - problem.target) / (0.5 + eps) / y.size, dtype))
    assert found.names == ("eps added",)
    assert "the variance is var + eps, not max(var, eps)" in found


# ── nothing fits ─────────────────────────────────────────────────────────────────────────────────────


def test_a_derivative_that_is_none_is_printed_beside_the_right_one():
    found = named(op([-2.0, -0.5, 0.3, 1.0, 2.0], "gelu"), {"input": np.sin(3 * np.array([[-2, -0.5, 0.3, 1, 2]])).T})
    assert found.names == ()
    assert "input implies for gelu′(z): 0.279415 at z = -2, where it is -0.0852318, 0.783327 at z = 0.3" in found


def test_a_weight_that_alone_is_wrong_leaves_d_z_right():
    problem = network([4, 6, 3], ["tanh", "identity"])
    right = leaves_with((), problem)
    wrong = np.random.default_rng(0).normal(size=(3, 6))
    found = named(problem, right | {"layers[1].weight": wrong})
    assert "; look at the product d_zᵀ·h that its weight's gradient is" in found
    found = named(problem, right | {"layers[1].bias": wrong[:, 0]})
    assert "; look at the sum of it over the examples" in found
