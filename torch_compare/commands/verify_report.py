"""What `gradient-oracle verify` prints of a campaign: its tables, and the figures that its page shows as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reference.rounding.distance import FACTOR

from ..sources.campaign import CERTIFY_EVERY
from ..sources.certificates import LARGEST
from ..sources.outcome import PAIRS
from ..sources.report import CampaignReport
from ..verdict.verdict import Verdict

NARROW = (
    "\ncases",
    "worst\nerror",
    "text-\nbook",
    "\nworst",
    "worst\nulps",
    "not\njudged",
    "devi-\nating",
    "dis-\nagree",
)
"""The columns of the table of pairs in two lines, for 80 columns; `PairRow.figures` has one for each."""
COLUMNS = tuple(heading.replace("-\n", "").replace("\n", " ").strip() for heading in NARROW)
"""The same in one line."""
PLANTED = "Planted faults: each must be caught"
FAULT_COLUMNS = ("fault", "verdict", "off by (rounding scales)")
"""Of the table of planted faults, a row of `fault_rows` below."""


class PairRow(NamedTuple):
    """What two sources came to.

    Attributes:
        pair: a key of `PAIRS`.
        figures: as words.
        disagrees: whether they did in any problem.
    """

    pair: str
    figures: tuple[str, ...]
    disagrees: bool


def pair_rows(report: CampaignReport) -> list[PairRow]:
    """The table of pairs: those that were held against each other."""
    rows = []
    for pair, tally in report.pairs.items():
        if not tally.cases + tally.not_judged + tally.deviations + tally.unresolved:
            continue
        unit = PAIRS[pair]
        figures = (
            str(tally.cases),
            f"{tally.scales:.2g} {unit}",
            str(tally.textbook) if unit == "σ" else "–",
            f"{tally.textbook_scales:.1f} σ" if unit == "σ" else "–",
            f"{tally.ulps:.0e}" if unit != "rel" else "–",
            str(tally.not_judged + tally.unresolved),
            str(tally.deviations) if "torch" in pair else "–",
            str(tally.disagreements),
        )
        rows.append(PairRow(pair, figures, bool(tally.disagreements)))
    return rows


def fault_rows(planted: Mapping[str, Verdict]) -> list[tuple[str, str, str]]:
    """Every planted fault, the verdict on it, and how far it is off in rounding scales."""
    return [
        (name, "NOT CAUGHT" if verdict.agrees else verdict.status, f"{verdict.worst.scales:.1e}")
        for name, verdict in planted.items()
    ]


def print_planted(planted: Mapping[str, Verdict], console: Console) -> None:
    """The table of planted faults."""
    table = Table(title=PLANTED, title_justify="left")
    for words in FAULT_COLUMNS:
        table.add_column(words, justify="right" if words == FAULT_COLUMNS[-1] else "left")
    for row, verdict in zip(fault_rows(planted), planted.values(), strict=True):
        table.add_row(*row, style="red" if verdict.agrees else "")
    console.print(table)


def heading(report: CampaignReport) -> str:
    """The title of the table of pairs."""
    return f"{report.problems} random problems: sources held against each other"


def seen_by(what: str) -> str:
    """The title of a table of `counted`."""
    return f"Cases seen, by {what}"


def print_report(report: CampaignReport, console: Console) -> None:
    """The tables of the random problems."""
    table = Table(
        title=heading(report),
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("sources", no_wrap=True)
    for words in NARROW:
        table.add_column(words, justify="right", no_wrap=True)
    for row in pair_rows(report):
        name = row.pair.replace(" ~ ", "\n~ ").replace("_difference", " diff.")
        table.add_row(name, *row.figures, style="red" if row.disagrees else "")
    console.print(table)
    console.print(key(report), highlight=False, style="dim")
    for title, counts in counted(report).items():
        _print_counts(title, counts, console)
    if report.deviations:
        console.print(DEVIATING, style="italic")
        for text in deviations(report):
            console.print(Padding(Text(text), (0, 0, 0, 2)))


def key(report: CampaignReport) -> str:
    """What the words of the table of pairs mean."""
    share = "every one" if report.certify_all else f"one in {CERTIFY_EVERY}"
    return (
        f"σ: rounding scales; an error counts from {FACTOR:g}. bar: the error bar that a difference brings; an error "
        "counts from 1. textbook: cases that only the scale of the customary formulas explains, and their worst. "
        "not judged: overflow, every element on a kink, or a certificate that no precision resolves. rel: relative "
        f"to the array's largest gradient. certified: {share} of the problems of at most {LARGEST} parameters times "
        "examples. deviating: explained by the list below. ulps are large where terms cancel or a gradient nearly "
        "vanishes."
    )


DEVIATING = "Where torch's backward pass is not the derivative of its own forward pass"


def deviations(report: CampaignReport) -> list[str]:
    """The published deviations that explain a difference, a line each."""
    return [
        f"{row.name}: {count} case{'' if count == 1 else 's'}; {row.where}; {row.size} (since {row.since})"
        for row, count in report.explaining_deviations()
    ]


def counted(report: CampaignReport) -> dict[str, Mapping[str, int]]:
    """How many cases each row occurred in, by what the rows are."""
    found: dict[str, Mapping[str, int]] = {"activation": report.activations}
    if report.networks:
        found[f"operation, in {report.networks} networks"] = report.operations
    return found | {"loss": report.losses}


def summary(report: CampaignReport, planted: Mapping[str, Verdict]) -> str:
    """The campaign in a line."""
    caught, found = sum(not verdict.agrees for verdict in planted.values()), len(report.disagreements)
    stopped = report.asked is not None
    word = "STOPPED" if stopped else "DISAGREES" if found or caught < len(planted) else "AGREES"
    faults = f"{caught} of {len(planted)} planted faults caught, " if planted else ""
    of = f" of {report.asked}" if stopped else ""
    return f"{word}: {faults}{report.problems}{of} random problems, {found} disagreement{'' if found == 1 else 's'}"


def _print_counts(what: str, counts: Mapping[str, int], console: Console) -> None:
    table = Table(title=seen_by(what), title_justify="left")
    what = what.partition(",")[0]
    columns = 3 if console.width >= 100 else 2
    for _ in range(columns):
        table.add_column(what, no_wrap=True)
        table.add_column("cases", justify="right")
    items = [(name, str(count)) for name, count in counts.items()]
    rows = -(-len(items) // columns)
    for index in range(rows):
        cells = [items[index + rows * c] if index + rows * c < len(items) else ("", "") for c in range(columns)]
        table.add_row(*(text for cell in cells for text in cell))
    console.print(table)
