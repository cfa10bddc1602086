"""The command line of all benchmarks: what it runs and writes, and what becomes of a script that fails."""

import importlib
import io
import json
import sys
from functools import partial
from types import ModuleType

import pytest
from rich.console import Console

from benchmarks import __main__ as everything
from benchmarks.claims import reuse
from benchmarks.exactness import accuracy
from benchmarks.harness.report import Report


def quiet():
    return Console(file=io.StringIO(), width=80)


def report(**changes):
    fields = {
        "question": "S8: is it?", "claim": "it is", "refuted_by": "it is not",
        "columns": {"name": "name", "size": "size [s]"},
        "rows": [{"name": "one", "size": 0.25}, {"name": "two", "size": 1234}], "figures": {"the figure": 2.0},
    }  # fmt: skip
    return Report(**(fields | changes))


def script(monkeypatch, name, measure, draw=lambda report, path: path.write_bytes(b"picture")):
    module = ModuleType(f"benchmarks.claims.{name}")
    module.measure, module.draw = measure, draw
    monkeypatch.setitem(sys.modules, module.__name__, module)


def broken(*_):
    raise ZeroDivisionError("planted | fault")


@pytest.fixture
def four(monkeypatch):
    """A script that holds, one that is refuted, one that fails to measure, one that fails to draw."""
    script(monkeypatch, "good", lambda quick, seed: report(source_claim="S1"))
    script(monkeypatch, "false", lambda quick, seed: report(holds=False))
    script(monkeypatch, "crashes", broken)
    script(monkeypatch, "blind", lambda quick, seed: report(), broken)
    monkeypatch.setattr(everything, "ROOMS", dict.fromkeys(("crashes", "good", "false", "blind"), "claims"))


def test_one_script_that_fails_loses_no_other(four, tmp_path):
    console = Console(file=io.StringIO(), width=100)
    assert everything.main([], tmp_path, console) == 3
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "Of 4 claims, 1 hold and 1 are refuted; 2 ended in an error." in text
    assert text.count("ZeroDivisionError: planted | fault") == 2
    assert [line.split(" | ")[1:3] for line in text.splitlines() if line.startswith("| [")] == [
        ["–", "**error**"], ["S1", "holds"], ["–", "**refuted**"], ["–", "**error**"],
    ]  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "README.md", "blind.json", "false.json", "false.png", "good.json", "good.png",
    ]  # fmt: skip
    assert json.loads((tmp_path / "blind.json").read_text("utf-8"))["holds"] is True
    printed = console.file.getvalue()
    assert "crashes failed: ZeroDivisionError: planted | fault" in printed
    assert "Traceback" not in printed
    assert "time [s]" in printed


def test_an_older_run_leaves_nothing_on_the_page(four, tmp_path):
    (tmp_path / "crashes.png").write_bytes(b"old")
    everything.main([], tmp_path, Console(file=io.StringIO()))
    assert not (tmp_path / "crashes.png").exists()


def test_scripts_are_run_by_name_quickly_unless_told_otherwise(monkeypatch, tmp_path):
    seen = []

    def measure(quick, seed):
        seen.append((quick, seed))
        return report()

    script(monkeypatch, "good", measure)
    script(monkeypatch, "crashes", broken)
    monkeypatch.setattr(everything, "ROOMS", dict.fromkeys(("crashes", "good"), "claims"))
    assert everything.main(["good"], tmp_path, Console(file=io.StringIO())) == 0
    assert everything.main(["good", "--full", "--seed", "5"], tmp_path, Console(file=io.StringIO())) == 0
    assert seen == [(True, 0), (False, 5)]


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        everything.main(["nothing"])
    assert ended.value.code == 2
    assert "no benchmark is named 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("name", everything.ROOMS)
def test_every_name_is_a_benchmark(name):
    module = importlib.import_module(f"benchmarks.{everything.ROOMS[name]}.{name}")
    assert callable(module.measure)
    assert callable(module.draw)
    assert callable(module.main)


def test_every_script_in_the_folder_is_named():
    folder = everything.RESULTS.parent
    scripts = {path.stem for path in folder.glob("*/*.py") if "\ndef draw(" in path.read_text("utf-8")}
    assert scripts == set(everything.ROOMS)


def test_they_run_together_and_say_what_they_wrote(few_digits, monkeypatch, tmp_path):
    monkeypatch.setattr(reuse, "measure", partial(reuse.measure, depths=(2, 3), widths=(2, 3)))
    monkeypatch.setattr(accuracy, "measure", partial(accuracy.measure, names=("tanh",), depths=(1,)))
    console = quiet()
    names = ("reuse", "digits", "accuracy")
    assert everything.main(names, tmp_path, console) == 0
    for name in names:
        assert (tmp_path / f"{name}.json").exists()
        assert (tmp_path / f"{name}.png").exists()
        assert f"{name}.png" in console.file.getvalue()
