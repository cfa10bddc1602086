"""Gradient bugs of other implementations (KNOWN-BUGS.md, by number): what the reference must get right itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

import reference as ref
from benchmarks.exactness import independent_formulas as truths
from benchmarks.exactness.independent_formulas import ULPS, error_in_ulps, exactly
from reference import activations as act
from reference import losses
from tests.helpers import ELEMENTWISE, assert_same

ORDERS = ("value", "derivative", "second_derivative")

# ── activations ──────────────────────────────────────────────────────────────────────────────────────


def close(name: str, order: str, z: float, dtype: Any = np.float64) -> float:
    """The row's number at z, once it has been found right to `ULPS`."""
    (got,) = getattr(ref.ACTIVATIONS[name], order)(np.array([z], dtype))
    with ctx.workprec(truths.BITS):
        point = exactly(np.array([z], dtype)[0])
        assert error_in_ulps(got, truths.ELEMENTWISE[name][ORDERS.index(order)](point), dtype) <= ULPS
    return float(got)


def test_bug_1_saturated_sigmoid_and_tanh():
    """pytorch#195527, #195681: sigmoid′(40) and tanh′(20) return 0.0."""
    assert f"{close('sigmoid', 'derivative', 40.0):.2e}" == "4.25e-18"
    assert f"{close('tanh', 'derivative', 20.0):.2e}" == "1.70e-17"
    assert close("sigmoid", "derivative", 700.0) > 0
    assert close("tanh", "derivative", -370.0) > 0


@pytest.mark.parametrize("z", [37.43, 40.0, 700.0])
def test_bug_3_softmax_gradients_keep_the_small_component(z):
    """pytorch#195678, #195680, #195684; jax#40384–40387: one component 0 at z = 37.43, so the sum is not 0."""
    logits, d_y = np.array([[z, 0.0]]), np.array([[1.0, 0.0]])
    for name in ("softmax", "log_softmax"):
        top, other = ref.ACTIVATIONS[name].vjp(logits, d_y)[0]
        assert top != 0
        assert top == -other


@pytest.mark.parametrize("z", [30.0, 40.0, 100.0, 700.0])
def test_bug_4_second_derivatives_of_logsigmoid_and_silu(z):
    """pytorch#195679, #195682: all digits lost in the tails."""
    for point in (-z, z):
        assert close("logsigmoid", "second_derivative", point) < 0
        assert close("silu", "second_derivative", point) < 0


def test_bug_5_tanh_in_float32():
    """pytorch#195685: tanh′(−9.0109) in float32."""
    assert close("tanh", "derivative", -9.0109, np.float32) > 0


def test_bug_6_tails_of_elu_selu_and_silu():
    """jax#39795, #39796, #39798: elu and selu tails; silu′(−709)."""
    for z in (-40.0, -200.0, -700.0, -740.0):
        assert close("elu", "derivative", z) > 0
        assert close("selu", "derivative", z) > 0
    assert close("silu", "derivative", -709.0) < 0
    assert close("silu", "derivative", -740.0) < 0


@pytest.mark.parametrize("z", [20.5, 40.0, 100.0, 700.0, 740.0])
def test_bug_7_tails_of_elu_selu_silu_sigmoid_and_softplus(z):
    """tensorflow#124833, #124834, #126060, #126635: elu, selu, silu, sigmoid and softplus″ in the tails."""
    for name in ("elu", "selu"):
        assert close(name, "second_derivative", -z) > 0
        assert close(name, "value", -z) < 0
    assert close("silu", "value", -z) < 0
    assert close("silu", "second_derivative", z) < 0
    assert close("sigmoid", "derivative", z) == close("sigmoid", "derivative", -z) > 0
    assert close("sigmoid", "second_derivative", z) < 0
    assert close("softplus", "second_derivative", -z) > 0


def test_bug_12_negative_parameters():
    """pytorch#47671, #31938: elu with a negative alpha, leaky_relu with a negative slope, from the output's sign."""
    assert_same(act.leaky_relu(-0.25).derivative(np.array([-2.0, 2.0])), np.array([-0.25, 1.0]))
    assert_same(act.leaky_relu(-0.25).value(np.array([-2.0, 2.0])), np.array([0.5, 2.0]))
    assert_same(act.elu(-2.0).derivative(np.array([-0.0, 2.0])), np.array([-2.0, 1.0]))
    left = act.elu(-2.0).derivative(np.array([-1.0]))
    assert error_in_ulps(left[0], [-2 * arb(-1).exp()], np.float64) <= ULPS


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_bug_14_gelu_in_low_precision(dtype):
    """fairseq#2235: GELU NaN in half precision."""
    z = np.linspace(-float(np.finfo(dtype).max), float(np.finfo(dtype).max), 101).astype(dtype)
    for name in ("gelu", "gelu_tanh"):
        for order in ORDERS:
            with np.errstate(under="ignore"):
                assert np.isfinite(getattr(ref.ACTIVATIONS[name], order)(z)).all()


