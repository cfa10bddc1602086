"""Cases as files: what stands in a file and does not belong there is refused by name and place."""

import numpy as np
import pytest

from tests.torch_compare.files.helpers import refused
from torch_compare.cases import vectors
from torch_compare.files import bit_arrays
from torch_compare.files.case_file import read_case
from torch_compare.files.rows_as_data import LARGEST_DEPTH, LARGEST_OUTPUTS


def test_unresolved_elements_and_kinks_come_back():
    case = read_case(vectors.COMMITTED / "kink_undecided.json")
    assert case.certified.status == "unresolved"
    weight = case.certified.layers[1].weight
    assert not weight.resolved.all()
    assert np.any(weight.lower < weight.upper)
    kink = read_case(vectors.COMMITTED / "kink_leaky_relu.json").certified.kinks[0]
    assert (kink.layer, kink.activation, kink.at, kink.derivative, kink.right) == (0, "leaky_relu", 0.0, 0.01, 1.0)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


MISSING = object()


@pytest.mark.parametrize(("place", "value", "message"), [
    (("format",), "gradient-oracle problem 1", "expected a case"),
    (("schema_version",), 2, "schema_version: expected 1, got 2"),
    (("name",), "../x", "name: expected lower-case"),
    (("name",), None, "name: expected"),
    (("flags",), "kink", "flags: expected a list"),
    (("flags",), ["A"], "flags: expected a list"),
    (("note",), "\x1b[31mred", "note: expected a text"),
    (("note",), "a" * 5000, "note: expected a text"),
    (("link",), "\ud800", "link: expected a text"),
    (("note",), MISSING, "case: note: missing"),
    (("extra",), 1, "case: 'extra': unknown"),
    (("architecture", "dtype"), "float16", "architecture: dtype: expected float64 or float32, got 'float16'"),
    (("architecture", "batch"), 2, "and the batch that x has"),
    (("architecture", "reduction"), "none", 'expected "mean" or "sum"'),
    (("architecture", "layers"), [], "layers: expected a list of 1 to"),
    (("architecture", "layers", 0, "fan_in"), 3, r"layers\[0\]: expected fan_in, fan_out and bias as the arrays"),
    (("architecture", "layers", 0, "bias"), True, r"arrays: layers\[0\]\.bias: missing"),
    (("architecture", "layers", 0, "bias"), 0, "expected fan_in, fan_out and bias"),
    (("architecture", "layers", 0, "activation", "name"), "get", "name: no row is named 'get'"),
    (("architecture", "layers", 0, "activation", "name"), ["relu"], "name: no row is named"),
    (("architecture", "layers", 0, "activation", "parameters"), {"slope": 1}, "unexpected keyword argument 'slope'"),
    (("architecture", "layers", 0, "activation", "parameters"), [], "parameters: expected an object"),
    (("architecture", "loss"), {"name": "huber", "parameters": {"delta": -1}}, "loss: huber: delta"),
    (("architecture", "loss"), {"name": "huber", "parameters": {"delta": "1"}}, "'delta': expected an object"),
    (("architecture", "loss"), {"name": "huber", "parameters": {"delta": 2**40}}, "expected an integer of 32 bits"),
    (("arrays",), [], "arrays: expected an object"),
    (("arrays", "x"), MISSING, "arrays: x: missing"),
    (("arrays", "layers[7].weight"), None, "expected an object of dtype"),
    (("arrays", "x", "dtype"), "float32", "x: bits"),
    (("arrays", "x", "dtype"), ">f8", "x: dtype: expected one of"),
    (("arrays", "x", "shape"), [2**40, 2**40], "x: shape: more than"),
    (("arrays", "x", "shape"), [2], "x: bits: expected a list of 2"),
    (("arrays", "x", "shape"), [-1, -1], "x: shape: expected at most 8 integers"),
    (("arrays", "x", "shape"), [True, 1], "x: shape: expected at most 8 integers"),
    (("arrays", "x", "shape"), [1] * 9, "x: shape: expected at most 8 integers"),
    (("arrays", "x", "shape"), [1], "expected .* the batch that x has"),
    (("arrays", "x", "bits"), ["0x7ff8000000000000"], r"x\[0\]: its bits say nan"),
    (("arrays", "x", "bits"), ["0x000000000000f03f"], r"x\[0\]: its bits say 3\.0\d+e-319, its decimal 1\.0"),
    (("arrays", "x", "bits"), ["3ff0000000000000"], r'x: bits\[0\]: expected "0x"'),
    (("arrays", "x", "bits"), ["0x3ff_000000000000"], r'x: bits\[0\]: expected "0x"'),
    (("arrays", "x", "bits"), ["0x3ff0000000 00000"], r'x: bits\[0\]: expected "0x"'),
    (("arrays", "x", "bits"), [1], r'x: bits\[0\]: expected "0x"'),
    (("arrays", "x", "decimal"), ["1.0"], r"x: decimal\[0\]: expected a number"),
    (("arrays", "x", "decimal"), [True], r"x: decimal\[0\]: expected a number"),
    (("arrays", "x", "decimal"), [None], r"x: decimal\[0\]: expected a number"),
    (("arrays", "x", "decimal"), [10**400], "x: decimal: an integer beyond the range"),
    (("arrays", "x", "decimal"), 1.0, "x: decimal: expected a list of 1"),
    (("gradients", "loss"), MISSING, "gradients: loss: missing"),
    (("gradients", "y"), None, "gradients: y: expected an object"),
    (("gradients", "loss", "shape"), [1], r"gradients: loss: expected shape \(\), got \(1,\)"),
    (("gradients", "loss", "resolved"), [2], "resolved: expected zeros and ones"),
    (("gradients", "loss", "resolved"), [True], "resolved: expected a list of 1 zeros and ones"),
    (("gradients", "loss", "upper", "bits"), MISSING, "gradients: loss: upper: bits: missing"),
    (("kinks_hit",), {}, "kinks_hit: expected a list"),
    (("kinks_hit", 0, "layer"), 0.5, r"kinks_hit\[0\]: layer, example, unit: expected integers"),
    (("kinks_hit", 0, "at"), "0", "expected numbers"),
    (("kinks_hit", 0, "activation"), 1, "expected a text"),
])  # fmt: skip
def test_a_wrong_member_is_named(tmp_path, data, place, value, message):
    node = data
    for key in place[:-1]:
        node = node[key]
    if value is MISSING:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    refused(tmp_path, data, message)


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_is_refused(tmp_path, data, word):
    array = data["arrays"]["layers[0].weight"]
    array["decimal"][1] = word
    array["bits"][1] = bit_arrays.bits_of(np.array([float(word)]))[0]
    refused(tmp_path, data, r"layers\[0\]\.weight\[1\]: expected a finite number")


