"""The tables and texts that `gradient-oracle check` prints, and its report as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference import __version__
from reference.rounding.distance import WorstElement

from ..cases.vectors import Edition
from ..diagnosis.wording import listed
from ..verdict.verdict import Verdict
from .exit_status import AGREES, BAD_INPUT, DISAGREES, UNRESOLVED

REPORT = "gradient-oracle report 1"
NOT_JUDGED = "not judged"
"""The status of a case without a result, or with one that cannot be read."""


@dataclass(frozen=True)
class Checked:
    """One case and the verdict on its result.

    Attributes:
        case: its name.
        verdict: on its result; None if there was none to judge.
        reason: why it was not judged.
        missing: whether that is because there is no result.
    """

    case: str
    verdict: Verdict | None = None
    reason: str = ""
    missing: bool = False

    @property
    def status(self) -> str:
        """The verdict's status; `NOT_JUDGED` if there is no verdict."""
        return self.verdict.status if self.verdict else NOT_JUDGED


def print_leaves(one: Checked, console: Console) -> None:
    """Every gradient of one case with its worst element."""
    assert one.verdict is not None
    table = _table(f"{one.case} in {one.verdict.dtype}: the worst element of every gradient")
    table.add_column("gradient", overflow="fold")
    for heading in ("given", "expected", "rounding\nscales", "digits"):
        table.add_column(heading, justify="right")
    for leaf, place in one.verdict.places.items():
        scales, digits = f"{place.scales:.3g}", _digits(one.verdict.digits[leaf])
        table.add_row(Text(_where(place)), f"{place.given:.9g}", f"{place.expected:.9g}", scales, digits)
    console.print(table)


def print_table(checked: list[Checked], console: Console) -> None:
    """All cases, one a line."""
    table = _table(f"{len(checked)} cases")
    table.add_column("case", overflow="fold")
    table.add_column("verdict")
    table.add_column("worst at", overflow="fold")
    table.add_column("rounding\nscales", justify="right")
    table.add_column("digits", justify="right")
    table.add_column("diagnosis", overflow="fold")
    for one in checked:
        verdict = one.verdict
        if verdict is None:
            table.add_row(Text(one.case), one.status, "", "", "", Text(in_short(one)), style="yellow")
            continue
        scales, digits = f"{verdict.worst.scales:.3g}", _digits(verdict.fewest_digits[1])
        style = "" if verdict.agrees else "red"
        table.add_row(
            Text(one.case),
            one.status,
            Text(_where(verdict.worst)),
            scales,
            digits,
            Text(in_short(one)),
            style=style,
        )
    console.print(table)


def print_verdicts(checked: Iterable[Checked], console: Console) -> None:
    """The whole text of every verdict."""
    for one in checked:
        if one.verdict:
            style = "" if one.verdict.agrees else "red"
            console.print(Text(f"{one.case}: {one.verdict}"), style=style, soft_wrap=True)


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="italic"), title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False
    )


def _where(place: WorstElement) -> str:
    return f"{place.leaf}{list(place.index)}" if place.index else place.leaf


def in_short(one: Checked) -> str:
    """The kinds of the mistakes, or why nothing was judged; or what the status means, unless it is that all is well."""
    verdict = one.verdict
    if verdict is None:
        return one.reason
    if verdict.diagnosis.sought:
        return " and ".join(verdict.diagnosis.names) or "no known mistake"
    if not verdict.agrees:
        return verdict.diagnosis
    said = [verdict.diagnosis] if verdict.scale == "textbook" else []
    return "; ".join(said + ([f"nothing is told of {listed(verdict.untold)}"] if verdict.untold else []))


def _digits(digits: float) -> str:
    return f"{digits:.1f}" if isfinite(digits) else "all"


def in_a_word(status: int) -> str:
    """The exit status in a word."""
    return {AGREES: "AGREES", DISAGREES: "DISAGREES", BAD_INPUT: "NOT JUDGED", UNRESOLVED: "UNRESOLVED"}[status]


def print_summary(checked: list[Checked], status: int, console: Console) -> None:
    """The exit status in a word, and how many cases came to what."""
    counts: dict[str, int] = {}
    for one in checked:
        counts[one.status] = counts.get(one.status, 0) + 1
    word = in_a_word(status)
    text = f"{word}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"
    console.print(text if len(checked) > 1 else word, style="bold green" if status == AGREES else "bold red")


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def as_json(checked: Iterable[Checked], status: int, edition: Edition | None = None) -> str:
    """The report as a JSON text; numbers that JSON does not have are the words inf, -inf and nan."""
    data = {
        "format": REPORT,
        "version": __version__,
        "vectors": None if edition is None else asdict(edition),
        "exit_status": status,
        "cases": [_as_data(one) for one in checked],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _as_data(one: Checked) -> dict[str, Any]:
    verdict = one.verdict
    if verdict is None:
        return {"case": one.case, "status": one.status, "reason": one.reason}
    leaves = {
        leaf: {
            "index": list(place.index),
            "given": _number(place.given),
            "expected": _number(place.expected),
            "scales": _number(place.scales),
            "ulps": _number(place.ulps),
            "digits": _number(verdict.digits[leaf]),
        }
        for leaf, place in verdict.places.items()
    }
    return {
        "case": one.case,
        "status": verdict.status,
        "dtype": verdict.dtype,
        "scale": verdict.scale,
        "diagnosis": verdict.diagnosis,
        "mistakes": list(verdict.diagnosis.names),
        "runner_up": verdict.runner_up,
        "untold": list(verdict.untold),
        "worst": verdict.worst.leaf,
        "gradients": leaves,
    }


def _number(value: float) -> float | str:
    """A number as JSON has it; one that JSON does not have, as a word."""
    return value if isfinite(value) else str(value)
