"""How many times each example counts, from gradients alone."""

import ml_dtypes
import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.evidence import Evidence
from torch_compare.diagnosis.example_weights import example_weight_mistakes
from torch_compare.mistakes.example_weights import micro_batch_weights, micro_batches, weighed
from torch_compare.mistakes.mistake import leaves_with


def classifier(examples, seed=0):
    return network([6, 8, 5], ["tanh", "identity"], examples=examples, loss="cross_entropy", seed=seed)


def told(problem, weights, dtype=np.float64, *without):
    """The diagnosis of gradients, without the loss, in which the examples count so."""
    made = leaves_with((weighed("w", "w", np.asarray(weights, float)),), problem)
    given = {k: np.asarray(v, dtype) for k, v in made.items() if k not in ("loss", *without)}
    return tc.check(problem, given).diagnosis


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sizes", [(3, 9, 1), (4, 4, 4, 2), (7, 2), (1, 5, 5, 5), (2, 3, 4, 5, 6)])
def test_micro_batches_of_any_sizes_are_found(sizes, dtype):
    n = sum(sizes)
    shares = np.repeat([n / (len(sizes) * s) for s in sizes], sizes)
    found = told(classifier(n), shares, dtype, "input")
    assert found.names == ("mean of micro-batches' means",)
    assert (
        f"micro-batches of {', '.join(map(str, sizes))} examples are averaged, where the mean is over all {n}" in found
    )
    found = told(classifier(n), shares * len(sizes), dtype, "input")
    assert found.names == ("micro-batches' means added up",)
    assert f"micro-batches of {', '.join(map(str, sizes))} examples are added up" in found


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("sizes", [(5, 2, 6), (7, 2), (1, 5, 5, 5), (5, 2, 53)])
def test_a_few_micro_batches_of_any_sizes_are_found_in_half_precision(sizes, dtype):
    """Rounding leaves no example's weight certain, and there may be fewer equations than two for each."""
    n = sum(sizes)
    shares = np.repeat([n / (len(sizes) * s) for s in sizes], sizes)
    for factor, name in ((1, "mean of micro-batches' means"), (len(sizes), "micro-batches' means added up")):
        found = told(classifier(n), shares * factor, dtype, "input")
        assert found.names == (name,)
        assert f"{', '.join(map(str, sizes))} examples are " in found


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("n", [2, 3])
def test_fewer_examples_than_micro_batches_that_are_sought_are_no_error(n, dtype):
    problem = network([2, 2, 1], ["relu", "identity"], examples=n, loss="mse", seed=0)
    assert told(problem, np.random.default_rng(0).uniform(0.9, 1.1, n), dtype, "input") is not None


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("n", [9, 24])
def test_weights_of_no_kind_are_given_no_name_in_half_precision(n, dtype):
    for seed in range(3):
        weights = np.random.default_rng(seed).uniform(0.5, 2, n)
        assert told(classifier(n, seed), weights, dtype, "input").names == ()


@pytest.mark.parametrize("about", [True, np.True_], ids=["Python's", "NumPy's"])
def test_sizes_that_the_numbers_do_not_settle_are_said_to_be_about(about):
    counts = np.ones(9)
    said = micro_batches(counts, micro_batch_weights(counts, (2, 9), averaged=True), (2, 7), averaged=True, about=about)
    assert "micro-batches of about 2, 7 examples" in said.what


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_examples_left_out_or_repeated_are_found(dtype):
    ones = np.ones(9)
    found = told(classifier(9), np.where(np.isin(np.arange(9), (2, 5)), 0, ones), dtype)
    assert found.names == ("examples left out",)
    assert "examples 2 and 5 left out" in found
    found = told(classifier(9), np.where(np.arange(9) == 4, 3, ones), dtype)
    assert found.names == ("examples counted more than once",)
    assert "example 4 counted 3 times" in found
    found = told(classifier(9), np.where(np.isin(np.arange(9), (2, 5)), 0, 9 / 7), dtype)
    assert "examples 2 and 5 left out, and the mean is that of the rest" in found


def test_weights_of_no_kind_are_given_no_name():
    weights = np.random.default_rng(0).uniform(0.5, 2, 9)
    assert told(classifier(9), weights).names == ()


def test_a_plain_factor_is_no_matter_of_examples():
    for factor in (2.0, 3.0, 0.5):
        assert told(classifier(6), np.full(6, factor)).startswith("every gradient: yours = oracle × ")


def test_where_the_uppermost_gradients_are_right_nothing_is_sought():
    problem = classifier(9)
    right = leaves_of(problem)
    scale = {k: 2.0**-50 * np.maximum(np.abs(v), 1e-3) for k, v in right.items()}
    unit = FORMATS["float64"].unit_roundoff
    for wrong in ({}, {"layers[0].weight": 2 * right["layers[0].weight"]}):
        evidence = Evidence.of(problem, right | wrong, ref.gradients(problem).leaves(), scale, unit)
        assert list(example_weight_mistakes(evidence)) == []
