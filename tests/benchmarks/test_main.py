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
from benchmarks.exactness import accuracy, digits
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
    everything.main([], tmp_path, quiet())
    assert not (tmp_path / "crashes.png").exists()


def test_scripts_are_run_by_name_quickly_unless_told_otherwise(monkeypatch, tmp_path):
    seen = []

    def measure(quick, seed):
        seen.append((quick, seed))
        return report()

    script(monkeypatch, "good", measure)
    script(monkeypatch, "crashes", broken)
    monkeypatch.setattr(everything, "ROOMS", dict.fromkeys(("crashes", "good"), "claims"))
    assert everything.main(["good"], tmp_path, quiet()) == 0
    assert everything.main(["good", "--full", "--seed", "5"], tmp_path, quiet()) == 0
    assert everything.main(["good", "--quick", "--seed", "6"], tmp_path, quiet()) == 0
    assert seen == [(True, 0), (False, 5), (True, 6)]


def test_quick_and_full_at_once_are_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        everything.main(["reuse", "--quick", "--full"])
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_the_results_go_to_the_folder_that_is_named(monkeypatch, tmp_path):
    script(monkeypatch, "good", lambda quick, seed: report())
    monkeypatch.setattr(everything, "ROOMS", {"good": "claims"})
    named = tmp_path / "new" / "folder"
    assert everything.main(["good", "--results", str(named)], tmp_path / "default", quiet()) == 0
    assert sorted(path.name for path in named.iterdir()) == ["README.md", "good.json", "good.png"]
    assert not (tmp_path / "default").exists()


def test_the_help_says_what_is_written_where_and_names_every_benchmark(capsys):
    with pytest.raises(SystemExit) as ended:
        everything.main(["--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in ("NAME.json", "NAME.png", "README.md", "--quick", "--full", "--seed N", "--results FOLDER",
                 "default: benchmarks/results", *everything.ROOMS):  # fmt: skip
        assert part in said


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
    assert not hasattr(module, "main")  # there is one command line


def test_every_script_in_the_folder_is_named():
    folder = everything.RESULTS.parent
    scripts = {path.stem for path in folder.glob("*/*.py") if "\ndef draw(" in path.read_text("utf-8")}
    assert scripts == set(everything.ROOMS)


def test_they_run_together_and_say_what_they_wrote(monkeypatch, tmp_path):
    monkeypatch.setattr(digits, "measure", partial(digits.measure, examples=40))
    monkeypatch.setattr(reuse, "measure", partial(reuse.measure, depths=(2, 3), widths=(2, 3)))
    monkeypatch.setattr(accuracy, "measure", partial(accuracy.measure, names=("tanh",), depths=(1,)))
    console = quiet()
    names = ("reuse", "digits", "accuracy")
    assert everything.main(names, tmp_path, console) == 0
    for name in names:
        assert (tmp_path / f"{name}.json").exists()
        assert (tmp_path / f"{name}.png").exists()
        assert f"{name}.png" in console.file.getvalue()
