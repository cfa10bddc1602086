"""A verdict as HTML: one page that needs no network and runs no script, or the part of a notebook.

Everything that comes from a file (names of cases, places, texts) is escaped by the template.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from math import isfinite, isnan, prod
from pathlib import Path
from typing import Any, NamedTuple

from reference.rounding.distance import FACTOR
from reference.rounding.statistics import LIMITS, SIZE

from ..torch_side import extras
from .error_map import ErrorMap

TEMPLATE = Path(__file__).with_name("page.html")
LEVELS = (("within 1 σ", 1.0, "#dcd3ea"), ("within 8 σ", FACTOR / 4, "#ac94d4"), ("within 32 σ", FACTOR, "#7350ad"),
          ("beyond 32 σ", float("inf"), "#1b0a33"))  # fmt: skip
"""Name, upper end and colour, ever darker, so that they read in grey as well."""
UNDECIDED = ("not judged", float("nan"), "#ffffff")
WIDE, CELL = 256, (4, 14)
"""Pixels that a map may be wide, and the least and most of a cell."""
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


class Grid(NamedTuple):
    """A table of texts.

    Attributes:
        caption: above it.
        headings: of its columns; none if it has no head.
        rows: of cells, the first of which names the row.
        code: whether all but the first cells are commands or formulas, whose lines and blanks count.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    code: bool = False


def section(verdict: Any, title: str = "", command: Sequence[str] = ()) -> dict[str, Any]:
    """What the template shows of a verdict (a `Verdict`).

    Args:
        verdict: what is shown.
        title: what it is a verdict on.
        command: of the command line, that reaches it again.
    """
    said = str(verdict.diagnosis)
    head, *lines = str(verdict).split("\n  ")
    return {
        "title": title,
        "status": str(verdict.status),
        "agrees": verdict.agrees,
        "said": said,
        "head": head,
        "lines": [line for line in lines if not line.endswith((f": {said}", verdict.reproduce))],
        "leaves": [_leaf(verdict, name) for name in verdict.places],
        "implied": _implied(verdict.diagnosis.implied),
        "statistics": [
            (MEANINGS.get(kind, kind), f"{share:.3g}", _limit(kind), f"{100 * min(share, 1.0):.0f}%", share > 1)
            for kind, share in verdict.statistics.items()
        ],
        "again": [text for text in (shlex.join(command), verdict.reproduce) if text],
    }


def _implied(implied: Any) -> Grid | None:
    """The table of an implied derivative (an `Implied`), if there is one."""
    if implied is None:
        return None
    a = f"{implied.activation}′(z)"
    return Grid(
        f"{a} as {implied.place} implies it, if what comes down to {implied.layer} is right",
        ("z", "implied", f"{a}, the right one"),
        [(f"{z:.6g}", f"{told:.6g}", f"{right:.6g}") for z, told, right in implied.points],
    )


def _limit(kind: str) -> str:
    if kind not in LIMITS:
        return f"{FACTOR:g} σ"
    return f"{LIMITS[kind]:g} {'σ' if kind == SIZE else 'standard errors'}"


def _leaf(verdict: Any, name: str) -> dict[str, Any]:
    place, digits = verdict.places[name], verdict.digits.get(name, float("inf"))
    return {
        "name": name,
        "where": f"{list(place.index)}" if place.index else "",
        "given": f"{place.given:.9g}",
        "expected": f"{place.expected:.9g}",
        "scales": f"{place.scales:.3g}",
        "beyond": place.scales > FACTOR,
        "digits": f"{digits:.1f}" if isfinite(digits) else "all",
        "map": _map(name, verdict.maps[name]) if name in verdict.maps else None,
    }


def _map(name: str, found: ErrorMap) -> dict[str, Any]:
    rows, columns = len(found.cells), len(found.cells[0]) if found.cells else 0
    count = prod(found.shape)
    size = min(max(WIDE // max(columns, 1), CELL[0]), CELL[1])
    merged = count > rows * columns
    return {
        "tiles": tiles(found.cells),
        "rows": rows,
        "columns": columns,
        "width": columns * size,
        "height": rows * size,
        "shape": " × ".join(map(str, found.shape)) + ("; a cell is the worst of its elements" if merged else ""),
        "said": f"{name}: {found.beyond} of {count} elements beyond {FACTOR:g} rounding scales",
    }


def tiles(cells: Sequence[Sequence[float]]) -> list[Tile]:
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


def page(
    title: str,
    sections: Iterable[Mapping[str, Any]] = (),
    grids: Iterable[Grid] = (),
    about: str = "",
    picture: str = "",
) -> str:
    """A whole page.

    Args:
        title: of the page.
        sections: of the verdicts that are shown whole.
        grids: tables, which come before them.
        about: what made it.
        picture: drawn in letters, which comes before all.

    Raises:
        ModuleNotFoundError: Jinja2 is missing; the message names the extra.
    """
    return str(_render(True, title, sections, grids, about, picture))


def part(verdict: Any) -> str:
    """A verdict as the part of a notebook's page."""
    return str(_render(False, "", [section(verdict)], (), "", ""))


def _render(whole: bool, title: str, sections: Any, grids: Any, about: str, picture: str) -> str:
    legend = [(name, colour) for name, _, colour in (*LEVELS, UNDECIDED)]
    return _template().render(
        whole=whole, title=title, sections=list(sections), grids=list(grids), about=about, picture=picture,
        legend=legend,
    )  # fmt: skip
