"""The factors that have a name on a problem, and the one nearest to a number."""

import numpy as np
import pytest

import reference as ref
from tests.torch_compare.diagnosis.helpers import network
from torch_compare.diagnosis.named_factors import COARSE, RARER, constants, nearest, product

CALLS = {float(n) for n in range(2, 9)}


def kinds(problem):
    return {named.value: named.kinds for named in constants(problem)}


def test_every_size_of_the_problem_is_a_factor_of_a_mean_over_elements():
    """9 examples of 3 outputs: the mean divides by 27."""
    problem = network([4, 3], ["identity"])
    found = {value: kind for value, kind in kinds(problem).items() if not set(kind) & set(RARER)}
    assert found.keys() == {27.0, 1 / 27, 9.0, 1 / 9, 3.0, 1 / 3, -1.0, 2.0, 0.5} | CALLS
    assert found[27.0] == found[9.0] == ("sum for mean",)
    assert found[1 / 27] == found[1 / 9] == found[1 / 3] == ("mean for sum",)
    assert found[3.0] == ("sum for mean", "accumulated")
    assert (found[-1.0], found[2.0], found[0.5]) == (("sign",), ("factor 2", "accumulated"), ("factor 1/2",))


def test_a_mean_over_examples_divides_by_them():
    problem = network([4, 3], ["identity"], loss="half_squared_error")
    texts = {named.value: named.text for named in constants(problem)}
    assert texts[9.0] == "9 is the batch size: a sum where the loss takes the mean"
    assert texts[1 / 9] == "1/9, and 9 is the batch size: the mean is taken twice"
    assert texts[1 / 3] == "1/3, and 3 is the number of outputs: a mean over all elements, not the examples"
    assert 27.0 not in texts


def test_of_a_sum_every_mean_is_a_factor():
    problem = network([4, 3], ["identity"]).replace(reduction="sum")
    texts = {named.value: named.text for named in constants(problem)}
    for size, title in ((27, "the number of output elements"), (9, "the batch size"), (3, "the number of outputs")):
        assert texts[1 / size] == f"1/{size}, and {size} is {title}: a mean where the loss takes the sum"
    assert texts[9.0] == "9 is the batch size: multiplied by it"


def test_no_factor_is_1_and_each_value_stands_once():
    for problem in (network([4, 1], ["identity"], examples=1), network([4, 2], ["identity"], examples=2)):
        values = [named.value for named in constants(problem)]
        assert 1.0 not in values
        assert len(set(values)) == len(values)
    text = next(n.text for n in constants(network([4, 2], ["identity"], examples=2)) if n.value == 0.25)
    assert text.startswith("1/4, and 4 is the number of output elements")


@pytest.mark.parametrize(("value", "noise", "expected"), [
    (2.0, 0.0, [2.0]), (-1.0, 0.0, [-1.0]), (54.0, 0.0, [27.0, 2.0]), (-27.0, 0.0, [27.0, -1.0]),
    (2 * (1 + 2.0**-30), 2.0**-31, [2.0]), (-27.0, 2.0**-10, [27.0, -1.0]),
    (4.5, 0.0, [9.0, 0.5]), (4.5, COARSE, [9.0, 0.5]), (4.5, 2 * COARSE, [4.0]),
])  # fmt: skip
def test_the_nearest_is_one_constant_or_a_product_of_two(value, noise, expected):
    """With much noise a product is near any number: then only a sign goes with a constant."""
    found = nearest(constants(network([4, 3], ["identity"])), value, noise)
    assert sorted(named.value for named in found) == sorted(expected)
    assert product(found) == np.prod(expected)


def test_calls_alone_are_no_part_of_a_product():
    """2·7: gradients that are accumulated over seven calls and doubled, too, are far-fetched; 2·27/9 is not tried."""
    table = constants(network([4, 3], ["identity"]))
    assert 7.0 in {n.value for n in table}
    assert all(n.kinds != ("accumulated",) for n in nearest(table, 14.0, 0.0))


def test_a_loss_that_counts_its_own_terms_divides_by_them():
    """Cross entropy that ignores two of nine examples divides by seven."""
    problem = network([4, 3], ["identity"], loss="cross_entropy")
    target = np.array([0, 1, 2, 0, 1, 2, 0, -100, -100])
    problem = ref.Problem(problem.mlp, problem.x, target, "cross_entropy")
    texts = {named.value: named.text for named in constants(problem)}
    assert texts[7.0].startswith("7 is what the loss's mean divides by: a sum where the loss takes the mean")
    assert texts[1 / 7] == "1/7, and 7 is what the loss's mean divides by: the mean is taken twice"
