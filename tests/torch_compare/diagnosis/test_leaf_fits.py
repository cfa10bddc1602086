"""Factors of finished gradients, and the sentence for each."""

import numpy as np
import pytest

import torch_compare as tc
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.leaf_fits import _factor_and_rate, near_round

PROBLEM = network([4, 5, 2], ["tanh", "identity"])
LEAVES = leaves_of(PROBLEM, "loss")
PARAMETERS = {place: leaf for place, leaf in LEAVES.items() if place != "input"}
NORM = float(np.sqrt(sum(np.sum(leaf * leaf) for leaf in PARAMETERS.values())))


@pytest.mark.parametrize(("factor", "said", "relative"), [
    (1.005, "1.005", "0.005"), (0.995, "0.995", "-0.005"), (1.0099, "1.0099", "0.0099"),
    (1 + 2**-20, "1.000000954", "9.54e-07"), (1 - 2**-20, "0.999999", "-9.54e-07"),
])  # fmt: skip
def test_a_factor_near_1_is_inaccurate(factor, said, relative):
    found = tc.check(PROBLEM, {place: factor * leaf for place, leaf in LEAVES.items()}).diagnosis
    assert found.names == ("constant factor",)
    assert found.startswith(f"every gradient: yours = oracle × {said} to ")
    assert found.endswith(f"; that is off by a relative {relative}: one factor on the way to all of them is inaccurate")


@pytest.mark.parametrize("factor", [0.0123, 12.3, -0.32, -1.005, 1.02, 0.32, 0.98, 0.0003])
def test_any_other_factor_is_no_constant_known_here(factor):
    """−1.005 is far from 1, too. A learning rate has one digit or two, and lies between 0 and 1."""
    found = tc.check(PROBLEM, {place: factor * leaf for place, leaf in LEAVES.items()}).diagnosis
    assert found.names == ("constant factor",)
    rate = ": a learning rate, perhaps" if factor in (0.32, 0.98, 0.0003) else ""
    assert found.endswith(f"; {factor:g} is no constant known here{rate}")


@pytest.mark.parametrize(("size", "done"), [(0.1, "clipped, or normalised,"), (1.0, "clipped, or normalised,"),
                                            (5.0, "normalised"), (50.0, "normalised")])  # fmt: skip
def test_a_norm_of_a_round_number_is_clipped_or_normalised(size, done):
    """Clipping makes a gradient smaller only; a factor that is a norm of a round number by chance is rarer."""
    assert 1 < NORM < 5
    found = tc.check(PROBLEM, {place: leaf * (size / NORM) for place, leaf in PARAMETERS.items()}).diagnosis
    assert found.names == ("gradient clipped",)
    assert found.endswith(f"; the norm of all parameters' gradients is {done} to {size:g}")
    negated = {place: -leaf * (size / NORM) for place, leaf in PARAMETERS.items()}
    assert "clipped" not in tc.check(PROBLEM, negated).diagnosis


def test_a_gradient_of_zeros_is_missing():
    found = tc.check(PROBLEM, LEAVES | {"layers[0].bias": np.zeros(5)}).diagnosis
    assert found.names == ("gradient missing",)
    assert found.startswith("layers[0].bias: yours is 0")


def test_a_factor_of_one_gradient_stands_at_its_place():
    found = tc.check(PROBLEM, LEAVES | {"layers[1].weight": 0.5 * LEAVES["layers[1].weight"]}).diagnosis
    assert found.names[0] in ("factor 1/2", "mean for sum")
    assert "a ½ too many" in found
    assert "1/2, and 2 is the number of outputs" in found
    assert found.startswith("layers[1].weight: yours = oracle × 0.5 to ")


@pytest.mark.parametrize(("value", "noise", "found"), [
    (1.0, 0.0, 1.0), (2.5, 0.0, 2.5), (0.01, 0.0, 0.01), (1e-12, 0.0, 1e-12), (7e5, 0.0, 7e5),
    (1.0 - 5e-7, 0.0, 1.0), (1.0 - 2e-6, 0.0, 0.0), (1.0 - 2e-6, 1e-5, 1.0), (1.1, 0.0, 0.0), (9.7, 0.0, 0.0),
    (0.0, 1.0, 0.0), (-1.0, 1.0, 0.0), (np.inf, 1.0, 0.0), (np.nan, 1.0, 0.0),
])  # fmt: skip
def test_a_round_number_is_one_within_the_noise_or_what_torch_adds(value, noise, found):
    """clip_grad_norm_ divides by the norm + 1e-6."""
    assert near_round(value, noise) == pytest.approx(found, rel=2**-52, abs=0)


def test_a_direction_along_the_gradient_leaves_the_factor_at_one():
    """Then no numbers tell a factor from a decay, and the decay is the one that is looked for."""
    made = np.array([1.0, 2.0, -4.0])  # powers of two: nothing rounds
    assert _factor_and_rate(made + 0.5 * (2 * made), made, 2 * made) == (1.0, 0.5)
