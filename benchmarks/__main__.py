"""Runs benchmarks: ``python -m benchmarks [NAME …] [--quick | --full] [--seed N] [--results FOLDER]``.

Tables and verdicts go to the terminal; of each benchmark NAME the folder of results gets NAME.json and NAME.png, and of
all that ran README.md, a page with their pictures.
"""

from __future__ import annotations

import argparse
import importlib
import traceback
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from types import ModuleType

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from reference.arithmetic.names import meant

from .harness.gallery import ScriptOutcome, page
from .harness.report import header, show, write_json

ROOMS = {
    "linear_collapse": "claims", "depth_and_complexity": "claims", "output_layer": "claims", "polynomial": "claims",
    "information_loss": "claims", "reuse": "claims", "vanishing_gradients": "claims", "training": "claims",
    "optimizers": "claims", "activations_compared": "claims",
    "digits": "exactness", "accuracy": "exactness", "operations": "exactness", "opinfo": "exactness",
    "differences": "exactness", "certificates": "exactness",
    "detection": "detection", "operation_mistakes": "detection",
    "speed": "speed", "checking": "speed", "growth": "speed", "zoo": "zoo", "resnet": "zoo", "modules": "zoo",
}  # fmt: skip
"""The room of each script: in the chapter's order, then what measures this package itself."""
CLAIMS = {
    "linear_collapse": "S3", "depth_and_complexity": "S4", "output_layer": "S5", "polynomial": "S6",
    "information_loss": "S7", "reuse": "S8", "vanishing_gradients": "S9", "training": "S11", "optimizers": "S11",
    "activations_compared": "the last table",
}  # fmt: skip
"""The claim of the chapter that a script tests, unless its report names one."""
RESULTS = Path(__file__).parent / "results"
"""The folder that is written to unless another is named."""


def run(
    name: str, quick: bool, seed: int, results: Path, console: Console, chosen: Sequence[str] = ()
) -> ScriptOutcome:
    """Measure, show and draw one benchmark and write its files; whatever it raises is part of the outcome.

    `chosen` are the rows of the zoo that are measured.
    """
    files = results / f"{name}.json", results / f"{name}.png"
    report, error, claim = None, "", CLAIMS.get(name, "")
    for path in files:
        path.unlink(missing_ok=True)
    start = perf_counter()
    try:
        module: ModuleType = importlib.import_module(f"{__package__}.{ROOMS[name]}.{name}")
        report = module.measure(quick, seed, chosen) if chosen else module.measure(quick, seed)
        claim = report.source_claim or claim
        show(report, header(seed), console)
        write_json(report, header(seed), files[0])
        module.draw(report, files[1])
    except Exception as failure:
        error = traceback.format_exc()
        console.print(Text(f"{name} failed: {type(failure).__name__}: {failure}", style="bold"))
    seconds = perf_counter() - start
    written = [path for path in files if path.exists()]
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return ScriptOutcome(name, claim, seconds, report, error, tuple(path.name for path in written))


def summarise(outcomes: Sequence[ScriptOutcome], console: Console) -> None:
    """Print every verdict, in one table."""
    table = Table(box=None)
    for heading in ("script", "claim", "verdict", "time [s]"):
        table.add_column(Text(heading))
    for found in outcomes:
        table.add_row(found.name, found.claim or "–", found.verdict, f"{found.seconds:.1f}")
    console.print(table)


def survey(arguments: argparse.Namespace, console: Console) -> int:
    """Run or resume the survey of false alarms and print its summary; 0 if there was none, 130 if it was stopped."""
    from .detection.survey import lines_of, survey  # noqa: PLC0415  (torch loads for seconds)

    count, seed, folder = arguments.false_alarms, arguments.seed, arguments.results
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("correct gradients", total=count)
        try:
            found = survey(count, seed, folder, arguments.jobs, arguments.first, lambda n: bar.advance(task, n))
        except (ValueError, OSError) as error:
            console.print(Text(str(error)))
            return 2
    for line in lines_of(found):
        console.print(Text(line), soft_wrap=True)
    console.print(f"wrote {folder / f'false_alarms-{seed}.json'}", markup=False, highlight=False, soft_wrap=True)
    if found.get("stopped"):
        return 130
    return int(found["false alarms"] > 0)


def main(argv: Sequence[str] | None = None, results: Path = RESULTS, console: Console | None = None) -> int:
    """Run the benchmarks that are named, or all.

    Args:
        argv: the arguments; those of the process if not given.
        results: the folder to write to unless the arguments name another; it is made if there is none.
        console: where to print; the terminal if not given.

    Returns:
        The number of claims that did not stand and of scripts that failed: the exit status. With --false-alarms 0 if
        there was none, 1 if there was, 2 for a file that cannot be resumed, 130 if it was stopped.

    Raises:
        SystemExit: the arguments are wrong, or ask for help.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run benchmarks and print their tables and verdicts. The folder of results gets NAME.json (header, "
        "claim, figures, every row) and NAME.png (the picture) of each, and README.md, a page of those that ran.",
        epilog="The exit status is the number of claims that did not stand and of benchmarks that failed.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"all of them if none is named: {', '.join(ROOMS)}; "
        "other names beside zoo are architectures of it, which are measured alone",
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="small sizes: seconds to a minute each (the default)")
    sizes.add_argument("--full", action="store_true", help="full sizes: many minutes")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of every random number (default: 0)")
    parser.add_argument(
        "--results", type=Path, default=results, metavar="FOLDER",
        help="write JSON, pictures and the page there (default: benchmarks/results)",
    )  # fmt: skip
    alarms = parser.add_argument_group("a long survey of false alarms (detection alone), which is resumed")
    alarms.add_argument("--false-alarms", type=int, metavar="N", help="judge N correct gradients of a seed")
    alarms.add_argument(
        "--first", type=int, default=0, metavar="N", help="begin with number N of the seed (default: 0)"
    )
    alarms.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: 2)")
    arguments = parser.parse_args(argv)
    if arguments.false_alarms is not None:
        if arguments.names != ["detection"]:
            parser.error("--false-alarms goes with detection alone")
        for name, least in (("false_alarms", 1), ("first", 0), ("jobs", 1), ("seed", 0)):
            if getattr(arguments, name) < least:
                parser.error(f"--{name.replace('_', '-')}: expected a number of at least {least}")
        return survey(arguments, console or Console())
    unknown = [name for name in arguments.names if name not in ROOMS]
    if unknown and "zoo" not in arguments.names:
        parser.error(f"no benchmark is named {unknown[0]!r}{meant(unknown[0], ROOMS)}; there are {', '.join(ROOMS)}")
    console, results = console or Console(), arguments.results
    results.mkdir(parents=True, exist_ok=True)
    outcomes = [
        run(name, not arguments.full, arguments.seed, results, console, unknown if name == "zoo" else ())
        for name in [name for name in arguments.names if name in ROOMS] or ROOMS
    ]
    path = results / "README.md"
    path.write_text(page(outcomes, header(arguments.seed)), "utf-8")
    summarise(outcomes, console)
    console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return sum(found.verdict != "holds" for found in outcomes)


if __name__ == "__main__":
    raise SystemExit(main())
