"""The check on the command line: every verdict with its exit status, in every dtype; folders; and what it refuses."""

import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.formats import FORMATS
from tests.torch_compare.commands.helpers import (
    as_case,
    at_a_kink,
    computed_in,
    run,
    two_layers,
    write_case,
    write_result,
)
from torch_compare.cases import vectors
from torch_compare.files.case_writer import as_safetensors

COARSER = {"float64": "float32", "float32": "bfloat16", "tf32": "bfloat16"}
"""A precision that has more than 32 times the errors; float16 and below have none that is named."""


def checked(cases, tmp_path, name, leaves, dtype, *options):
    """The exit status, and what the report says of the one case."""
    report = tmp_path / "report.json"
    result = write_result(tmp_path / "result.json", leaves, dtype=dtype)
    status = run(cases / f"{name}.json", result, "--json", report, *options)
    data = json.loads(report.read_text(encoding="utf-8"))
    assert data["exit_status"] == status
    return status, data["cases"][0]


@pytest.mark.parametrize("dtype", FORMATS)
class TestEveryVerdictInEveryDtype:
    def test_agrees(self, cases, tmp_path, dtype, capsys):
        status, found = checked(cases, tmp_path, "two_layers", computed_in(dtype, two_layers()), dtype)
        assert (status, found["status"]) == (0, "agrees"), found
        assert found["dtype"].startswith(dtype)
        assert capsys.readouterr().out.rstrip().endswith("AGREES")

    def test_wrong(self, cases, tmp_path, dtype, capsys):
        """A sum for the mean over 10 elements; in FP8 the noise is a tenth of the number, and 32 σ hide a sign."""
        leaves = {place: 10 * values for place, values in computed_in(dtype, two_layers()).items() if place != "loss"}
        status, found = checked(cases, tmp_path, "two_layers", leaves, dtype)
        assert (status, found["status"]) == (1, "wrong"), found
        out = capsys.readouterr().out
        if dtype in ("tf32", "float8_e4m3"):  # whose errors are of a size with the distance to 9.99
            assert found["mistakes"] in (["sum for mean"], ["constant factor"])
        elif dtype != "float8_e5m2":  # with errors of 20% several explanations fit equally
            assert found["mistakes"] == ["sum for mean"]
            assert "diagnosis: every gradient: yours = oracle × 10 to" in out
        assert out.rstrip().endswith("DISAGREES")

    def test_another_convention(self, cases, tmp_path, dtype):
        """relu′(0) = 1."""
        problem = at_a_kink()
        trace = ref.forward(problem.mlp, problem.x)
        d_z = ref.loss_gradient(problem, trace.output) @ problem.mlp.layers[1].weight
        leaves = {"layers[0].weight": d_z.T @ problem.x, "input": d_z @ problem.mlp.layers[0].weight}
        status, found = checked(cases, tmp_path, "at_a_kink", leaves, dtype)
        assert (status, found["status"]) == (1, "another convention"), found
        assert "relu" in found["diagnosis"]
        status, found = checked(cases, tmp_path, "at_a_kink", leaves, dtype, "--accept-conventions")
        assert (status, found["status"]) == (0, "another convention")

    def test_unresolved(self, cases, tmp_path, dtype, capsys):
        status, found = checked(cases, tmp_path, "undecided", {"layers[1].bias": [-2.0]}, dtype)
        assert (status, found["status"]) == (3, "unresolved"), found
        assert "no precision says where; yours is -2.0" in found["diagnosis"]
        assert capsys.readouterr().out.rstrip().endswith("UNRESOLVED")


@pytest.mark.parametrize(("dtype", "coarser"), COARSER.items())
def test_a_coarser_precision_than_stated_is_imprecise_and_named(cases, tmp_path, dtype, coarser):
    status, found = checked(cases, tmp_path, "two_layers", computed_in(coarser, two_layers()), dtype)
    assert (status, found["status"]) == (1, "imprecise"), found
    assert "the errors are those of " in found["diagnosis"]


def test_what_overflows_in_the_stated_dtype_is_unresolved(tmp_path):
    layer = ref.Layer(np.array([[300.0]]), None, "identity")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[300.0]]), np.array([[0.0]]), "mse")
    case = write_case(tmp_path, problem)
    result = tmp_path / "result.json"
    result.write_text('{"dtype": "float16", "gradients": {"input": ["nan"]}}')
    assert run(case, result) == 3
    assert run(case, result, "--dtype", "float32") == 1


def test_nine_digits_of_a_float32_are_that_number(tmp_path, capsys):
    """0.1f is exactly the gradient; the decimal 0.100000001 is not, and σ is 0 there."""
    tenth = float(np.float32(0.1))
    layer = ref.Layer(np.array([[1.0]]), None, "identity")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[tenth]]), np.array([[tenth - 0.5]]), "mse")
    case = write_case(tmp_path, problem)
    result = tmp_path / "result.json"
    result.write_text('{"layers[0].weight": [0.100000001]}')
    assert run(case, result, "--dtype", "float32") == 0
    assert "printed" not in capsys.readouterr().out
    assert run(case, result) == 0
    assert "printed with 9 digits; print 17" in capsys.readouterr().out
    result.write_text('{"layers[0].weight": [0.10000000100000000]}')
    assert run(case, result, "--no-diagnose") == 1, "so many digits say that no other number was meant"


