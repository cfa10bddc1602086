"""Pages of HTML: read as a parser does, and shown in a browser that says what happened."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.helpers.browser import browser

HOSTILE = "\"'><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>&{{ 7 * 7 }}{% raw %}"
"""A name that would run a script, load a picture or be a part of the template, if it were not escaped."""
VOID = {"meta", "br", "path"}
ASKED = """({
  ran: window.ran ?? 0,
  bare: [...document.querySelectorAll("svg, [role=img]")].filter(one => !one.getAttribute("aria-label")).length,
  wide: document.documentElement.scrollWidth, scripts: document.scripts.length, text: document.body.innerText.length,
})"""


class Reader(HTMLParser):
    """Every tag with its attributes, and every text; each tag is closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, wanted: str) -> list[dict[str, Any]]:
        return [attributes for tag, attributes in self.tags if tag == wanted]


def shown(page: str, width: int, folder: Path) -> dict[str, Any]:
    """What happens when a page is shown in Chromium, so many pixels wide.

    "ran": whether a hostile script did; "bare": pictures without a text; "wide": pixels that the page takes; "scripts":
    how many it holds; "fetched": how many files it asked for; "text": its length; "errors": lines of the console.
    """
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    with browser(folder / "profile") as chromium:
        chromium.open(file.as_uri(), width)
        found = chromium.ask(ASKED)
        return found | {"fetched": len(chromium.requested) - 1, "errors": list(chromium.errors)}
