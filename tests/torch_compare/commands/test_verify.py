"""`verify` on the command line: its tables, its exit status, and the files that it replays."""

import json
import subprocess
import sys

import pytest

from tests.torch_compare.sources.helpers import SPEC
from torch_compare.commands import cli
from torch_compare.files import problem_file
from torch_compare.mistakes import planted
from torch_compare.random_problems.spec import build
from torch_compare.sources import campaign, plant


def test_verify_prints_its_tables_and_writes_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = tmp_path / "report.json"
    status = cli.main(["verify", "--cases", "34", "--seed", "2", "--jobs", "1", "--json", str(out)])
    text = capsys.readouterr().out
    assert status == cli.AGREES, text
    for words in ("Planted faults", "bias gradient averaged", "reference", "central diff.", "gelu_tanh", "huber"):
        assert words in text
    assert "AGREES" in text
    data = json.loads(out.read_text())
    assert data["problems"] == 34
    assert all(status != "agrees" for status in data["faults"].values())


def test_verify_fails_when_a_fault_is_not_caught(monkeypatch, capsys):
    blind = planted.PlantedMistake("nothing wrong", lambda problem: ())
    monkeypatch.setattr(plant, "PLANTED", (blind,))
    assert cli.main(["verify", "--cases", "2", "--seed", "2", "--jobs", "1"]) == cli.DISAGREES
    assert "NOT CAUGHT" in capsys.readouterr().out


def test_verify_fails_when_sources_disagree_and_writes_the_file(broken, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(campaign, "spec_of", lambda seed, case, dtype: SPEC)
    folder = tmp_path / "found"
    arguments = ["verify", "--cases", "1", "--seed", "2", "--jobs", "1", "--disagreements", str(folder)]
    assert cli.main(arguments) == cli.DISAGREES
    assert list(folder.iterdir()) == [folder / "disagreement-0001.json"]
    assert "--replay" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON that holds a problem"),
        ("[1]", "expected a JSON object"),
        ("{}", "format: expected"),
        ('{"format": "gradient-oracle problem 1"}', "dtype: expected"),
        ('{"format": "gradient-oracle problem 1", "dtype": "float64"}', "layers: missing"),
        ('{"format": "gradient-oracle problem 1", "dtype": "float64", "layers": 3}', "layers: expected a list"),
        ('{"format": "gradient-oracle problem 1", "layers": [{"weight": NaN}]}', "NaN is no number"),
        ("[" * 100000, "not JSON that holds a problem"),
    ],
)
def test_bad_files_are_refused_by_name(content, message, tmp_path, capsys):
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert cli.main(["verify", "--replay", str(path)]) == cli.BAD_INPUT
    error = capsys.readouterr().err.replace("\n", " ")
    assert message in error
    assert "bad.json" in error
    assert "Traceback" not in error


def test_a_problem_that_does_not_fit_together_is_refused(tmp_path, capsys):
    data = problem_file.encode(build(SPEC))
    for change, message in (
        ({"x": [[1.0]]}, "x: expected shape"),
        ({"loss": {"name": "nope", "parameters": {}}}, "no row is named 'nope'"),
        ({"loss": {"name": "get", "parameters": {}}}, "no row is named 'get'"),
        ({"reduction": "median"}, "reduction: expected one of"),
        ({"seed": -1}, "seed: expected"),
        ({"loss": {"name": "huber", "parameters": {"gamma": 1.0}}}, "gamma"),
        ({"target": [["a"]]}, "target"),
        ({"x": [[1.0], [1.0, 2.0]]}, "rows of equal length"),
    ):
        path = tmp_path / "p.json"
        path.write_text(json.dumps(data | change))
        assert cli.main(["verify", "--replay", str(path)]) == cli.BAD_INPUT
        assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_replay_may_not_ask_for_memory(tmp_path, capsys):
    """A type of two gigabytes for one element, and parameters that are no numbers."""
    problem = {
        "format": "gradient-oracle problem 1", "dtype": "float64", "x": [[1.0]], "target": [[1.0]], "reduction": "mean",
        "layers": [{"weight": [[1.0]], "bias": None, "activation": {"name": "relu", "parameters": {}}}],
        "loss": {"name": "cross_entropy", "parameters": {"weight": {"array": ["a"], "dtype": "S2000000000"}}},
    }  # fmt: skip
    path = tmp_path / "problem.json"
    for parameters in (problem["loss"]["parameters"], [], {"weight": [1.0]}, {"delta": 10**400}, {"p": "__import__"}):
        problem["loss"]["parameters"] = parameters
        path.write_text(json.dumps(problem))
        assert cli.main(["verify", "--replay", str(path)]) == cli.BAD_INPUT
        assert "Traceback" not in capsys.readouterr().err


def test_verify_runs_without_hypothesis():
    code = (
        "import sys; from torch_compare.commands import cli; from torch_compare.sources import plant; "
        "plant.PLANTED = plant.PLANTED[:1]; "
        "status = cli.main(['verify', '--cases', '2', '--seed', '1', '--jobs', '1']); "
        "sys.exit(99 if {'hypothesis', 'jax'} & set(sys.modules) else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
