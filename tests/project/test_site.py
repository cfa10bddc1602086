"""The documentation site: it builds without a warning, and headless Chromium finds nothing amiss with its pages."""

from __future__ import annotations

import doctest
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.browser import CHROMIUM, Browser, browser

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
NARROW = 360
PAGES = (
    "index", "docs/README", "docs/tolerance", "docs/networks", "docs/command-line", "docs/verdicts", "CONTRIBUTING",
    "reference/README", "reference/operations/README", "reference/functions/README", "reference/network/README",
    "docs/api/reference", "docs/api/operations", "docs/api/torch-compare", "docs/tables/operations",
    "docs/tables/deviations", "docs/tables/accuracy", "docs/tables/citation", "files/reference/network/mlp.py",
)  # fmt: skip
TYPESET = {"docs/tolerance", "reference/README", "reference/functions/README", "reference/network/README"}

WITHOUT_HEIGHT = "[...document.querySelectorAll('math')].filter(m => m.getBoundingClientRect().height < 5).length"
WITHOUT_WORDS = "[...document.images].filter(i => !i.alt.trim() || !i.naturalWidth).map(i => i.src)"
TOO_WIDE = """
(() => {
    const scrolled = e => /auto|scroll/.test(getComputedStyle(e).overflowX);
    const scrolls = e => e && !e.matches("article, body") && (scrolled(e) || scrolls(e.parentElement));
    const beyond = [...document.querySelectorAll("article *, body > *")]
        .filter(e => !e.closest(".visually-hidden") && (e.matches("math") || !e.closest("math")))
        .map(e => [e.getBoundingClientRect(), e])
        .filter(([r, e]) => r.width > 1 && r.right > innerWidth + 1 && !scrolls(e.parentElement));
    const page = document.scrollingElement;
    return Math.max(page.scrollWidth - page.clientWidth, ...beyond.map(([r]) => Math.round(r.right - innerWidth)));
})()
"""
PAPER_AND_INK = "(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))"
TRANSPARENT = "rgba(0, 0, 0, 0)"


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} comes with the extra gradient-oracle[docs]")


def built(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a folder by the command of `make docs`."""
    for module in ("sphinx", "myst_parser", "furo", "latex2mathml", "sklearn", "matplotlib"):
        needs(module)
    options = re.search(r"-m sphinx (.*) \. docs/_build/html$", MAKEFILE, re.MULTILINE)[1].split()
    command = [sys.executable, "-m", "sphinx", *options, str(source), str(out)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "html"
    done = built(ROOT, out)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine to look at the pages with")
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def faults(page: Browser, folder: Path) -> list[str]:
    """What is amiss with the page that is open."""
    found = [f"error: {text}" for text in page.errors]
    inside = (folder.as_uri() + "/", "data:")
    found += [f"asks for {address}" for address in page.requested if not address.startswith(inside)]
    found += [f"{flat} formulas without a height"] if (flat := page.ask(WITHOUT_HEIGHT)) else []
    found += [f"a picture without words or pixels: {address}" for address in page.ask(WITHOUT_WORDS)]
    found += [f"{wide} pixels too wide"] if (wide := page.ask(TOO_WIDE)) > 0 else []
    return found


@pytest.mark.explore  # a build takes half a minute
def test_every_page_loads_whole_and_fits_a_narrow_screen(site, page):
    tutorial = [f"docs/tutorial/{path.stem}" for path in sorted((site / "docs" / "tutorial").glob("*.html"))]
    assert len(tutorial) >= 11
    for name in (*PAGES, *tutorial):
        for width in (1280, NARROW):
            page.open((site / f"{name}.html").as_uri(), width)
            assert faults(page, site) == [], f"{name} at {width} pixels"
        typeset = page.ask("document.querySelectorAll('math').length")
        assert typeset or name not in TYPESET, name
    assert len(list(site.rglob("*.html"))) > len(PAGES) + len(tutorial)


@pytest.mark.explore
def test_pages_are_light_or_dark_as_the_reader_has_it(site, page):
    seen = {}
    for scheme in ("light", "dark"):
        page.open((site / "docs" / "tolerance.html").as_uri(), scheme=scheme)
        seen[scheme] = page.ask(PAPER_AND_INK)
    assert all(seen["light"][i] != seen["dark"][i] for i in (0, 1))


@pytest.mark.explore
def test_the_search_finds_without_a_server(site, page):
    page.open((site / "search.html").as_uri() + "?q=softmax")
    page.ask("new Promise(done => setInterval(() => /found/.test(document.body.innerText) && done(), 50))")
    page.ask("new Promise(done => setTimeout(done, 500))")  # what it would ask for after that
    assert page.ask("document.querySelectorAll('#search-results li').length") > 5
    assert faults(page, site) == []


FAULTY = {
    "error: ": "<script>nowhere()</script>",
    "asks for ": '<img src="https://example.org/a.png" alt="a">',
    "1 formulas": '<math style="display: block; height: 0; overflow: hidden"><mi>x</mi></math>',
    "a picture without words": '<img alt="" src="data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22/>">',
    "640 pixels too wide": '<div style="width: 1000px; height: 1px"></div>',
}


@pytest.mark.explore
@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_in_a_page_is_found(page, tmp_path, fault):
    file = tmp_path / "page.html"
    style = '<meta name="viewport" content="width=device-width"><style>body { margin: 0 }</style>'
    file.write_text(f"<!doctype html>{style}<p>text</p>{FAULTY[fault]}", encoding="utf-8")
    page.open(file.as_uri(), NARROW)
    assert any(found.startswith(fault) for found in faults(page, tmp_path))


@pytest.mark.parametrize("module", ["mathml", "public_names"])
def test_the_examples_of_what_builds_it_run(module):
    for name in ("sphinx", "latex2mathml"):
        needs(name)
    spec = importlib.util.spec_from_file_location(module, ROOT / "docs" / "site" / f"{module}.py")
    spec.loader.exec_module(loaded := importlib.util.module_from_spec(spec))
    found = doctest.testmod(loaded)
    assert found.attempted >= 1
    assert found.failed == 0


@pytest.mark.explore
def test_a_dead_link_ends_the_build(tmp_path):
    (tmp_path / "README.md").write_text("# A\n\n[b](nowhere.md)\n", encoding="utf-8")
    done = built(tmp_path, tmp_path / "out")
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
    assert "reference.gradients is public, and on no page of the site" in done.stderr
