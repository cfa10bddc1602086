"""Results in few digits: right ones agree and say so, wrong ones are wrong, and named."""

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.formats import FORMATS
from tests.torch_compare.commands.helpers import at_a_kink, two_layers
from torch_compare.files.printed import Print
from torch_compare.verdict.checks import check
from torch_compare.verdict.given import Given
from torch_compare.verdict.printed import as_printed
from torch_compare.verdict.result_file import read_result

PROBLEM = two_layers()
FOUND = ref.gradients(PROBLEM).leaves()
FORMS = {"%g": "6 digits", "%f": "6 decimals", "%.9g": "9 digits", "%e": "7 digits", "%.4g": "4 digits"}


def judged(tmp_path, leaves, form, problem=PROBLEM, dtype=None, **options):
    path = tmp_path / "result.json"
    texts = (f'"{k}": [{", ".join(form % x for x in np.ravel(v).tolist())}]' for k, v in leaves.items())
    path.write_text(f"{{{', '.join(texts)}}}")
    return check(problem, read_result(path, problem, dtype).given, dtype, **options)


@pytest.mark.parametrize("certified", [False, True])
@pytest.mark.parametrize(("form", "digits"), FORMS.items())
def test_right_gradients_agree_and_the_text_says_how_they_were_printed(tmp_path, form, digits, certified):
    verdict = judged(tmp_path, FOUND, form, certified=certified)
    assert verdict.status == "agrees", verdict
    assert verdict.diagnosis.endswith(f"printed with {digits}; print 17")


@pytest.mark.parametrize("form", ["%.17g", "%r"])
def test_nothing_is_said_of_numbers_in_full(tmp_path, form):
    verdict = judged(tmp_path, FOUND, form)
    assert verdict.agrees
    assert "print" not in verdict.diagnosis


@pytest.mark.parametrize("form", ["%g", "%e", "%.9g"])
def test_digits_that_made_no_difference_are_not_mentioned(tmp_path, form):
    """The errors of float32 are larger than those of nine digits."""
    found = ref.gradients(PROBLEM.in_dtype(np.float32)).leaves()
    verdict = judged(tmp_path, found, form, dtype="float32")
    assert verdict.agrees, verdict
    assert "print" not in verdict.diagnosis


@pytest.mark.parametrize(("form", "digits"), [("%.9g", 9), ("%.12g", 12), ("%g", 6), ("%e", 7), ("%f", 6)])
def test_an_error_of_two_units_of_the_last_digit_never_agrees(tmp_path, form, digits):
    """In six or seven digits it may be one of float32; in more it cannot."""
    weight = np.array(FOUND["layers[0].weight"])
    at = np.unravel_index(np.argmax(np.abs(weight)), weight.shape)
    unit = 10.0 ** (-6 if form == "%f" else np.floor(np.log10(abs(weight[at]))) - digits + 1)
    weight[at] += 2 * unit
    verdict = judged(tmp_path, FOUND | {"layers[0].weight": weight}, form, diagnose=False)
    assert verdict.status in (("wrong",) if digits > 8 else ("wrong", "imprecise")), verdict
    assert (verdict.worst.leaf, verdict.worst.index) == ("layers[0].weight", at)


@pytest.mark.parametrize("form", FORMS)
def test_a_known_mistake_is_named_in_every_format(tmp_path, form):
    leaves = {place: 10 * values for place, values in FOUND.items() if place != "loss"}
    verdict = judged(tmp_path, leaves, form)
    assert verdict.status == "wrong"
    assert verdict.diagnosis.names == ("sum for mean",), verdict


@pytest.mark.parametrize("form", ["%g", "%f", "%e"])
def test_a_mistake_that_is_smaller_than_the_digits_of_its_search_is_still_wrong_and_placed(tmp_path, form):
    weight = FOUND["layers[0].weight"] * (1 + 1e-4 * np.eye(6, 3))
    verdict = judged(tmp_path, FOUND | {"layers[0].weight": weight}, form)
    assert verdict.status == "wrong"
    assert "wrong: layers[0].weight (3 of 18 elements)" in verdict.diagnosis


@pytest.mark.parametrize("form", ["%g", "%f", "%.9g", "%.8g"])
def test_float32_printed_and_taken_for_float64_is_imprecise_not_wrong(tmp_path, form):
    found = ref.gradients(PROBLEM.in_dtype(np.float32)).leaves()
    verdict = judged(tmp_path, found, form)
    assert verdict.status == "imprecise", verdict
    assert "the errors are those of float32, not of float64" in verdict.diagnosis


@pytest.mark.parametrize("form", ["%g", "%f"])
def test_another_convention_is_seen_through_the_digits(tmp_path, form):
    """relu′(0) = 1, times thirds that no decimal has."""
    kink = at_a_kink()
    problem = kink.replace(target=kink.target / 3)
    trace = ref.forward(problem.mlp, problem.x)
    d_z = ref.loss_gradient(problem, trace.output) @ problem.mlp.layers[1].weight
    leaves = {"layers[0].weight": d_z.T @ problem.x, "input": d_z @ problem.mlp.layers[0].weight}
    verdict = judged(tmp_path, leaves, form, problem)
    assert verdict.status == "another convention", verdict


def test_gradients_printed_as_zeros_are_unresolved(tmp_path):
    """%f of gradients below 5e-7: nothing is left of them."""
    small = PROBLEM.replace(target=ref.forward(PROBLEM.mlp, PROBLEM.x).output + 1e-9)
    verdict = judged(tmp_path, ref.gradients(small).leaves(), "%f", small)
    assert verdict.status == "unresolved"
    assert "printed with 6 decimals, of which nothing is left but 0; print 17" in verdict.diagnosis
    zeros = {place: 0 * values for place, values in FOUND.items()}
    assert judged(tmp_path, zeros, "%f", diagnose=False).status == "wrong"
    assert judged(tmp_path, zeros, "%g", small, diagnose=False).status == "wrong", "%g prints what is not 0"


def test_short_numbers_are_not_taken_for_rounded_ones(tmp_path):
    layer = ref.Layer(np.array([[1.0]]), None, "identity")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[1.0]]), np.array([[0.5001]]), "half_squared_error")
    path = tmp_path / "result.json"
    path.write_text('{"input": [0.5]}')
    assert check(problem, read_result(path, problem).given, diagnose=False).status == "wrong"


def test_a_mistake_is_looked_for_in_as_many_bits_as_were_printed():
    def given(half, digits):
        return Given({"input": np.array([1.0, 0.001])}, {"input": "float64"}, {"input": Print(digits, np.array(half))})

    double = FORMATS["float64"]
    assert as_printed(double, Given({}, {})) is double
    assert as_printed(double, given([5e-6, 5e-9], "6 digits")).bits == 17
    decimals = as_printed(double, given([5e-7, 5e-7], "6 decimals"))
    assert (decimals.bits, decimals.smallest) == (20, 5e-7)
    half = FORMATS["bfloat16"].accumulating_in(FORMATS["float32"])
    assert as_printed(half, given([5e-6, 5e-9], "6 digits")) is half
