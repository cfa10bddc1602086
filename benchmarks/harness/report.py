"""The report of a benchmark, and how it is printed and written; `timing` times, `style` draws.

A benchmark is a module with `measure(quick, seed) -> Report` and `draw(report, path)`; `benchmarks.__main__` does the
rest.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from scipy.stats import linregress, t
from threadpoolctl import threadpool_info


@dataclass(frozen=True)
class Report:
    """The findings of a benchmark.

    Attributes:
        question: the question in one line.
        claim: the claim that is put to the test.
        refuted_by: what would show that the claim is false.
        columns: the table's columns, in order: key in a row to heading with unit.
        rows: the table.
        figures: the few numbers that decide about the claim, by name.
        holds: whether the claim stood.
        digest: what is shown of a table too long for a terminal: rows with the columns' keys. JSON has all `rows`.
        source_claim: the claim of the chapter that is tested, as "S8".
    """

    question: str
    claim: str
    refuted_by: str
    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    figures: Mapping[str, Any] = field(default_factory=dict)
    holds: bool = True
    digest: Sequence[Mapping[str, Any]] = ()
    source_claim: str = ""

    @property
    def shown(self) -> Sequence[Mapping[str, Any]]:
        """The rows to print."""
        return self.digest or self.rows


def header(seed: int) -> dict[str, str]:
    """Machine, versions and threads: what a time depends on."""
    blas = [f"{p['internal_api']} {p['version']}, {p['num_threads']} thread(s)" for p in threadpool_info()]
    packages = {name: version(name) for name in ("numpy", "scipy", "torch")}
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        **packages,
        "threads": "; ".join(blas) or "no BLAS found",
        "seed": str(seed),
    }


def _processor() -> str:
    """The processor's model; Linux tells it only in a file."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


CONFIDENCE = 0.95
"""Of the interval of an exponent."""


def growth(x: Sequence[float], y: Sequence[float]) -> float:
    """The exponent p of y ≈ c·xᵖ, by least squares on logarithms.

    >>> round(growth([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return exponent(x, y)[0]


def exponent(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """`growth`, and half the width of its interval of `CONFIDENCE`, from three points on (Student's t).

    >>> p, half = exponent([1, 2, 4], [3, 12, 48])
    >>> round(p, 6), half < 1e-6
    (2.0, True)
    """
    fit = linregress(np.log(x), np.log(y))
    free = len(x) - 2
    return float(fit.slope), float(fit.stderr * t.ppf((1 + CONFIDENCE) / 2, free)) if free > 0 else inf


def show(report: Report, head: Mapping[str, str], console: Console) -> None:
    """Print claim, header, table and the deciding figures."""
    console.print(Text(report.question, style="bold"))
    console.print(Text(f"Claim: {report.claim}\nRefuted by: {report.refuted_by}\n"))
    for name, value in head.items():
        console.print(Text(f"  {name}: {value}", style="dim"))
    for table in _tables(report, console):
        whole = max(console.width, _width(table, console, "maximum"))
        wide = console if console.is_terminal else Console(file=console.file, width=whole, height=console.height)
        wide.print(table)
    for name, value in report.figures.items():
        console.print(Text(f"  {name}: {cell(value)}"))
    console.print(Text(f"The claim {'holds' if report.holds else 'is refuted'}.\n", style="bold"))


def _tables(report: Report, console: Console) -> Iterator[Table]:
    """The table; on a terminal too narrow for it several, each of which begins with the first column."""
    keys = list(report.columns)
    whole = _table(report, keys)
    if not console.is_terminal or _fits(whole, console):
        yield whole
        return
    first, left = keys[0], keys[1:]
    while left:
        count = next(n for n in range(len(left), 0, -1) if n == 1 or _fits(_table(report, [first, *left[:n]]), console))
        yield _table(report, [first, *left[:count]])
        left = left[count:]


def _table(report: Report, keys: Sequence[str]) -> Table:
    """The columns of these keys, none narrower than its longest word."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for key in keys:
        texts = [report.columns[key], *(cell(row[key]) for row in report.shown)]
        longest = max((cell_len(word) for text in texts for word in text.split()), default=1)
        words = isinstance(report.shown[0][key], str)
        table.add_column(Text(report.columns[key]), justify="left" if words else "right", min_width=longest)
    for row in report.shown:
        table.add_row(*(Text(cell(row[key])) for key in keys))
    return table


def _width(table: Table, console: Console, which: str) -> int:
    """How many columns of text a table takes at least, or without folding a word."""
    wide = console.options.update(max_width=10_000)
    return int(getattr(Measurement.get(console, wide, table), which))


def _fits(table: Table, console: Console) -> bool:
    return _width(table, console, "minimum") <= console.width


def cell(value: Any) -> str:
    """A number or a word as a table shows it.

    >>> cell(0.25), cell(12345), cell(float("nan")), cell("he_normal")
    ('0.25', '12,345', '–', 'he normal')
    """
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("_", " ")


def write_json(report: Report, head: Mapping[str, str], path: Path) -> None:
    """The header, the claim, the table and the figures; a number that is not finite becomes null."""
    document = {
        "header": head,
        "question": report.question,
        "claim": report.claim,
        "refuted_by": report.refuted_by,
        "source_claim": report.source_claim,
        "holds": report.holds,
        "figures": report.figures,
        "columns": report.columns,
        "rows": report.rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
