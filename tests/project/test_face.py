"""The face: the README is short, its figures are those of the code, of the committed runs and of the citation."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import reference as ref
from benchmarks.detection import overview
from torch_compare.cases.vectors import COMMITTED, case_paths

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOLERANCE = (ROOT / "docs" / "tolerance.md").read_text(encoding="utf-8")
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_it_is_short():
    assert len(README.splitlines()) < 150


def test_every_install_command_is_constrained():
    documents = (README, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")))
    commands = [line for text in documents for line in text.splitlines() if line.startswith("pip install")]
    assert commands
    assert [line for line in commands if not line.startswith("pip install -c constraints.txt ")] == []


def test_the_table_of_extras_has_each_of_them():
    section = README.partition("| extra |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == set(PROJECT["optional-dependencies"]) - {"fuzz"}


@pytest.mark.parametrize(
    ("what", "count"),
    [
        ("activations", len(ref.ACTIVATIONS)),
        ("losses", len(ref.LOSSES)),
        ("operations", len(ref.operations.MAKERS)),
        ("test vectors", len(case_paths(COMMITTED))),
        ("optimisers", len(ref.optimizers.OPTIMIZERS)),
    ],
)
def test_what_is_certified_is_counted(what, count):
    assert int(re.search(rf"^\| \[{what}\][^|]*\| (\d+) \|", README, re.MULTILINE)[1]) == count


# ── the picture ──────────────────────────────────────────────────────────────────────────────────────


def test_the_table_of_checkers_is_that_of_the_committed_figures():
    def size(one, name):
        least = one["always_caught_from"].get(name, 0)
        return "none" if least is None else f"{least:.0e}".replace("e-0", "e-") if least else "–"

    table = re.findall(r"^\| (.+) \| (\S+) \| (\S+) \| ([\d,]+) of ([\d,]+) \|$", TOLERANCE, re.MULTILINE)
    figures = json.loads(overview.FIGURES.read_text(encoding="utf-8"))
    assert table == [
        (one["checker"], size(one, "float64"), size(one, "float32"), str(one["false_alarms"]), f"{one['correct']:,}")
        for one in figures["checkers"]
    ]
    assert figures["command"] in TOLERANCE


def words(picture):
    return re.findall(r"<text[^>]*>([^<]+)</text>", picture)


def test_the_picture_shows_the_committed_figures(tmp_path):
    overview.draw_overview(tmp_path / "again.svg")
    committed, again = (p.read_text(encoding="utf-8") for p in (overview.PICTURE, tmp_path / "again.svg"))
    assert words(committed) == words(again)
    assert {"from 1e-13", "gradient-oracle, float32", "3 of 21,265"} <= set(words(committed))
    assert len(committed) < 30_000


def test_the_picture_reads_on_any_page():
    """It brings its paper: an opaque white rectangle of its own size comes first."""
    committed = overview.PICTURE.read_text(encoding="utf-8")
    first = re.search(r'<path d="([^"]+)" style="([^"]+)"', committed)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', committed).groups()
    assert f"M 0 {height}" in " ".join(first[1].split())
    assert width in first[1]
    assert first[2] == "fill: #ffffff"


# ── how to cite ──────────────────────────────────────────────────────────────────────────────────────


def cited():
    """The plain fields of CITATION.cff."""
    return dict(re.findall(r"^([\w-]+): (\S.*)$", CITATION, re.MULTILINE))


def test_the_citation_has_what_the_format_demands_and_a_date():
    fields = cited()
    assert {"cff-version", "message", "title"} <= fields.keys()
    assert re.search(r"^authors:\n  - (name|family-names): \S", CITATION, re.MULTILINE)
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", fields["date-released"])
    assert not {"url", "doi", "repository-code"} & fields.keys()  # there is none to state


@pytest.mark.explore
def test_the_citation_is_valid(tmp_path):
    """By cffconvert, which needs an older jsonschema than this package: in an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "cff"], check=True)
    python = tmp_path / "cff" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "cffconvert==2.0.0"], check=True, capture_output=True)

    def valid(text):
        path = tmp_path / "CITATION.cff"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [python.with_name("cffconvert"), "--validate", "-i", path], capture_output=True, check=False
        )
        return done.returncode == 0

    assert valid(CITATION)
    assert not valid(CITATION.replace("date-released: 2026", "date-released: in 2026"))


def test_package_citation_and_bibtex_say_the_same():
    fields = cited()
    bibtex = dict(re.findall(r"^  (\w+) += \{+(.*?)\}+,?$", README, re.MULTILINE))
    author = re.search(r"^  - name: (.+)$", CITATION, re.MULTILINE)[1]
    assert bibtex == {
        "title": fields["title"], "author": author, "version": fields["version"], "date": fields["date-released"],
        "license": fields["license"],
    }  # fmt: skip
    assert (PROJECT["name"], PROJECT["version"], PROJECT["license"]) == (
        fields["title"], fields["version"], fields["license"],
    )  # fmt: skip
