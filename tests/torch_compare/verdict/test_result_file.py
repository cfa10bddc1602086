"""Somebody's gradients: every layout that is promised, and what is refused."""

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import reference as ref
from tests.torch_compare.cases.helpers import validator
from torch_compare.cases import vectors
from torch_compare.files.bit_arrays import from_tensor
from torch_compare.files.case_file import read_case
from torch_compare.files.untrusted import Tensor
from torch_compare.verdict.checks import check
from torch_compare.verdict.result_file import read_result

CASE = read_case(vectors.COMMITTED / "network_batch_8.json")
PROBLEM = CASE.problem
FOUND = ref.gradients(PROBLEM).leaves()
WEIGHT = "layers[0].weight"


def numpy_type(name):
    if hasattr(np, name):
        return np.dtype(name)
    return getattr(pytest.importorskip("ml_dtypes", reason="it comes with JAX, an optional extra"), name)


def written(tmp_path, data, name="result.json"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    if name.endswith("json"):
        assert validator("result").is_valid(json.loads(path.read_bytes()))
    return path


def test_a_bare_mapping(tmp_path):
    result = read_result(written(tmp_path, {place: leaf.tolist() for place, leaf in FOUND.items()}), PROBLEM)
    assert (result.dtype, result.accumulate, result.case) == (None, None, None)
    assert set(result.given.formats.values()) == {"float64"}
    for place, leaf in FOUND.items():
        np.testing.assert_array_equal(result.given.leaves[place], leaf)
        assert result.given.leaves[place].shape == leaf.shape
    assert check(PROBLEM, result.given.leaves, certified=CASE.certified).agrees


@pytest.mark.parametrize("layout", ["flat", "nested", "bits", "flat bits in a row"])
def test_layouts(tmp_path, layout):
    def spell(leaf):
        bits = [f"0x{n:016X}" for n in np.asarray(leaf).ravel().view(np.uint64).tolist()]
        flat = np.asarray(leaf).ravel().tolist()
        if layout == "bits":
            return np.array(bits, object).reshape(np.shape(leaf)).tolist()
        return {"flat": flat, "nested": np.asarray(leaf).tolist(), "flat bits in a row": bits}[layout]

    data = {"case": "network_batch_8", "gradients": {place: spell(leaf) for place, leaf in FOUND.items()}}
    result = read_result(written(tmp_path, data), PROBLEM)
    assert result.case == "network_batch_8"
    for place, leaf in FOUND.items():
        np.testing.assert_array_equal(result.given.leaves[place], leaf)


@pytest.mark.parametrize(("dtype", "stored"), [
    ("float64", "float64"), ("float32", "float32"), ("tf32", "float32"), ("float16", "float32"),
    ("bfloat16", "float32"), ("float8_e4m3", "float32"),
])  # fmt: skip
def test_decimals_beside_a_dtype(tmp_path, dtype, stored):
    """Nine digits of a float32 are that float32; what they were computed in is another matter."""
    numbers = [f"{x:.9g}" for x in np.float32(FOUND[WEIGHT]).ravel()]
    text = f'{{"dtype": "{dtype}", "accumulate": "same", "gradients": {{"{WEIGHT}": [{", ".join(numbers)}]}}}}'
    result = read_result(written(tmp_path, text.encode()), PROBLEM)
    assert (result.dtype, result.accumulate, result.given.formats[WEIGHT]) == (dtype, "same", stored)
    if stored == "float32":
        np.testing.assert_array_equal(result.given.leaves[WEIGHT], np.float32(FOUND[WEIGHT]))


@pytest.mark.parametrize(("digits", "dtype", "number"), [
    (8, None, "float32"), (4, "float16", "float16"), (4, "bfloat16", "bfloat16"), (16, "float32", "float64"),
])  # fmt: skip
def test_bits_of_every_width(tmp_path, digits, dtype, number):
    values = FOUND[WEIGHT].astype(numpy_type(number))
    bits = [f"0x{n:0{digits}x}" for n in values.ravel().view(f"u{digits // 2}").tolist()]
    result = read_result(written(tmp_path, {"dtype": dtype, "gradients": {WEIGHT: bits}}), PROBLEM)
    np.testing.assert_array_equal(result.given.leaves[WEIGHT], values.astype(np.float64))
    assert result.given.formats[WEIGHT] == number


def test_words_for_what_json_has_not(tmp_path):
    """The words, and the constants that Python's json writes."""
    path = tmp_path / "result.json"
    path.write_text('{"layers[1].bias": ["nan", "-inf"], "layers[0].bias": [NaN, Infinity, -Infinity]}')
    leaves = read_result(path, PROBLEM).given.leaves
    np.testing.assert_array_equal(leaves["layers[1].bias"], [np.nan, -np.inf])
    np.testing.assert_array_equal(leaves["layers[0].bias"], [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(("text", "value"), [
    ("nan", np.nan), ("-nan", np.nan), ("NAN", np.nan), ("nan(ind)", np.nan), ("-nan(ind)", np.nan),
    ("nan(0x8000000000000)", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("INF", np.inf), ("+inf", np.inf),
    ("infinity", np.inf), ("-Infinity", -np.inf), ("NaN", np.nan),
])  # fmt: skip
def test_what_printf_writes_for_what_is_not_finite(tmp_path, text, value):
    path = tmp_path / "result.json"
    path.write_text(f'{{"case": "a nan, \\"inf", "gradients": {{"layers[1].bias": [1.5,{text}], "loss": {text} }}}}')
    result = read_result(path, PROBLEM)
    np.testing.assert_array_equal(result.given.leaves["layers[1].bias"], [1.5, value])
    np.testing.assert_array_equal(result.given.leaves["loss"], value)
    assert result.case == 'a nan, "inf', "words within a string stay as they are"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_byte_order_mark_and_what_powershell_writes(tmp_path, encoding):
    path = tmp_path / "result.json"
    path.write_bytes('{"case": "é", "gradients": {"loss": 1.5}}'.encode(encoding))
    result = read_result(path, PROBLEM)
    assert (result.case, result.given.leaves["loss"]) == ("é", 1.5)


@pytest.mark.parametrize(("problem", "stated", "asked", "stored"), [
    ("float64", None, None, "float64"), ("float32", None, None, "float32"), ("float32", "float64", None, "float64"),
    ("float32", None, "float64", "float64"), ("float64", "float64", "bfloat16", "float32"),
])  # fmt: skip
def test_decimals_are_of_the_type_that_is_asked_for_or_stated_or_the_problems(tmp_path, problem, stated, asked, stored):
    path = written(tmp_path, {"dtype": stated, "gradients": {WEIGHT: FOUND[WEIGHT].tolist()}})
    result = read_result(path, PROBLEM.in_dtype(problem), asked)
    assert result.given.formats[WEIGHT] == stored
    np.testing.assert_array_equal(result.given.leaves[WEIGHT], FOUND[WEIGHT].astype(stored))
    assert not result.given.prints


def test_how_decimals_were_printed_is_kept_by_place(tmp_path):
    spelled = {place: [f"{x:.6g}" for x in np.ravel(leaf)] for place, leaf in FOUND.items()}
    text = ", ".join(f'"{place}": [{", ".join(numbers)}]' for place, numbers in spelled.items())
    for dtype in ("float64", "float32"):
        result = read_result(written(tmp_path, f'{{"dtype": "{dtype}", "gradients": {{{text}}}}}'.encode()), PROBLEM)
        for place, leaf in FOUND.items():
            print_ = result.given.prints[place]
            assert print_.digits == "6 digits"
            assert print_.half.shape == leaf.shape
            assert np.all(np.abs(result.given.leaves[place] - leaf) <= print_.half)
            assert np.all(print_.half < 6e-6 * np.abs(leaf))
    bits = {"layers[1].bias": ["0x3ff8000000000000", "0x3ff8000000000000"], "loss": 0.123457}
    assert set(read_result(written(tmp_path, bits), PROBLEM).given.prints) == {"loss"}


@pytest.mark.parametrize("kind", ["json", "safetensors"])
def test_the_standard_input_may_be_either_kind(tmp_path, monkeypatch, kind):
    path = tmp_path / f"result.{kind}"
    if kind == "json":
        path.write_text(json.dumps({WEIGHT: FOUND[WEIGHT].tolist()}))
    else:
        save_file({WEIGHT: torch.tensor(FOUND[WEIGHT])}, path)
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        np.testing.assert_array_equal(read_result("-", PROBLEM).given.leaves[WEIGHT], FOUND[WEIGHT])
    path.write_text("{")
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(ValueError, match=r"^standard input: not "):
            read_result("-", PROBLEM)
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match=r"^standard input: it is closed"):
        read_result("-", PROBLEM)


def test_a_number_alone_is_the_loss(tmp_path):
    for spelled in (1.5, [1.5], "0x3ff8000000000000", ["0x3ff8000000000000"]):
        result = read_result(written(tmp_path, {"loss": spelled}), PROBLEM)
        assert result.given.leaves["loss"].shape == ()
        assert result.given.leaves["loss"] == 1.5


@pytest.mark.parametrize("dtype", [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
])  # fmt: skip
def test_safetensors_of_torch(tmp_path, dtype):
    tensors = {place: torch.tensor(leaf).to(dtype) for place, leaf in FOUND.items()}
    path = tmp_path / "result.safetensors"
    save_file(tensors, path, {"dtype": "float32", "case": "x", "tool": "mine"})
    result = read_result(path, PROBLEM)
    name = str(dtype).removeprefix("torch.").removesuffix("fn")
    assert (result.dtype, result.case) == ("float32", "x")
    assert set(result.given.formats.values()) == {name}
    for place, tensor in tensors.items():
        np.testing.assert_array_equal(result.given.leaves[place], tensor.double().numpy())


@pytest.mark.parametrize(("name", "dtype"), [
    ("BF16", "bfloat16"), ("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2"),
])  # fmt: skip
def test_every_number_of_the_narrow_formats(name, dtype):
    """All 256, or all 65,536, against ml_dtypes."""
    dtype = numpy_type(dtype)
    width = np.dtype(dtype).itemsize
    codes = np.arange(256**width).astype(f"<u{width}")
    array, _ = from_tensor("a", Tensor(name, codes.shape, memoryview(codes.tobytes())))
    np.testing.assert_array_equal(array, codes.view(dtype).astype(np.float32))


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("data", "message"), [
    ([], "expected an object, got"),
    ({}, "nothing was given to judge"),
    ({"gradients": {}}, "nothing was given to judge"),
    ({"gradients": []}, "gradients: expected an object"),
    ({"gradients": {"loss": 1}, "more": 1}, "'more': unknown"),
    ({"dtype": "float32"}, "'dtype': the problem has no such gradient"),
    ({"gradients": {"loss": 1}, "dtype": "half"}, "dtype: expected one of float64"),
    ({"gradients": {"loss": 1}, "dtype": []}, "dtype: expected a word"),
    ({"gradients": {"loss": 1}, "accumulate": "float64"}, "accumulate: expected"),
    ({"gradients": {"loss": 1}, "case": "\x1b[0m"}, "case: expected a word"),
    ({"gradients": {"loss": 1}, "case": "\ud800"}, "case: expected a word"),
    ({"layers[9].weight": [1.0]}, r"'layers\[9\].weight': the problem has no such gradient.*; it has layers\[0\]"),
    ({WEIGHT: [1.0] * 5}, r"expected 6 numbers, for shape \(3, 2\), got 5"),
    ({WEIGHT: [[1.0] * 3] * 2}, r"expected shape \(3, 2\), got \(2, 3\); weights are stored \(fan_out, fan_in\)"),
    ({WEIGHT: [[1.0, 2.0], [3.0]]}, "rows of equal length, got a mixture"),
    ({WEIGHT: [1.0, [2.0]]}, "rows of equal length, got a mixture"),
    ({WEIGHT: [[[1.0], [2.0]]] * 3}, r"expected shape \(3, 2\), got \(3, 2, 1\)"),
    ({WEIGHT: None}, r"expected 6 numbers"),
    ({"loss": None}, r"loss: decimal\[0\]: null, as JavaScript writes NaN and the infinities alike; expected a number"),
    ({"layers[1].bias": [1.0, None]}, r"layers\[1\].bias: decimal\[1\]: null, as JavaScript writes NaN"),
    ({"loss": True}, r"decimal\[0\]: expected a number"),
    ({"loss": {}}, r"decimal\[0\]: expected a number"),
    ({"loss": "1.0"}, "expected a number, nan, inf, -inf"),
    ({"loss": "0x3ff8"}, "bits of 4 digits are float16 or bfloat16: say which"),
    ({"loss": "0xzzzzzzzz"}, r'bits\[0\]: expected "0x" and 8'),
    ({"loss": "٠" * 10}, r'bits\[0\]: expected "0x" and 8'),
    ({"loss": 10**400}, "an integer beyond the range"),
    ({"layers[1].bias": ["0x3ff8000000000000", 1.0]}, r"bits\[1\]: expected"),
    ({"layers[1].bias": ["0x3ff8000000000000", "0x3f800000"]}, r"bits\[1\]: expected"),
    ({"gradients": {"loss": 1e39}, "dtype": "float32"}, r"decimal\[0\]: beyond the range of float32"),
])  # fmt: skip
def test_what_is_no_result(tmp_path, data, message):
    path = tmp_path / "result.json"
    path.write_bytes(json.dumps(data).encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=message) as caught:
        read_result(path, PROBLEM)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", [
    '{"loss": 1, "loss": 2}', '{"loss": 1e999}', '{"loss": nano}', '{"loss": 0x1p3}', "{'loss': 1}", '{"loss": 1} {}',
    "", '{"loss": [' * 20, '{"loss": 1', "\ufeff{", '{"loss": nan(}', '{"loss": 1nan}',
])  # fmt: skip
def test_what_is_no_json(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"occurs twice|beyond the range|not JSON|nested deeper"):
        read_result(path, PROBLEM)


