"""Files of strangers: safetensors whose header lies, and things in disguise."""

import json

import numpy as np
import pytest

from tests.torch_compare.files.helpers import SMALL, refused
from torch_compare.cases import vectors
from torch_compare.files import untrusted
from torch_compare.files.case_file import read_case
from torch_compare.files.case_writer import as_safetensors
from torch_compare.files.untrusted import write_tensors


@pytest.mark.parametrize(("content", "message"), [
    (b"", "not JSON"), (b"null", "expected a case"), (b"[]", "expected a case"),
    (b'{"format": NaN}', "NaN is no number"),
    (b'{"format": 1, "format": 2}', "the key 'format' occurs twice"), (b"\xff\x00\xfe", "byte 0 is no UTF-8"),
    (b"\xff\xfe\x00\xd8", "byte 2 is no UTF-16"), (b"\xff\xfe[\x00" + b"[\x00" * 300_000, "about 300001 lists"),
    (b"[" * 100 + b"]" * 100, "nested deeper than 16"), (b"[" * 300_000, "about 300000 lists"),
    (b'{"a":' * 10_000, "nested deeper than"), (b"0," * (untrusted.LARGEST_NUMBERS + 1), "values, more than"),
    (b"]" * (untrusted.LARGEST_TREE + 1), "lists, objects and members, more than"), (b"1" * 5000, "Exceeds the limit"),
    (b"\x80\x04\x95", "byte 0 is no UTF-8"), (b"PK\x03\x04", "not JSON"),
])  # fmt: skip
def test_something_else_in_disguise(tmp_path, content, message):
    refused(tmp_path, content, message)


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    for name in ("case.json", "case.safetensors"):
        path = tmp_path / name
        with path.open("wb") as sparse:
            sparse.truncate(untrusted.LARGEST_FILE + 1)
        monkeypatch.setattr(type(path), "open", lambda *a, **k: pytest.fail("it was opened"))
        with pytest.raises(ValueError, match=f"{untrusted.LARGEST_FILE + 1} bytes, more than"):
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
