"""Sums in several orders: each adds up everything, and rounds as its order does."""

import numpy as np
import pytest

from benchmarks.implementations.correct_gradients import representable
from benchmarks.implementations.naive import naive_gradients
from benchmarks.implementations.sums import SUMS, Summed, one_after_the_other
from benchmarks.wrong_gradients.problems import network
from tests.helpers.comparing import assert_within_rounding


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 65, 200])
def test_every_term_is_added_once(name, n):
    terms = np.random.default_rng(n).integers(-9, 9, (n, 2, 3)).astype(float)
    np.testing.assert_array_equal(SUMS[name](terms), terms.sum(axis=0))


def test_a_loop_rounds_each_addition_to_its_own_precision():
    terms = np.full(3000, np.float32(0.1))
    total = np.float32(0)
    for term in terms:
        total = np.float32(total + term)
    found = one_after_the_other(terms)
    assert found.dtype == np.float32
    assert found == total
    assert found != np.float32(terms.astype(float).sum())


@pytest.mark.parametrize("name", SUMS)
def test_the_gradients_differ_from_the_naive_ones_by_rounding_alone(name):
    problem = network(0, activation="gelu", examples=100)
    plain, found = naive_gradients(problem), Summed(problem, SUMS[name]).run()
    assert any(np.any(found[place] != plain[place]) for place in plain)
    assert_within_rounding(problem, found, plain)


def test_what_is_computed_in_float32_and_stored_in_half_is_rounded_once():
    problem = representable(network(0), "bfloat16")
    stored = Summed(problem, SUMS["pairs"], "bfloat16", stored=True).run()
    rounded = Summed(problem, SUMS["pairs"], "bfloat16").run()
    wide = Summed(problem, SUMS["pairs"], "float32").run()
    for place in stored:
        if place != "loss":
            np.testing.assert_allclose(stored[place], wide[place], rtol=2.0**-8)  # half an ulp of bfloat16's 8 bits
            assert np.all(stored[place].view(np.int32) % 2**16 == 0)
    assert any(np.any(stored[place] != rounded[place]) for place in stored)