def test_options_outrank_what_the_file_says(cases, tmp_path):
    leaves = computed_in("bfloat16", two_layers())
    result = write_result(tmp_path / "r.json", leaves, dtype="float32")
    assert run(cases / "two_layers.json", result, "--no-diagnose") == 1
    assert run(cases / "two_layers.json", result, "--dtype", "bfloat16") == 0


def test_safetensors_twins_are_judged_alike(tmp_path):
    from safetensors.numpy import save_file

    problem = two_layers()
    case = tmp_path / "case.safetensors"
    case.write_bytes(as_safetensors(as_case(problem)))
    for factor, status in ((1.0, 0), (2.0, 1)):
        leaves = {k: factor * v for k, v in computed_in("float64", problem).items() if k != "loss"}
        save_file(leaves, tmp_path / "result.safetensors", {"case": "case"})
        assert run(case, tmp_path / "result.safetensors") == status


UNRESOLVED = {"float64": {"kink_undecided"}, "float32": {"kink_undecided", "network_huge", "tails_tanh"}}

UNRESOLVED["float16"] = UNRESOLVED["float32"] | {
    "tails_logsigmoid", "bug_05_tanh_float32", "tails_sigmoid", "tails_tanh_float32"
}  # fmt: skip
"""The committed cases that nobody can decide: an undecidable kink, numbers beyond the range of the type, and tails of
which customary formulas lose all digits."""


@pytest.mark.parametrize("dtype", UNRESOLVED)
def test_the_reference_agrees_with_every_committed_case_and_one_planted_fault_stands_out(dtype, tmp_path):
    from torch_compare.cases.vectors import COMMITTED, case_paths
    from torch_compare.files.case_file import read_case

    folder, report = tmp_path / "results", tmp_path / "report.json"
    folder.mkdir()
    types, always = list(UNRESOLVED), {"activation_gelu"}.union(*UNRESOLVED.values())
    for index, path in enumerate(case_paths(COMMITTED)):
        if path.stem not in always and (index + index // 3) % 3 != types.index(dtype):
            continue  # each of the others in one type
        problem = read_case(path).problem
        real = problem.target.dtype.kind == "f"
        with np.errstate(all="ignore"):
            low = problem.map(lambda a: a.astype(dtype))
            found = ref.gradients(low.replace(target=problem.target.astype(dtype) if real else problem.target))
        factor = -1 if path.stem == "activation_gelu" else 1
        text = json.dumps({k: (factor * np.asarray(v, float)).tolist() for k, v in found.leaves().items()})
        text = re.sub(r"-?(?:Infinity|NaN)", lambda match: f'"{match[0].lower().replace("inity", "")}"', text)
        (folder / path.name).write_text(f'{{"dtype": "{dtype}", "gradients": {text}}}')
    assert run(COMMITTED, folder, "--no-diagnose", "--partial", "--json", report) == 1
    found = {one["case"]: one["status"] for one in json.loads(report.read_text(encoding="utf-8"))["cases"]}
    others = {name: status for name, status in found.items() if status not in ("agrees", "not judged")}
    assert others == dict.fromkeys(UNRESOLVED[dtype] & set(others), "unresolved") | {"activation_gelu": "wrong"}
    for path in folder.iterdir():
        if path.stem not in {*list(found)[:3], *UNRESOLVED[dtype]} - {"activation_gelu"}:
            path.unlink()
    assert run(COMMITTED, folder, "--no-diagnose", "--partial") == 3


def test_a_missing_result_is_not_judged(cases, results, capsys):
    (results / "two_layers.json").unlink()
    assert run(cases, results) == 2
    assert "NOT JUDGED: 2 agrees, 1 not judged" in capsys.readouterr().out
    assert run(cases, results, "--partial") == 0
    for path in results.iterdir():
        path.unlink()
    assert run(cases, results, "--partial") == 2, "nothing at all was judged"


def test_a_result_that_is_bad_does_not_stop_the_others(cases, results, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    (results / "at_a_kink.json").write_text('{"layers[0].weight": [1, 2')
    (results / "two_lairs.json").write_text("{}")
    (results / "two_layers.safetensors").write_bytes(b"")
    assert run(cases, results) == 2
    out = capsys.readouterr().out
    assert f"{results / 'at_a_kink.json'}: not JSON" in out
    assert f"{results / 'two_lairs.json'}: there is no case of that name in {cases}" in out
    assert "two results: " in out
    assert "NOT JUDGED: 3 not judged, 1 agrees" in out
    assert run(cases, results, "--partial") == 2, "what is there must be readable"


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"layers[0].weights": [1.0]}',
            r"has no such gradient, is layers\[0\].weight meant?; it has layers\[0\].weight",
        ),
        ('{"layers[0].weight": [[1, 2, 3]]}', r"layers\[0\].weight: expected shape (6, 3), got (1, 3)"),
        ('{"layers[0].bias": [1, 2]}', r"layers\[0\].bias: expected 6 numbers, for shape (6,), got 2"),
        ('{"layers[0].bias": ["a", 2, 3, 4, 5, 6]}', r"layers\[0\].bias: expected a number"),
        ('{"dtype": "float23", "gradients": {"loss": 1.0}}', r"dtype: expected one of float64, "),
        ('{"case": "other", "gradients": {"loss": 1.0}}', r"case: expected 'two_layers', got 'other'"),
        ('{"dtpe": "float32", "gradients": {"loss": 1.0}}', "'dtpe': unknown, is dtype meant?; there are case"),
        ('{"dtype": "float23", "gradients": {"loss": 1.0}}', "got 'float23', is float32 meant?"),
        ("{}", r"nothing was given to judge"),
        ("[1, 2", r"not JSON"),
        ("\udcff", r"not JSON"),
        ("[" * 100_000, r"nested deeper than"),
    ],
)
def test_a_bad_result_is_one_line_that_names_the_file_and_the_place(cases, tmp_path, capsys, text, message):
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert run(cases / "two_layers.json", path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"gradient-oracle: {path}: ")
    assert message.replace("\\", "") in error
    assert error.count("\n") == 1


