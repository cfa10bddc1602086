"""`verify` on the command line: its tables, its exit status, and the files that it replays."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers import Reader
from tests.torch_compare.sources.helpers import SPEC
from torch_compare.commands import cli
from torch_compare.files import problem_file
from torch_compare.mistakes import planted
from torch_compare.random_problems.spec import build
from torch_compare.sources import campaign, plant


def test_verify_prints_its_tables_and_writes_json(tmp_path, capsys, monkeypatch):
    """A few of the planted faults; the tests of `plant` hold each of them."""
    few = tuple(fault for fault in plant.PLANTED if fault.name == "bias gradient averaged") + plant.PLANTED[:4]
    monkeypatch.setattr(plant, "PLANTED", few)
    monkeypatch.setenv("COLUMNS", "160")
    out, page = tmp_path / "report.json", tmp_path / "report.html"
    common = ["verify", "--cases", "34", "--seed", "2", "--jobs", "1"]
    status = cli.main([*common, "--json", str(out), "--html", str(page)])
    text = capsys.readouterr().out
    assert status == cli.AGREES, text
    for words in ("Planted faults", "bias gradient averaged", "reference", "central diff.", "gelu_tanh", "huber"):
        assert words in text
    assert "AGREES" in text
    data = json.loads(out.read_text())
    assert data["problems"] == 34
    assert all(status != "agrees" for status in data["faults"].values())
    said = Reader(page.read_text(encoding="utf-8")).texts
    assert said.count("AGREES: 5 of 5 planted faults caught, 34 random problems, 0 disagreements") == 2
    for text in ("reference ~ central_difference", "bias gradient averaged", "2: cases 0 to 33", " ".join(
        ["gradient-oracle", *common[:5]]
    )):  # fmt: skip
        assert text in said
    assert "\n".join(f"{name} {number}" for name, number in data["versions"].items()) in said
    assert "Disagreements" not in said


def test_pieces_in_files_are_merged_into_the_report_of_the_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plant, "PLANTED", plant.PLANTED[:1])
    files = [tmp_path / f"{n}.jsonl" for n in range(2)]
    common = ["verify", "--seed", "2", "--jobs", "1"]
    for first, file in zip(("0", "4"), files, strict=True):
        assert cli.main([*common, "--cases", "4", "--first", first, "--resume", str(file)]) == cli.AGREES
    merged, whole = tmp_path / "merged.json", tmp_path / "whole.json"
    assert cli.main(["campaign", *map(str, files), "--json", str(merged)]) == cli.AGREES
    assert cli.main([*common, "--cases", "8", "--json", str(whole)]) == cli.AGREES
    capsys.readouterr()
    a, b = (json.loads(path.read_text()) for path in (merged, whole))
    assert {k: v for k, v in a.items() if k != "faults"} == {k: v for k, v in b.items() if k != "faults"}
    assert cli.main(["verify", "--cases", "4", "--seed", "3", "--jobs", "1", "--resume", str(files[0])]) == 2
    assert "seed is 2 there, and 3 here" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.skipif(os.name != "posix", reason="signals of process groups")
def test_ctrl_c_ends_with_a_partial_report_and_its_status(tmp_path):
    """As a terminal does it: the signal goes to every process of the group."""
    file, report = tmp_path / "run.jsonl", tmp_path / "report.json"
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "  # behind nohup it is ignored
        "from torch_compare.commands import cli; from torch_compare.sources import plant; "
        "plant.PLANTED = plant.PLANTED[:1]; sys.exit(cli.main(sys.argv[1:]))"
    )
    arguments = ["verify", "--cases", "100000", "--seed", "1", "--resume", str(file), "--json", str(report)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as running:  # fmt: skip
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and (not file.exists() or file.read_bytes().count(b"\n") < 2):
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGINT)
        try:
            out, errors = running.communicate(timeout=60)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == cli.INTERRUPTED
    assert "Traceback" not in out + errors
    data = json.loads(report.read_text())
    assert f"STOPPED: 1 of 1 planted faults caught, {data['problems']} of 100000 random problems" in out
    assert data["problems"] >= campaign.CHUNK
    assert data["asked"] == 100000


def test_verify_fails_when_a_fault_is_not_caught(monkeypatch, capsys):
    blind = planted.PlantedMistake("nothing wrong", lambda problem: ())
    monkeypatch.setattr(plant, "PLANTED", (blind,))
    assert cli.main(["verify", "--cases", "2", "--seed", "2", "--jobs", "1"]) == cli.DISAGREES
    assert "NOT CAUGHT" in capsys.readouterr().out


def test_verify_fails_when_sources_disagree_and_writes_the_file(broken, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(campaign, "spec_of", lambda seed, case, dtype, only: SPEC)
    monkeypatch.setattr(plant, "PLANTED", plant.PLANTED[:1])
    folder, page = tmp_path / "<b>found", tmp_path / "report.html"
    arguments = ["verify", "--cases", "1", "--seed", "2", "--jobs", "1", "--disagreements", str(folder)]
    assert cli.main([*arguments, "--html", str(page)]) == cli.DISAGREES
    assert list(folder.iterdir()) == [folder / "disagreement-0001.json"]
    assert "--replay" in capsys.readouterr().out
    read = Reader(page.read_text(encoding="utf-8"))
    assert f"gradient-oracle verify --replay '{folder / 'disagreement-0001.json'}'" in read.texts
    assert "seed 2, case 0" in read.texts
    assert not read.of("b")


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