def test_tensors_that_do_not_fit(tmp_path):
    path = tmp_path / "result.safetensors"
    for tensors, message in (
        ({"other": torch.zeros(1)}, "'other': the problem has no such gradient"),
        ({WEIGHT: torch.zeros(2, 3)}, "weights are stored"),
        ({WEIGHT: torch.zeros(3, 2, dtype=torch.int64)}, "expected floating numbers, got I64"),
        ({WEIGHT: torch.zeros(3, 2, dtype=torch.bool)}, f"{WEIGHT}: expected floating numbers, got BOOL"),
        ({WEIGHT: torch.zeros(3, 2, 1)}, r"expected shape \(3, 2\), got \(3, 2, 1\)"),
    ):
        save_file(tensors, path)
        with pytest.raises(ValueError, match=message.replace("[", r"\[")):
            read_result(path, PROBLEM)
    save_file({WEIGHT: torch.zeros(3, 2)}, path, {"dtype": "half"})
    with pytest.raises(ValueError, match="dtype: expected one of"):
        read_result(path, PROBLEM)
    with pytest.raises(FileNotFoundError):
        read_result(tmp_path / "none.json", PROBLEM)


# ── words and hints ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("length", [200, 201])
def test_a_word_has_200_characters_at_the_most(tmp_path, length):
    word = "é" * length
    path = tmp_path / "result.safetensors"
    save_file({WEIGHT: torch.zeros(3, 2)}, path, {"case": word})
    plain = tmp_path / "result.json"
    plain.write_text(json.dumps({"case": word, "gradients": {"loss": 1.0}}))
    for file in (path, plain):
        if length <= 200:
            assert read_result(file, PROBLEM).case == word
        else:
            with pytest.raises(ValueError, match="case: expected a word"):
                read_result(file, PROBLEM)


