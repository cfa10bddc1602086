"""Cases as files: what is written is read again, and whatever else stands in a file is refused by name and place."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference as ref
from reference.rounding.certified import CertifiedLeaf
from torch_compare.cases import vectors
from torch_compare.files import bit_arrays
from torch_compare.files import untrusted as hostile
from torch_compare.files.case_file import Case, read_case
from torch_compare.files.case_writer import as_json, as_safetensors
from torch_compare.files.rows_as_data import LARGEST_DEPTH, LARGEST_OUTPUTS, encode_row
from torch_compare.files.untrusted import write_tensors
from torch_compare.random_problems.strategies import problems

SMALL = "kink_relu"


@pytest.fixture
def data():
    return json.loads((vectors.COMMITTED / f"{SMALL}.json").read_text("utf-8"))


def refused(tmp_path, content, message, name="case.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_case(path)
    assert str(path) in str(caught.value)


# ── there and back ───────────────────────────────────────────────────────────────────────────────────


@given(problem=problems(max_depth=3, max_width=3, max_batch=2))
def test_every_problem_comes_back_bit_for_bit(tmp_path_factory, problem):
    certified = ref.gradients(problem.in_float64()).map(_leaf)
    certified = ref.CertifiedGradients(certified.layers, certified.input, certified.loss)
    case = Case("a", problem, certified, ("b",), "a note: z², ½", "https://example.org")
    folder = tmp_path_factory.mktemp("case")
    (folder / "a.json").write_text(as_json(case), encoding="utf-8")
    (folder / "a.safetensors").write_bytes(as_safetensors(case))
    for name in ("a.json", "a.safetensors"):
        read = read_case(folder / name)
        assert (read.name, read.flags, read.note, read.link) == (case.name, case.flags, case.note, case.link)
        assert as_json(read) == as_json(case)
        assert read.problem.reduction == problem.reduction
        for got, expected in zip(_arrays(read.problem), _arrays(problem), strict=True):
            assert (got.dtype, got.shape, got.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())
        for place, leaf in certified.leaves().items():
            np.testing.assert_array_equal(read.certified.leaves()[place].nearest, leaf.nearest)
        assert np.shape(read.certified.loss.nearest) == ()
        assert ref.gradients(read.problem).loss.tobytes() == ref.gradients(problem).loss.tobytes()


def _leaf(values):
    values = np.asarray(values)
    return CertifiedLeaf(
        np.nextafter(values, -np.inf), np.nextafter(values, np.inf), values, np.ones(values.shape, bool)
    )


def _arrays(problem):
    for layer in problem.mlp.layers:
        yield layer.weight
        if layer.bias is not None:
            yield layer.bias
    yield from (problem.x, problem.target)


def test_unresolved_elements_and_kinks_come_back():
    case = read_case(vectors.COMMITTED / "kink_undecided.json")
    assert case.certified.status == "unresolved"
    weight = case.certified.layers[1].weight
    assert not weight.resolved.all()
    assert np.any(weight.lower < weight.upper)
    kink = read_case(vectors.COMMITTED / "kink_leaky_relu.json").certified.kinks[0]
    assert (kink.layer, kink.activation, kink.at, kink.derivative, kink.right) == (0, "leaky_relu", 0.0, 0.01, 1.0)


@given(array=hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64]), hnp.array_shapes(min_dims=0, max_dims=2, max_side=4)
))  # fmt: skip
def test_arrays_come_back_bit_for_bit(array):
    again = bit_arrays.decode("a", json.loads(json.dumps(bit_arrays.encode(array))), finite=False)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    same = again.view(f"u{array.itemsize}") == array.view(f"u{array.itemsize}")
    assert np.all(same | np.isnan(array))  # a NaN keeps its bits, but its decimal is a word


@pytest.mark.parametrize("value", [0.1, 16777217.0, 1e-45, 3.4028235e38, 1.1754944e-38, 5e-40])
def test_a_float32_has_its_own_shortest_decimal(value):
    number = np.float32(value)
    (decimal,) = bit_arrays.decimals_of(np.array([number]))
    assert np.float32(decimal) == number
    assert len(repr(decimal)) <= len(repr(float(number)))


def test_a_row_of_the_users_own_has_no_place_in_a_file():
    with pytest.raises(ValueError, match="no row of the tables is named 'own'"):
        encode_row(ref.Activation("own", "z", "me", lambda z: z, lambda z: 1 + 0 * z, lambda z: 0 * z))


def test_a_number_that_is_not_finite_is_not_written():
    case = read_case(vectors.COMMITTED / f"{SMALL}.json")
    loss = CertifiedLeaf(np.array(-np.inf), np.array(np.inf), np.array(0.0), np.array(False))
    certified = ref.CertifiedGradients(case.certified.layers, case.certified.input, loss)
    with pytest.raises(ValueError, match=r"gradients: loss: lower\[0\]: expected a finite number"):
        as_json(Case("a", case.problem, certified))


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
    (("arrays", "x", "shape"), [-1, -1], "x: shape: expected at most two integers"),
    (("arrays", "x", "shape"), [True, 1], "x: shape: expected at most two integers"),
    (("arrays", "x", "shape"), [1, 1, 1], "x: shape: expected at most two integers"),
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


@pytest.mark.parametrize(("content", "message"), [
    (b"", "not JSON"), (b"null", "expected a case"), (b"[]", "expected a case"),
    (b'{"format": NaN}', "NaN is no number"),
    (b'{"format": 1, "format": 2}', "the key 'format' occurs twice"), (b"\xff\xfe", "byte 0 is no UTF-8"),
    (b"[" * 100 + b"]" * 100, "nested deeper than 16"), (b"[" * 300_000, "about 300000 lists"),
    (b'{"a":' * 10_000, "nested deeper than"), (b"0," * (hostile.LARGEST_NUMBERS + 1), "values, more than"),
    (b"]" * (hostile.LARGEST_TREE + 1), "lists, objects and members, more than"), (b"1" * 5000, "Exceeds the limit"),
    (b"\x80\x04\x95", "byte 0 is no UTF-8"), (b"PK\x03\x04", "not JSON"),
])  # fmt: skip
def test_something_else_in_disguise(tmp_path, content, message):
    refused(tmp_path, content, message)


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


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    for name in ("case.json", "case.safetensors"):
        path = tmp_path / name
        with path.open("wb") as sparse:
            sparse.truncate(hostile.LARGEST_FILE + 1)
        monkeypatch.setattr(type(path), "open", lambda *a, **k: pytest.fail("it was opened"))
        with pytest.raises(ValueError, match=f"{hostile.LARGEST_FILE + 1} bytes, more than"):
            read_case(path)
        monkeypatch.undo()


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_case(tmp_path / "none.json")
    with pytest.raises(ValueError, match="not a regular file"):
        read_case(tmp_path)
    with pytest.raises(ValueError, match="not a regular file"):
        read_case("/dev/zero")


# ── safetensors ──────────────────────────────────────────────────────────────────────────────────────


def parts():
    data = (vectors.COMMITTED / f"{SMALL}.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def raw(header, body):
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(("place", "value", "message"), [
    (("x", "dtype"), "F32", "'x': 8 bytes for F32"),
    (("x", "dtype"), "I64", "arrays: x: expected float64, got int64"),
    (("x", "dtype"), "C64", "'x': dtype: expected one of"),
    (("x", "dtype"), "object", "'x': dtype: expected one of"),
    (("x", "shape"), [2**40], "'x': shape: more than"),
    (("x", "shape"), [2], "'x': 8 bytes for F64 of shape"),
    (("x", "shape"), "1", "'x': shape: expected"),
    (("x", "data_offsets"), [0, 2**70], "two places within"),
    (("x", "data_offsets"), [8, 0], "two places within"),
    (("x", "data_offsets"), [8, 16], "overlap or leave a gap"),
    (("x", "data_offsets"), [0.0, 8.0], "expected two integers"),
    (("x",), [], "'x': expected an object of dtype"),
    (("gradients.loss.lower", "dtype"), "I64", "gradients: loss: lower: expected float64, got int64"),
    (("__metadata__",), {}, "__metadata__: expected case and sha256"),
    (("__metadata__", "sha256"), "0" * 64, "sha256: not that of the tensors"),
    (("__metadata__",), {"case": 1}, "__metadata__: expected an object of strings"),
    (("__metadata__",), {"case": "{", "sha256": ""}, "not JSON"),
    (("__metadata__",), {"case": "null", "sha256": ""}, "expected a case"),
])  # fmt: skip
def test_a_header_that_lies(tmp_path, place, value, message):
    header, body = parts()
    node = header
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    refused(tmp_path, raw(header, body), message, "case.safetensors")


def test_a_tensor_missing_or_too_many(tmp_path):
    header, body = parts()
    case = json.loads(header["__metadata__"]["case"])
    read = read_case(vectors.COMMITTED / f"{SMALL}.safetensors")
    arrays = {name: np.frombuffer(body, "<f8", len(body) // 8)[:1] for name in ("x",)}
    refused(tmp_path, write_tensors(arrays, {"case": json.dumps(case), "sha256": ""}), "missing", "case.safetensors")
    text = as_safetensors(read)
    length = int.from_bytes(text[:8], "little")
    known = json.loads(text[8 : 8 + length])
    known["more"] = {"dtype": "F64", "shape": [1], "data_offsets": [len(body), len(body) + 8]}
    refused(tmp_path, raw(known, body + bytes(8)), "arrays: 'more': no array of this", "case.safetensors")
    known["gradients.loss.middle"] = known.pop("more")
    refused(tmp_path, raw(known, body + bytes(8)), "'middle': unknown", "case.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_tensor_that_is_not_finite(tmp_path, value):
    header, body = parts()
    changed = bytearray(body)
    start = header["x"]["data_offsets"][0]
    changed[start : start + 8] = np.array([value]).tobytes()
    refused(tmp_path, raw(header, bytes(changed)), r"'x'\[0\]: expected a finite number", "case.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1])
def test_truncation(tmp_path, keep):
    data = (vectors.COMMITTED / f"{SMALL}.safetensors").read_bytes()
    refused(tmp_path, data[:keep], "not a (whole )?safetensors file|two places within", "case.safetensors")
    refused(tmp_path, data + b"\0", "1 bytes behind the last tensor", "case.safetensors")
    text = (vectors.COMMITTED / f"{SMALL}.json").read_bytes()
    refused(tmp_path, text[: keep if keep >= 0 else -2], "not JSON")


def test_the_wrong_byte_order_is_caught(tmp_path):
    """A twin of big-endian numbers, even where every bound is exact, so that no order is upset."""
    header, body = parts()
    swapped = np.frombuffer(body, "<u8").byteswap().tobytes()
    refused(tmp_path, raw(header, swapped), "damaged or in another byte order", "case.safetensors")


def test_duplicate_tensors(tmp_path):
    header, body = parts()
    text = json.dumps(header)
    entry = json.dumps({"x": header["x"]})[1:-1]
    assert text.count(entry) == 1
    refused(tmp_path, raw(text.replace(entry, f"{entry}, {entry}"), body), "'x' occurs twice", "case.safetensors")
