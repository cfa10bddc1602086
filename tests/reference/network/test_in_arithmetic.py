"""A problem in another arithmetic: the textbook formulas allow for what libraries really do."""

import numpy as np
import pytest
import torch

import reference as ref
from reference.arithmetic.formats import FORMATS
from reference.network.in_arithmetic import TANH_TAIL, TANH_ULPS
from reference.rounding.scale import rounding_scale
from tests.helpers.comparing import ONCE_IN_A_BILLION


def test_the_textbook_scale_is_wide_where_textbook_formulas_cancel():
    layer = ref.Layer(np.array([[20.0]]), None, "tanh")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[1.1]]), np.array([[0.3]]), "mse")
    accurate = rounding_scale(problem).layers[0].weight[0, 0]
    textbook = rounding_scale(problem, textbook=True).layers[0].weight[0, 0]
    assert accurate < 1e-30
    assert 1e-17 < textbook < 2e-15


def test_tanh_near_one_errs_in_libraries_by_what_the_table_says():
    """1 − tanh z = 2/(e^2z + 1), to which 1 − t is compared in units of u, the ulp of numbers below 1."""
    import jax

    z = np.random.default_rng(0).uniform(8, 20, 50_000)
    with jax.enable_x64(True):
        values = {"JAX": np.asarray(jax.jit(jax.numpy.tanh)(z)), "torch": torch.tanh(torch.from_numpy(z)).numpy(),
                  "NumPy": np.tanh(z)}  # fmt: skip
    ulps = {name: ((1 - t) - 2 / (np.exp(2 * z) + 1)) * 2.0**53 for name, t in values.items()}
    tail = z > 13
    allowed = TANH_ULPS / np.sqrt(3)
    assert np.sqrt(np.mean(ulps["JAX"][tail] ** 2)) == pytest.approx(allowed, rel=0.1)
    assert 5 < np.abs(ulps["JAX"]).max() < 8
    assert np.abs(ulps["torch"]).max() < 1
    assert np.abs(ulps["NumPy"]).max() < 1


@pytest.mark.parametrize("name", TANH_TAIL)
def test_the_scale_allows_for_the_tanh_of_any_library(name):
    """σ of a′ is 7 u where tanh is near 1 in float64: a value that is 6.5 ulps off stays within 3 of it."""
    layers = (ref.Layer(np.array([[9.0]]), None, name),)
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([[0.0]]), "l1")
    wide, narrow = (rounding_scale(problem, t, textbook=True).layers[0].weight for t in ("float64", "float32"))
    least = 2 * TANH_ULPS / np.sqrt(3) / 1.5
    assert wide > least * 2.0**-53
    assert narrow < 2.0**29 * wide / 4


@pytest.mark.parametrize("row", [row.name for row in ref.ACTIVATIONS.values() if row.derivative is not None])
def test_a_row_of_one_rounding_errs_by_an_ulp_where_it_is_evaluated_in_a_wider_format(row):
    """d_z errs by an ulp at the most in each of two roundings to bfloat16; the other rows' errors are as they were."""
    z = np.random.default_rng(0).uniform(-3, 3, 64)[:, None].astype(np.float16).astype(np.float64)
    z = np.ldexp(np.rint(np.ldexp(z, 5)), -5)
    problem = ref.Problem(ref.MLP((ref.Layer(np.ones((1, 1)), None, row),)), z, np.full(z.shape, -99.0), "l1", "sum")
    half = FORMATS["bfloat16"].accumulating_in(FORMATS["float32"])
    steps, once = (rounding_scale(problem, f).input for f in (half, half.evaluating_in(FORMATS["float32"])))
    if ref.ACTIVATIONS[row].one_rounding:
        assert np.all(once <= 2 * half.ulp(ref.gradients(problem).input))
        assert np.all(once <= 2 * steps)
    else:
        assert np.array_equal(once, steps)


@pytest.mark.parametrize("row", [row.name for row in ref.ACTIVATIONS.values() if row.one_rounding])
def test_a_row_of_one_rounding_allows_for_the_customary_formula_of_the_format_it_is_evaluated_in(row):
    """What float32 loses is not regained by rounding the result to bfloat16; σ of 32 runs is known to an eighth."""
    z = np.array([[-12.0], [-5.0], [5.0], [12.0]])
    problem = ref.Problem(ref.MLP((ref.Layer(np.ones((1, 1)), None, row),)), z, np.full(z.shape, -99.0), "l1", "sum")
    once = FORMATS["bfloat16"].evaluating_in(FORMATS["float32"])
    single, half = (rounding_scale(problem, f, textbook=True).input for f in ("float32", once))
    assert np.all(half >= single * (1 - 2 / 8))


@pytest.mark.parametrize("name", ["softsign", "silu", "gelu_tanh"])
def test_the_textbook_scale_of_one_example_is_no_larger_for_another_far_away(name):
    """The part that a quotient loses is that of each number's own size: it was that of the largest of all."""
    mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, name),))

    def scale(*x):
        batch = np.array(x)[:, None]
        problem = ref.Problem(mlp, batch, np.zeros_like(batch), "half_squared_error", reduction="sum")
        return rounding_scale(problem, textbook=True).input[0, 0]

    quotient = scale(-200.0, 1e300) / scale(-200.0, -200.0)
    assert 1 / ONCE_IN_A_BILLION < quotient < ONCE_IN_A_BILLION
