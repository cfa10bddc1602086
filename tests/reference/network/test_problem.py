"""Problems: what is given is not modified, and the same lines run on complex numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from reference.activations.row import AGREE
from tests.helpers import assert_same, assert_same_gradients, leaves, random_mlp


def problem(rng: np.random.Generator, dtype: Any = np.float64, loss: str = "mse") -> ref.Problem:
    mlp = random_mlp(rng, int(rng.integers(1, 4)), dtype)
    x = rng.normal(size=(3, mlp.layers[0].fan_in)).astype(dtype)
    return ref.Problem(mlp, x, rng.normal(size=(3, mlp.layers[-1].width)).astype(dtype), loss)


@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_given_is_modified(seed):
    case = problem(np.random.default_rng(seed))
    for array in leaves(case):
        array.flags.writeable = False
    trace = ref.forward(case.mlp, case.x)
    for array in (*trace.inputs, *trace.preactivations, trace.output):
        array.flags.writeable = False
    before = [array.copy() for array in leaves(case)]
    d_output = ref.loss_gradient(case, trace.output)
    d_output.flags.writeable = False
    ref.backward(case.mlp, trace, d_output)
    ref.gradients(case)
    ref.loss_value(case)
    for array, copy in zip(leaves(case), before, strict=True):
        assert_same(array, copy)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_problem_gives_the_same_bits(seed):
    case = problem(np.random.default_rng(seed))
    assert_same_gradients(ref.gradients(case), ref.gradients(case))


def test_map_and_replace_leave_the_problem_alone():
    case = problem(np.random.default_rng(0))
    half = case.map(lambda array: array / 2)
    assert_same(half.x, case.x / 2)
    assert_same(half.target, case.target)
    assert_same(half.mlp.layers[0].weight, case.mlp.layers[0].weight / 2)
    assert half.mlp.layers[0].activation is case.mlp.layers[0].activation
    assert case.replace(reduction="sum").reduction == "sum"
    assert case.reduction == "mean"


def test_complex_problems_give_the_complex_step():
    """The same lines on complex128: the imaginary part of the loss is the derivative along the direction."""
    rng = np.random.default_rng(4)
    mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=4)
    case = ref.Problem(mlp, rng.normal(size=(2, 2)), rng.normal(size=(2, 1)), "half_squared_error")
    step = ref.loss_value(case.map(lambda array: array + 1e-100j * array)).imag * 1e100
    g = ref.gradients(case)
    pieces = [(layer.weight, d.weight) for layer, d in zip(mlp.layers, g.layers, strict=True)]
    pieces += [(layer.bias, d.bias) for layer, d in zip(mlp.layers, g.layers, strict=True)] + [(case.x, g.input)]
    along = sum(float(np.sum(p * d)) for p, d in pieces)
    size = sum(float(np.sum(np.abs(p * d))) for p, d in pieces)
    # Formulas are compared here (rows.AGREE); roundings elsewhere.
    assert abs(step - along) <= AGREE * size
