"""The yardstick of the search: norms, ratios, and how far off a gradient may be."""

import numpy as np
import pytest

import reference as ref
from reference.rounding.distance import FACTOR
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.evidence import BY_NORM, FARTHEST, ROUGHEST, Evidence, distance, norm, ratio

PROBLEM = network([4, 5, 2], ["tanh", "identity"])
UNIT = 2.0**-53


def evidence(given=None, scale=None):
    expected = leaves_of(PROBLEM)
    scale = scale or ref.rounding_scale(PROBLEM).leaves()
    return Evidence.of(PROBLEM, given or expected, expected, scale, UNIT)


@pytest.mark.parametrize("size", [1.0, 2.0**1000, 2.0**-1000, 2.0**-1060])
def test_a_norm_neither_overflows_nor_underflows(size):
    assert norm(size * np.array([[3.0], [-4.0]])) == 5 * size
    assert ratio(size * np.array([2.0, 4.0]), size * np.array([1.0, 2.0])) == 2
    assert norm(np.zeros((2, 0))) == norm(np.zeros(3)) == 0
    assert norm(np.array([1.0, -np.inf])) == np.inf


def test_a_ratio_is_that_of_least_squares():
    assert ratio(np.array([1.0, 3.0]), np.array([1.0, 1.0])) == 2
    assert ratio(np.array([-6.0, 0.0]), np.array([2.0, 0.0])) == -3
    assert ratio(np.array([1.0, -1.0]), np.array([1.0, 1.0])) == 0
    assert np.isnan(ratio(np.ones(2), np.zeros(2)))
    assert np.isnan(ratio(np.ones(2), np.array([np.inf, 1.0])))


def test_a_distance_is_relative_to_the_larger():
    a, b = np.array([3.0, 4.0]), np.array([0.0, 0.0])
    assert distance(a, b) == distance(b, a) == 1
    assert distance(a, -a) == 2
    assert distance(a, a) == distance(b, b) == 0
    assert distance(a, a[:1]) == distance(a, np.array([np.nan, 4.0])) == np.inf


def test_the_bound_is_the_largest_magnitude_if_it_occurs_twice():
    """What is clipped has it more than once, with either sign; the input's gradient is clipped by nobody."""
    given = leaves_of(PROBLEM)
    assert evidence(given).bound == 0
    for place, index in (("layers[0].weight", (0, 0)), ("layers[1].bias", (1,))):
        given[place] = given[place].copy()
        given[place][index] = 7.0 if place.endswith("weight") else -7.0
    given["input"] = np.full(given["input"].shape, 9.0)
    assert evidence(given).bound == 7.0
    parameters = [given[p].ravel() for p in given if p not in ("input", "loss")]
    assert evidence(given).norm == pytest.approx(np.sqrt(np.sum(np.concatenate(parameters) ** 2)), rel=2.0**-50)


def test_a_leaf_is_the_same_up_to_eight_errors_by_norm_if_no_element_is_far_off():
    """Each element has the same σ here, so that the usual error is that again: an error is σ and the usual one."""
    place, size = "layers[0].weight", 2.0**-30
    right = leaves_of(PROBLEM)[place]
    each = norm(right) / np.sqrt(right.size)
    scale = {p: np.full(np.shape(v), size * norm(v) / np.sqrt(np.size(v))) for p, v in leaves_of(PROBLEM).items()}
    found, error = evidence(scale=scale), size * each
    assert found.noise[place] == pytest.approx(size, rel=2.0**-40)
    signs = np.where(np.arange(right.size) % 2, 1.0, -1.0).reshape(right.shape)
    for scales, same in ((0.99 * BY_NORM, True), (1.01 * BY_NORM, False)):
        assert found.same(place, right + scales * error * signs) == same
        assert found.same(place, right + scales / 4 * error * signs, share=0.25) == same
    alone = error * (np.arange(right.size) == 9).reshape(right.shape)
    assert found.away(place, right + 30 * alone) == pytest.approx(30 / np.sqrt(right.size), rel=2.0**-20)
    assert np.isfinite(found.away(place, right + 0.99 * FARTHEST * FACTOR * alone))
    assert found.away(place, right + 1.01 * FARTHEST * FACTOR * alone) == np.inf
    assert found.away(place, right[:1]) == np.inf
    assert found.away(place, np.full(right.shape, np.nan)) == np.inf


def test_a_floor_widens_what_is_the_same():
    place = "layers[0].weight"
    right = leaves_of(PROBLEM)[place]
    moved = right * (1 + 2.0**-20)
    assert not evidence().same(place, moved)
    assert evidence().same(place, moved, floor=norm(right) * 2.0**-20)


def test_the_slack_ends_before_a_factor_2():
    """In FP8 the usual error may be a tenth of the gradient, and eight of them nearly all of it."""
    coarse = evidence(scale={p: np.abs(v) for p, v in leaves_of(PROBLEM).items()})
    assert coarse.slack("layers[0].weight") == ROUGHEST < distance(2.0, 1.0)
    assert evidence().slack("layers[0].weight") == BY_NORM * evidence().noise["layers[0].weight"] < 1e-12


def test_the_same_ends_before_a_factor_2_too():
    """In so coarse a format nothing else than the roughest slack holds, element by element as by norm."""
    place = "layers[0].weight"
    right = leaves_of(PROBLEM)[place]
    size = norm(right) / np.sqrt(right.size)
    coarse = evidence(
        scale={p: np.full(np.shape(v), norm(v) / np.sqrt(np.size(v))) for p, v in leaves_of(PROBLEM).items()}
    )
    signs = np.where(np.arange(right.size) % 2, 1.0, -1.0).reshape(right.shape)
    assert coarse.same(place, right + 0.98 * ROUGHEST * size * signs)
    assert not coarse.same(place, right + 1.2 * ROUGHEST * size * signs)
    assert not coarse.same(place, 2 * right)
