"""The examples of docs/ci.md run: right results pass, a wrong one does not, and each report is written."""

import json
import re
import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import reference as ref
from torch_compare.cases.vectors import COMMITTED
from torch_compare.commands import cli
from torch_compare.files.case_file import read_case

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:.*(?:run|entry): )?(gradient-oracle check .*)$", DOCUMENT, re.MULTILINE)
CASES = ("activation_tanh", "network_batch_8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two results in a folder, beside a few vectors where the document has them."""
    (tmp_path / "oracle" / "torch_compare").mkdir(parents=True)
    (tmp_path / "vectors").mkdir()
    (tmp_path / "oracle" / "torch_compare" / "vectors").symlink_to(tmp_path / "vectors")
    (tmp_path / "results").mkdir()
    for name in ("kink_relu", *CASES):
        shutil.copy(COMMITTED / f"{name}.json", tmp_path / "vectors")
    for name in CASES:
        write(tmp_path, name, 1.0)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, name, factor):
    found = ref.gradients(read_case(COMMITTED / f"{name}.json").problem).leaves()
    leaves = {place: (factor * np.asarray(values)).tolist() for place, values in found.items()}
    (folder / "results" / f"{name}.json").write_text(json.dumps({"gradients": leaves}), encoding="utf-8")


def test_the_commands_are_there():
    assert len(COMMANDS) == 3


@pytest.mark.parametrize("command", COMMANDS, ids=["shell", "workflow", "hook"])
def test_a_command_passes_right_results_and_fails_a_wrong_one(command, folder, capsys):
    program, *arguments = shlex.split(command)
    assert program == "gradient-oracle"
    assert cli.main(arguments) == cli.AGREES
    write(folder, CASES[1], 8.0)
    assert cli.main(arguments) == cli.DISAGREES
    assert "network_batch_8: wrong" in capsys.readouterr().out
    if "--junit" in command:
        suite = ElementTree.parse(folder / "junit.xml").getroot()[0]
        assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
        assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["exit_status"] == cli.DISAGREES
        assert "network_batch_8" in (folder / "report.html").read_text(encoding="utf-8")
    (folder / "results" / "network_bach_8.json").write_text("{}", encoding="utf-8")
    write(folder, CASES[1], 1.0)
    assert cli.main(arguments) == cli.BAD_INPUT


def test_the_workflow_installs_what_is_there_and_uploads_what_is_written():
    workflow = next(text for text in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL) if "runs-on" in text)
    install = shlex.split(re.search(r"run: (pip install .*)", workflow)[1])
    assert install[2:4] == ["-c", "oracle/constraints.txt"]
    assert (ROOT / install[3].removeprefix("oracle/")).is_file()
    assert install[4] == "./oracle[html]"
    written = re.findall(r"--(?:json|html|junit) (\S+)", workflow)
    assert re.search(r"path: \|\n((?: +\S+\n)+)", workflow)[1].split() == written
    assert "://" not in DOCUMENT


def test_the_pytest_example_writes_junit(pytester):
    """One case's gradients are right, the other's are doubled."""
    example = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)[1].replace('"activation_"', '"activation_tanh"')
    mine = """import reference as ref
def my_gradients(p):
    factor = 2 if p.mlp.layers[0].activation.name == "tanhshrink" else 1
    return ref.gradients(p).map(lambda a: factor * a)
"""
    pytester.makepyfile(test_gradients=mine + example)
    command = shlex.split(re.search(r"^python -m (pytest .*)$", DOCUMENT, re.MULTILINE)[1])
    pytester.runpytest_inprocess(*command[1:], "-p", "no:cacheprovider", "-p", "no:randomly")
    suite = ElementTree.parse(pytester.path / "junit.xml").getroot()[0]
    failures = {case.get("name"): case.findall("failure") for case in suite}
    assert failures["test_gradients[activation_tanh]"] == []
    assert "wrong (float64" in failures["test_gradients[activation_tanhshrink]"][0].text
