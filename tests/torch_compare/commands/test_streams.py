"""Pipes, the standard input and Ctrl-C: every command ends with the status that it would have had, or with 130."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.torch_compare.commands.helpers import run
from torch_compare.cases.vectors import COMMITTED
from torch_compare.commands import check as check_command
from torch_compare.commands import cli
from torch_compare.files.case_file import read_case

CASE = COMMITTED / "network_classifier.json"
COMMAND = [sys.executable, "-m", "torch_compare"]


@pytest.fixture
def results(tmp_path):
    """Paths of a right result and of a wrong one."""
    right = {place: leaf.nearest.tolist() for place, leaf in read_case(CASE).certified.leaves().items()}
    wrong = right | {"layers[0].bias": [-x for x in right["layers[0].bias"]]}
    paths = {0: tmp_path / "right.json", 1: tmp_path / "wrong.json"}
    for status, leaves in ((0, right), (1, wrong)):
        paths[status].write_text(json.dumps(leaves), encoding="utf-8")
    return paths


def closed(*arguments, **more):
    """The command whose reader is gone before it writes."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, *map(str, arguments)], stdout=writing, stderr=subprocess.PIPE, check=False, **more)
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert b"Broken" not in done.stderr
    return done.returncode


def test_check_ends_with_its_status_when_the_reader_goes(results):
    assert closed("check", CASE, results[1]) == 1
    assert closed("check", CASE, results[0], "--json", "-") == 0
    with results[1].open("rb") as file:
        assert closed("check", CASE, "-", "--no-diagnose", stdin=file) == 1


def test_explain_ends_with_its_status_when_the_reader_goes():
    assert closed("explain") == 0


COMMANDS = """
import json, os, sys
from torch_compare.commands import cli
from torch_compare.sources import plant
plant.PLANTED = plant.PLANTED[:1]
found = []
for arguments in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
    os.close(writing)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    try:
        found.append(cli.main(arguments))
    except SystemExit as stop:
        found.append(stop.code)
print(json.dumps(found), file=sys.stderr)
"""
"""Command lines one after the other, each with a standard output whose reader is gone, in a process that loads once."""


def test_every_command_ends_with_its_status_when_the_reader_goes(tmp_path, results):
    lines = {
        ("--help",): 0,
        ("explain",): 0,
        ("explain", "--activation", "swoosh"): 2,
        ("vectors", tmp_path / "v", "--widths", "2,3,2"): 0,
        ("verify", "--cases", "2", "--seed", "0", "--jobs", "1", "--dtype", "float64", "--json", "-"): 0,
        ("check", CASE, results[0]): 0,
        ("check", CASE, results[1], "--json", "-"): 1,
    }
    arguments = json.dumps([[*map(str, line)] for line in lines])
    done = subprocess.run([sys.executable, "-c", COMMANDS, arguments], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == list(lines.values())


@pytest.mark.parametrize("status", [0, 1])
def test_the_report_is_all_that_is_on_the_standard_output(results, status):
    with results[status].open("rb") as file:
        done = subprocess.run(
            [*COMMAND, "check", str(CASE), "-", "--json", "-"], stdin=file, capture_output=True, check=False,
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
    report = json.loads(done.stdout)
    assert done.returncode == report["exit_status"] == status
    assert report["cases"][0]["status"] == ("wrong" if status else "agrees")
    assert (b"DISAGREES" if status else b"AGREES") in done.stderr


def test_bad_input_leaves_the_standard_output_empty():
    done = subprocess.run(
        [*COMMAND, "check", str(CASE), "-", "--json", "-"], input=b"[nan", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"gradient-oracle: standard input: not JSON")


def test_a_name_that_utf8_has_not_changes_no_status(tmp_path, results):
    """The report holds it as JSON's escape."""
    cases, folder = tmp_path / "cases", tmp_path / "results"
    for path in (cases, folder):
        path.mkdir()
    (cases / "one.json").write_bytes(CASE.read_bytes())
    (folder / "one.json").write_bytes(results[1].read_bytes())
    try:
        (folder / "\udcff.json").write_text("{}")
    except OSError:
        pytest.skip("no such name on this system")
    report = tmp_path / "report.json"
    assert run(cases, folder, "--no-diagnose", "--json", report) == 1
    assert json.loads(report.read_text(encoding="utf-8"))["exit_status"] == 1


@pytest.mark.parametrize("moment", ["imports", "work", "parsing"])
def test_ctrl_c_ends_with_130_and_no_traceback(moment):
    """A signal within an import, and one within a command."""
    hook = {
        "imports": "class Finder:\n    find_spec = lambda s, name, *a: kill() if name == 'numpy' else None\n"
        "sys.meta_path.insert(0, Finder())",
        "parsing": "import argparse; argparse.ArgumentParser.parse_args = lambda *a, **k: kill()",
        "work": "from torch_compare.commands import explain; explain.run_explain = lambda *a, **k: kill()",
    }[moment]
    code = f"""import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from torch_compare.__main__ import main
def kill():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
{hook}
sys.argv = ["gradient-oracle", "explain"]
sys.exit(main())"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 130, done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stderr.endswith(b"gradient-oracle: stopped\n")


def test_ctrl_c_where_it_is_ignored_is_ignored():
    """Behind nohup, or & in a script, the shell has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen([*COMMAND, "explain"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_strict_is_asked_of_the_check_only_if_it_is_asked_for(results, monkeypatch):
    seen = []

    def check(*arguments, **options):
        seen.append(options.pop("strict", None))
        return check_command_check(*arguments, **options)

    check_command_check = check_command.check
    monkeypatch.setattr(check_command, "check", check)
    assert cli.main(["check", str(CASE), str(results[0])]) == 0
    assert cli.main(["check", str(CASE), str(results[0]), "--strict"]) == 0
    assert seen == [None, True]
