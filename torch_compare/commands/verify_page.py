"""The report of a campaign as a page of HTML."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..sources.report import CampaignReport
from ..verdict.page import Grid, page
from ..verdict.verdict import Verdict
from .verify_report import (
    COLUMNS,
    DEVIATING,
    FAULT_COLUMNS,
    PLANTED,
    counted,
    deviations,
    fault_rows,
    heading,
    key,
    pair_rows,
    seen_by,
    summary,
)  # fmt: skip


def as_html(report: CampaignReport, planted: Mapping[str, Verdict], command: str, paths: Sequence[Path]) -> str:
    """The page: the pairs, the faults, every disagreement with the line that runs it again, and what made it all.

    Args:
        report: of the campaign.
        planted: the verdict on every planted fault, by name.
        command: that runs the campaign again.
        paths: the files of the disagreements.
    """
    grids = [
        Grid("Made by", (), _made(report, command), code=True),
        Grid(
            "Disagreements",
            ("case", "what disagrees", "again"),
            [
                (f"seed {case.place[0]}, case {case.place[1]}", case.text, _replay(path))
                for case, path in zip(report.disagreements, paths, strict=True)
            ],
            code=True,
        ),
        Grid(
            heading(report),
            ("sources", *COLUMNS),
            [(row.pair, *row.figures) for row in pair_rows(report)],
        ),
        Grid(PLANTED, FAULT_COLUMNS, fault_rows(planted)),
        Grid(DEVIATING, ("deviation", "where"), [text.split(": ", 1) for text in deviations(report)]),
        *(
            Grid(seen_by(what), (what.partition(",")[0], "cases"), [(n, str(c)) for n, c in counts.items()])
            for what, counts in counted(report).items()
        ),
    ]
    return page(summary(report, planted), grids=[grid for grid in grids if grid.rows], about=key(report))


def _made(report: CampaignReport, command: str) -> list[tuple[str, str]]:
    seeds = [
        f"{seed}: cases {', '.join(f'{first} to {end - 1}' for first, end in ranges)}"
        for seed, ranges in sorted(report.ran.items())
    ]
    return [
        ("command", command),
        ("seeds", "\n".join(seeds)),
        ("number type", report.dtype),
        ("versions", "\n".join(f"{name} {number}" for name, number in report.versions.items())),
        ("page made by", f"Python {platform.python_version()} on {platform.machine()}"),
    ]


def _replay(path: Path) -> str:
    return shlex.join(["gradient-oracle", "verify", "--replay", str(path)])
