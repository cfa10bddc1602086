"""Diagnoses in words."""

import pytest

from tests.torch_compare.diagnosis.helpers import network
from torch_compare.diagnosis.wording import amount, listed, number, places, sentence
from torch_compare.mistakes.mistake import Mistake

PROBLEM = network([2, 3, 3, 1], ["tanh", "relu", "identity"])


@pytest.mark.parametrize(("scales", "said"), [
    (0.0, "within 1 rounding scale"), (1.0, "within 1 rounding scale"), (1.0001, "1.1 rounding scales"),
    (1.14, "1.1 rounding scales"), (2.0, "2 rounding scales"), (31.7, "32 rounding scales"),
])  # fmt: skip
def test_an_amount_is_no_more_exact_than_it_is_known(scales, said):
    assert amount(scales) == said


@pytest.mark.parametrize(("value", "said"), [
    (2.0, "2"), (-1.0, "-1"), (1 / 27, "0.037037"), (1e-9, "1e-09"), (1.0000001, "1.0000001"),
    (1 + 2.0**-30, "1.000000000931"), (0.999999, "0.999999"), (0.99999999, "0.99999999"),
])  # fmt: skip
def test_a_number_has_as_many_digits_as_tell_it_from_1(value, said):
    assert number(value) == said


@pytest.mark.parametrize(("names", "said"), [
    ([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c"),
    (list("abcdef"), "a, b, c, d, e and f"), (list("abcdefg"), "a, b, c, d, e, f and 1 more"),
])  # fmt: skip
def test_a_list_is_cut_after_six(names, said):
    assert listed(names) == said
    assert listed(list("abc"), 2) == "a, b and 1 more"


WEIGHTS = [f"layers[{l}].weight" for l in range(3)]
BIASES = [f"layers[{l}].bias" for l in range(3)]


@pytest.mark.parametrize(("where", "said"), [
    ([*WEIGHTS, *BIASES, "input"], "every gradient"),
    ([*WEIGHTS, *BIASES], "every weight and bias"),
    (WEIGHTS, "every weight"),
    (BIASES, "every bias"),
    ([f"layers[{l}]" for l in range(3)], "every layer"),
    (["layers[1]", "layers[2]"], "every layer but the first"),
    (["layers[0]", "layers[1]"], "every layer with an activation"),
    (["layers[0]", "layers[2]"], "layers[0] and layers[2]"),
    (WEIGHTS[:2], "layers[0].weight and layers[1].weight"),
    (["layers[0].bias", "layers[0].bias"], "layers[0].bias"),
    (["loss"], "loss"),
])  # fmt: skip
def test_places_that_are_all_of_their_kind_have_one_name(where, said):
    assert places(where, PROBLEM) == said
    assert places(where[::-1], PROBLEM) == said


def test_one_clause_for_each_mistake_and_one_product_for_factors_at_one_place():
    slope = [Mistake("slope", f"layers[{l}]", "the slope is missing") for l in (0, 1)]
    factor = Mistake("factor 2", "every gradient", "doubled", form="factor", constant=2.0)
    sign = Mistake("sign", "every gradient", "the sign is wrong", form="factor", constant=-1.0)
    zero = Mistake("gradient missing", "input", "yours is 0", form="factor", constant=0.0)
    everywhere = "every layer with an activation: the slope is missing"
    fits = "; with that, the oracle's formulas give your numbers to within 1 rounding scale"
    assert sentence(slope, PROBLEM) == everywhere
    assert sentence(slope, PROBLEM, 0.5) == everywhere + fits
    assert sentence([zero], PROBLEM) == "input: yours is 0"
    assert sentence([factor, sign], PROBLEM, 3.0) == (
        "every gradient: yours = oracle × -2 to 3 rounding scales everywhere; doubled; and the sign is wrong"
    )
    assert sentence([*slope, factor], PROBLEM, 0.5) == (
        f"{everywhere}; besides, every gradient: yours = oracle × 2; doubled{fits}"
    )