def test_a_bad_case_or_path_is_one_line(cases, tmp_path, capsys):
    good = write_result(tmp_path / "good.json", computed_in("float64", two_layers()))
    empty = tmp_path / "empty"
    empty.mkdir()
    case = cases / "two_layers.json"
    for arguments, named, message in (
        ((tmp_path / "none.json", good), tmp_path / "none.json", "No such file"),
        ((case, tmp_path / "none.json"), tmp_path / "none.json", "No such file"),
        ((good, good), good, "expected a case"),
        ((cases, good), cases, "is a folder and"),
        ((case, cases), cases, "is a folder and"),
        ((empty, empty), empty, "no cases in this folder"),
        ((case, good, "--json", tmp_path / "no" / "report.json"), tmp_path / "no", "--json: there is no folder"),
    ):
        assert run(*arguments) == 2
        error = capsys.readouterr().err
        assert str(named) in error
        assert message in error
        assert error.count("\n") == 1


def test_the_report_says_by_which_vectors_it_judged(tmp_path, capsys):
    case = vectors.COMMITTED / "kink_relu.json"
    result = write_result(tmp_path / "result.json", {"loss": 0.0})
    report = tmp_path / "report.json"
    digest = hashlib.sha256((vectors.COMMITTED / "manifest.json").read_bytes()).hexdigest()
    run(case, result, "--json", report)
    data = json.loads(report.read_text(encoding="utf-8"))
    assert data["version"] == ref.__version__
    assert data["vectors"] == {"version": vectors.GENERATOR_VERSION, "sha256": digest, "changed": []}
    line = f"test vectors {vectors.GENERATOR_VERSION}, SHA-256 of their manifest {digest}"
    assert line in capsys.readouterr().out.splitlines()
    for name in (case.name, "manifest.json"):
        (tmp_path / name).write_bytes((vectors.COMMITTED / name).read_bytes() + b"\n")
    run(tmp_path / case.name, result)
    assert "; changed since then: kink_relu.json\n" in capsys.readouterr().out
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    run(tmp_path / case.name, result, "--json", report)
    assert json.loads(report.read_text(encoding="utf-8"))["vectors"] is None


def test_names_of_files_are_no_markup(tmp_path, capsys):
    odd = "[bold] \udcff"
    case = write_case(tmp_path, at_a_kink(), "case").rename(tmp_path / f"{odd}.json")
    result = write_result(tmp_path / "r.json", ref.gradients(at_a_kink()).leaves())
    assert run(case, result) in (0, 2)  # 2 where the output cannot spell the name
    assert "Traceback" not in capsys.readouterr().err
    case = case.rename(tmp_path / "[bold] case.json")
    assert run(case, result) == 0
    assert "[bold] case in float64" in capsys.readouterr().out
    result.write_text("{}")
    assert run(case, result.rename(tmp_path / "[red].json")) == 2
    assert "[red].json: " in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--dtype", "float23"), ("--accumulate", "float64"), ("--seed", "1")])
def test_bad_usage_exits_with_2(cases, option):
    with pytest.raises(SystemExit) as stop:
        run(cases, cases, *option)
    assert stop.value.code == 2


def test_the_check_needs_no_torch(cases, tmp_path):
    result = write_result(tmp_path / "r.json", computed_in("float64", two_layers()))
    code = (
        "import sys; from torch_compare.commands import cli; status = cli.main(sys.argv[1:]); "
        "sys.exit(99 if {'torch', 'hypothesis', 'jax'} & set(sys.modules) else status)"
    )
    arguments = [sys.executable, "-c", code, "check", str(cases / "two_layers.json"), str(result)]
    done = subprocess.run(arguments, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
