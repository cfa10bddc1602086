"""The diagnosis against mistakes made by an implementation that shares no formula with the oracle."""

from itertools import combinations

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.wrong_gradients.bank import BANK
from tests.helpers import derivatives

NAMED = [m for m in BANK if m.expected_names and m.status == "wrong"]
QUANTITATIVE = ("relative error",)


@pytest.mark.parametrize("mutant", [m for m in NAMED if m.kind not in QUANTITATIVE], ids=lambda m: m.name)
def test_each_mistake_is_named_as_itself(mutant):
    problem = mutant.problem(3, mutant.dtype)
    verdict = tc.check(problem.in_float64(), mutant.gradients(problem), mutant.dtype)
    assert verdict.status == "wrong"
    assert verdict.diagnosis.names
    assert set(verdict.diagnosis.names) <= mutant.expected_names, verdict.diagnosis


@pytest.mark.parametrize("mutant", [m for m in BANK if m.status == "imprecise"], ids=lambda m: m.name)
def test_lower_precision_is_no_mistake(mutant):
    problem = mutant.problem(3, mutant.dtype)
    verdict = tc.check(problem.in_float64(), mutant.gradients(problem), mutant.dtype)
    assert verdict.status == "imprecise"
    assert not verdict.diagnosis.sought


def small_problem(seed):
    rng = np.random.default_rng(seed)
    mlp = ref.initialize([5, 7, 6, 3], ["tanh", "relu", "identity"], seed=seed)
    layers = tuple(ref.Layer(l.weight, rng.normal(size=l.weight.shape[0]), l.activation) for l in mlp.layers)
    return ref.Problem(ref.MLP(layers), rng.normal(size=(9, 5)), rng.normal(size=(9, 3)), "mse"), rng


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("seed", range(3))
def test_a_random_error_is_given_no_name(seed, size):
    problem, rng = small_problem(seed)
    given = ref.gradients(problem).map(lambda leaf: leaf * (1 + size * rng.normal(size=np.shape(leaf))))
    verdict = tc.check(problem, given.leaves())
    assert verdict.diagnosis.names == ()
    if size == 1e-3:  # the size of products with operands of 11 bits, and as much without direction as theirs
        assert verdict.status in ("wrong", "imprecise")
    else:
        assert verdict.status == "wrong"
        assert "no known mistake" in verdict.diagnosis


def bias_averaged(leaves, problem):
    return {k: v / problem.x.shape[0] if k.endswith("bias") else v for k, v in leaves.items()}


def first_transposed(leaves, problem):
    place = "layers[1].weight"
    return leaves | {place: leaves[place].T.reshape(leaves[place].shape)}


def negated(leaves, problem):
    return {k: -v for k, v in leaves.items()}


def decayed(leaves, problem):
    return leaves | {
        f"layers[{i}].weight": leaves[f"layers[{i}].weight"] + 0.01 * layer.weight
        for i, layer in enumerate(problem.mlp.layers)
    }


NAMES = {
    bias_averaged: "bias gradient averaged",
    first_transposed: "weight gradient transposed",
    negated: "sign",
    decayed: "weight decay mixed in",
}


@pytest.mark.parametrize(("first", "second"), tuple(combinations(NAMES, 2)), ids=lambda f: f.__name__)
def test_pairs_are_named_as_both(first, second):
    problem, _ = small_problem(5)
    given = second(first(ref.gradients(problem).leaves(), problem), problem)
    verdict = tc.check(problem, given)
    assert set(verdict.diagnosis.names) == {NAMES[first], NAMES[second]}, verdict.diagnosis


def test_a_sentence_reads_as_a_person_would_say_it():
    problem, _ = small_problem(1)
    summed = ref.gradients(problem.replace(reduction="sum"))
    text = tc.check(problem, summed.leaves()).diagnosis
    assert text.startswith("every gradient: yours = oracle × 27 to within 1 rounding scale everywhere; 27 is ")
    assert "a sum where the loss takes the mean" in text


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_given_gets_a_diagnosis_and_never_an_error(seed):
    problem, rng = small_problem(seed)
    leaves = derivatives(ref.gradients(problem))
    kept = [k for k in leaves if rng.random() < 0.6] or ["input"]
    makes = [
        lambda v: np.full(v.shape, np.nan), np.zeros_like, lambda v: 1e300 * rng.normal(size=v.shape),
        lambda v: rng.normal(size=v.shape), lambda v: v[::-1].copy(), lambda v: np.where(v > 0, v, np.inf),
    ]  # fmt: skip
    given = {k: makes[int(rng.integers(len(makes)))](leaves[k]) for k in kept}
    verdict = tc.check(problem, given)
    assert verdict.status in ("wrong", "agrees", "unresolved", "imprecise")
    assert verdict.status != "wrong" or verdict.diagnosis
