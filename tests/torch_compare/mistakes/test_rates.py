"""Mistakes of an unknown rate show in half precision by the direction that they move the gradients in."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from reference.arithmetic.noise_source import nearest
from reference.rounding.distance import FACTOR
from tests.torch_compare.diagnosis.helpers import network
from torch_compare.mistakes.backward import update_mistake
from torch_compare.mistakes.finished import decayed_at
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.rates import RATE, rate_mistakes

PROBLEM = network([8, 8, 8, 8], ["tanh"] * 3, 6)


def halved(leaves, dtype):
    """The leaves as the format stores them, its range apart."""
    return {place: nearest(np.asarray(leaf, dtype=float), FORMATS[dtype].bits) for place, leaf in leaves.items()}


@pytest.mark.parametrize(
    ("dtype", "mistakes", "name"),
    [
        ("bfloat16", [update_mistake(1, 0.5, "the gradient")], "weights already updated"),
        ("float16", [update_mistake(k, 0.002, "the gradient's sign") for k in range(3)], "weights already updated"),
        ("float16", [decayed_at(f"layers[{k}].weight", "the weights", 0.0005, 0.0) for k in range(3)],
         "weight decay mixed in"),
    ],
)  # fmt: skip
def test_a_rate_too_small_for_any_element_shows_in_its_direction_and_is_named(dtype, mistakes, name):
    wrong = halved(leaves_with(tuple(mistakes), PROBLEM), dtype)
    verdict = tc.check(PROBLEM, wrong, dtype)
    assert verdict.status == "wrong"
    assert verdict.worst.scales < FACTOR  # no element tells
    assert verdict.diagnosis.names == (name,)
    assert tc.check(PROBLEM, halved(ref.gradients(PROBLEM).leaves(), dtype), dtype).agrees


def test_what_a_rate_changes_is_straight_in_it():
    """To less than bfloat16 rounds: there no direction is known better."""
    problem = PROBLEM.replace(network=ref.initialize([4, 3, 2], ["tanh", "identity"], seed=1), x=PROBLEM.x[:, :4],
                              target=PROBLEM.target[:, :2])  # fmt: skip
    right = ref.gradients(problem).leaves()
    for mistake in rate_mistakes(problem):
        once, twice = (leaves_with((mistake(times * RATE, 0.0),), problem) for times in (1, 2))
        moved = [np.concatenate([np.ravel(made[k] - right[k]) for k in right]) for made in (once, twice)]
        assert np.linalg.norm(moved[0]) > 0
        bent = np.linalg.norm(moved[1] - 2 * moved[0]) / np.linalg.norm(moved[1])
        assert bent < FORMATS["bfloat16"].unit_roundoff
