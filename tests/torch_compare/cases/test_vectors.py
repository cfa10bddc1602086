"""Test vectors: what is committed is what the generator writes, says what it says twice, and is true."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from safetensors.numpy import load as load_tensors

import reference as ref
from torch_compare.cases import known_bugs as bug_cases
from torch_compare.cases import random_cases, vectors
from torch_compare.cases.draft import FLAGS, Draft, certify, draft
from torch_compare.cases.index import index
from torch_compare.commands import cli
from torch_compare.files.case_file import ENDS, read_case
from torch_compare.files.case_writer import as_json, as_safetensors
from torch_compare.torch_side.deviations import deviations
from torch_compare.torch_side.gradients import torch_gradients
from torch_compare.verdict.checks import check

PATHS = vectors.case_paths(vectors.COMMITTED)
SCHEMAS = {
    name.partition(".")[0]: json.loads((vectors.COMMITTED / "schema" / name).read_text("utf-8"))
    for name in vectors.SCHEMAS
}


@pytest.fixture(scope="module")
def cases():
    return [read_case(path) for path in PATHS]


def validator(kind):
    Draft202012Validator.check_schema(SCHEMAS[kind])
    return Draft202012Validator(SCHEMAS[kind])


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
    size = sum(entry.bytes for entry in manifest.files.values()) + (vectors.COMMITTED / vectors.MANIFEST).stat().st_size
    assert size < 2_000_000
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
                assert all(json.dumps(number) == repr(float(number)) for number in array["decimal"])
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
    for path, case in zip(PATHS, cases, strict=True):
        twin = read_case(path.with_suffix(".safetensors"))
        assert case.name == path.stem
        for read in (case, twin):
            assert as_json(read).encode() == path.read_bytes()
            assert as_safetensors(read) == path.with_suffix(".safetensors").read_bytes()


# ── what the cases are ───────────────────────────────────────────────────────────────────────────────


def test_every_row_kink_and_flag_has_its_case(cases):
    rows = {layer.activation.name for case in cases for layer in case.problem.mlp.layers}
    assert rows == set(ref.ACTIVATIONS)
    assert {case.problem.loss.name for case in cases} == set(ref.LOSSES)
    hit = {(kink.activation, kink.at) for case in cases for kink in case.certified.kinks}
    assert {(row.name, kink.at) for row in ref.ACTIVATIONS.values() for kink in row.kinks} <= hit
    used = {flag for case in cases for flag in case.flags}
    assert used | {"random"} == set(FLAGS)


def test_every_switch_of_a_loss_is_hit(cases):
    """But that of bce, where log y = −100: e^−100 is no float64."""
    hit = {case.problem.loss.name for case in cases if "loss_switch" in case.flags}
    probe = {name for name, row in ref.LOSSES.items() if name != "bce" and "switches" in vars(row)}
    switching = {name for name in probe if ref.LOSSES[name].switches.__name__ != "_no_switches"}
    assert hit == switching


def test_shapes_and_sizes_are_reached(cases):
    by_flag = {flag: [case for case in cases if flag in case.flags] for flag in FLAGS}
    assert any(len(case.problem.mlp.layers) == 100 for case in by_flag["deep"])
    assert all(case.problem.x.shape[0] == 1 for case in by_flag["batch_1"])
    assert all(any(layer.bias is None for layer in case.problem.mlp.layers) for case in by_flag["no_bias"])
    assert all(case.certified.status == "unresolved" for case in by_flag["unresolved"])
    tiny = {dtype: np.finfo(dtype).tiny for dtype in (np.float64, np.float32)}
    for case in by_flag["subnormal"]:
        leaves = np.concatenate([leaf.nearest.ravel() for leaf in case.certified.leaves().values()])
        assert np.any((leaves != 0) & (np.abs(leaves) < tiny[case.problem.dtype.type]))
    assert {case.problem.dtype.name for case in by_flag["subnormal"]} == {"float64", "float32"}
    for case in by_flag["half_range"]:
        for layer in case.problem.mlp.layers:
            np.testing.assert_array_equal(layer.weight, layer.weight.astype(np.float16))


def test_every_known_bug_is_shown_or_said_not_to_be(cases):
    numbers = {int(case.name.split("_")[1]) for case in cases if case.name.startswith("bug_")}
    assert numbers == {1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 22, 27}
    for case in cases:
        assert (
            case.link.startswith("https://github.com/") == ("known_bug" in case.flags) == case.name.startswith("bug_")
        )
    text = (vectors.COMMITTED / vectors.INDEX).read_text("utf-8")
    for entry in ("195679", "5876", "79609", "numpy-ml", "1769", "3541", "59615", "3130"):
        assert any(entry in where for where in bug_cases.NOT_SHOWN)
        assert entry in text


def test_the_known_numbers_of_the_bugs(cases):
    by_name = {case.name: case for case in cases}
    weight = {name: case.certified.layers[0].weight.nearest for name, case in by_name.items()}

    def slopes(name):
        """a′(z): the gradient of the weight by that of the output, for x = 1."""
        case = by_name[name]
        output = ref.forward(case.problem.mlp, case.problem.x).output
        return weight[name][:, 0] / ref.loss_gradient(case.problem, output)[0]

    assert f"{slopes('bug_01_sigmoid')[0]:.2e}" == "4.25e-18"
    assert f"{slopes('bug_01_tanh')[0]:.2e}" == "1.70e-17"
    assert f"{slopes('bug_22_sigmoid')[0]:.1e}" == "1.4e-11"
    first, second = weight["bug_02_bce_with_logits"][:, 0]
    assert first == -second != 0
    assert weight["bug_03_cross_entropy"].sum() == 0 != weight["bug_03_cross_entropy"][0, 0]
    assert weight["bug_10_l1"][0, 0] == 0
    assert f"{weight['bug_13_bce'][0, 0]:.3f}" == "-1.000"


# ── they are true ────────────────────────────────────────────────────────────────────────────────────


def test_the_oracle_in_floating_point_agrees_with_every_case(cases):
    for case in cases:
        verdict = check(case.problem, ref.gradients(case.problem), certified=case.certified, diagnose=False)
        expected = "unresolved" if "unresolved" in case.flags else "agrees"
        assert (case.name, verdict.status, verdict.scale) == (case.name, expected, "accurate")


def test_torch_agrees_with_every_case_or_a_published_deviation_says_why(cases):
    deviating = {}
    for case in cases:
        with np.errstate(all="ignore"):
            given = torch_gradients(case.problem)
        verdict = check(case.problem, given, certified=case.certified, diagnose=False)
        if verdict.status not in ("agrees", "unresolved"):
            rows = deviations(case.problem)
            theirs = case.problem
            for row in rows:
                theirs = row.as_torch(theirs)
            assert rows, f"{case.name}: {verdict}"
            assert check(theirs, given, str(case.problem.dtype), diagnose=False).agrees
            deviating[case.name] = [row.name for row in rows]
    assert deviating == {
        "activation_celu_alpha_0_3": ["celu_float32_alpha"],
        "activation_hardsigmoid": ["hardsigmoid_float32_sixth"],
        "bug_13_bce": ["bce_epsilon"],
    }


@pytest.mark.parametrize("name", ["network_square", "loss_mse_float32", "tails_gelu", "network_subnormal"])
def test_a_planted_error_is_caught(cases, name):
    case = next(case for case in cases if case.name == name)
    found = ref.gradients(case.problem)
    leaves = {place: np.array(leaf) for place, leaf in found.leaves().items()}
    at = np.unravel_index(np.argmax(np.abs(leaves["layers[0].weight"])), leaves["layers[0].weight"].shape)
    leaves["layers[0].weight"][at] *= 1.25
    assert not check(case.problem, leaves, certified=case.certified, diagnose=False).agrees


# ── flags and index ──────────────────────────────────────────────────────────────────────────────────


def test_flags_are_known_and_seen():
    made = draft("a", [([[1.0]], None, "relu")], [[0.0]], [[1.0]], note="n")
    assert certify(made).flags == ("batch_1", "kink", "no_bias")
    with pytest.raises(ValueError, match="a: no flag is named 'shiny'"):
        certify(Draft("a", made.problem, ("shiny",), "n"))


def test_the_index_names_every_case_and_explains_every_flag(cases):
    text = (vectors.COMMITTED / vectors.INDEX).read_text("utf-8")
    for case in cases:
        assert text.count(f"| [{case.name}]({case.name}.json) |") == 1
        assert case.link in text
    for flag, meaning in FLAGS.items():
        assert (f"| `{flag}` | {meaning} |" in text) == (flag != "random")
    assert index(cases[:1]).count("\n| [") == 1


# ── random cases ─────────────────────────────────────────────────────────────────────────────────────


def test_random_cases_are_the_same_from_the_same_seed(tmp_path):
    made = [vectors.write(tmp_path / str(index), cases, seed=5) for index, cases in enumerate((6, 6, 3))]
    assert made[0] == made[1] == vectors.check_manifest(tmp_path / "1")
    listed = {name: entry for name, entry in made[2].files.items() if name.startswith("random")}
    assert listed == {name: made[0].files[name] for name in listed}
    assert len(listed) == 6
    assert made[0].files.items() & vectors.write(tmp_path / "other", 6, seed=6).files.items() == {
        (name, entry) for name, entry in made[0].files.items() if not name.startswith(("random", vectors.INDEX))
    }


def test_random_cases_are_small_varied_and_true():
    made = list(random_cases.random_cases(60, seed=11))
    assert {case.problem.dtype.name for case in made} == {"float64", "float32"}
    assert {case.problem.loss.name for case in made} == set(ref.LOSSES)
    assert len({layer.activation.name for case in made for layer in case.problem.mlp.layers}) > 25
    for case in made:
        assert max(case.problem.x.shape) <= 4
        assert {"random"} <= set(case.flags)
        verdict = check(case.problem, ref.gradients(case.problem), certified=case.certified, diagnose=False)
        assert verdict.status in ("agrees", "unresolved"), f"{case.name}: {verdict}"
    assert all(case.problem.dtype == np.float32 for case in random_cases.random_cases(3, 0, "float32"))


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


# ── the command ──────────────────────────────────────────────────────────────────────────────────────


def test_the_command_writes_and_says_what(tmp_path, capsys):
    assert cli.main(["vectors", str(tmp_path / "v"), "--cases", "2", "--seed", "9", "--dtype", "float32"]) == cli.AGREES
    assert f"{len(PATHS) + 2} cases, 2 of them random from seed 9" in capsys.readouterr().out
    assert vectors.check_manifest(tmp_path / "v").seed == 9
    assert read_case(tmp_path / "v" / "random_000001.json").problem.dtype == np.float32


@pytest.mark.parametrize(
    "arguments", [["--cases", "-1"], ["--seed", "x"], ["--dtype", "float16"], ["--seed", str(2**64)]]
)
def test_bad_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["vectors", "v", *arguments])
    assert stop.value.code == cli.BAD_INPUT


def test_a_file_in_the_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "v").write_text("")
    assert cli.main(["vectors", str(tmp_path / "v")]) == cli.BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err


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
