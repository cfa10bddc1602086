"""Every known mistake on random networks: is it told from the others by what it leaves behind?"""

from collections import Counter

import numpy as np
import pytest

import torch_compare as tc
from reference.arithmetic.noise_source import NoiseSource
from reference.network.in_arithmetic import in_noise, spread_of
from reference.rounding.distance import FACTOR, in_scales
from reference.rounding.scale import FORMATS, Noisy
from torch_compare.mistakes.backward import bias_mistakes, downward_mistakes, slope_mistakes, weight_mistakes
from torch_compare.mistakes.data import activation_mistakes, batch_mistakes
from torch_compare.mistakes.loss import loss_mistakes
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.random_problems.spec import build, random_spec

CASES = range(30)
OF_A_LAYER = (slope_mistakes, weight_mistakes, bias_mistakes, downward_mistakes)
ALSO = {"another loss": {"loss parameter ignored"}, "another activation": {"gradient missing"}}
"""What some of these are on a network where nothing tells them apart: huber is smooth_l1 but for its parameter, and an
activation that is 0 for every example has the gradient 0."""


def mistakes_of(problem):
    found = [*loss_mistakes(problem), *batch_mistakes(problem), *activation_mistakes(problem)]
    for layer in range(len(problem.mlp.layers)):
        for bank in OF_A_LAYER:
            found += bank(problem, layer)
    return found


def named(problem, mistake, dtype):
    """ "right", the verdict where that is not "wrong", or what the diagnosis says instead."""
    with np.errstate(all="ignore"):
        given = {k: np.asarray(v, dtype=dtype) for k, v in leaves_with((mistake,), problem.in_float64()).items()}
    if not all(np.all(np.isfinite(values)) for values in given.values()):
        return "not finite"
    verdict = tc.check(problem.in_float64(), given, dtype)
    if verdict.status != "wrong":
        return verdict.status
    names = {verdict.diagnosis.names, *verdict.diagnosis.others}
    right = {(mistake.name,), *((name,) for name in ALSO.get(mistake.name, ()))}
    return "right" if names & right else f"{mistake}: {verdict.diagnosis}"


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.explore)])
def test_mistakes_are_named_on_random_networks(dtype):
    told = Counter()
    for case in CASES:
        rng = np.random.default_rng([1, case])
        spec = random_spec(rng, case, dtype)
        if len(spec.activations) > 6:
            continue
        problem = build(spec)
        found = mistakes_of(problem)
        for index in rng.choice(len(found), size=2, replace=False):
            told[named(problem, found[index], dtype)] += 1
    wrong = {k: n for k, n in told.items() if k not in ("agrees", "unresolved", "another convention", "not finite")}
    assert sum(wrong.values()) > 40
    assert told["right"] >= 0.95 * sum(wrong.values()), "\n".join(wrong)


def test_a_mistake_runs_in_noise_whose_first_run_has_none():
    """The diagnosis judges by the mistake's own rounding scale: its formulas run on Noisy. Without noise they give what
    they give in float64, but for the order of sums: within float64's rounding scale of the mistake itself."""
    problem = build(random_spec(np.random.default_rng(3), 3, "float64"))
    noisy = in_noise(problem, NoiseSource(FORMATS["float64"], 16, np.random.default_rng(0)))
    for mistake in mistakes_of(problem):
        with np.errstate(all="ignore"):
            plain, runs = leaves_with((mistake,), problem), leaves_with((mistake,), noisy)
        for place, values in plain.items():
            first = runs[place].data[0] if isinstance(runs[place], Noisy) else runs[place]
            off = in_scales(first, values, spread_of(runs[place]), FORMATS["float64"])
            assert np.all(off <= FACTOR), f"{mistake.key}, {place}: {np.max(off)} scales"


def test_every_mistake_says_what_and_where():
    problem = build(random_spec(np.random.default_rng(5), 5, "float64"))
    for mistake in mistakes_of(problem):
        assert mistake.name
        assert mistake.where
        assert mistake.what[0].islower() or not mistake.what[0].isalpha()
        assert not mistake.what.endswith(".")
