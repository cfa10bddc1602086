"""What a verdict says: its worst element, its digits, its text."""

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.noise_source import nearest
from reference.rounding.distance import FACTOR, in_scales
from reference.rounding.scale import FORMATS, Rounding
from tests.torch_compare.verdict.helpers import tanh_problem
from torch_compare.diagnosis.wording import Diagnosis
from torch_compare.verdict.verdict import expected_leaves, judge


def test_a_verdict_names_the_worst_place_and_a_line_that_computes_it():
    problem = tanh_problem()
    given = ref.gradients(problem)
    wrong = given.layers[1].weight.copy()
    wrong[3, 5] *= 1 + 1e-9
    verdict = tc.check(problem, {"layers[1].weight": wrong})
    assert (verdict.status, verdict.worst.leaf, verdict.worst.index) == ("wrong", "layers[1].weight", (3, 5))
    assert verdict.worst.scales > FACTOR
    assert verdict.worst.ulps == pytest.approx(1e-9 / 2.0**-52, rel=1)
    assert eval(verdict.reproduce, {"ref": ref, "problem": problem}) == verdict.worst.expected
    with pytest.raises(AssertionError, match=r"wrong .*\n.*layers\[1\]\.weight\[3, 5\]"):
        tc.assert_gradients(problem, {"layers[1].weight": wrong})


def test_saturated_torch_agrees_on_the_textbook_scale_and_the_verdict_says_so():
    mlp = ref.MLP(
        (ref.Layer(np.array([[1.0], [0.3]]), None, "tanh"), ref.Layer(np.array([[0.7, 0.2]]), None, "identity"))
    )
    problem = ref.Problem(mlp, np.array([[19.0], [0.4]]), np.array([[0.3], [0.1]]), "mse")
    verdict = tc.check(problem, tc.SOURCES["torch"](problem))
    assert (verdict.status, verdict.scale) == ("agrees", "textbook")
    lost = f"within rounding of the customary formulas, which lose {np.log10(verdict.accurate):.1f} digits in"
    assert verdict.diagnosis in {f"{lost} {place}" for place in ("layers[0].weight", "input")}, "y² = 1 − 1e−16 in both"
    assert verdict.accurate > FACTOR


def test_zero_scale_demands_equality():
    fmt = FORMATS["float64"]
    assert in_scales(1.0, 1.0, 0.0, fmt) == 0
    assert in_scales(np.nextafter(1.0, 2), 1.0, 0.0, fmt) == np.inf
    assert in_scales(np.inf, 1e308, 1e307, fmt) == 0
    assert np.isnan(in_scales(1.0, 2.0, np.nan, fmt))


def test_the_expected_gradients_of_a_float32_problem_are_float64():
    assert all(leaf.dtype == np.float64 for leaf in expected_leaves(tanh_problem(np.float32)).values())


def test_the_text_of_a_verdict_has_every_part_on_a_line_of_its_own():
    problem = tanh_problem()
    scaled = ref.gradients(problem).map(lambda leaf: 2.0 * leaf)
    verdict = tc.check(problem, scaled)
    lines = [line.strip() for line in str(verdict).splitlines()]
    assert lines[0] == "wrong (float64, textbook scale)"
    assert [line.partition(" ")[0] for line in lines[1:]] == ["worst", "diagnosis:", "digits", "expected"]
    assert "oracle × 2" in lines[2]
    assert lines[-2].startswith("digits that agree: 0.0, in ")
    other = replace(verdict, diagnosis=Diagnosis("text", runner_up="accumulated over two calls"))
    assert "\n  or else: accumulated over two calls\n" in str(other)
    assert "\n  that is: every element is within rounding" in str(tc.check(problem, ref.gradients(problem)))


def test_every_leaf_has_its_own_worst_element_and_digits():
    problem = tanh_problem()
    given = ref.gradients(problem).leaves()
    spoilt = given["layers[1].weight"].copy()
    spoilt[3, 5] *= 1 + 1e-6
    verdict = tc.check(problem, given | {"layers[1].weight": spoilt}, diagnose=False)
    assert verdict.places.keys() == verdict.digits.keys() == given.keys()
    assert verdict.places["layers[1].weight"] == verdict.worst
    assert verdict.digits["layers[1].weight"] == pytest.approx(6, abs=0.01)
    assert all(p.scales <= FACTOR for leaf, p in verdict.places.items() if leaf != "layers[1].weight")


def test_the_fewest_digits_are_those_of_the_leaf_that_is_furthest_off():
    problem = tanh_problem()
    given = dict(ref.gradients(problem).leaves())
    for place, size in (("layers[0].weight", 2.0**-20), ("layers[1].weight", 2.0**-10), ("layers[2].weight", 2.0**-30)):
        given[place] = given[place] * (1 + size)
    verdict = tc.check(problem, given, diagnose=False)
    assert verdict.fewest_digits == ("layers[1].weight", verdict.digits["layers[1].weight"])
    assert verdict.digits["layers[1].weight"] == min(verdict.digits.values())
    assert "\n  digits that agree: 3.0, in layers[1].weight\n" in str(verdict)


