"""Without the libraries of the extras: what needs none runs, and what needs one says which extra brings it."""

import json
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import reference as ref
import torch_compare as tc
from torch_compare.torch_side.extras import EXTRAS, named

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BARE = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MISSING = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Missing())
import io, contextlib
import numpy as np, reference as ref, torch_compare as tc
from torch_compare.commands import cli

def run(*arguments):
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = end.code
    return status, out.getvalue() + errors.getvalue()

def said(call):
    try:
        call()
    except ModuleNotFoundError as error:
        return str(error)

folder = sys.argv[2]
found = {"vectors": run("vectors", folder, "--widths", "2,3,1", "--activation", "tanh", "--loss", "mse")}
case = f"{folder}/net_2_3_1_tanh_mse_mean_float64_batch_8_seed_0.json"
problem = tc.read_case(case).problem
gradients = {name: (2 * value).tolist() for name, value in ref.gradients(problem).leaves().items()}
with open(f"{folder}/result", "w") as file:
    json.dump({"gradients": gradients}, file)
found["check"] = run("check", case, f"{folder}/result")
found["html"] = run("check", case, f"{folder}/result", "--html", f"{folder}/page.html")
found["explain"] = run("explain")
found["verify"] = run("verify", "--cases", "1")
found["version"] = run("--version")
found["certified"] = ref.certified_gradients(problem).status
found["complex_step"] = tc.check(problem, tc.SOURCES["complex_step"](problem)).status
found["optimizer"] = ref.train(problem, ref.optimizers.adam(lr=0.1), max_steps=1).steps
found["check_module"] = said(lambda: tc.check_module(None, None, None, None))
found["torch"] = said(lambda: tc.SOURCES["torch"](problem))
found["problems"] = said(lambda: tc.problems)
found["loaded"] = sorted(MISSING & set(sys.modules))
print(json.dumps(found))
"""
"""A program that plays an environment with nothing but the base dependencies, and says what it met there."""


def installing(extra):
    return f"pip install -c constraints.txt '.[{extra}]'"


def judge_the_bare(found):
    """What a program `BARE` must have met, in this process or in a real environment without the libraries."""
    assert found["vectors"][0] == 0, found["vectors"]
    assert found["check"][0] == 1
    assert "DISAGREES" in found["check"][1]
    assert "diagnosis: every gradient: yours = oracle × 2" in found["check"][1]
    assert found["explain"][0] == 0
    assert found["version"] == [0, f"gradient-oracle {PROJECT['version']}\n"]
    assert (found["certified"], found["complex_step"], found["optimizer"]) == ("certified", "agrees", 1)
    assert found["loaded"] == []
    status, text = found["verify"]
    assert status == 2
    assert text.count("\n") == 1
    assert installing("verify") in text
    assert found["html"][0] == 2
    assert installing("html") in found["html"][1]
    assert "torch is not installed; it comes with gradient-oracle[torch]" in found["check_module"]
    assert installing("torch") in found["check_module"]
    assert found["torch"] == found["check_module"]
    assert installing("hypothesis") in found["problems"]


def test_the_base_needs_none_of_them(tmp_path):
    missing = json.dumps([*EXTRAS, "pytest", "matplotlib", "sklearn", "jax", "ml_dtypes", "autograd", "sympy"])
    command = [sys.executable, "-c", BARE, missing, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    judge_the_bare(json.loads(done.stdout))


def test_each_extra_brings_its_library():
    extras = PROJECT["optional-dependencies"]
    for library, extra in EXTRAS.items():
        assert any(line.startswith(library) for line in extras[extra]), library
    assert "gradient-oracle[torch]" in extras["verify"]
    base = {line.partition(">")[0] for line in PROJECT["dependencies"]}
    assert base == {"numpy", "scipy", "python-flint", "rich", "safetensors", "jsonschema"}


def test_another_missing_module_is_left_as_it_is():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'torch_of_nobody'$"), named("torch"):
        import torch_of_nobody  # noqa: F401


def test_the_version_is_that_of_the_package():
    assert ref.__version__ == tc.__version__ == version("gradient-oracle")


@pytest.mark.explore
def test_the_wheel_in_a_bare_environment(tmp_path):
    """The real thing: the wheel and its dependencies, and nothing else, from the index that pip uses."""

    def pip(python, *arguments):
        return subprocess.run([python, "-m", "pip", *arguments], cwd=ROOT, check=True, capture_output=True)

    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", tmp_path, ".")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as parts:
        packed = {part.filename: part.compress_size for part in parts.infolist()}
    assert sum(size for name, size in packed.items() if "/vectors/" not in name) < 10**6
    assert {"reference/py.typed", "torch_compare/py.typed"} <= packed.keys()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    pip(python, "install", "-c", "constraints.txt", wheel)
    program = tmp_path / "bare.py"
    program.write_text(BARE, encoding="utf-8")
    found = subprocess.run(
        [python, program, json.dumps(list(EXTRAS)), tmp_path], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    judge_the_bare(json.loads(found.stdout))
