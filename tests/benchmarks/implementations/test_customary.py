"""Every customary formula gives gradients that agree on the textbook scale, in small networks near 0 and far out."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.implementations.customary import ACTIVATIONS, customary_gradients
from benchmarks.implementations.customary_losses import LOSSES
from tests.helpers.comparing import assert_within_rounding

SCALES = (1e-6, 1e-3, 0.1, 1.0, 4.0, 15.0, 60.0)
FORMS = [(row, form) for row, forms in ACTIVATIONS.items() for form in forms]
LOSS_FORMS = [(row, form) for row, forms in LOSSES.items() for form in forms]
BATCHES = (1, 16)
K = 4

each_type = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def target(kind, rng, n, dtype):
    return {
        "real": lambda: rng.normal(size=(n, K)).astype(dtype),
        "classes": lambda: rng.integers(0, K, n),
        "probabilities": lambda: rng.integers(0, 2, (n, K)).astype(dtype),
        "signs": lambda: rng.choice([-1.0, 1.0], (n, K)).astype(dtype),
        "nonnegative": lambda: rng.uniform(0.1, 2, (n, K)).astype(dtype),
    }[kind]()


def first_layer(rng, x, scale, reach, width, dtype):
    """Weights and biases that make pre-activations of about this size, none beyond the reach."""
    weight, bias = scale * rng.normal(size=(width, x.shape[1])), min(scale, 1.0) * rng.normal(size=width)
    most = np.abs(x @ weight.T + bias).max()
    factor = min(1.0, reach / most)
    return (factor * weight).astype(dtype), (factor * bias).astype(dtype)


@cache
def problems(row, loss, reach, dtype):
    """The same for every form of so wide a reach, so that their scales are measured once."""
    return tuple(made(row, loss, reach, dtype, scale, n) for scale in SCALES for n in BATCHES)


def made(row, loss, reach, dtype, scale, n):
    rng = np.random.default_rng([n, int(1e6 * scale)])
    x = rng.normal(size=(n, 3))
    shrink = ref.ACTIVATIONS[row].shrink
    weight, bias = first_layer(rng, x, scale, reach, K * shrink, dtype)
    layers = [ref.Layer(weight, bias, row)]
    if row != "identity":
        layers.append(ref.Layer(rng.normal(size=(K, K)).astype(dtype), None, "identity"))
    t = target(ref.LOSSES[loss].target, rng, n, dtype)
    return ref.Problem(ref.MLP(tuple(layers)), x.astype(dtype), t, loss)


@each_type
@pytest.mark.parametrize(("row", "form"), FORMS, ids=[f"{row}: {form.title}" for row, form in FORMS])
def test_an_activation_agrees_however_it_is_written(row, form, dtype):
    for problem in problems(row, "mse", form.reach, dtype):
        with np.errstate(all="ignore"):
            made = customary_gradients(problem, {0: form})
        assert {leaf.dtype for leaf in made.values()} == {np.dtype(dtype)}
        verdict = tc.check(problem, made, diagnose=False)
        # z − tanh z loses all of a derivative of z²: nothing can be said of it then, and nothing is.
        assert verdict.status in ("agrees", "unresolved"), f"{row} as {form.title}: {verdict}"


@each_type
@pytest.mark.parametrize(("row", "form"), LOSS_FORMS, ids=[f"{row}: {form.title}" for row, form in LOSS_FORMS])
def test_a_loss_agrees_however_it_is_written(row, form, dtype):
    for problem in problems("identity", row, form.reach, dtype):
        with np.errstate(all="ignore"):
            made = customary_gradients(problem, {}, form)
        assert {leaf.dtype for leaf in made.values()} == {np.dtype(dtype)}
        verdict = tc.check(problem, made, diagnose=False)
        assert verdict.agrees, f"{row} as {form.title}: {verdict}"


@pytest.mark.parametrize(("row", "form"), FORMS, ids=[f"{row}: {form.title}" for row, form in FORMS])
def test_a_derivative_that_is_off_by_a_thousandth_does_not(row, form):
    """Where the activation bends: the textbook scale must not hold everything."""
    problem = problems(row, "mse", form.reach, np.float32)[len(BATCHES) * SCALES.index(1.0) + BATCHES.index(16)]
    off = replace(form, pullback=lambda z, h, d_h: np.float32(1.001) * form.pullback(z, h, d_h))
    assert not tc.check(problem, customary_gradients(problem, {0: off}), diagnose=False).agrees


@pytest.mark.parametrize(("row", "form"), LOSS_FORMS, ids=[f"{row}: {form.title}" for row, form in LOSS_FORMS])
def test_a_loss_gradient_that_is_off_by_a_thousandth_does_not(row, form):
    problem = problems("identity", row, form.reach, np.float32)[len(BATCHES) * SCALES.index(1.0) + BATCHES.index(16)]
    off = replace(form, gradient=lambda y, t: np.float32(1.001) * form.gradient(y, t))
    assert not tc.check(problem, customary_gradients(problem, {}, off), diagnose=False).agrees


def test_without_a_form_the_oracles_own_formulas_run():
    problem = problems("tanh", "mse", 9.0, np.float64)[0]
    assert_within_rounding(problem, customary_gradients(problem, {}), ref.gradients(problem).leaves())
