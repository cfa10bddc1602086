"""The page of all benchmarks: what it says, and what becomes of a claim that falls and of a script that fails."""

import importlib
import io
import json
import sys
from types import ModuleType

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from benchmarks import __main__ as everything
from benchmarks.harness import gallery
from benchmarks.harness.report import Report

HARD = "a|b *c* _d_ `e` <f> [g](h) \\| 2*3*4"


def report(**changes):
    fields = {
        "question": "S8: is it?", "claim": "it is", "refuted_by": "it is not",
        "columns": {"name": "name", "size": "size [s]"},
        "rows": [{"name": "one", "size": 0.25}, {"name": "two", "size": 1234}], "figures": {"the figure": 2.0},
    }  # fmt: skip
    return Report(**(fields | changes))


def found(name="reuse", **changes):
    fields = {"claim": "S8", "seconds": 1.25, "report": report(), "files": (f"{name}.json", f"{name}.png")}
    return gallery.Outcome(name, **(fields | changes))


def parse(markdown):
    return MarkdownIt("commonmark").enable("table").parse(markdown)


def tokens(markdown):
    """What a reader of the page sees: the kinds of tokens, and their text."""
    return [t for token in parse(markdown) for t in (token, *(token.children or []))]


def cells(markdown):
    """The text of every cell of the page's tables."""
    parsed = parse(markdown)
    return ["".join(child.content for child in parsed[k + 1].children) for k, token in enumerate(parsed)
            if token.type in ("td_open", "th_open")]  # fmt: skip


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_has_summary_machine_claim_verdict_figures_table_and_picture():
    text = gallery.page([found()], {"machine": "a computer", "seed": "7"})
    parts = [
        "Of 1 claims, 1 hold", "[reuse](#reuse)", "a computer", "**S8: is it?**", "*Claim (S8).* it is",
        "*Refuted by* it is not", "*Verdict:* holds.", "(reuse.png)", "python -m benchmarks reuse --full",
    ]  # fmt: skip
    assert [part for part in parts if part not in text] == []
    shown = "; ".join(cells(text))
    assert shown.startswith("script; claim; verdict; question; time [s]; reuse; S8; holds; is it?; 1.2; ")
    assert shown.endswith("figure; value; the figure; 2; name; size [s]; one; 0.25; two; 1,234")


def test_a_refuted_claim_is_shown_as_such():
    text = gallery.page([found(), found("digits", claim="", report=report(holds=False))], {})
    assert "Of 2 claims, 1 hold and 1 are refuted; 0 ended in an error." in text
    assert "| – | **refuted** |" in text
    assert text.count("*Verdict:* **refuted**.") == 1
    assert text.count("*Verdict:* holds.") == 1


def test_an_error_is_shown_as_such_also_beside_a_claim_that_holds():
    text = gallery.page(
        [found(error="Traceback …\nValueError: no"), found("digits", report=None, error="KeyError")], {}
    )
    assert "Of 2 claims, 0 hold and 0 are refuted; 2 ended in an error." in text
    assert text.count("**error**") == 2
    assert "ValueError: no" in text
    assert text.count("*Verdict:*") == 1


@pytest.mark.parametrize("place", ["question", "claim", "refuted_by", "columns", "rows", "figures"])
def test_marks_of_markdown_are_text(place):
    changes = {
        "columns": {"name": HARD, "size": "size"},
        "rows": [{"name": HARD.replace("_", ""), "size": 1}],
        "figures": {HARD: 1.0},
    }.get(place, HARD)
    plain_kinds = {t.type for t in tokens(gallery.page([found()], {}))}
    shown = tokens(gallery.page([found(report=report(**{place: changes}))], {}))
    assert {t.type for t in shown} <= plain_kinds | {"text_special"}
    assert sum(t.type in ("td_open", "th_open") for t in shown) == len(cells(gallery.page([found()], {}))) - 2 * (
        place == "rows"
    )


def test_unescaped_a_pipe_would_part_a_cell(monkeypatch):
    """The test above can fail."""
    expected = cells(gallery.page([found(report=report(figures={HARD: 1.0}))], {}))
    monkeypatch.setattr(gallery, "plain", lambda text: text)
    assert cells(gallery.page([found(report=report(figures={HARD: 1.0}))], {})) != expected


def test_no_error_message_ends_its_block():
    text = gallery.page([found(report=None, error="a\n```\n# not a heading\n````")], {})
    assert [t.content for t in tokens(text) if t.type == "fence"] == ["a\n```\n# not a heading\n````\n"]


@pytest.mark.parametrize(
    ("count", "said"), [(gallery.ROWS, ""), (gallery.ROWS + 3, "… and 3 more, see [JSON](reuse.json).")]
)
def test_long_tables_are_cut(count, said):
    text = gallery.page([found(report=report(rows=[{"name": f"r{k}", "size": k} for k in range(count)]))], {})
    assert f"r{gallery.ROWS - 1}" in cells(text)
    assert f"r{gallery.ROWS}" not in cells(text)
    assert said in text
    assert bool(said) == ("more, see" in text)


def test_a_digest_takes_the_place_of_a_table():
    text = gallery.page([found(report=report(digest=[{"name": "all", "size": 9}]))], {})
    assert "all" in cells(text)
    assert "one" not in cells(text)
    assert "A digest of 2 rows, see [JSON](reuse.json)." in text


# ── running all ──────────────────────────────────────────────────────────────────────────────────────


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