def test_bug_15_logsigmoid_keeps_its_digits():
    """pytorch#20972: logsigmoid without log1p."""
    for z in (20.0, 40.0, 100.0, 700.0):
        assert close("logsigmoid", "value", z) < 0


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_bug_16_the_branch_not_taken_poisons_nothing(name):
    """jax#347, #5798: NaN through `where`, because the other branch overflows."""
    row = ref.ACTIVATIONS[name]
    z, d_y = np.array([-1e4, -800.0, 800.0, 1e4]), np.array([0.75, -1.25, 0.5, 2.0])
    for got in (row.value(z), row.pullback(z, d_y), row.second_derivative(z)):
        assert np.isfinite(got).all()


# ── losses ───────────────────────────────────────────────────────────────────────────────────────────

ONE = np.ones((1, 1))


@pytest.mark.parametrize("logit", [40.0, 100.0, 700.0])
def test_bug_2_both_branches_of_bce_with_logits(logit):
    """pytorch#195677, #195529; jax#40342: gradient 0 on one of two symmetric branches."""
    row = ref.LOSSES["bce_with_logits"]
    right, left = row.gradient(logit * ONE, ONE), row.gradient(-logit * ONE, 0 * ONE)
    assert right[0, 0] < 0
    assert_same(right, -left)


@pytest.mark.parametrize("gap", [36.0, 37.43, 40.0, 700.0])
def test_bug_3_cross_entropy_keeps_the_small_component(gap):
    """pytorch#195678, #195680, #195684; jax#40384–40387: one component 0 at 37.43, so the sum is not 0."""
    (gradient,) = ref.LOSSES["cross_entropy"].gradient(np.array([[gap, 0.0, 0.0]]), np.array([0]))
    assert gradient[1] == gradient[2] > 0
    assert gradient[0] == -2 * gradient[1]


def test_bug_8_bce_with_logits_at_logit_0():
    """pytorch#2298: gradient 0 at logit 0, through an `abs` inside a smooth function."""
    for zero in (0.0, -0.0):
        assert_same(ref.LOSSES["bce_with_logits"].gradient(zero * ONE, ONE), -0.5 * ONE)
        assert_same(ref.LOSSES["soft_margin"].gradient(zero * ONE, -ONE), 0.5 * ONE)


def test_bug_9_smooth_l1_with_beta_0():
    """pytorch#96813: smooth_l1 with β = 0 gives NaN."""
    row = losses.smooth_l1(beta=0.0)
    y = np.array([[-2.0, 0.0, 3.0]])
    assert_same(row.value(y, 0 * y), np.array([[2.0, 0.0, 3.0]]))
    assert_same(row.gradient(y, 0 * y), np.array([[-1.0, 0.0, 1.0]]))


def test_bug_10_l1_at_0():
    """pytorch#7172: l1_loss gradient 1 at 0, while abs gives 0."""
    assert_same(ref.LOSSES["l1"].gradient(ONE, ONE), 0 * ONE)


def test_bug_13_both_forms_of_binary_cross_entropy_agree():
    """pytorch#103316: BCE(sigmoid(−50)): the two forms of the same loss disagree by many orders."""
    for logit in (-700.0 / 8, -50.0, -20.0, -1.0):  # where log σ is well-conditioned
        y, t = logit * ONE, ONE
        sigmoid = ref.ACTIVATIONS["sigmoid"]
        chained = sigmoid.pullback(y, ref.LOSSES["bce"].gradient(sigmoid.value(y), t))[0, 0]
        with ctx.workprec(truths.BITS):
            value_terms, terms = truths.bce_with_logits(arb(logit), arb(1))
            assert (
                error_in_ulps(ref.LOSSES["bce"].value(sigmoid.value(y), t)[0, 0], value_terms, np.float64) <= 2 * ULPS
            )
            assert error_in_ulps(chained, terms, np.float64) <= 2 * ULPS
            assert error_in_ulps(ref.LOSSES["bce_with_logits"].gradient(y, t)[0, 0], terms, np.float64) <= ULPS


def test_bug_17_kl_div_at_target_0():
    """pytorch#89558: kl_div at target 0: value 0 and gradient 0, no NaN."""
    y = np.array([[-1.0, -700.0]])
    assert_same(ref.LOSSES["kl_div"].value(y, 0 * y), 0 * y)
    assert_same(ref.LOSSES["kl_div"].gradient(y, 0 * y), 0 * y)


def test_bug_22_no_clipping_at_20():
    """thinc clips the sigmoid at ±20: derivative 2.1e-9 at 25, true 1.4e-11."""
    assert f"{ref.ACTIVATIONS['sigmoid'].derivative(np.array([25.0]))[0]:.1e}" == "1.4e-11"
    below, above = (ref.LOSSES["bce_with_logits"].gradient(-z * ONE, 0 * ONE)[0, 0] for z in (20.0, 25.0))
    assert f"{below / above:.1f}" == "148.4"  # e⁵
