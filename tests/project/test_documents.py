"""The documents: links and paths exist, the contributor's table is true, and so is the stranger's walk."""

import doctest
import re
import sys
from pathlib import Path

import pytest

from torch_compare.cases.vectors import COMMITTED
from torch_compare.commands import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "results", ".git"} & set(path.relative_to(ROOT).parts) and path.name != "CHANGELOG.md"
)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = ("reference", "torch_compare", "benchmarks", "tests")


def test_the_examples_for_contributors_run():
    found = doctest.testfile(str(ROOT / "CONTRIBUTING.md"), module_relative=False, encoding="utf-8")
    assert found.attempted >= 9
    assert found.failed == 0


def dead_links(document: Path, text: str) -> list[str]:
    """Relative links whose target is missing: a file, or a heading of it."""
    found = []
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        path = (document.parent / target).resolve() if target else document
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            found.append(link)
    return found


def anchors(text: str) -> set[str]:
    """The headings as links name them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", h)).strip().lower().replace(" ", "-")
        for h in headings
    }


def dead_paths(text: str) -> list[str]:
    """Paths of this project between backticks that do not exist."""
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./]*)`", text)
    return [path for path in named if not (ROOT / path).exists() and not path.startswith("benchmarks/results")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_exist(document):
    text = document.read_text(encoding="utf-8")
    assert dead_links(document, text) == []
    if document.parent != COMMITTED:  # its bytes change with the set only
        assert dead_paths(text) == []


def test_a_dead_link_and_a_dead_path_are_found():
    assert dead_links(ROOT / "README.md", "[a](nowhere.md) [b](README.md#nowhere) [c](README.md)") == [
        "nowhere.md", "README.md#nowhere",
    ]  # fmt: skip
    assert dead_paths("`reference/nowhere.py`, `reference/network/mlp.py`") == ["reference/nowhere.py"]


def pictures_without(document: Path, text: str) -> list[str]:
    """Pictures without words, and those of a benchmark without the command that draws them."""
    found = []
    for words, path in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text):
        drawn = (document.parent / path).resolve().relative_to(ROOT)
        command = f"`python -m benchmarks {drawn.stem}`"
        if not words.strip() or (drawn.parts[:2] == ("benchmarks", "results") and command not in text):
            found.append(path)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_pictures_have_words_and_the_command_that_draws_them(document):
    assert pictures_without(document, document.read_text(encoding="utf-8")) == []


def test_a_picture_without_words_or_without_its_command_is_found():
    text = "![](a.svg) ![a](b.svg) ![a](benchmarks/results/reuse.png) ![a](benchmarks/results/digits.png)"
    assert pictures_without(ROOT / "README.md", f"{text} `python -m benchmarks reuse`") == [
        "a.svg", "benchmarks/results/digits.png",
    ]  # fmt: skip


def rows_of_modules():
    """The rows of every room's table of modules: the README, the modules that a row names, and what it says of them."""
    for document in DOCUMENTS:
        for line in document.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            modules = re.findall(r"\]\((\w+\.py)\)", cells[0]) if line.startswith("| [") else []
            if modules and len(cells) > 1:
                yield document, modules, " ".join(cells[1:])


@pytest.mark.parametrize(
    ("document", "modules", "said"),
    list(rows_of_modules()),
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_what_a_table_of_modules_names_stands_in_the_module(document, modules, said):
    text = "\n".join((document.parent / module).read_text(encoding="utf-8") for module in modules)
    assert [name for name in re.findall(r"`(\w+)[`(]", said) if not re.search(rf"\b{name}\b", text)] == []


def rows_of_the_table():
    """What goes where, of the section on new things: (what, where)."""
    section = CONTRIBUTING.partition("## Where a new one goes")[2].partition("\n## ")[0]
    return re.findall(r"^\| ([^|]+) \| (.+) \|$", section, re.MULTILINE)[1:]


@pytest.mark.parametrize(("what", "where"), rows_of_the_table(), ids=lambda text: text[:30])
def test_what_the_table_names_stands_in_the_files_that_it_names(what, where):
    """Names in capitals are tables of the modules: each must be defined in a file that the row, or its room, names."""
    rooms = [ROOT / path for path in re.findall(r"`((?:reference|torch_compare|benchmarks)/[\w./]*)`", where)]
    files = [file for room in rooms for file in ([room] if room.is_file() else room.rglob("*.py"))]
    files += [other for file in files for other in file.parent.glob("*.py")]
    text = "\n".join({file: file.read_text(encoding="utf-8") for file in files}.values())
    for name in re.findall(r"`(_?[A-Z_]{4,})`", where):
        assert re.search(rf"^{name}\b", text, re.MULTILINE), name


def test_the_strangers_walk_passes_through_the_files_that_it_names(tmp_path):
    """Each file's functions that the walk names run, in a check of a real case."""
    walk = CONTRIBUTING.partition("## A stranger's walk")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d+\. `([\w./]+)`: (.*?)(?=^\d+\. |\Z)", walk, re.MULTILINE | re.DOTALL)
    assert 1 <= len(steps) <= 8
    ran = set()

    def seen(frame, event, _):
        if event == "call":
            ran.add((frame.f_code.co_filename, frame.f_code.co_name))

    result = tmp_path / "result.json"
    result.write_text('{"gradients": {"loss": 1.0}}', encoding="utf-8")
    sys.setprofile(seen)
    try:
        status = cli.main(["check", str(COMMITTED / "network_batch_8.json"), str(result)])
    finally:
        sys.setprofile(None)
    assert status == cli.DISAGREES
    for file, said in steps:
        defined = re.findall(r"^def (\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        named = [name for name in re.findall(r"`(\w+)`", said) if name in defined]
        assert named, file
        for name in named:
            assert (str(ROOT / file), name) in ran, f"{file}: {name}"
