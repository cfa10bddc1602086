"""Test vectors: what is committed is what the generator writes, and says what it says twice."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors

from tests.torch_compare.cases.helpers import PATHS, validator
from torch_compare.cases import vectors
from torch_compare.files.case_file import ENDS, read_case
from torch_compare.files.case_writer import as_json, as_safetensors

# ── the committed files ──────────────────────────────────────────────────────────────────────────────


def test_what_is_committed_is_what_is_generated(tmp_path):
    vectors.write(tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    committed = {p.relative_to(vectors.COMMITTED).as_posix() for p in vectors.COMMITTED.rglob("*") if p.is_file()}
    assert names == committed
    for name in sorted(names):
        assert (tmp_path / name).read_bytes() == (vectors.COMMITTED / name).read_bytes(), f"{name}: run make vectors"


def test_the_manifest_is_right_and_the_set_is_small():
    manifest = vectors.check_manifest(vectors.COMMITTED)
    sizes = {name: entry.bytes for name, entry in manifest.files.items()}
    of_operations = sum(size for name, size in sizes.items() if name.startswith("operation_"))
    assert of_operations < 3_000_000
    assert sum(sizes.values()) - of_operations < 2_500_000
    assert manifest.schema_version == 1


def test_every_file_follows_its_schema():
    case, manifest = validator("case"), validator("manifest")
    for path in PATHS:
        case.validate(json.loads(path.read_text("utf-8")))
    manifest.validate(json.loads((vectors.COMMITTED / vectors.MANIFEST).read_text("utf-8")))


@pytest.mark.parametrize(("place", "value"), [
    (("schema_version",), 2), (("name",), "../x"), (("flags",), ["A flag"]), (("extra",), 1),
    (("link",), "javascript:0"),
    (("architecture", "dtype"), "float16"), (("arrays", "x", "shape"), [0]), (("arrays", "x", "bits"), ["0x1"]),
    (("arrays", "y"), {}), (("gradients", "loss", "nearest"), {"bits": []}),
])  # fmt: skip
def test_the_schema_of_cases_refuses(place, value):
    data = json.loads((vectors.COMMITTED / "activation_tanh.json").read_text("utf-8"))
    node = data
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    assert not validator("case").is_valid(data)


def test_numbers_are_spelled_twice_and_alike():
    """By Python's own reading of hexadecimal and decimal, not by the project's."""
    count = 0
    for path in PATHS:
        data = json.loads(path.read_text("utf-8"))
        lists = [(array, array["dtype"]) for array in data["arrays"].values()]
        lists += [
            (leaf[end], "float64") for leaf in data["gradients"].values() for end in ("lower", "nearest", "upper")
        ]
        for array, dtype in lists:
            width = np.dtype(dtype).itemsize
            stored = b"".join(int(text, 16).to_bytes(width, "little") for text in array["bits"])
            np.testing.assert_array_equal(
                np.array(array["decimal"], dtype).view(np.uint8), np.frombuffer(stored, np.uint8)
            )
            if dtype == "float64":
                numbers = [number for number in array["decimal"] if number != "-inf"]
                assert all(json.dumps(number) == repr(float(number)) for number in numbers)
            count += len(array["bits"])
    assert count > 10_000


def test_the_twins_hold_the_same_bits():
    for path in PATHS:
        data = json.loads(path.read_text("utf-8"))
        tensors = load_tensors(path.with_suffix(".safetensors").read_bytes())
        texts = {name: array["bits"] for name, array in data["arrays"].items()}
        for place, leaf in data["gradients"].items():
            texts |= {f"gradients.{place}.{end}": leaf[end]["bits"] for end in ENDS}
            if "resolved" in leaf:
                assert tensors.pop(f"gradients.{place}.resolved").ravel().tolist() == leaf["resolved"]
        assert set(texts) == set(tensors)
        for name, bits in texts.items():
            width = tensors[name].dtype.itemsize
            found = tensors[name].ravel().view(f"u{width}")
            assert [f"0x{int(n):0{2 * width}x}" for n in found] == bits


def test_reading_and_writing_again_changes_no_byte(cases):
    for index, (path, case) in enumerate(zip(PATHS, cases, strict=True)):
        if path.stem.startswith("operation_") and (index + index // 3) % 3:
            continue  # each operation in one type
        twin = read_case(path.with_suffix(".safetensors"))
        assert case.name == path.stem
        for read in (case, twin):
            assert as_json(read).encode() == path.read_bytes()
            assert as_safetensors(read) == path.with_suffix(".safetensors").read_bytes()


# ── the manifest ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path):
    """A small directory of vectors: three files of the committed set, and a manifest of them."""
    (tmp_path / "schema").mkdir()
    names = ["activation_relu.json", "activation_relu.safetensors", "schema/case.schema.json"]
    for name in names:
        shutil.copy(vectors.COMMITTED / name, tmp_path / name)
    data = json.loads((vectors.COMMITTED / vectors.MANIFEST).read_text("utf-8"))
    data["files"] = {name: data["files"][name] for name in names}
    (tmp_path / vectors.MANIFEST).write_text(json.dumps(data))
    return tmp_path


def test_a_sound_folder_passes(folder):
    assert len(vectors.check_manifest(folder).files) == 3
    assert vectors.case_paths(folder) == [folder / "activation_relu.json"]


def change_a_byte(folder):
    path = folder / "activation_relu.json"
    path.write_bytes(path.read_bytes().replace(b"1.0", b"1.5", 1))


def link_to(target):
    def change(folder):
        path = folder / "activation_relu.json"
        moved = folder / "moved"
        path.rename(moved)
        path.symlink_to(moved if target == "inside" else "/etc/hostname")

    return change


def link_schema(folder):
    (folder / "schema").rename(folder / "elsewhere")
    (folder / "schema").symlink_to(folder / "elsewhere")


@pytest.mark.parametrize(("change", "message"), [
    (change_a_byte, "expected the SHA-256"),
    (lambda folder: (folder / "activation_relu.json").write_bytes(b"{}"), r"activation_relu\.json: expected \d+ bytes"),
    (lambda folder: (folder / "activation_relu.json").unlink(), "there is no such file"),
    (lambda folder: (folder / "more.json").write_bytes(b"{}"), r"more\.json: not in the manifest"),
    (link_to("inside"), "a symbolic link"),
    (link_to("outside"), "a symbolic link"),
    (link_schema, "schema: a symbolic link"),
])  # fmt: skip
def test_a_folder_that_is_not_what_its_manifest_says(folder, change, message):
    change(folder)
    with pytest.raises(ValueError, match=message):
        vectors.check_manifest(folder)


@pytest.mark.parametrize("name", [
    "/etc/passwd", "../activation_relu.json", "schema/../activation_relu.json", "./a.json", "a//b", "schema/sub/a.json",
    "a\\b", "", ".", "..", ".hidden", "a\n", "C:a", "a b", "schema/", "a.", "manifest.json", "a" * 300, "\udcff",
])  # fmt: skip
def test_a_manifest_names_only_files_of_its_folder(folder, name):
    path = folder / vectors.MANIFEST
    data = json.loads(path.read_text("utf-8"))
    data["files"][name] = {"bytes": 0, "sha256": "0" * 64}
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="expected the name of a file in this directory"):
        vectors.check_manifest(folder)
    if name not in ("manifest.json", "a" * 300, "a\n"):  # what a pattern cannot say, or says otherwise in Python
        assert not validator("manifest").is_valid(data)


@pytest.mark.parametrize(("key", "value", "message"), [
    ("schema_version", 2, "schema_version: expected 1"), ("schema_version", True, "schema_version: expected 1"),
    ("generator_version", 1, "generator_version: expected digits"), ("seed", -1, "seed: expected"),
    ("seed", 2**64, "seed: expected"), ("files", [], "files: expected an object"), ("format", "x", "whose format is"),
    ("more", 1, "expected an object of"), ("files", {"a": {"bytes": 1}}, "expected an object of bytes and sha256"),
    ("files", {"a": {"bytes": -1, "sha256": "0" * 64}}, "bytes: expected"),
    ("files", {"a": {"bytes": 1, "sha256": "0" * 63}}, "sha256: expected 64"),
])  # fmt: skip
def test_a_manifest_that_is_none(folder, key, value, message):
    path = folder / vectors.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {key: value}))
    with pytest.raises(ValueError, match=message):
        vectors.check_manifest(folder)


def test_writing_asks_for_sound_arguments(tmp_path):
    for bad in ({"cases": -1}, {"seed": -1}, {"dtype": "float16"}):
        with pytest.raises(ValueError, match="expected cases and seed"):
            vectors.write(tmp_path, **bad)


def test_cases_are_read_without_torch_or_hypothesis():
    """Whoever checks a result does not wait for them."""
    code = (
        "import sys; from torch_compare.cases import vectors; from torch_compare.files import case_file\n"
        f"case_file.read_case({str(PATHS[0])!r})\n"
        "assert not {'torch', 'hypothesis'} & set(sys.modules), 'loaded'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
