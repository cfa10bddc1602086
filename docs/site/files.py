"""The repository's Markdown as pages: links to sources and folders lead somewhere, and the README is the start page."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".toml": "toml", ".cff": "yaml", ".txt": "text"}
"""The files that get a page, by their suffix, and what they are written in."""
LARGEST = 100_000
"""Bytes of such a file, at the most: a browser shows a longer page slowly."""
PAGES = "files"
"""Where these pages stand on the site."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} – gradient-oracle</title>
<link rel="stylesheet" href="{top}_static/pygments.css">
<link rel="stylesheet" href="{top}_static/site.css">
</head>
<body class="source">
<p><a href="{top}index.html">gradient-oracle</a></p>
<h1>{name}</h1>
{shown}</body>
</html>
"""


class FilesOfTheRepository(SphinxTransform):
    """Let links to folders lead to their README, and links to sources to a page that shows them.

    What has neither, a test vector, loses its link: nothing is copied into the site.
    """

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Change the links of one document."""
        for link in list(self.document.findall(addnodes.download_reference)):
            link.replace_self(self._to_source(link))
        for link in list(self.document.findall(addnodes.pending_xref)):
            path = self._path(link["reftarget"])
            if link.get("reftype") == "myst" and link["refdomain"] is None and path.is_dir():
                readme = self.env.path2doc(str(path / "README.md"))
                if readme in self.env.found_docs:
                    link["refdomain"], link["reftarget"], link["reftargetid"] = "doc", readme, None
                else:
                    link.replace_self(link.children)

    def _path(self, target: str) -> Path:
        return Path(os.path.normpath(self.env.relfn2path(target.partition("#")[0], self.env.docname)[1]))

    def _to_source(self, link: addnodes.download_reference) -> nodes.Node | list[nodes.Node]:
        path = self._path(link["reftarget"])
        if path.suffix not in LANGUAGES or path.stat().st_size > LARGEST:
            return link.children
        page = f"{PAGES}/{path.relative_to(self.env.srcdir).as_posix()}"
        linked(self.app)[page] = path
        uri = self.app.builder.get_relative_uri(self.env.docname, page)
        return nodes.reference("", "", *link.children, refuri=uri, internal=True)


class ExamplesEnd(SphinxTransform):
    """Take the blank line from the end of an example, which doctest needs and a reader does not."""

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Change the examples of one document."""
        for block in self.document.findall(nodes.literal_block):
            block.rawsource = block.astext().rstrip()
            block[:] = [nodes.Text(block.rawsource)]


def linked(app: Sphinx) -> dict[str, Path]:
    """The sources that are linked, by their pages."""
    if not hasattr(app.env, "linked_files"):
        app.env.linked_files = {}  # type: ignore[attr-defined]
    return app.env.linked_files  # type: ignore[attr-defined]


def sources(app: Sphinx, failure: Exception | None) -> None:
    """Write a page for each of them, and without the theme's table of contents: there are hundreds."""
    if failure is not None:
        return
    for page, path in sorted(linked(app).items()):
        text = path.read_text(encoding="utf-8")
        shown = app.builder.highlighter.highlight_block(text, LANGUAGES[path.suffix])  # type: ignore[attr-defined]
        out = Path(app.outdir) / f"{page}.html"
        out.parent.mkdir(parents=True, exist_ok=True)
        name, top = escape(page.removeprefix(f"{PAGES}/")), "../" * page.count("/")
        out.write_text(PAGE.format(name=name, top=top, shown=shown), encoding="utf-8")


def first_page(app: Sphinx, failure: Exception | None) -> None:
    """Give the start page the name that is looked for in a folder."""
    if failure is None and app.builder.format == "html":
        start = Path(app.outdir) / f"{app.config.root_doc}.html"
        start.with_name("index.html").write_bytes(start.read_bytes())


def contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """End the start page, the README, with the site's table of contents, which GitHub has no use for."""
    if docname == app.config.root_doc:
        source[0] += "\n" + (Path(app.confdir) / "contents.md").read_text(encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it; one process reads, since what is linked is gathered in one place."""
    app.add_transform(FilesOfTheRepository)
    app.add_transform(ExamplesEnd)
    app.connect("source-read", contents)
    app.connect("build-finished", sources)
    app.connect("build-finished", first_page)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