@pytest.mark.parametrize("rows", [[[1.0] * 5] * 4, [[1.0] * 3] * 3, [[1.0] * 2] * 2])
def test_a_shape_that_is_not_the_transposed_one_has_no_hint(tmp_path, rows):
    with pytest.raises(ValueError, match=rf"expected shape \(3, 2\), got \({len(rows)}, {len(rows[0])}\)$"):
        read_result(written(tmp_path, {WEIGHT: rows}), PROBLEM)
    path = tmp_path / "result.safetensors"
    save_file({WEIGHT: torch.tensor(rows)}, path)
    with pytest.raises(ValueError, match=r"expected shape \(3, 2\), got \(\d, \d\)$"):
        read_result(path, PROBLEM)


def test_rows_where_a_bias_belongs_have_no_hint(tmp_path):
    """Weights alone are stored in an order that somebody may have the other way round."""
    assert FOUND["layers[1].bias"].shape == (2,)
    with pytest.raises(ValueError, match=r"expected shape \(2,\), got \(2, 1\)$"):
        read_result(written(tmp_path, {"layers[1].bias": [[1.0], [2.0]]}), PROBLEM)
    path = tmp_path / "result.safetensors"
    for shape in ((1, 2), (3,)):
        save_file({"layers[1].bias": torch.zeros(shape)}, path)
        with pytest.raises(ValueError, match=rf"expected shape \(2,\), got {re.escape(str(shape))}$"):
            read_result(path, PROBLEM)
