"""The C program of layer norm: compiled, judged, and its planted bug named; the Makefile of all programs."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import torch_compare
from torch_compare.cases.vectors import COMMITTED
from torch_compare.commands import cli

FOLDER = Path(torch_compare.__file__).parent / "cases" / "examples"
CASE = COMMITTED / "operation_layer_norm_float64.json"
COMPILER = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")


@pytest.fixture
def run(tmp_path):
    """Compiles the program with some flags and runs it on a case ↦ what the process did, and its result file."""
    if COMPILER is None:
        pytest.skip("there is no C compiler on this machine (cc, gcc, clang): the program cannot be compiled")

    def ran(case, *flags):
        binary, result = tmp_path / "layer_norm", tmp_path / "result.json"
        strict = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=c11", *flags]
        command = [COMPILER, *strict, str(FOLDER / "layer_norm.c"), "-o", str(binary), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        done = subprocess.run([binary, case], capture_output=True, text=True, check=False)
        result.write_text(done.stdout, encoding="utf-8")
        return done, result

    return ran


def test_the_program_agrees_in_every_gradient(run, capsys):
    done, result = run(CASE)
    assert done.returncode == 0
    assert set(json.loads(done.stdout)["gradients"]) == {"x", "weight", "bias", "loss"}
    assert cli.main(["check", str(CASE), str(result), "--strict"]) == cli.AGREES
    assert capsys.readouterr().out.rstrip().endswith("AGREES")


def test_the_planted_bug_is_named(run, tmp_path, capsys):
    _, result = run(CASE, "-DMEAN_TERM_LEFT_OUT")
    report = tmp_path / "report.json"
    assert cli.main(["check", str(CASE), str(result), "--json", str(report)]) == cli.DISAGREES
    found = json.loads(report.read_text(encoding="utf-8"))["cases"][0]
    assert found["status"] == "wrong"
    assert "backward through layer_norm: mean term left out" in found["diagnosis"]
    assert "DISAGREES" in capsys.readouterr().out


@pytest.mark.parametrize("case", ["operation_layer_norm_float32", "operation_rms_norm_float64", "activation_tanh"])
def test_another_case_is_refused(run, case):
    done, _ = run(COMMITTED / f"{case}.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected a case of layer_norm in float64" in done.stderr


def test_the_makefile_compiles_runs_and_judges_each_program():
    if shutil.which("make") is None:
        pytest.skip("there is no make on this machine")
    done = subprocess.run(["make", "-n", "-C", FOLDER, "check", "bug"], capture_output=True, text=True, check=True)
    judged = re.findall(r"^gradient-oracle check (\S+) (\w+)\.json$", done.stdout, re.MULTILINE)
    assert [name for _, name in judged] == ["backprop", "layer_norm", "layer_norm_bug"]
    for case, name in judged:
        assert (FOLDER / case).resolve() == (COMMITTED / "network_batch_8.json" if name == "backprop" else CASE)
        assert f"./{name} {case} > {name}.json" in done.stdout
        source = name.removesuffix("_bug")
        assert re.search(rf" {source}\.c -o {name} -lm$", done.stdout, re.MULTILINE)
    assert done.stdout.count("-DMEAN_TERM_LEFT_OUT") == 1
