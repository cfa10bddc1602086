"""`gradient-oracle verify`: plant mistakes, catch them, then hold the sources against each other on random problems."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from secrets import randbelow

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from reference.rounding.distance import FACTOR

from ..sources import campaign, plant
from ..sources.certificates import LARGEST
from ..sources.outcome import PAIRS, PairVerdict
from ..sources.report import CampaignReport
from ..verdict.status import Status
from .exit_status import AGREES, DISAGREES, INTERRUPTED, UNRESOLVED
from .terminal import require_file, require_folder, write_report


def run_verify(options: argparse.Namespace, console: Console) -> int:
    """Run the campaign, or replay one file of it; returns the exit status."""
    if options.replay is not None:
        return _replay(options.replay, console)
    if (options.backend == "dask") != (options.scheduler is not None):
        raise ValueError("--backend dask and --scheduler tcp://HOST:PORT go together")
    require_file("--json", options.json)
    require_folder("--disagreements", options.disagreements)
    return _verify(options, console)


def run_campaign(options: argparse.Namespace, console: Console) -> int:
    """Report on the pieces in files, which may have come from several machines; returns the exit status."""
    require_file("--json", options.json)
    return _finish(campaign.merged(options.files), {}, options, console)


def _verify(options: argparse.Namespace, console: Console) -> int:
    seed = randbelow(2**32) if options.seed is None else options.seed
    dtype = options.dtype or "both"
    first = f" --first {options.first}" if options.first else ""
    command = f"gradient-oracle verify --cases {options.cases} --seed {seed}{first}"
    console.print(command, style="bold", highlight=False)
    caught = _plant(console)
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
            dtype,
            options.jobs,
            lambda n: bar.advance(task, n),
            certify_all=options.certify,
            first=options.first,
            path=options.resume,
            scheduler=options.scheduler,
        )
    return _finish(report, caught, options, console)


def _finish(report: CampaignReport, caught: dict[str, Status], options: argparse.Namespace, console: Console) -> int:
    """Print and write a report, whole or not; returns the exit status."""
    _print_report(report, console)
    paths = [
        campaign.write_disagreement(case, options.disagreements, number)
        for number, case in enumerate(report.disagreements, 1)
    ]
    for path, case in zip(paths, report.disagreements, strict=True):
        text = next(o.text for o in case.outcomes if o.verdict is PairVerdict.DISAGREES)
        console.print(f"{path}: {text}", style="red", markup=False)
        console.print(f"  again: gradient-oracle verify --replay {path}", markup=False, highlight=False)
    if options.json is not None:
        data = report.as_data() | {"faults": caught}
        write_report(json.dumps(data, indent=1), options.json)
    seen, found = sum(status != Status.AGREES for status in caught.values()), len(report.disagreements)
    good = seen == len(caught) and not found
    stopped = report.asked is not None
    word = "STOPPED" if stopped else "AGREES" if good else "DISAGREES"
    planted = f"{seen} of {len(caught)} planted faults caught, " if caught else ""
    console.print(
        f"{word}: {planted}{report.problems}{f' of {report.asked}' if stopped else ''} random problems, "
        f"{found} disagreement{'' if found == 1 else 's'}",
        style="bold green" if good else "bold red",
        highlight=False,
    )
    if stopped:
        return INTERRUPTED
    return AGREES if good else DISAGREES


def _plant(console: Console) -> dict[str, Status]:
    table = Table(title="Planted faults: each must be caught", title_justify="left")
    table.add_column("fault")
    table.add_column("verdict")
    table.add_column("off by (rounding scales)", justify="right")
    caught = {}
    for name, verdict in plant.verdicts():
        caught[name] = verdict.status
        style = "red" if verdict.agrees else ""
        table.add_row(
            name, "NOT CAUGHT" if verdict.agrees else verdict.status, f"{verdict.worst.scales:.1e}", style=style
        )
    console.print(table)
    return caught


def _print_report(report: CampaignReport, console: Console) -> None:
    table = Table(
        title=f"{report.problems} random problems: sources held against each other",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("sources", no_wrap=True)
    for heading in (
        "\ncases",
        "worst\nerror",
        "text-\nbook",
        "\nworst",
        "worst\nulps",
        "not\njudged",
        "devi-\nating",
        "dis-\nagree",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair, tally in report.pairs.items():
        if not tally.cases + tally.not_judged + tally.deviations + tally.unresolved:
            continue
        unit = PAIRS[pair]
        table.add_row(
            pair.replace(" ~ ", "\n~ ").replace("_difference", " diff."),
            str(tally.cases),
            f"{tally.scales:.2g} {unit}",
            str(tally.textbook) if unit == "σ" else "–",
            f"{tally.textbook_scales:.1f} σ" if unit == "σ" else "–",
            f"{tally.ulps:.0e}" if unit != "rel" else "–",
            str(tally.not_judged + tally.unresolved),
            str(tally.deviations) if "torch" in pair else "–",
            str(tally.disagreements),
            style="red" if tally.disagreements else "",
        )
    console.print(table)
    console.print(
        f"σ: rounding scales; an error counts from {FACTOR:g}. bar: the error bar that a difference brings; an error "
        "counts from 1. textbook: cases that only the scale of the customary formulas explains, and their worst. "
        "not judged: overflow, every element on a kink, or a certificate that no precision resolves. rel: relative "
        "to the array's largest gradient. certified: "
        + _share(report)
        + ". deviating: explained by the list below. ulps are large "
        "where terms cancel or a gradient nearly vanishes.",
        highlight=False,
        style="dim",
    )
    _print_counts("activation", report.activations, console)
    if report.networks:
        title = f"operation, in {report.networks} networks"
        _print_counts(title, report.operations, console)
    _print_counts("loss", report.losses, console)
    if report.deviations:
        console.print("Where torch's backward pass is not the derivative of its own forward pass", style="italic")
        for row, count in report.explaining_deviations():
            text = f"{row.name}: {count} case{'' if count == 1 else 's'}; {row.where}; {row.size} (since {row.since})"
            console.print(Padding(Text(text), (0, 0, 0, 2)))


def _share(report: CampaignReport) -> str:
    share = "every one" if report.certify_all else f"one in {campaign.CERTIFY_EVERY}"
    return f"{share} of the problems of at most {LARGEST} parameters times examples"


def _print_counts(what: str, counts: dict[str, int], console: Console) -> None:
    table = Table(title=f"Cases seen, by {what}", title_justify="left")
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
