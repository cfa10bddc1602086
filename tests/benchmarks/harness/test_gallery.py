"""The page of all benchmarks: what it says, also of a claim that falls and of a script that fails."""

import pytest
from markdown_it import MarkdownIt

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
    return gallery.ScriptOutcome(name, **(fields | changes))


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
