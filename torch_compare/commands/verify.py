"""`gradient-oracle verify`: plant mistakes, catch them, then hold the sources against each other on random problems."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from secrets import randbelow

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..sources import campaign, plant
from ..sources.outcome import PAIRS, PairVerdict
from ..sources.report import CampaignReport
from ..verdict.verdict import Verdict
from .exit_status import AGREES, DISAGREES, INTERRUPTED, UNRESOLVED
from .terminal import require_apart, require_file, require_folder, require_html, require_path, write_report
from .verify_page import as_html
from .verify_report import print_planted, print_report, summary


def run_verify(options: argparse.Namespace, console: Console) -> int:
    """Run the campaign, or replay one file of it; returns the exit status."""
    if options.replay is not None:
        return _replay(options.replay, console)
    if (options.backend == "dask") != (options.scheduler is not None):
        raise ValueError("--backend dask and --scheduler tcp://HOST:PORT go together")
    _require_writable(options)
    return _verify(options, console)


def run_campaign(options: argparse.Namespace, console: Console) -> int:
    """Report on the pieces in files, which may have come from several machines; returns the exit status."""
    _require_writable(options)
    command = shlex.join(["gradient-oracle", "campaign", *map(str, options.files)])
    return _finish(campaign.merged(options.files), {}, command, options, console)


def _require_writable(options: argparse.Namespace) -> None:
    require_file("--json", options.json)
    require_html("--html", options.html)
    require_path("--resume", getattr(options, "resume", None))
    require_apart({"--json": options.json, "--html": options.html, "--resume": getattr(options, "resume", None)})
    require_folder("--disagreements", options.disagreements)


def _verify(options: argparse.Namespace, console: Console) -> int:
    seed = randbelow(2**32) if options.seed is None else options.seed
    command = f"gradient-oracle verify --cases {options.cases} --seed {seed}"
    command += f" --first {options.first}" if options.first else ""
    command += f" --dtype {options.dtype}" if options.dtype else ""
    command += " --certify" if options.certify else ""
    command += f" --only {options.only}" if options.only else ""
    console.print(command, style="bold", highlight=False)
    planted = dict(plant.verdicts())
    print_planted(planted, console)
    with Progress(
        TextColumn("random problems"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=options.cases)
        report = campaign.run(
            options.cases,
            seed,
            options.dtype or "both",
            options.jobs,
            lambda n: bar.advance(task, n),
            certify_all=options.certify,
            only=options.only,
            first=options.first,
            path=options.resume,
            scheduler=options.scheduler,
        )
    return _finish(report, planted, command, options, console)


def _finish(
    report: CampaignReport,
    planted: Mapping[str, Verdict],
    command: str,
    options: argparse.Namespace,
    console: Console,
) -> int:
    """Print and write a report, whole or not; returns the exit status."""
    print_report(report, console)
    paths = [
        campaign.write_disagreement(case, options.disagreements, number)
        for number, case in enumerate(report.disagreements, 1)
    ]
    for path, case in zip(paths, report.disagreements, strict=True):
        console.print(f"{path}: {case.text}", style="red", markup=False)
        console.print(f"  again: gradient-oracle verify --replay {path}", markup=False, highlight=False)
    if options.json is not None:
        data = report.as_data() | {"faults": {name: verdict.status for name, verdict in planted.items()}}
        write_report(json.dumps(data, indent=1), options.json)
    if options.html is not None:
        write_report(as_html(report, planted, command, paths), options.html)
    good = not report.disagreements and not any(verdict.agrees for verdict in planted.values())
    console.print(summary(report, planted), style="bold green" if good else "bold red", highlight=False)
    if report.asked is not None:
        return INTERRUPTED
    return AGREES if good else DISAGREES


def _replay(path: Path, console: Console) -> int:
    outcomes = campaign.replay(path)
    table = Table(title=str(path), title_justify="left")
    for heading in ("sources", "verdict", "worst error"):
        table.add_column(heading)
    for outcome in outcomes:
        table.add_row(outcome.pair, outcome.title, f"{outcome.scales:.3g} {PAIRS[outcome.pair]}")
    console.print(table)
    for outcome in outcomes:
        if outcome.text:
            console.print(outcome.text, markup=False)
    verdicts = {outcome.verdict for outcome in outcomes}
    if PairVerdict.DISAGREES in verdicts:
        return DISAGREES
    return UNRESOLVED if PairVerdict.UNRESOLVED in verdicts else AGREES
