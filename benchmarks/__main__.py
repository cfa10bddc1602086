"""Every benchmark, quickly: tables on the terminal, JSON and pictures in ``benchmarks/results/``."""

from __future__ import annotations

import importlib
from pathlib import Path

from rich.console import Console

NAMES = ("reuse", "digits", "accuracy", "differences", "certificates")
RESULTS = Path(__file__).parent / "results"


def main(results: Path = RESULTS, console: Console | None = None) -> int:
    """Run all; the number of claims that did not stand is the exit status."""
    console = console or Console()
    refuted = 0
    for name in NAMES:
        written = [results / f"{name}.json", results / f"{name}.png"]
        arguments = ["--quick", "--json", str(written[0]), "--plot", str(written[1])]
        refuted += not importlib.import_module(f"benchmarks.{name}").main(arguments, console).holds
        for path in written:
            console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return refuted


if __name__ == "__main__":
    raise SystemExit(main())