def test_where_every_digit_agrees_it_says_so():
    problem = tanh_problem()
    assert "\n  digits that agree: all\n" in str(tc.check(problem, ref.gradients(problem)))


# ── by scales that are known ─────────────────────────────────────────────────────────────────────────

ONE = ref.Problem(
    ref.MLP((ref.Layer(np.array([[1.0]]), None, "identity"),)), np.array([[1.0]]), np.array([[0.5]]), "mse"
)


def judged(scales, accurate=2.0**-40, textbook=2.0**-41, place="input"):
    """The verdict on one number of float64 that is so many accurate σ above the right one, with these scales."""
    expected = expected_leaves(ONE)
    given = {place: expected[place] + scales * 2.0**-40}
    shape = np.shape(expected[place])
    return judge(ONE, given, expected, FORMATS["float64"], of_size(place, shape, accurate),
                 lambda: of_size(place, shape, textbook))  # fmt: skip


def of_size(place, shape, sigma):
    """Rounding of that σ, half of it to either side."""
    signs = np.where(np.arange(32) % 2, 1.0, -1.0).reshape(32, *(1,) * len(shape))
    return Rounding({place: np.full(shape, sigma)}, {place: np.broadcast_to(signs, (32, *shape)) * (sigma > 0)})


@pytest.mark.parametrize(("scales", "textbook", "status", "scale"), [
    (FACTOR, 2.0**-41, "agrees", "accurate"),
    (FACTOR + 1, 2.0**-41, "wrong", "textbook"),
    (FACTOR + 1, 2.0**-39, "agrees", "textbook"),
    (2 * FACTOR, 2.0**-39, "agrees", "textbook"),
    (2 * FACTOR + 1, 2.0**-39, "wrong", "textbook"),
    (FACTOR + 1, 0.0, "wrong", "textbook"),
])  # fmt: skip
def test_an_error_counts_when_it_exceeds_the_factor(scales, textbook, status, scale):
    """By the accurate scale first, then by the wider of both."""
    verdict = judged(scales, textbook=textbook)
    assert (verdict.status, verdict.scale) == (status, scale)
    assert verdict.accurate == scales
    assert verdict.worst.scales == (scales / max(1.0, textbook * 2**40) if scale == "textbook" else scales)


def test_each_verdict_says_what_it_means():
    assert judged(1).diagnosis == "every element is within rounding of the oracle's"
    text = "within rounding of the customary formulas, which lose 2.0 digits in input"
    assert judged(100, textbook=2.0**-38).diagnosis == text
    assert judged(100).diagnosis == "no rounding of a correct formula explains the difference"
    unresolved = judged(1, accurate=np.nan)
    assert (unresolved.status, unresolved.scale) == ("unresolved", "accurate")
    assert unresolved.diagnosis == "the problem's gradients overflow in float64"
    assert judged(1, textbook=np.nan).status == "agrees"
    assert judged(100, textbook=np.nan).status == "wrong"


def test_the_line_that_computes_the_number_has_an_index_if_the_leaf_has_one():
    assert judged(1).reproduce == "ref.gradients(problem).input[0, 0]"
    assert judged(1, place="loss").reproduce == "ref.gradients(problem).loss"


def test_a_verdict_takes_a_plain_sentence_as_its_diagnosis():
    problem = tanh_problem()
    verdict = replace(tc.check(problem, ref.gradients(problem)), diagnosis="looked at by hand")
    assert (verdict.diagnosis, verdict.diagnosis.names, verdict.runner_up) == ("looked at by hand", (), "")
    assert "that is: looked at by hand" in str(verdict)


def test_what_agrees_says_of_which_leaves_it_tells_nothing():
    """Three softmax layers leave gradients of the first that float16's rounding is as large as: zeros would agree."""
    rng = np.random.default_rng(0)
    layers = tuple(
        ref.Layer(rng.normal(size=(8, 8)) / 8, rng.normal(size=8) / 8, name)
        for name in ("softmax", "softmax", "softmax", "identity")
    )
    problem = ref.Problem(ref.MLP(layers), rng.normal(size=(6, 8)), rng.normal(size=(6, 8)), "mse").map(held)
    problem = problem.replace(target=held(problem.target))
    right = {place: held(leaf) for place, leaf in ref.gradients(problem).leaves().items()}
    told = right | {"layers[0].weight": -right["layers[0].weight"]}
    verdict = tc.check(problem, told, "float16")
    assert verdict.agrees
    assert "layers[0].weight" in verdict.untold
    assert "layers[3].weight" not in verdict.untold
    assert "nothing is told of" in str(verdict)
    assert "layers[0].weight" not in tc.check(problem, told, "float32").untold
    zeros = right | {place: np.zeros_like(right[place]) for place in verdict.untold}
    assert tc.check(problem, zeros, "float16").agrees  # as it says
    assert tc.check(problem, ref.gradients(problem)).untold == ()


def held(values):
    """The numbers as float16 holds them, its range apart."""
    return nearest(np.asarray(values), FORMATS["float16"].bits)
