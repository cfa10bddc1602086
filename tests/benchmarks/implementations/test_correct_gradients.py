"""Correct gradients are correct: by every implementation, of every row of the tables, in every format."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.implementations import correct_gradients
from benchmarks.implementations.correct_gradients import by_autograd, by_jax, by_numpy, by_torch, representable
from benchmarks.wrong_gradients.problems import network
from reference.arithmetic.formats import FORMATS
from tests.benchmarks.implementations.helpers import with_row
from torch_compare.verdict.overflow import beyond_rounding


@pytest.mark.parametrize("name", list(ref.ACTIVATIONS))
def test_every_activation_in_customary_formulas_has_the_oracles_derivative(name):
    problem = with_row(name)
    verdict = tc.check(problem, by_autograd(problem, "float64"))
    assert verdict.agrees, str(verdict)


@pytest.mark.parametrize("name", ["relu6", "leaky_relu", "elu", "hardswish", "glu", "softmin", "celu", "gelu_tanh"])
def test_jaxs_own_activations_have_the_oracles_derivative(name):
    problem = with_row(name)
    verdict = tc.check(problem, by_jax(problem, "float64")(problem))
    assert verdict.agrees, str(verdict)


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("name", list(ref.LOSSES))
def test_every_loss_in_customary_formulas_has_the_oracles_derivative(name, index):
    """The cases of one loss come round with other parameters and targets."""
    case = list(ref.LOSSES).index(name) + index * len(ref.LOSSES)
    problem = correct_gradients.random_problem(5, case, "float64", depth=3)
    assert problem.loss.name == name
    verdict = tc.check(problem, by_autograd(problem, "float64"))
    rounds_to_1 = beyond_rounding(problem, FORMATS["float64"])  # then bce's 1 − y is lost, and nobody can tell
    assert verdict.status in ("agrees", "another convention", *(["unresolved"] if rounds_to_1 else [])), str(verdict)


@pytest.mark.parametrize("name", list(correct_gradients.NUMBERS))
def test_a_problem_is_made_of_numbers_that_the_format_holds(name):
    problem = correct_gradients.random_problem(0, 6, name)
    number = correct_gradients.NUMBERS[name]
    for values in (problem.x, *(layer.weight for layer in problem.mlp.layers)):
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values.astype(number).astype(float), values)


def test_a_number_beyond_the_formats_range_is_refused():
    problem = network(0, widths=(2, 2))
    large = problem.map(lambda values: values * 1e6)
    with pytest.raises(ValueError, match="finite"):
        representable(large, "float16")


def test_the_members_of_a_family_share_their_structure_and_sizes():
    problem = with_row("tanh")
    members = correct_gradients.family(problem, 3, np.random.default_rng(0))
    assert len(members) == 3
    assert members[0] is problem
    for member in members[1:]:
        np.testing.assert_array_equal(np.abs(member.x), np.abs(problem.x))
        assert np.any(member.x != problem.x)


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
def test_sums_in_another_order_and_torch_agree_in_every_format(name):
    problem = representable(network(2, widths=(5, 6, 3)), name)
    for leaves in (by_torch(problem, name), by_numpy(problem, name, np.random.default_rng(0))):
        verdict = tc.check(problem, leaves, name)
        assert verdict.agrees, str(verdict)
