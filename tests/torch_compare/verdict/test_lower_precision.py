"""Errors that are those of a coarser format."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from reference.rounding.distance import FACTOR
from tests.torch_compare.verdict.helpers import tanh_problem
from torch_compare.verdict.lower_precision import lower_precision


@pytest.mark.parametrize(("lower", "name"), [(np.float32, "float32"), (np.float16, "tf32")])
def test_lower_precision_is_imprecise_and_named(lower, name):
    """float16 rounds to as many bits as tf32, which is tried first."""
    problem = tanh_problem()
    low = problem.map(lambda a: a.astype(lower)).replace(target=problem.target.astype(lower))
    rounded = low.map(lambda a: a.astype(float)).replace(target=low.target.astype(float))
    given = ref.gradients(low).map(lambda leaf: np.asarray(leaf, dtype=float))
    verdict = tc.check(rounded, given)
    assert verdict.status == "imprecise"
    assert verdict.diagnosis == f"the errors are those of {name}, not of float64"


def test_lower_precision_agrees_when_it_is_asked_for():
    problem = tanh_problem(np.float32)
    half = problem.map(lambda a: a.astype(np.float16)).replace(target=problem.target.astype(np.float16))
    double = half.map(lambda a: a.astype(float)).replace(target=half.target.astype(float))
    assert tc.check(double, ref.gradients(half)).status == "agrees"
    assert tc.check(double, ref.gradients(half), dtype="float32").status != "agrees"


def named(ratios, fmt="float64", **others):
    """The format that errors of so many σ of float32 look like; every number is one of float32, as its own is."""
    ratios = np.asarray(ratios, dtype=float)
    error = 2.0**-20
    wider = 2.0 ** (FORMATS[fmt].coarsest_bits - FORMATS["float32"].coarsest_bits)
    leaves = {"input": 1 + error * (ratios != 0)} | {k: given for k, (given, _, _) in others.items()}
    expected = {"input": np.ones(ratios.shape)} | {k: right for k, (_, right, _) in others.items()}
    sigma = np.where(ratios == 0, error, error / np.where(ratios == 0, 1.0, ratios)) / wider
    scale = {"input": sigma} | {k: s for k, (_, _, s) in others.items()}
    return lower_precision(leaves, expected, scale, FORMATS[fmt])


@pytest.mark.parametrize(("ratios", "name"), [
    ([1.0] * 16, "float32"),
    ([0.0625] * 16, "float32"),
    ([0.04] * 16, None),  # its square root is 0.2
    ([0.25] + [0.0] * 15, "float32"),  # a root mean square of 0.0625, a mean of 0.016
    ([0.125] + [0.0] * 15, None),
    ([FACTOR] + [1.0] * 15, "float32"),
    ([FACTOR + 1] + [1.0] * 15, None),
    ([2.0**13] * 16, "tf32"),
    ([2.0**13 * (FACTOR + 1)] * 16, "bfloat16"),
])  # fmt: skip
def test_errors_are_those_of_a_format_whose_scale_they_fill_and_do_not_exceed(ratios, name):
    """tf32 and float16 have 2^13 times the σ of float32, bfloat16 2^16 times: 0.05 to 32 of them, by leaf."""
    assert named(ratios) == name


def test_every_leaf_is_judged_that_may_err():
    zeros = np.zeros((2, 2))
    assert named([1.0] * 4, dead=(zeros, zeros, zeros)) == "float32"
    assert named([1.0] * 4, loss=(np.array(3.0), np.array(3.0), np.array(1e-16))) == "float32"
    exact = (np.ones(4), np.ones(4), np.full(4, 1e-16))
    assert named([1.0] * 4, weight=exact) is None
    assert lower_precision({"loss": np.array(2.0)}, {"loss": np.array(1.0)}, {"loss": np.array(1e-8)},
                           FORMATS["float64"]) is None  # fmt: skip


def test_what_float32_does_not_hold_was_not_computed_in_it():
    tenth = np.full(4, 0.1)
    assert named([1.0] * 4, weight=(tenth, tenth * (1 + 2.0**-24), np.full(4, 2.0**-24 * 2.0**-29))) is None
    third = np.full(4, 1 / 3)
    wide = (third * (1 + 2.0**-10), third, third * 2.0**-23)
    assert named([2.0**13] * 4, "float32", weight=wide) == "tf32", "float64 may hold what float32 was asked of"
    assert named([1.0] * 4, "float32") is None


def test_a_dead_layer_in_float32_does_not_hide_that_it_was_float32():
    """Its gradients are 0 in any precision, and σ of them, too."""
    problem = tanh_problem()
    first, *rest = problem.mlp.layers
    dead = ref.Layer(first.weight, np.full(16, -1e3), "relu")
    low = problem.replace(mlp=ref.MLP((dead, *rest))).map(lambda a: a.astype(np.float32))
    low = low.replace(target=low.target.astype(np.float32))
    found = ref.gradients(low).map(lambda leaf: np.asarray(leaf, dtype=float))
    assert not np.any(found.layers[0].weight)
    verdict = tc.check(low.in_float64(), found)
    assert (verdict.status, verdict.diagnosis) == ("imprecise", "the errors are those of float32, not of float64")
