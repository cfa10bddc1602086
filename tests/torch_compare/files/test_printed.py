"""How decimals were printed: every format of C's printf and C++'s streams, and the shortest decimals, told apart."""

import json

import numpy as np
import pytest

from torch_compare.files.printed import Decimal, number, prints

RNG = np.random.default_rng(7)
LEAVES = {
    "wide": RNG.normal(size=30) * 10.0 ** RNG.uniform(-6, 3, 30),
    "narrow": RNG.uniform(0.1, 1, 12),
    "zeros and halves": np.array([0.0, 0.5, -0.25, 0.0]),
    "one": RNG.normal(size=1),
}


def read(texts):
    return {place: json.loads(f"[{', '.join(numbers)}]", parse_float=number) for place, numbers in texts.items()}


def spelled(form, leaves=LEAVES):
    return read({place: [form(x) for x in leaf.tolist()] for place, leaf in leaves.items()})


@pytest.mark.parametrize(("form", "digits"), [
    ("%g", "6 digits"), ("%.9g", "9 digits"), ("%.4g", "4 digits"), ("%.12g", "12 digits"), ("%e", "7 digits"),
    ("%.8e", "9 digits"), ("%f", "6 decimals"), ("%.8f", "8 decimals"), ("%.3f", "3 decimals"), ("%.2f", "2 decimals"),
    ("%#.6g", "6 digits"), ("%G", "6 digits"), ("%E", "7 digits"),
])  # fmt: skip
def test_every_number_lies_within_half_a_unit_and_no_unit_is_too_large(form, digits):
    found = prints(spelled(lambda x: form % x), "float64")
    for place, leaf in LEAVES.items():
        given = np.array([float(form % x) for x in leaf])
        assert np.all(np.abs(given - leaf) <= found[place].half), place
        if digits.endswith("digits"):
            assert found[place].digits == digits
            count = int(digits.split()[0])
            assert np.all(found[place].half <= 5.1 * 10.0**-count * np.abs(leaf))
        else:
            assert found[place].digits == digits
            np.testing.assert_allclose(found[place].half, 0.5 * 10.0 ** -int(digits.split()[0]), rtol=1e-5)


@pytest.mark.parametrize("form", [repr, "%.17g".__mod__, "%.17e".__mod__, "%.20f".__mod__])
def test_decimals_that_name_their_float64_have_no_error(form):
    assert not prints(spelled(form), "float64")


@pytest.mark.parametrize("form", ["%.9g".__mod__, "%.17g".__mod__, "%.8e".__mod__])
def test_decimals_that_name_their_float32_have_no_error(form):
    leaves = {place: leaf.astype(np.float32) for place, leaf in LEAVES.items()}
    assert not prints(spelled(form, leaves), "float32")
    assert prints(spelled("%.8g".__mod__, leaves), "float32")["wide"].digits == "8 digits"


def test_shortest_decimals_of_float32_have_the_error_of_nine_digits_at_the_most():
    leaves = {place: leaf.astype(np.float32) for place, leaf in LEAVES.items()}
    texts = {place: [str(x) for x in leaf] for place, leaf in leaves.items()}
    for place, found in prints(read(texts), "float32").items():
        assert np.all(found.half <= 2.0**-24 * np.abs(leaves[place]))


@pytest.mark.parametrize("texts", [
    ["0.5", "0.25", "1.0"], ["0.0", "0.0"], ["0", "1", "-3"], ["0.125", "0.375"], ["0.03125", "1e-05"], ["0.1", "0.2"],
    ["0.0625", "0.1875"], ["1.5"], ["0.123"], [],
])  # fmt: skip
def test_short_numbers_alone_say_nothing_of_digits(texts):
    assert not prints(read({"a": texts}), "float64")


def test_a_short_number_is_as_exact_as_its_file():
    six, all_ = ["0.123457", "-12.3457"], [repr(0.1 + x) for x in LEAVES["wide"].tolist()]
    found = prints(read({"a": six, "b": ["0.2", "0.5", "0"]}), "float64")
    np.testing.assert_allclose(found["b"].half, [5e-7, 5e-7, 0], rtol=1e-5)
    assert not prints(read({"a": all_, "b": ["0.2", "0.5", "0"]}), "float64")


def test_a_leaf_has_a_format_of_its_own_if_its_numbers_say_so():
    """The loss by %f or %g, the gradients by %.17g; and the other way round."""
    exact = [f"{x:.17g}" for x in LEAVES["wide"]]
    assert prints(read({"a": exact, "loss": ["0.693147"]}), "float64").keys() == {"loss"}
    assert prints(read({"a": exact, "loss": ["0.693140"]}), "float64")["loss"].digits == "6 decimals"
    six = [f"{x:g}" for x in LEAVES["wide"]]
    assert prints(read({"a": six, "loss": ["0.69314718055994529"]}), "float64").keys() == {"a"}


def test_large_numbers_are_printed_as_integers():
    found = prints(read({"a": ["123457", "1.23457e+06", "-234568"]}), "float64")["a"]
    np.testing.assert_allclose(found.half, [0.5, 5, 0.5], rtol=1e-5)


@pytest.mark.parametrize(
    "text", ["1e999", "1e-999", "1e99999999999999999999", "0e0", "-0.0", "1" * 300, "0." + "1" * 500]
)
def test_no_number_is_too_odd(text):
    with np.errstate(all="raise"):
        found = prints({"a": [number(text), "nan", 3], "b": [number("0.123457")]}, "float64")
    assert all(np.all(np.isfinite(print_.half)) for print_ in found.values())


def test_a_decimal_is_a_float():
    made = number("-1.50e-3")
    assert isinstance(made, float)
    assert made == -0.0015
    assert made.layout == (-5, 3, True, True)
    assert type(made) is Decimal
