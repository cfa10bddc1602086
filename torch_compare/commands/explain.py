"""`gradient-oracle explain`: a small network step by step, matrices on the left, the same node by node on the right."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference import __version__

from ..verdict.page import Grid, page
from .exit_status import AGREES
from .explained import Part, Step, parts
from .small_network import example
from .terminal import require_html, write_report

LEFT = 30
"""Columns of the matrix form; where less than twice as many are left, the other form stands below it."""


def folded(line: str, width: int) -> Iterator[str]:
    """A line in pieces of so many columns, cut behind a blank or a product's point, the later ones indented.

    >>> list(folded("  = W[1,0,0]·a′(z[0,0])·x[0]", 20))
    ['  = W[1,0,0]·', '    a′(z[0,0])·x[0]']
    """
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    while len(line) > width:
        cut = max(line.rfind(mark, len(indent) + 1, width) for mark in " ·") + 1 or width
        yield line[:cut].rstrip()
        line = indent + line[cut:]
    yield line


def print_parts(shown: Sequence[Part], console: Console) -> None:
    """Print both forms, beside each other where the console is wide enough.

    >>> import io
    >>> console = Console(file=io.StringIO(), width=80)
    >>> print_parts(parts(example("tanh")), console)
    >>> "d_W[0] = d_z[0]ᵀ x" in console.file.getvalue()
    True
    """
    beside = console.width >= 2 * LEFT + 10
    for part in shown:
        rule = "─" * (console.width - len(part.heading) - 1)
        console.print(Text(f"{part.heading} {rule}"[: console.width], style="bold"))
        for line in part.said.split("\n") if part.said else ():
            console.print(Text("\n".join(folded(line, console.width))))
        if part.said:
            console.print()
        for step in part.steps:
            if beside and max(map(len, step.matrix)) <= LEFT + 10:
                table = Table.grid(padding=(0, 2, 0, 0))
                table.add_column(min_width=LEFT)
                right = console.width - max(LEFT, *map(len, step.matrix)) - 4
                table.add_row(Text("\n".join(step.matrix), style="cyan"), Text(_lines(step.node_by_node, right)))
                console.print(table)
            else:
                console.print(Text(_lines(step.matrix, console.width), style="cyan"))
                if step.node_by_node:
                    console.print(Text(_lines([f"  {line}" for line in step.node_by_node], console.width)))
            console.print()


def _lines(lines: Sequence[str], width: int) -> str:
    return "\n".join(piece for line in lines for piece in folded(line, width))


def as_html(shown: Sequence[Part]) -> str:
    """The same as a page."""
    network, *others = shown
    grids = [
        Grid("Its numbers", (), [_cells(step) for step in network.steps], code=True),
        *(
            Grid(part.heading, (), [*([(part.said, "")] if part.said else []), *map(_cells, part.steps)], code=True)
            for part in others
        ),
    ]
    return page(network.heading, grids=grids, about=f"gradient-oracle {__version__}", picture=network.said)


def _cells(step: Step) -> tuple[str, str]:
    return "\n".join(step.matrix), "\n".join(step.node_by_node)


def run_explain(options: argparse.Namespace, console: Console) -> int:
    """Print it, and write the page that is asked for; returns the exit status."""
    require_html("--html", options.html)
    shown = parts(example(options.activation, options.loss, options.widths))
    print_parts(shown, console)
    if options.html is not None:
        write_report(as_html(shown), options.html)
    return AGREES
