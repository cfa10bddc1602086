"""A verdict as HTML: one page that needs no network and runs no script, or the part of a notebook.

Everything that comes from a file (names of cases, places, texts) is escaped by the template.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from math import isfinite, isnan
from pathlib import Path
from typing import Any, NamedTuple

from reference.rounding.distance import FACTOR

from ..torch_side import extras
from .error_map import ErrorMap

TEMPLATE = Path(__file__).with_name("page.html")
LEVELS = (("within 1 σ", 1.0, "#dcd3ea"), ("within 8 σ", FACTOR / 4, "#ac94d4"), ("within 32 σ", FACTOR, "#7350ad"),
          ("beyond 32 σ", float("inf"), "#1b0a33"))  # fmt: skip
"""Name, upper end and colour, ever darker, so that they read in grey as well."""
UNDECIDED = ("not judged", float("nan"), "#ffffff")
MEANINGS: Mapping[str, str] = {
    "element": "the worst element",
    "whole": "all elements, projected on the gradient",
    "layer": "a layer, projected on its gradient",
    "leaf": "a leaf, projected on its gradient",
    "unit": "a row or column of a leaf, projected on its gradient",
    "size": "root mean square of a leaf",
    "mistake": "all elements, projected on what a known mistake changes",
}
"""What each kind of a verdict's statistics judges."""


class Tile(NamedTuple):
    """The cells of a map that have one colour, as a path of SVG."""

    colour: str
    path: str


def section(verdict: Any, title: str = "", command: Sequence[str] = ()) -> dict[str, Any]:
    """What the template shows of a verdict (a `Verdict`).

    Args:
        verdict: what is shown.
        title: what it is a verdict on.
        command: of the command line, that reaches it again.
    """
    return {
        "title": title,
        "status": str(verdict.status),
        "agrees": verdict.agrees,
        "lines": str(verdict).split("\n  "),
        "leaves": [_leaf(verdict, name) for name in verdict.places],
        "statistics": [
            (MEANINGS.get(kind, kind), f"{share:.3g}", min(share, 1.0), share > 1)
            for kind, share in verdict.statistics.items()
        ],
        "reproduce": verdict.reproduce,
        "command": shlex.join(command),
    }


def _leaf(verdict: Any, name: str) -> dict[str, Any]:
    place, digits = verdict.places[name], verdict.digits.get(name, float("inf"))
    cells = verdict.maps.get(name, ())
    beyond = sum(value > FACTOR for row in cells for value in row)
    return {
        "name": name,
        "where": f"{list(place.index)}" if place.index else "",
        "given": f"{place.given:.9g}",
        "expected": f"{place.expected:.9g}",
        "scales": f"{place.scales:.3g}",
        "digits": f"{digits:.1f}" if isfinite(digits) else "all",
        "tiles": tiles(cells),
        "rows": len(cells),
        "columns": len(cells[0]) if cells else 0,
        "said": f"{name}: {beyond} of {sum(map(len, cells))} cells beyond {FACTOR:g} rounding scales",
    }


def tiles(cells: ErrorMap) -> list[Tile]:
    """The map's cells by colour, neighbours of a row in one stroke.

    >>> tiles(((0.5, 0.5, 50.0),))
    [Tile(colour='#dcd3ea', path='M0 0h2v1h-2z'), Tile(colour='#1b0a33', path='M2 0h1v1h-1z')]
    """
    paths: dict[str, str] = {}
    for y, row in enumerate(cells):
        x = 0
        for colour, run in groupby(map(_colour, row)):
            width = len(list(run))
            paths[colour] = paths.get(colour, "") + f"M{x} {y}h{width}v1h-{width}z"
            x += width
    return [Tile(colour, path) for colour, path in paths.items()]


def _colour(scales: float) -> str:
    if isnan(scales):
        return UNDECIDED[2]
    return next(colour for _, most, colour in LEVELS if scales <= most)


@cache
def _template() -> Any:
    with extras.named():
        import jinja2  # noqa: PLC0415  (an extra)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def page(title: str, sections: Iterable[Mapping[str, Any]], rows: Iterable[Sequence[str]] = (), about: str = "") -> str:
    """A whole page.

    Args:
        title: of the page.
        sections: of the verdicts that are shown whole.
        rows: (name, status, why) of every case, where there are several.
        about: what they were judged by.

    Raises:
        ModuleNotFoundError: Jinja2 is missing; the message names the extra.
    """
    return str(_render(True, title, sections, rows, about))


def part(verdict: Any) -> str:
    """A verdict as the part of a notebook's page."""
    return str(_render(False, "", [section(verdict)], (), ""))


def _render(whole: bool, title: str, sections: Any, rows: Any, about: str) -> str:
    legend = [(name, colour) for name, _, colour in (*LEVELS, UNDECIDED)]
    return _template().render(
        whole=whole, title=title, sections=list(sections), rows=list(rows), about=about, legend=legend
    )
