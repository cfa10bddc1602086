"""Derivatives of two terms: together they are the derivative."""

import numpy as np
import pytest

import reference as ref
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.two_terms import TWO_TERMS, term_mistake

Z = np.linspace(-5, 5, 24).reshape(4, 6)
D = np.random.default_rng(0).normal(size=(4, 6))


@pytest.mark.parametrize("name", TWO_TERMS)
def test_both_terms_make_the_gradient(name):
    row, terms = ref.ACTIVATIONS[name], TWO_TERMS[name]
    right = row.pullback(Z, D)
    np.testing.assert_allclose(terms.weighed(1.0)(Z, None, D), right, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(terms.weighed(0.0)(Z, None, D), terms.first(Z, D))
    np.testing.assert_allclose(terms.weighed(3.0)(Z, None, D) - right, 2 * terms.second(Z, D), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", TWO_TERMS)
def test_a_scaled_term_spoils_its_layer_and_what_lies_below(name):
    problem = network([4, 5, 5, 3], ["tanh", name, "identity"])
    row, right = problem.mlp.layers[1].activation, leaves_of(problem)
    same, wrong = (leaves_with((term_mistake(1, row, weight),), problem) for weight in (1.0, 0.5))
    for place, leaf in right.items():
        np.testing.assert_allclose(same[place], leaf, rtol=1e-9, atol=1e-12)
        above = place == "loss" or place.startswith("layers[2]")
        assert np.array_equal(wrong[place], leaf) == above
    assert term_mistake(1, row, 0.5).what.endswith(f"of the derivative of {name} counts 0.5 times")
