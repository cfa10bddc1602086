"""The report of `gradient-oracle check` as a page of HTML."""

from __future__ import annotations

from collections.abc import Sequence

from reference import __version__

from ..cases.vectors import Edition
from ..verdict import page
from .check_report import Checked, in_a_word, in_short


def as_html(checked: Sequence[Checked], paths: tuple[str, str], status: int, edition: Edition | None = None) -> str:
    """The page: of one case all that is known, of several a table, and all that is known of those that do not agree."""
    case, result = paths
    alone = len(checked) == 1
    command = ("gradient-oracle", "check", case, result)
    sections = [
        page.section(one.verdict, one.case, command)
        for one in checked
        if one.verdict is not None and (alone or not one.verdict.agrees)
    ]
    rows = [(one.case, one.status, in_short(one)) for one in checked]
    grids = [] if alone and sections else [page.Grid("Every case", ("case", "verdict", "why"), rows)]
    about = f"gradient-oracle {__version__}" + (f"; {edition}" if edition is not None else "")
    return page.page(f"{in_a_word(status)}: {result}", sections, grids, about)
