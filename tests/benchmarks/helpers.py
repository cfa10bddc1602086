"""Runs a benchmark by the command line, and reads what it leaves."""

import io
import json
from dataclasses import dataclass

from rich.console import Console

from benchmarks import __main__ as everything
from benchmarks.harness.report import Report

PNG = b"\x89PNG"
"""The first bytes of a picture."""


@dataclass(frozen=True)
class Ran:
    """What a run said and wrote: exit status, report, NAME.json, NAME.png, and the terminal's text."""

    status: int
    report: Report
    document: dict
    picture: bytes
    printed: str


def run_script(monkeypatch, folder, name, *options, width=80):
    """`python -m benchmarks NAME [options]`, with `folder` for its results.

    The report is taken from the run itself, so that what is written can be held against what was measured.
    """
    kept = []
    honest = everything.run

    def run(*given):
        kept.append(honest(*given))
        return kept[-1]

    monkeypatch.setattr(everything, "run", run)
    console = Console(file=io.StringIO(), width=width)
    status = everything.main([name, *options], folder, console)
    (outcome,) = kept
    assert not outcome.error, outcome.error
    document = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return Ran(status, outcome.report, document, (folder / f"{name}.png").read_bytes(), console.file.getvalue())
