"""Thousands of examples tell an error that all share from independent ones: what rounding shares is granted."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from torch_compare.torch_side.gradients import torch_gradients
from torch_compare.verdict.mean_product import shared_errors

N, DTYPES = 3969, ("float32", "float64")


def one_layer(dtype, loss, target, activation="identity", weight=0.77, bias=0.62, n=N, outputs=1):
    rng = np.random.default_rng(3)
    layer = ref.Layer(np.full((outputs, 1), weight).astype(dtype), np.full(outputs, bias).astype(dtype), activation)
    return ref.Problem(ref.MLP((layer,)), rng.normal(size=(n, 1)).astype(dtype), target(rng).astype(dtype), loss)


def divergence(dtype):
    """Its gradient is −t/N, whose errors are those of one product each: nothing hides that of 1/N."""
    return one_layer(dtype, "kl_div", lambda rng: rng.exponential(size=(N, 1)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mean_that_is_a_product_with_its_reciprocal_agrees(dtype):
    problem = divergence(dtype)
    assert tc.check(problem, torch_gradients(problem), diagnose=False).agrees
    number, target = np.dtype(dtype).type, np.asarray(problem.target)
    d = -(target * (number(1) / number(N)))
    weight = problem.mlp.layers[0].weight
    given = {"input": d * weight[0, 0], "layers[0].weight": (d.astype(float).T @ problem.x).astype(dtype)}
    assert tc.check(problem, given, diagnose=False).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_parameter_of_the_loss_in_that_product_agrees(dtype):
    """torch multiplies the weight into 1/N: a second rounding that all gradients share."""
    loss = ref.losses.multilabel_soft_margin(weight=np.array([1.18200004]).astype(dtype))
    target = lambda rng: rng.integers(0, 2, size=(N, 1)).astype(float)  # noqa: E731
    for n in (2285, 3298, 3801):
        problem = one_layer(dtype, loss, target)
        problem = problem.replace(x=problem.x[:n], target=problem.target[:n])
        assert tc.check(problem, torch_gradients(problem), diagnose=False).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("times", [-6, 6])
def test_another_factor_of_a_few_roundings_is_wrong(dtype, times):
    """As large as six times the error of 1/N, to either side: the rounding of one or two numbers is granted."""
    problem = divergence(dtype)
    (shared,) = set(shared_errors(problem, FORMATS[dtype]))
    right = ref.gradients(problem.in_float64()).input.astype(np.longdouble)
    given = {"input": (right * (1 + times * np.longdouble(shared))).astype(dtype)}
    assert tc.check(problem, given, diagnose=False).status != "agrees"


@pytest.mark.parametrize(("reduction", "few"), [("mean", 5), ("sum", 1)])
def test_the_divisors_are_those_of_the_mean_and_of_the_outputs(reduction, few):
    problem = one_layer("float32", "mse", lambda rng: rng.normal(size=(7, 3)), n=7, outputs=3)
    errors = shared_errors(problem.replace(reduction=reduction), FORMATS["float32"])
    assert 1 <= len(errors) <= few
    assert all(0 < abs(error) <= 2.01 * FORMATS["float32"].unit_roundoff for error in errors)
    whole = 21 if reduction == "mean" else 3
    of_whole = float(np.float32(1) / np.float32(whole)) * whole - 1
    assert min(abs(error - of_whole) for error in errors) < 1e-15


def crowded_outputs():
    """2400 different outputs, all of which float32 rounds to 0.75, from nearly half an ulp above."""
    number, ulp = np.float32, FORMATS["float32"].ulp(0.75)
    x = np.random.default_rng(8).uniform(0.4 * ulp, 0.49 * ulp, size=(2400, 1)).astype(number)
    layer = ref.Layer(np.ones((1, 1), number), np.array([0.75], number), "identity")
    return ref.Problem(ref.MLP((layer,)), x, np.full((2400, 1), 0.5, number), "mse")


def test_examples_that_the_format_cannot_tell_apart_err_alike():
    """What one of them loses, all lose: no independent rounding explains their sum."""
    problem = crowded_outputs()
    given = {place: leaf.astype(np.float32) for place, leaf in ref.gradients(problem).leaves().items()}
    assert len(np.unique(problem.x)) > 500
    assert len(np.unique(given["input"])) == 1
    verdict = tc.check(problem, given, diagnose=False)
    assert verdict.agrees, str(verdict)
    assert tc.check(problem, {k: v * np.float32(1 + 4e-6) for k, v in given.items()}, diagnose=False).status == "wrong"
