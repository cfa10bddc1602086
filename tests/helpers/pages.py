"""Pages of HTML: read as a parser does, and shown in a browser that says what happened."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

HOSTILE = "\"'><script>parent.ran = 1</script><img src=x onerror='parent.ran = 1'>&{{ 7 * 7 }}{% raw %}"
"""A name that would run a script, load a picture or be a part of the template, if it were not escaped."""
VOID = {"meta", "br", "path"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FRAME = """<!DOCTYPE html><meta charset="utf-8"><title>waiting</title>
<iframe style="width:{width}px;height:600px;border:0" srcdoc="{page}"></iframe>
<script>
window.ran = 0;
document.querySelector("iframe").onload = event => {{
  const inside = event.target.contentWindow, page = inside.document;
  const bare = [...page.querySelectorAll("svg, [role=img]")].filter(one => !one.getAttribute("aria-label"));
  document.title = JSON.stringify({{
    ran, bare: bare.length, wide: page.documentElement.scrollWidth, scripts: page.scripts.length,
    fetched: inside.performance.getEntriesByType("resource").length, text: page.body.innerText.length,
  }});
}};
</script>"""


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
    assert CHROMIUM is not None
    outside = folder / "outside.html"
    outside.write_text(FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
         "--virtual-time-budget=2000", f"--user-data-dir={folder / 'profile'}", outside.as_uri()],
        capture_output=True, text=True, encoding="utf-8", timeout=60, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert title is not None, done.stdout[:500]
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(title[1])) | {"errors": errors}