def test_bounds_that_are_the_wrong_way_round(tmp_path, data):
    leaf = data["gradients"]["layers[1].weight"]
    leaf["lower"], leaf["upper"] = bit_spelled(np.array([1.0] * 3)), bit_spelled(np.array([-1.0] * 3))
    refused(tmp_path, data, r"layers\[1\]\.weight\[0\]: expected lower ≤ nearest ≤ upper")


def bit_spelled(array):
    return {"bits": bit_arrays.bits_of(array), "decimal": bit_arrays.decimals_of(array)}


def test_a_small_file_may_not_ask_for_much(tmp_path, data):
    width = LARGEST_OUTPUTS + 1
    data["architecture"]["loss"] = {"name": "multilabel_margin", "parameters": {}}
    layer = data["architecture"]["layers"][0]
    data["architecture"]["layers"] = [layer | {"fan_out": width}]
    data["arrays"] = {
        "layers[0].weight": bit_arrays.encode(np.ones((width, 1))),
        "x": data["arrays"]["x"],
        "target": bit_arrays.encode(np.full((1, width), -1)),
    }
    refused(tmp_path, data, "multilabel_margin: more than 1024 outputs")
    data["architecture"]["layers"] = [layer] * (LARGEST_DEPTH + 1)
    refused(tmp_path, data, "layers: expected a list of 1 to 1000, got a list of 1001")
