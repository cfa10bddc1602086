"""The trial of an explanation in noisy arithmetic: how many runs it has, and what few of them are worth."""

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.formats import FORMATS
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.evidence import Evidence
from torch_compare.diagnosis.trial import CONFIRMED, FEWEST_CONFIRMED, RUNS, Trial, pooled
from torch_compare.mistakes.finished import factor_at
from torch_compare.mistakes.mistake import Mistake

PROBLEM = network([4, 5, 2], ["tanh", "identity"])


def trial(given, problem=PROBLEM):
    expected, scale = leaves_of(problem), ref.rounding_scale(problem).leaves()
    evidence = Evidence.of(problem, given, expected, scale, FORMATS["float64"].unit_roundoff)
    return Trial(evidence, expected, scale, FORMATS["float64"], 0)


def doubled(factor):
    places = [place for place in leaves_of(PROBLEM) if place != "loss"]
    return (factor_at(places, "every gradient", Mistake("factor", "", "", form="factor", constant=factor)),)


def test_the_mistake_stands_and_one_that_is_nearly_it_does_not():
    found = trial({place: 2 * leaf for place, leaf in leaves_of(PROBLEM, "loss").items()})
    assert found.away(doubled(2.0)) < 2
    assert found.away(doubled(2.0 + 1e-9)) == found.away(doubled(1.0)) == np.inf


@pytest.mark.parametrize("runs", [4, 8])
def test_few_runs_are_pooled_so_that_no_element_seems_exact(runs):
    """σ of a million elements from four runs has some that are a hundredth of it."""
    rng = np.random.default_rng(0)
    right = np.outer(rng.uniform(1, 3, 300), rng.uniform(1, 3, 200))
    sigma = np.sqrt(np.mean((right * rng.normal(size=(runs, 300, 200))) ** 2, axis=0))
    assert np.min(sigma / right) < 0.25
    found = pooled(sigma, runs) / right
    assert np.min(found) > 0.4
    assert np.max(found) < 2
    assert pooled(sigma, RUNS) is sigma


def test_a_large_network_has_fewer_trials():
    assert trial(leaves_of(PROBLEM)).most == CONFIRMED
    large = network([1024, 1024, 10], ["tanh", "identity"], examples=4)
    expected = leaves_of(large)
    evidence = Evidence.of(large, expected, expected, expected, 2.0**-53)
    assert Trial(evidence, expected, expected, FORMATS["float64"], 0).most == FEWEST_CONFIRMED
